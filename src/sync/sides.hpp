#pragma once
// What   Where store, local branch and remote branch stand to each other, after every guard has
//        been passed.
// Why    Export, import, plan, drift and adopt must refuse the same disasters in the same words
//        (decisions 7 and 9).
// Use    `examine(link, Fetch::kYes)` first in every sync operation; it also ends an export that a
//        crash cut off.
// Errors kFailedPrecondition: kRewound, kBaseRewritten, kBranchGone; kUnavailable (the store or
//        repository itself). A remote that does not answer is no error: `remote_problem` says why.
// Threads As Link.
// Source own design: decisions 7 and 9 of ARCHITECTURE.md.

#include <optional>
#include <string>

#include "base/result.hpp"
#include "git/object.hpp"
#include "sync/base_record.hpp"
#include "sync/link.hpp"

namespace bennu::sync {

enum class Fetch : std::uint8_t { kNo, kYes };

struct Sides {
  SyncState state;
  git::ObjectId local_head;   ///< null: the branch has no commit yet
  git::ObjectId remote_head;  ///< null: no remote, or the branch is not there; of the last fetch
  /// The newest commit of Git's side: the remote's if it has more than ours, else ours.
  git::ObjectId git_head;
  git::ObjectId git_tree;       ///< of git_head; null without a head
  bool unpushed = false;        ///< the local branch has commits that the remote lacks
  bool git_moved = false;       ///< git_head is not the base's commit, and its tree differs
  std::size_t beyond_base = 0;  ///< commits of git_head that the base does not hold
  /// Set when our unpushed commits and the remote's new ones both grew from here.
  std::optional<git::ObjectId> fork;
  std::string remote_problem;
  bool branch_gone = false;  ///< the remote had the branch once and has it no more
};

/// Full name of the branch, here and as the remote's copy.
[[nodiscard]] std::string local_ref(const Link& link);
[[nodiscard]] std::string remote_ref(const Link& link);

/// Commits of ours that `to` does not hold stay reachable under a ref of their own.
[[nodiscard]] Status keep_branch(const Link& link, const git::ObjectId& local_head,
                                 const git::ObjectId& to);
/// Our branch moves on to `to`; nothing of it is lost.
[[nodiscard]] Status move_branch(const Link& link, const git::ObjectId& local_head,
                                 const git::ObjectId& to);
/// The branch is not at the remote any more, and that is known now: an export may make it anew.
[[nodiscard]] Status forget_remote_branch(const Link& link);

/// `guarded` off: for `adopt`, which is the way out of a refusal.
[[nodiscard]] Result<Sides> examine(const Link& link, Fetch fetch, bool guarded = true);

/// How many commits of the local branch the remote's branch lacks, as far as is known here.
[[nodiscard]] Result<std::size_t> count_unpushed(const Link& link, const Sides& sides);

/// Without a base: whether Git's side is empty, so that a first export may fill it. Errors:
/// kNoBase, kForeignLineage, with the choices.
[[nodiscard]] Status may_start(const Link& link, const Sides& sides);

}  // namespace bennu::sync
