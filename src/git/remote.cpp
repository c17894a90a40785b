#include "git/remote.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/bytes.hpp"
#include "git/first_fetch.hpp"
#include "git/git_program.hpp"
#include "git/libgit2.hpp"
#include "git/reasons.hpp"

namespace bennu::git {
namespace {

constexpr std::string_view kHeads = "refs/heads/";
constexpr std::string_view kTracking = "refs/remotes/origin/";

// A path is made absolute, so that it means the same to git as to the caller.
std::string address(std::string_view url) {
  std::error_code ignored;
  const std::filesystem::path path(url);
  return std::filesystem::exists(path, ignored)
             ? std::filesystem::absolute(path).lexically_normal().string()
             : std::string(url);
}

// git takes a bundle whose list of refs is cut short for one without refs, so that list is checked
// here.
Status check_if_bundle(const std::string& path, std::string_view shown) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};
  std::ifstream file(path, std::ios::binary);
  std::string line;
  if (!std::getline(file, line) || !line.starts_with("# v") || !line.ends_with(" git bundle")) {
    return make_error(Code::kNotFound,
                      fmt::format("`{}` is neither a Git repository nor a bundle", shown),
                      reason::kNotARepository);
  }
  while (std::getline(file, line)) {
    if (line.empty()) return {};
  }
  return make_error(Code::kDataLoss,
                    fmt::format("the bundle `{}` is cut short: copy it again", shown),
                    reason::kTruncated);
}

// "<id>\t<name>" and "ref: <target>\tHEAD".
FetchResult parse_list(std::string_view text) {
  FetchResult result;
  std::optional<ObjectId> head;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    const std::string_view value = line.substr(0, tab);
    const std::string_view name = line.substr(tab + 1);
    constexpr std::string_view kSymbolic = "ref: refs/heads/";
    if (name == "HEAD" && value.starts_with(kSymbolic)) {
      result.default_branch = value.substr(kSymbolic.size());
    } else if (const auto id = ObjectId::from_hex(value); id && name == "HEAD") {
      head = id;
    } else if (id && name.starts_with(kHeads)) {
      result.branches.emplace(name.substr(kHeads.size()), *id);
    }
  }
  choose_default_branch(result, head);
  return result;
}

Result<FetchResult> tracked(const Repository& repository) {
  FetchResult result;
  BENNU_ASSIGN(const auto refs, repository.list_refs(kTracking));
  for (const auto& [name, id] : refs) result.branches.emplace(name.substr(kTracking.size()), id);
  return result;
}

struct PushLine {
  char flag = '!';
  std::string summary;
};

// "<flag>\t<from>:<to>\t<summary>" of --porcelain.
std::optional<PushLine> parse_push(std::string_view output) {
  while (!output.empty()) {
    const std::size_t end = std::min(output.find('\n'), output.size());
    const std::string_view line = output.substr(0, end);
    output.remove_prefix(std::min(end + 1, output.size()));
    const auto first = line.find('\t');
    const auto second = line.find('\t', first + 1);
    if (first != 1 || second == std::string_view::npos) continue;
    return PushLine{.flag = line[0], .summary = std::string(line.substr(second + 1))};
  }
  return std::nullopt;
}

// git names a damaged object by where it lies; one of ours is no fault of the remote's.
Error transfer_error(const Repository& repository, const std::string& context,
                     std::string_view said) {
  const std::string ours = fmt::format("(stored in {}/", repository.path().string());
  const auto at = said.find(ours);
  if (at == std::string_view::npos) return git_error(context, said);
  const auto start = said.rfind('\n', at) + 1;  // 0 where there is none
  std::string_view line = said.substr(start, said.find('\n', at) - start);
  if (line.starts_with("fatal: ")) line.remove_prefix(7);
  return make_error(Code::kDataLoss, fmt::format("{}; {}", printable(line, 300), kMendDamage),
                    reason::kCorrupt);
}

// What the remote's side wrote ("remote: ..."), which is where hooks explain themselves.
std::string remote_words(std::string_view said) {
  std::string words;
  while (!said.empty() && words.size() < 200) {
    const std::size_t end = std::min(said.find('\n'), said.size());
    std::string_view line = said.substr(0, end);
    said.remove_prefix(std::min(end + 1, said.size()));
    if (!line.starts_with("remote: ")) continue;
    line.remove_prefix(8);
    while (line.ends_with(' ')) line.remove_suffix(1);
    if (!line.empty()) words += (words.empty() ? "" : " ") + std::string(line);
  }
  return printable(words);
}

Error push_error(const std::string& context, const PushLine& line, std::string_view said) {
  const auto has = [&](std::string_view text) {
    return line.summary.find(text) != std::string::npos;
  };
  const bool by_remote = has("[remote rejected]");
  const bool moved = has("non-fast-forward") || has("fetch first") || has("needs force") ||
                     has("failed to update ref") || has("incorrect old value") ||
                     has("reference already exists");
  if (moved) {
    return make_error(
        Code::kAborted,
        fmt::format("{}: it has commits that are not here (nothing is ever forced); sync again",
                    context),
        reason::kNotFastForward);
  }
  if (has("checked out")) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("{}: that branch is checked out there; push to a bare repository", context),
        reason::kCheckedOut);
  }
  const std::string words = remote_words(said);
  const std::string detail = words.empty() ? printable(line.summary)
                                           : fmt::format("{}: {}", printable(line.summary), words);
  if (by_remote) {
    return make_error(Code::kPermissionDenied,
                      fmt::format("{}: the remote declined: {}", context, detail),
                      reason::kPushDeclined);
  }
  return git_error(context, line.summary);
}

}  // namespace

void choose_default_branch(FetchResult& result, const std::optional<ObjectId>& head) {
  if (result.default_branch && result.branches.contains(*result.default_branch)) return;
  if (result.branches.empty()) return;  // the name of an unborn branch is kept
  result.default_branch.reset();
  if (result.branches.size() == 1) {
    result.default_branch = result.branches.begin()->first;
    return;
  }
  for (const char* usual : {"main", "master"}) {
    const auto found = result.branches.find(usual);
    if (found == result.branches.end() || (head && found->second != *head)) continue;
    result.default_branch = usual;
    return;
  }
  for (const auto& [name, id] : result.branches) {
    if (head && id == *head) {
      result.default_branch = name;
      return;
    }
  }
}

Result<FetchResult> list_remote(std::string_view url, const RemoteOptions& options) {
  BENNU_TRY(check_if_bundle(address(url), shown_url(url)));
  BENNU_ASSIGN(
      const auto run,
      run_git({}, {"ls-remote", "--symref", "--", address(url), "HEAD", "refs/heads/*"}, options));
  if (run.status != 0)
    return git_error(fmt::format("cannot reach `{}`", shown_url(url)), run.error_output);
  return parse_list(run.output);
}

Result<FetchResult> fetch(Repository& repository, std::string_view url,
                          const RemoteOptions& options, std::string_view branch) {
  BENNU_TRY(check_if_bundle(address(url), shown_url(url)));
  BENNU_ASSIGN(const auto refs, repository.list_refs(""));
  if (refs.empty() && branch.empty())
    return first_fetch(repository, address(url), shown_url(url), options);
  FetchResult listed;
  if (branch.empty()) {
    BENNU_ASSIGN(listed, list_remote(url, options));
  }
  const std::string what = branch.empty() ? "*" : std::string(branch);
  const std::string spec = fmt::format("+{}{}:{}{}", kHeads, what, kTracking, what);
  std::vector<std::string> arguments = {"fetch", "--no-write-fetch-head", "--no-auto-maintenance",
                                        "--no-recurse-submodules", "--atomic"};
  arguments.push_back(options.on_progress ? "--progress" : "--quiet");
  if (branch.empty()) arguments.push_back("--prune");
  arguments.insert(arguments.end(), {"--", address(url), spec});
  BENNU_ASSIGN(const auto run, run_git(repository.path(), std::move(arguments), options));
  const bool incomplete = run.error_output.find("shallow") != std::string::npos;
  if (run.status != 0 || incomplete) {
    return transfer_error(repository, fmt::format("cannot fetch from `{}`", shown_url(url)),
                          run.error_output);
  }
  BENNU_ASSIGN(FetchResult result, tracked(repository));
  result.default_branch = std::move(listed.default_branch);
  return result;
}

Result<ObjectId> find_fetched(const Repository& repository, std::string_view url,
                              const FetchResult& fetched, std::string_view revision) {
  std::string name(revision);
  for (const std::string_view head : {"HEAD", "@"}) {
    if (!name.starts_with(head)) continue;
    const bool whole =
        name.size() == head.size() || name[head.size()] == '~' || name[head.size()] == '^';
    if (whole && fetched.default_branch) name.replace(0, head.size(), *fetched.default_branch);
    break;
  }
  auto found = repository.resolve_commit(name);
  if (found || found.error().code != Code::kNotFound) return found;
  return make_error(Code::kNotFound,
                    fmt::format("`{}` has no commit `{}`", shown_url(url), printable(revision)),
                    reason::kNotFound);
}

Status push(Repository& repository, std::string_view url, std::string_view branch,
            const ObjectId& commit, const RemoteOptions& options) {
  const std::string context =
      fmt::format("cannot push to `{}` of `{}`", printable(branch), shown_url(url));
  std::vector<std::string> arguments = {"push", "--porcelain", "--no-recurse-submodules"};
  if (options.on_progress) arguments.push_back("--progress");
  arguments.insert(arguments.end(),
                   {"--", address(url), fmt::format("{}:{}{}", commit.hex(), kHeads, branch)});
  BENNU_ASSIGN(const auto run, run_git(repository.path(), std::move(arguments), options));
  const auto line = parse_push(run.output);
  if (run.status != 0) {
    if (line && line->flag == '!') return push_error(context, *line, run.error_output);
    Error error = transfer_error(repository, context, run.error_output);
    // Once the pack was on its way, the remote may have taken it before the line broke.
    if (run.error_output.find("hung up") != std::string::npos) error.effect = Effect::kUnknown;
    return error;
  }
  const std::string tracking = fmt::format("{}{}", kTracking, branch);
  BENNU_ASSIGN(const auto before, repository.find_ref(tracking));
  if (before == commit) return {};
  return repository.update_ref(tracking, commit, before);
}

}  // namespace bennu::git
