#pragma once
// What   Looks only: whether state and branch are equal, and what differs, in three groups.
// Why    "In sync" is a comparison of two tree ids, never a belief.
// Use    `verify(link)` rebuilds the whole tree; `drift(link, fetch)` costs what changed.
// Errors Those of examine and of the mapping.
// Threads As Link.
// Source decision 2 of ARCHITECTURE.md.

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sync/link.hpp"
#include "sync/sides.hpp"

namespace bennu::sync {

struct VerifyReport {
  bool in_sync = false;
  git::ObjectId kv_tree;  ///< rebuilt from every key
  git::ObjectId
      git_tree;  ///< of the branch's head, as far as this machine knows it; null without a commit
  git::ObjectId commit;
  Revision revision;
  std::vector<Exception> exceptions;
  std::vector<std::string> keys;  ///< the first keys that differ, where the base tells which
  std::uint64_t different = 0;
  bool awaits_normalising = false;  ///< the next export brings documents into their canonical form
  /// Set where KV is what this commit holds, and the branch has so many commits more: another store
  /// went on, or an older commit was restored.
  std::optional<git::ObjectId> base;
  std::size_t beyond_base = 0;
  bool both_changed =
      false;                 ///< each side has what the other lacks: neither export nor import goes
  std::size_t unpushed = 0;  ///< commits that the remote's branch lacks, as of the last fetch
  std::string never_equal;   ///< why the two differ where there is no base
};
[[nodiscard]] Result<VerifyReport> verify(const Link& link);

struct DriftReport {
  std::vector<std::string> kv;    ///< keys changed in KV since the base
  std::vector<std::string> git;   ///< keys changed in Git since the base
  std::vector<std::string> both;  ///< keys in both
  std::vector<std::string> kept;  ///< of `git`: operational keys, whose values KV keeps
  std::size_t beyond_base = 0;    ///< commits that the base does not hold
  std::size_t unpushed = 0;       ///< commits that the remote's branch lacks
  std::string remote_problem;
  [[nodiscard]] bool none() const { return kv.empty() && git.empty() && both.empty(); }
};
[[nodiscard]] Result<DriftReport> drift(const Link& link, Fetch fetch);

}  // namespace bennu::sync
