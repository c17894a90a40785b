#include "config/settings.hpp"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <functional>
#include <map>
#include <sstream>

#include "base/bytes.hpp"
#include "env/files.hpp"

namespace bennu::config {
namespace {

constexpr std::size_t kMaxSettingsBytes = 1UL << 20;

using Setter = std::function<Status(Settings&, const toml::node&)>;

Error bad_value(const toml::node& node, std::string_view what) {
  const auto at = node.source().begin;
  return make_error(Code::kInvalidArgument,
                    fmt::format("line {}, column {}: {}", at.line, at.column, what));
}

Setter text(std::string Settings::* member) {
  return [member](Settings& settings, const toml::node& node) -> Status {
    const auto value = node.value_exact<std::string>();
    if (!value) return bad_value(node, "this must be a string in quotes");
    settings.*member = *value;
    return {};
  };
}

Status set_branch(Settings& settings, const toml::node& node) {
  BENNU_TRY(text(&Settings::branch)(settings, node));
  const auto checked = check_branch(settings.branch);
  return checked ? Status{} : Status(bad_value(node, checked.error().message));
}

Status set_identity(Settings& settings, const toml::node& node) {
  BENNU_TRY(text(&Settings::identity)(settings, node));
  return settings.identity.empty() ? Status(bad_value(node, "this must name a file")) : Status{};
}

template <class T>
Setter number(T Settings::* member, std::int64_t low, std::int64_t high) {
  return [member, low, high](Settings& settings, const toml::node& node) -> Status {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < low || *value > high) {
      return bad_value(node, fmt::format("this must be a whole number from {} to {}", low, high));
    }
    settings.*member = static_cast<T>(*value);
    return {};
  };
}

const std::map<std::string, Setter, std::less<>>& setters() {
  static const std::map<std::string, Setter, std::less<>> all = {
      {"remote.url", text(&Settings::remote_url)},
      {"remote.branch", set_branch},
      {"secrets.identity", set_identity},
      {"node.name", text(&Settings::node_name)},
      {"store.memory_budget_bytes", number(&Settings::memory_budget_bytes, 16LL << 20, 64LL << 30)},
      {"sync.delete_budget_keys", number(&Settings::delete_budget_keys, 0, 1LL << 40)},
      {"sync.delete_budget_percent", number(&Settings::delete_budget_percent, 0, 100)},
  };
  return all;
}

Status apply_table(Settings& settings, const toml::table& table, const std::string& prefix) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const auto* inner = node.as_table(); inner != nullptr && prefix.empty()) {
      BENNU_TRY(apply_table(settings, *inner, name + "."));
      continue;
    }
    const auto setter = setters().find(name);
    if (setter == setters().end())
      return bad_value(node, fmt::format("there is no setting `{}`", name));
    BENNU_TRY(setter->second(settings, node).with_context(name));
  }
  return {};
}

std::string toml_string(std::string_view value) {
  std::ostringstream out;
  out << toml::value<std::string>(std::string(value));
  return out.str();
}

}  // namespace

Status check_branch(std::string_view name) {
  bool good = !name.empty() && name != "HEAD" && name != "@" && !name.starts_with('-') &&
              !name.ends_with('.') && name.find("..") == std::string_view::npos &&
              name.find("@{") == std::string_view::npos;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    good = good && byte > 0x20 && byte != 0x7f &&
           std::string_view("~^:?*[\\").find(c) == std::string_view::npos;
  }
  for (std::string_view rest = name; good;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    good = !part.empty() && part.front() != '.' && !part.ends_with(".lock");
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (good) return {};
  return make_error(
      Code::kInvalidArgument,
      fmt::format("\"{}\" is no name for a branch (git check-ref-format)", printable(name, 80)));
}

Result<Settings> parse_settings(std::string_view text_of_file, std::string_view origin) {
  Settings settings;
  try {
    const toml::table table = toml::parse(text_of_file);
    BENNU_TRY(apply_table(settings, table, "").with_context(origin));
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    return make_error(Code::kInvalidArgument, fmt::format("{}: line {}, column {}: {}", origin,
                                                          at.line, at.column, error.description()));
  }
  return settings;
}

Result<Settings> load_settings(const std::filesystem::path& file) {
  BENNU_ASSIGN(const auto opened, env::open_file(file));
  BENNU_ASSIGN(const std::string bytes, env::read_all(opened, file, kMaxSettingsBytes));
  return parse_settings(bytes, file.string());
}

Status save_settings(const std::filesystem::path& file, const Settings& settings) {
  const std::string bytes = fmt::format(
      "# Settings of this data directory; see docs/operations/settings.md.\n\n"
      "[remote]\nurl = {}\nbranch = {}\n\n"
      "[secrets]\nidentity = {}\n\n"
      "[node]\nname = {}\n\n"
      "[store]\nmemory_budget_bytes = {}\n\n"
      "[sync]\ndelete_budget_keys = {}\ndelete_budget_percent = {}\n",
      toml_string(settings.remote_url), toml_string(settings.branch),
      toml_string(settings.identity), toml_string(settings.node_name), settings.memory_budget_bytes,
      settings.delete_budget_keys, settings.delete_budget_percent);
  return env::replace_file(file, bytes, 0600);
}

}  // namespace bennu::config
