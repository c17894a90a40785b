#include "git/first_fetch.hpp"

#include <fmt/format.h>

#include <system_error>

#include "env/files.hpp"
#include "git/git_program.hpp"
#include "git/reasons.hpp"

namespace bennu::git {
namespace {

namespace fs = std::filesystem;

Error failed(std::string_view what, const fs::path& path, const std::error_code& error) {
  return make_error(Code::kUnavailable,
                    fmt::format("cannot {} `{}`: {}", what, path.string(), error.message()));
}

Status move_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return failed("move", from, error);
  return {};
}

// The packs, each before its index, which makes it visible. git has synced them.
Status move_packs(const fs::path& from, const fs::path& to) {
  std::vector<fs::path> packs;
  std::vector<fs::path> others;
  std::error_code error;
  for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    const fs::path extension = it->path().extension();
    if (extension == ".pack") packs.push_back(it->path().filename());
    if (extension == ".idx" || extension == ".rev") others.push_back(it->path().filename());
  }
  if (error) return failed("read", from, error);
  packs.insert(packs.end(), others.begin(), others.end());
  for (const auto& name : packs) BENNU_TRY(move_file(from / name, to / name));
  return env::sync_folder(to);
}

Status make_refs(Repository& repository, const Repository& clone, std::string_view from,
                 std::string_view to) {
  BENNU_ASSIGN(const auto refs, clone.list_refs(from));
  for (const auto& [name, id] : refs) {
    const std::string target = fmt::format("{}{}", to, name.substr(from.size()));
    BENNU_TRY(repository.update_ref(target, id, std::nullopt));
  }
  return {};
}

}  // namespace

Result<FetchResult> first_fetch(Repository& repository, const std::string& address,
                                const std::string& shown, const RemoteOptions& options) {
  const std::string context = fmt::format("cannot fetch from `{}`", shown);
  BENNU_ASSIGN(const auto scratch, repository.scratch());
  const fs::path place = scratch.path() / "clone.git";
  // Not by links to a local repository's files: what comes is checked, one pack, and only what is
  // reachable.
  std::vector<std::string> arguments = {"clone", "--bare", "--no-local",
                                        "--template=", "--reject-shallow"};
  arguments.push_back(options.on_progress ? "--progress" : "--quiet");
  arguments.insert(arguments.end(), {"--", address, place.string()});
  BENNU_ASSIGN(const auto run, run_git({}, std::move(arguments), options));
  if (run.status != 0) return git_error(context, run.error_output);
  BENNU_ASSIGN(const Repository clone, Repository::open(place));

  FetchResult result;
  BENNU_ASSIGN(const auto heads, clone.list_refs("refs/heads/"));
  for (const auto& [name, id] : heads) result.branches.emplace(name.substr(11), id);
  if (const auto head = clone.head_branch()) result.default_branch = *head;
  BENNU_ASSIGN(const auto head, clone.find_ref("HEAD"));
  choose_default_branch(result, head);

  BENNU_TRY(move_packs(place / "objects/pack", repository.path() / "objects/pack"));
  BENNU_TRY(make_refs(repository, clone, "refs/tags/", "refs/tags/"));
  BENNU_TRY(make_refs(repository, clone, "refs/heads/", "refs/remotes/origin/"));
  return result;
}

}  // namespace bennu::git
