#pragma once
// What   A Git repository as objects and refs: reads, revision names, compare-and-swap of refs.
// Why    The one place that opens libgit2. Never a work tree, never an index; writing objects is
//        PackWriter's work.
// Use    `Repository::open(dir, OpenMode::kReader)` for anybody's clone; `kOwner` only while
//        holding the store's lock: it removes what a killed process left (temporary packs, ref
//        locks).
// Units  Ref names are full (`refs/heads/main`); branch names are short (`main`).
// Errors kNotFound `git.not_a_repository`, `git.not_found`; kInvalidArgument `git.ambiguous`;
//        kDataLoss `git.corrupt`; kAborted `git.ref_moved`. Reads have no effect; a ref update that
//        fails has none either.
// Threads One thread per handle: `another_handle()` is cheap (about 0.1 ms). Objects written
//         meanwhile are seen.
// Source libgit2 1.5 (stable API only); gitrevisions(7).

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/temp_dir.hpp"
#include "git/commit.hpp"
#include "git/object.hpp"

namespace bennu::git {

/// What every unfinished file's name starts with; swept when the owner opens the repository.
inline constexpr std::string_view kTemporaryPrefix = "bennu_tmp_";

enum class OpenMode : std::uint8_t { kReader, kOwner };

struct Ref {
  std::string name;
  ObjectId id;
};

class Repository {
 public:
  /// Makes a bare repository (parents are made too) whose HEAD is the unborn branch, with automatic
  /// gc off, durable refs and objects. An existing bare repository is opened as it is. Opened as
  /// kOwner.
  static Result<Repository> init_bare(const std::filesystem::path& path,
                                      std::string_view branch = "main");
  /// Opens a bare repository, or the `.git` of a clone with a work tree, which is never looked at.
  static Result<Repository> open(const std::filesystem::path& path,
                                 OpenMode mode = OpenMode::kReader);
  /// The same repository for another thread, as kReader.
  [[nodiscard]] Result<Repository> another_handle() const;

  Repository(Repository&&) noexcept;
  Repository& operator=(Repository&&) noexcept;
  Repository(const Repository&) = delete;
  Repository& operator=(const Repository&) = delete;
  ~Repository();

  /// The Git directory itself (`repo.git`, `clone/.git`).
  [[nodiscard]] const std::filesystem::path& path() const;
  /// A folder inside it for files that nobody needs later: gone with its owner, or swept after a
  /// kill.
  [[nodiscard]] Result<env::TempDir> scratch() const;

  // Objects.
  [[nodiscard]] Result<Object> read(const ObjectId& id) const;
  /// Errors also: kDataLoss `git.corrupt` if it is of another kind.
  [[nodiscard]] Result<std::string> read(const ObjectId& id, ObjectKind kind) const;
  [[nodiscard]] Result<std::string> read_blob(const ObjectId& id) const;
  [[nodiscard]] Result<ObjectHeader> read_header(const ObjectId& id) const;
  [[nodiscard]] bool contains(const ObjectId& id) const;
  [[nodiscard]] Result<CommitInfo> read_commit(const ObjectId& id) const;
  /// `path` is the tree's own path, for messages only. Errors also: kFailedPrecondition
  /// `git.bad_tree`.
  [[nodiscard]] Result<std::vector<TreeEntry>> read_tree(const ObjectId& id,
                                                         std::string_view path = "") const;
  /// The entry at a path below a tree, nothing if there is none. "" is the tree itself.
  [[nodiscard]] Result<std::optional<TreeEntry>> find_path(const ObjectId& tree,
                                                           std::string_view path) const;

  // Revisions.
  /// A branch (ours, then `origin`'s), tag, full or short commit id, or any revision of
  /// gitrevisions(7): the commit it names. Errors: kNotFound `git.not_found` (one line that names
  /// it and the repository), kInvalidArgument `git.ambiguous`.
  [[nodiscard]] Result<ObjectId> resolve_commit(std::string_view revision) const;
  /// Whether `ancestor` is `commit` itself or reachable from it.
  [[nodiscard]] Result<bool> is_ancestor(const ObjectId& ancestor, const ObjectId& commit) const;
  /// A best common ancestor, nothing if the histories are unrelated.
  [[nodiscard]] Result<std::optional<ObjectId>> merge_base(const ObjectId& a,
                                                           const ObjectId& b) const;

  // Refs.
  /// HEAD's branch, also while it has no commit. Errors: kFailedPrecondition if HEAD is detached.
  [[nodiscard]] Result<std::string> head_branch() const;
  Status set_head_branch(std::string_view branch);
  /// The object a ref points at (symbolic refs are followed), nothing if it does not exist.
  [[nodiscard]] Result<std::optional<ObjectId>> find_ref(std::string_view name) const;
  /// Refs whose name starts with `prefix`, sorted by name.
  [[nodiscard]] Result<std::vector<Ref>> list_refs(std::string_view prefix) const;
  /// Moves a ref, durably, if it is what the caller thinks (`expected` nothing: it must not exist
  /// yet). Errors: kAborted `git.ref_moved`, with what it is; kUnavailable if another process holds
  /// the ref's lock.
  Status update_ref(std::string_view name, const ObjectId& id,
                    const std::optional<ObjectId>& expected);
  /// Removes a ref if it is what the caller thinks. Errors as `update_ref`.
  Status delete_ref(std::string_view name, const ObjectId& expected);

 private:
  friend class OdbAccess;
  struct Impl;
  explicit Repository(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bennu::git
