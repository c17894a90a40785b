#pragma once
// What   The tree of a commit with the mapping that it declares, and what of it cannot be read,
//        told with the commit's name.
// Why    A file that no mapping reads is in one commit of many; whoever mends it must know where.
// Use    `open_commit(repository, commit, identity)`, then `read_state` or `diff_keys` with it.
// Errors Those of the mapping, the parser and the repository; kCancelled.
// Threads As the repository's handle.
// Source own design.

#include <filesystem>
#include <stop_token>

#include "base/result.hpp"
#include "git/repository.hpp"
#include "sync/link.hpp"
#include "sync/mapping.hpp"
#include "sync/tree_parser.hpp"

namespace bennu::sync {

struct CommitTree {
  git::ObjectId commit;  ///< null: of no commit, so none is named
  git::ObjectId tree;    ///< null: no tree
  Mapping mapping = {};
};

[[nodiscard]] Result<CommitTree> open_commit(const git::Repository& repository,
                                             const git::ObjectId& commit,
                                             const std::filesystem::path& identity);

/// Every key and value of the commit's state, in the tree's order.
[[nodiscard]] Result<ParseStats> read_state(const git::Repository& repository,
                                            const CommitTree& from, const std::stop_token& stop,
                                            const Progress& progress, const KeyValueSink& sink);

/// Whether a file of a tree is what cannot be read: another commit mends that, nothing else does.
[[nodiscard]] bool is_unreadable(const Error& error);
/// Names the commit whose file cannot be read; other errors stay as they are.
[[nodiscard]] Error naming(const git::ObjectId& commit, Error error);
/// For an unreadable commit at the head of the branch: the ways on.
[[nodiscard]] Error with_ways_on(Error error);

}  // namespace bennu::sync
