#include "git/first_fetch.hpp"

#include <fmt/format.h>

#include <set>
#include <system_error>

#include "env/files.hpp"
#include "git/git_program.hpp"
#include "git/reasons.hpp"

namespace bennu::git {
namespace {

namespace fs = std::filesystem;

// A clone of a local path shares files by hard links, which is fine unless that repository borrows
// objects of a third.
bool borrows_objects(const fs::path& address) {
  std::error_code ignored;
  return fs::exists(address / "objects/info/alternates", ignored) ||
         fs::exists(address / ".git/objects/info/alternates", ignored);
}

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

// Packs before their indexes, as an index makes a pack visible.
Status move_objects(const fs::path& from, const fs::path& to) {
  std::vector<fs::path> packs;
  std::vector<fs::path> others;
  std::error_code error;
  for (fs::recursive_directory_iterator it(from, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_regular_file()) continue;
    const fs::path relative = fs::relative(it->path(), from);
    const std::string folder = relative.parent_path().string();
    if (folder == "pack" && relative.extension() == ".pack") packs.push_back(relative);
    const bool belongs = relative.extension() == ".idx" || relative.extension() == ".rev";
    if ((folder == "pack" && belongs) || folder.size() == 2) others.push_back(relative);
  }
  if (error) return failed("read", from, error);
  std::set<fs::path> folders = {to / "pack"};
  packs.insert(packs.end(), others.begin(), others.end());
  for (const auto& relative : packs) {
    // A hard link into a repository of somebody else's may not be on disk yet.
    BENNU_ASSIGN(const env::File file, env::open_file(from / relative));
    BENNU_TRY(env::sync_file(file, from / relative));
    const fs::path folder = (to / relative).parent_path();
    if (folders.insert(folder).second) fs::create_directories(folder, error);
    BENNU_TRY(move_file(from / relative, to / relative));
  }
  for (const auto& folder : folders) BENNU_TRY(env::sync_folder(folder));
  return env::sync_folder(to);
}

bool has_loose_objects(const fs::path& objects) {
  std::error_code ignored;
  for (fs::directory_iterator it(objects, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    if (it->path().filename().string().size() == 2) return true;
  }
  return false;
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
  std::vector<std::string> arguments = {"clone", "--bare", "--template=", "--reject-shallow"};
  arguments.push_back(options.on_progress ? "--progress" : "--quiet");
  if (borrows_objects(address)) arguments.push_back("--no-local");
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

  if (has_loose_objects(place / "objects")) {
    BENNU_ASSIGN(const auto packed, run_git(place, {"repack", "-d", "-q"}, options));
    if (packed.status != 0) return git_error(context, packed.error_output);
  }
  BENNU_TRY(move_objects(place / "objects", repository.path() / "objects"));
  BENNU_TRY(make_refs(repository, clone, "refs/tags/", "refs/tags/"));
  BENNU_TRY(make_refs(repository, clone, "refs/heads/", "refs/remotes/origin/"));
  return result;
}

}  // namespace bennu::git
