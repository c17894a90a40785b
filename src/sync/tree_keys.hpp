#pragma once
// What   The keys behind the files that differ between two trees.
// Why    Import, diff and drift speak of keys and fields; Git speaks of files.
// Use    `diff_keys(repository, stop, before, after, changed)`; a null tree stands for "no tree".
// Errors Those of reading and parsing, with commit and path; kCancelled.
// Threads As the repository's handle.
// Source own design; cost is that of git::diff_trees: what changed.

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "git/object_sink.hpp"
#include "git/repository.hpp"
#include "sync/commit_tree.hpp"
#include "sync/tree_parser.hpp"

namespace bennu::sync {

using KeyValues = std::map<std::string, std::string, std::less<>>;

/// Keys of files that differ: with their values on either side, equal ones included.
struct ChangedKeys {
  KeyValues before;
  KeyValues after;
  std::vector<std::string>
      normalised;  ///< files of the after side that an export would write differently
  std::vector<std::string> plaintext;  ///< of them, those that hold a secret in clear
  Exposed exposed;                     ///< of the after side
};

/// `fresh`: where objects of the after side are that the repository does not have yet, or null.
[[nodiscard]] Status diff_keys(const git::Repository& repository, const std::stop_token& stop,
                               const CommitTree& before, const CommitTree& after,
                               ChangedKeys& changed, git::ObjectSink* fresh = nullptr);

}  // namespace bennu::sync
