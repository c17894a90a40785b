#pragma once
// What   The commits that lead to a commit, newest first, all or those that changed one path.
// Why    `bennu log` and `blame` need history per path at a cost per commit, not per file.
// Use    `log(repository, head, {.path = "users/1.json", .limit = 20}, visitor)`.
// Errors Those of Repository::read_commit and read_tree; the visitor's own.
// Threads As the repository's handle.
// Source git-log(1): commit date order; default history simplification for a path (a merge equal to
//        one parent follows it).

#include <cstddef>
#include <functional>
#include <string>

#include "git/repository.hpp"
#include "git/tree_walk.hpp"

namespace bennu::git {

struct LogOptions {
  /// A file or directory; "" for every commit.
  std::string path;
  /// Commits reported at most; 0: no limit.
  std::size_t limit = 0;
  /// Commits reachable from here are left out.
  std::optional<ObjectId> until = {};
  /// Only the first parent of each merge.
  bool first_parent = false;
};

struct LogEntry {
  ObjectId id;
  CommitInfo commit;
};

using LogVisitor = std::function<Result<Walk>(const LogEntry& entry)>;
[[nodiscard]] Status log(const Repository& repository, const ObjectId& from,
                         const LogOptions& options, const LogVisitor& visitor);

}  // namespace bennu::git
