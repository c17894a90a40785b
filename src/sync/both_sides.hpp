#pragma once
// What   What each side changed since the base that the other one lacks.
// Why    What both changed alike is nobody's to take; only two sides that each have something of
//        their own are a refusal.
// Use    `meet(link, sides, kv_changes)` before either direction.
// Errors kBothChanged, naming the keys; those of reading either side.
// Threads As Link.
// Source decision 6 of ARCHITECTURE.md.

#include "base/result.hpp"
#include "sync/export.hpp"
#include "sync/link.hpp"
#include "sync/sides.hpp"

namespace bennu::sync {

struct Meeting {
  bool kv = false;   ///< KV has what Git lacks
  bool git = false;  ///< Git has what KV lacks
};

/// At most one side has something of its own. Neither has, although both moved: the base may
/// follow to Git's head.
[[nodiscard]] Result<Meeting> meet(const Link& link, const Sides& sides, const KvChanges& kv);

}  // namespace bennu::sync
