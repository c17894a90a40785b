#include "cli/address.hpp"

#include <filesystem>

#include "env/process.hpp"
#include "git/repository.hpp"

namespace bennu::cli {

std::pair<std::string, std::string> split_revision(const std::string& text) {
  std::error_code ignored;
  const auto at = text.rfind('@');
  if (at == std::string::npos || at == 0 || std::filesystem::exists(text, ignored))
    return {text, ""};
  const std::string revision = text.substr(at + 1);
  const std::string url = text.substr(0, at);
  // An `@` before a host belongs to the address.
  const auto scheme = url.find("://");
  const bool is_host = revision.find(':') != std::string::npos;
  const bool inside_authority =
      scheme != std::string::npos && url.find('/', scheme + 3) == std::string::npos;
  if (is_host || inside_authority || revision.empty()) return {text, ""};
  return {url, revision};
}

std::string stable_url(const std::string& url) {
  std::error_code error;
  if (url.find("://") == std::string::npos && std::filesystem::exists(url, error)) {
    return std::filesystem::absolute(url).lexically_normal().string();
  }
  return url;
}

std::string_view refuses_pushes(const std::string& url, const std::string& branch) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(url, ignored)) return "a bundle takes no pushes";
  if (!std::filesystem::exists(std::filesystem::path(url) / ".git", ignored)) return {};
  const auto clone = git::Repository::open(url);
  if (!clone || clone->head_branch() != branch) return {};
  const auto allowed =
      env::run({.argv = {"git", "-C", url, "config", "--get", "receive.denyCurrentBranch"},
                .timeout = std::chrono::seconds{10}});
  const bool takes =
      allowed && (allowed->output.starts_with("updateInstead") ||
                  allowed->output.starts_with("ignore") || allowed->output.starts_with("warn"));
  return takes ? std::string_view{} : "its branch is checked out there, so it takes no pushes";
}

}  // namespace bennu::cli
