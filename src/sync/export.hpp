#pragma once
// What   KV to Git: commits what changed since the base, moves the base, pushes.
// Why    The long memory must hold every change with its author, exactly once, whatever crashes.
// Use    `export_state(link, {})`. Running it again after any failure or crash ends in the same
//        state.
// Errors kFailedPrecondition: kBothChanged, kNoBase, kForeignLineage, kRewound, kBaseRewritten,
//        kDeleteBudget, kNoKey, kTooLargeForGit; those of store and repository. A push that fails
//        is no error here: see `push_problem`.
// Threads As Link.
// Source decisions 2, 7, 9, 11 and 12 of ARCHITECTURE.md; docs/formats/sync.md.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "git/commit.hpp"
#include "git/object.hpp"
#include "kv/audit.hpp"
#include "sync/link.hpp"
#include "sync/sides.hpp"

namespace bennu::sync {

struct ExportOptions {
  bool push = true;
  /// Ask the remote what it has first. Without, its last known state counts.
  Fetch fetch = Fetch::kYes;
  /// Somebody looked at a plan of exactly this: its deletions may exceed the budget.
  bool deletes_confirmed = false;
  /// Of `export_onto`: whose commit it is. Pending changes of others go into it, too.
  std::optional<kv::AuditEntry> adoption;
};

struct ExportReport {
  std::optional<git::ObjectId> commit;  ///< the newest of `commits`
  std::vector<git::ObjectId> commits;   ///< oldest first; empty: nothing changed
  git::ObjectId tree;                   ///< canonical(state)
  bool changed = false;
  bool pushed = false;           ///< the remote has everything now
  std::size_t sent = 0;          ///< commits that its branch got by this export
  bool git_has_changes = false;  ///< the remote has commits that `import` would take
  std::string push_problem;
  std::string upkeep_problem;  ///< packs could not be merged; only speed suffers
};

[[nodiscard]] Result<ExportReport> export_state(const Link& link, const ExportOptions& options);
/// For `adopt`: `sides` name the base and lineage that the store is to have; it gets them with the
/// commit, or not at all.
[[nodiscard]] Result<ExportReport> export_onto(const Link& link, const Sides& sides,
                                               const ExportOptions& options);

/// Whether the state's tree differs from the base's, without writing anything.
struct KvChanges {
  git::ObjectId tree;
  bool changed = false;
};
[[nodiscard]] Result<KvChanges> kv_changes(const Link& link, const Sides& sides);

}  // namespace bennu::sync
