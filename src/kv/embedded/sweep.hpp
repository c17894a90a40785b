#pragma once
// What   Deletes of more keys than are held in memory at once: staged, still one revision.
// Why    A delete of a million keys must not make everybody wait, nor need their values in memory.
// Use    When evaluating was refused with kNeedsStage. `fits_a_sweep` says of a transaction whether
//        that can be asked for at all.
// Errors Those of a staged commit; kAborted (kStageOutdated): evaluate it again, nothing happened.
// Threads Safe for all.
// Source decision 8 of ARCHITECTURE.md; ADR 0002.

#include <functional>

#include "base/result.hpp"
#include "kv/embedded/lease_table.hpp"
#include "kv/embedded/stage.hpp"
#include "kv/types.hpp"

namespace bennu::kv::embedded {

/// How often a delete that others keep overtaking is staged, before it is done while they wait.
inline constexpr int kSweepAttempts = 3;

/// Whether a transaction's deletes of ranges can be staged: nothing in it reads, and nothing else
/// in it touches the ranges.
[[nodiscard]] bool fits_a_sweep(const TxnRequest& request, std::size_t spill_changes);

/// Runs such a transaction.
[[nodiscard]] Result<TxnResponse> sweep(const StageContext& context, const TxnRequest& request);

/// Deletes a lease's keys. `take` runs in the turn of the commit and takes the lease itself.
[[nodiscard]] Result<Revision> sweep_lease(const StageContext& context, LeaseId lease,
                                           const std::function<Status(Evaluation&)>& take);

}  // namespace bennu::kv::embedded
