#pragma once
// What   The conditions of the sync module that callers act on.
// Why    A caller tells "no key for this" from "tampered" by these, never by a message.
// Source own design (CONTRIBUTING.md).

#include "base/error.hpp"

namespace bennu::sync::reason {

inline constexpr Reason kUnknownFormat =
    "sync.unknown_format";  ///< kFailedPrecondition: a version this binary does not know
inline constexpr Reason kBadSchema =
    "sync.bad_schema";  ///< kInvalidArgument: the schema file, with line and column
inline constexpr Reason kBadDocument =
    "sync.bad_document";  ///< kInvalidArgument: a document, with line and column
/// kFailedPrecondition: a document or secret that no restore would accept, so no export writes it.
inline constexpr Reason kTooLargeForGit = "sync.too_large_for_git";
inline constexpr Reason kBadTree =
    "sync.bad_tree";  ///< kInvalidArgument: a path or entry that git itself refuses
inline constexpr Reason kNoKey =
    "sync.no_key";  ///< kFailedPrecondition: a secret, and no data key to seal it with
inline constexpr Reason kTampered =
    "sync.tampered";  ///< kDataLoss: a sealed value that does not open at its path
/// kFailedPrecondition: a schema that takes `secret` from values that are sealed in its tree.
inline constexpr Reason kExposed = "sync.exposed";
inline constexpr Reason kNoAge =
    "sync.no_age";  ///< kFailedPrecondition: the `age` program is missing
inline constexpr Reason kNotARecipient =
    "sync.not_a_recipient";  ///< kPermissionDenied: this identity opens no data key
/// kFailedPrecondition: KV and Git both changed since the base. The message names the keys.
inline constexpr Reason kBothChanged = "sync.both_changed";
/// kFailedPrecondition: this store was never equal to that repository, which already holds commits.
inline constexpr Reason kNoBase = "sync.no_base";
/// kFailedPrecondition: the base belongs to another store's history.
inline constexpr Reason kForeignLineage = "sync.foreign_lineage";
/// kFailedPrecondition: the branch has commits of our lineage that this store does not know: it is
/// an older copy.
inline constexpr Reason kRewound = "sync.rewound";
/// kFailedPrecondition: the base commit is no longer in the branch's history.
inline constexpr Reason kBaseRewritten = "sync.base_rewritten";
/// kFailedPrecondition: the remote had the branch at the last fetch, and has it no more.
inline constexpr Reason kBranchGone = "sync.branch_gone";
/// kFailedPrecondition: more deletions than the budget; a confirmed plan is needed.
inline constexpr Reason kDeleteBudget = "sync.delete_budget";
/// kAborted: a plan no longer fits what it was made from.
inline constexpr Reason kPlanMoved = "sync.plan_moved";
/// kFailedPrecondition: a restore was interrupted; only `restore` may go on here.
inline constexpr Reason kUnfinishedRestore = "sync.unfinished_restore";

}  // namespace bennu::sync::reason
