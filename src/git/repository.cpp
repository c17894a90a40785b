#include "git/repository.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/bytes.hpp"
#include "env/files.hpp"
#include "git/libgit2.hpp"
#include "git/reasons.hpp"
#include "git/tree.hpp"

namespace bennu::git {
namespace {

namespace fs = std::filesystem;

// What a killed process leaves: its and git's unfinished files, and the locks of what it was
// changing. The caller holds the store's lock, so no other Bennu is at work here.
void sweep(const fs::path& path) {
  std::error_code ignored;
  const fs::path objects = path / "objects";
  for (const fs::path& folder :
       {path, objects / "pack", objects / "info", objects / "info" / "commit-graphs"}) {
    for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
         it.increment(ignored)) {
      std::error_code failed;
      const std::string name = it->path().filename();
      const bool of_git =
          name.starts_with("tmp_") || name.starts_with(".tmp-") || name.ends_with(".lock");
      if (of_git || name.starts_with(kTemporaryPrefix)) fs::remove_all(it->path(), failed);
    }
  }
  for (fs::recursive_directory_iterator it(path / "refs", ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    std::error_code failed;
    if (it->path().extension() == ".lock") fs::remove(it->path(), failed);
  }
}

Status configure(git_repository* repository, const fs::path& path) {
  git_config* raw = nullptr;
  if (const int code = git_repository_config(&raw, repository); code < 0) {
    return libgit2_error(code, fmt::format("cannot set up `{}`", path.string()));
  }
  const ConfigHandle config(raw);
  int code = git_config_set_int32(config.get(), "gc.auto", 0);
  if (code >= 0) code = git_config_set_bool(config.get(), "maintenance.auto", 0);
  if (code >= 0) code = git_config_set_string(config.get(), "core.fsync", "all");
  if (code < 0) return libgit2_error(code, fmt::format("cannot set up `{}`", path.string()));
  return {};
}

// Made beside its place and renamed, so that a crash leaves no half repository.
Status make_bare(const fs::path& path, std::string_view branch) {
  std::error_code failed;
  BENNU_TRY(env::make_folders(path.parent_path()));
  const fs::path staged = fmt::format("{}.{}{}", path.string(), kTemporaryPrefix, ::getpid());
  fs::remove_all(staged, failed);
  git_repository_init_options options;
  git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
  options.flags =
      GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_NO_REINIT;
  const std::string head(branch);
  options.initial_head = head.c_str();
  git_repository* raw = nullptr;
  if (const int code = git_repository_init_ext(&raw, staged.c_str(), &options); code < 0) {
    return libgit2_error(code, fmt::format("cannot make a repository at `{}`", path.string()));
  }
  const RepositoryHandle repository(raw);
  BENNU_TRY(configure(repository.get(), path));
  BENNU_TRY(env::sync_folder_tree(staged));
  fs::rename(staged, path, failed);
  if (failed) {
    std::error_code ignored;
    fs::remove_all(staged, ignored);
    return make_error(Code::kFailedPrecondition,
                      fmt::format("cannot make a repository at `{}`: {} (an empty folder will do)",
                                  path.string(), failed.message()));
  }
  return env::sync_folder(path.parent_path());
}

Error cannot_open(const fs::path& path) {
  std::error_code ignored;
  const bool is_one = fs::exists(path / ".git", ignored) || fs::exists(path / "HEAD", ignored);
  struct stat info{};
  if (is_one && ::stat(path.c_str(), &info) == 0 && info.st_uid != ::geteuid()) {
    return make_error(Code::kPermissionDenied,
                      fmt::format("`{0}` belongs to another account: run as that account, or trust "
                                  "it with `git config --global --add safe.directory {0}`",
                                  path.string()));
  }
  const std::string_view what = !fs::exists(path, ignored) ? "does not exist"
                                : fs::is_directory(path, ignored)
                                    ? "is not a Git repository"
                                    : "is a file, not a repository; `git clone` it first";
  return make_error(Code::kNotFound, fmt::format("`{}` {}", path.string(), what),
                    reason::kNotARepository);
}

}  // namespace

Repository::Repository(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Repository::Repository(Repository&&) noexcept = default;
Repository& Repository::operator=(Repository&&) noexcept = default;
Repository::~Repository() = default;

Result<Repository> Repository::init_bare(const fs::path& path, std::string_view branch) {
  start_libgit2();
  const fs::path clean = path.has_filename() ? path : path.parent_path();
  if (!fs::exists(clean / "HEAD")) BENNU_TRY(make_bare(clean, branch));
  return open(clean, OpenMode::kOwner);
}

Result<Repository> Repository::open(const fs::path& path, OpenMode mode) {
  start_libgit2();
  git_repository* raw = nullptr;
  const unsigned flags = GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE;
  int code = git_repository_open_ext(&raw, path.c_str(), flags, nullptr);
  if (code == GIT_ENOTFOUND)
    code = git_repository_open_ext(&raw, (path / ".git").c_str(), flags, nullptr);
  if (code < 0) {
    if (code == GIT_ENOTFOUND || code == GIT_EOWNER) return cannot_open(path);
    return libgit2_error(code, fmt::format("cannot open the repository `{}`", path.string()));
  }
  auto impl = std::make_unique<Impl>();
  impl->repository.reset(raw);
  impl->path = git_repository_path(raw);
  if (!impl->path.has_filename()) impl->path = impl->path.parent_path();
  git_odb* odb = nullptr;
  if (code = git_repository_odb(&odb, raw); code < 0) {
    return libgit2_error(code, fmt::format("cannot open the objects of `{}`", path.string()));
  }
  impl->odb.reset(odb);
  if (mode == OpenMode::kOwner) sweep(impl->path);
  return Repository(std::move(impl));
}

Result<env::TempDir> Repository::scratch() const {
  return env::TempDir::make(impl_->path, kTemporaryPrefix);
}

Result<Repository> Repository::another_handle() const {
  return open(impl_->path, OpenMode::kReader);
}

const fs::path& Repository::path() const { return impl_->path; }

// --- objects

Result<Object> Repository::read(const ObjectId& id) const {
  const git_oid oid = to_oid(id);
  git_odb_object* raw = nullptr;
  int code = git_odb_read(&raw, impl_->odb.get(), &oid);
  if (code < 0) {
    // A merge of packs may have taken the file that this handle knows; a fresh look decides.
    BENNU_ASSIGN(Repository fresh, another_handle());
    impl_->odb = std::move(fresh.impl_->odb);
    impl_->repository = std::move(fresh.impl_->repository);
    code = git_odb_read(&raw, impl_->odb.get(), &oid);
  }
  if (code < 0)
    return libgit2_error(code, fmt::format("object {} in `{}`", id.hex(), impl_->path.string()));
  const OdbObjectHandle object(raw);
  return Object{.kind = static_cast<ObjectKind>(git_odb_object_type(raw)),
                .bytes = std::string(static_cast<const char*>(git_odb_object_data(raw)),
                                     git_odb_object_size(raw))};
}

Result<std::string> Repository::read(const ObjectId& id, ObjectKind kind) const {
  BENNU_ASSIGN(Object object, read(id));
  if (object.kind != kind) {
    return make_error(Code::kDataLoss,
                      fmt::format("object {} is a {}, not a {}", id.hex(), kind_name(object.kind),
                                  kind_name(kind)),
                      reason::kCorrupt);
  }
  return std::move(object.bytes);
}

Result<std::string> Repository::read_blob(const ObjectId& id) const {
  return read(id, ObjectKind::kBlob);
}

Result<ObjectHeader> Repository::read_header(const ObjectId& id) const {
  const git_oid oid = to_oid(id);
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (const int code = git_odb_read_header(&size, &type, impl_->odb.get(), &oid); code < 0) {
    return libgit2_error(code, fmt::format("object {} in `{}`", id.hex(), impl_->path.string()));
  }
  return ObjectHeader{.kind = static_cast<ObjectKind>(type), .size_bytes = size};
}

bool Repository::contains(const ObjectId& id) const {
  const git_oid oid = to_oid(id);
  return git_odb_exists(impl_->odb.get(), &oid) != 0;
}

Result<CommitInfo> Repository::read_commit(const ObjectId& id) const {
  BENNU_ASSIGN(const std::string bytes, read(id, ObjectKind::kCommit));
  return parse_commit(bytes).with_context(fmt::format("commit {}", id.hex()));
}

Result<std::vector<TreeEntry>> Repository::read_tree(const ObjectId& id,
                                                     std::string_view path) const {
  if (id == empty_tree_id()) return std::vector<TreeEntry>{};
  BENNU_ASSIGN(const std::string bytes, read(id, ObjectKind::kTree));
  return parse_tree(bytes, path);
}

Result<std::optional<TreeEntry>> Repository::find_path(const ObjectId& tree,
                                                       std::string_view path) const {
  TreeEntry at{.name = "", .mode = mode::kTree, .id = tree};
  std::size_t begin = 0;
  while (begin < path.size()) {
    if (!at.is_tree()) return std::nullopt;
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    BENNU_ASSIGN(auto entries, read_tree(at.id, path.substr(0, begin == 0 ? 0 : begin - 1)));
    const auto found =
        std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.name == name; });
    if (found == entries.end()) return std::nullopt;
    at = std::move(*found);
    begin = end + 1;
  }
  return at;
}

// --- revisions

Result<ObjectId> Repository::resolve_commit(std::string_view revision) const {
  const std::string text(revision);
  git_object* raw = nullptr;
  int code = GIT_ENOTFOUND;
  if (text.empty() || text.find('\0') != std::string::npos) code = GIT_EINVALIDSPEC;
  // HEAD is what is checked out, never `origin/HEAD`.
  const bool is_head = text.starts_with("HEAD") || text.starts_with("@");
  for (const char* pattern : {"refs/heads/{}", "refs/tags/{}", "refs/remotes/origin/{}", "{}"}) {
    if (is_head && std::string_view(pattern) != "{}") continue;
    if (raw != nullptr || code == GIT_EINVALIDSPEC) break;
    code = git_revparse_single(&raw, impl_->repository.get(),
                               fmt::format(fmt::runtime(pattern), text).c_str());
    if (code == GIT_EINVALIDSPEC && std::string_view(pattern) != "{}") code = GIT_ENOTFOUND;
  }
  const auto unknown = [&](std::string_view why) {
    return make_error(Code::kNotFound,
                      fmt::format("no commit `{}` in `{}`{}; `git log --all` there lists them",
                                  printable(revision), impl_->path.string(), why),
                      reason::kNotFound);
  };
  if (code == GIT_EAMBIGUOUS) {
    return make_error(Code::kInvalidArgument,
                      fmt::format("`{}` is the beginning of several ids in `{}`: give more digits",
                                  printable(revision), impl_->path.string()),
                      reason::kAmbiguous);
  }
  if (code < 0) {
    const auto branch = find_ref("refs/heads/" + text.substr(0, text.find_first_of("~^")));
    if (branch && *branch) BENNU_TRY(read_commit(**branch));  // the branch is there: damage
    return unknown("");
  }
  const ObjectHandle object(raw);
  git_object* peeled = nullptr;
  if (git_object_peel(&peeled, object.get(), GIT_OBJECT_COMMIT) < 0)
    return unknown(" (it is no commit)");
  const ObjectHandle commit(peeled);
  return from_oid(*git_object_id(peeled));
}

Result<bool> Repository::is_ancestor(const ObjectId& ancestor, const ObjectId& commit) const {
  if (ancestor == commit) return true;
  const git_oid a = to_oid(ancestor);
  const git_oid c = to_oid(commit);
  const int code = git_graph_descendant_of(impl_->repository.get(), &c, &a);
  if (code < 0) return libgit2_error(code, fmt::format("history of {}", commit.hex()));
  return code == 1;
}

Result<std::optional<ObjectId>> Repository::merge_base(const ObjectId& a, const ObjectId& b) const {
  const git_oid one = to_oid(a);
  const git_oid two = to_oid(b);
  git_oid base;
  const int code = git_merge_base(&base, impl_->repository.get(), &one, &two);
  if (code == GIT_ENOTFOUND) return std::nullopt;
  if (code < 0) return libgit2_error(code, fmt::format("history of {} and {}", a.hex(), b.hex()));
  return from_oid(base);
}

}  // namespace bennu::git
