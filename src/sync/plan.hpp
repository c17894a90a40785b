#pragma once
// What   Plan: the changes that one side needs, key by key, with a hash that names exactly them.
// Why    People look before they leap; a saved plan is applied as it was seen or not at all.
// Use    `direction_of(link, sides)`, then `plan_to_kv` or `plan_to_git`; `hash` tells whether a
//        saved one is still what would happen.
// Units  `steps`: transactions that a direct client of the store may see.
// Errors As examine, and of reading either side; kBothChanged.
// Threads As Link.
// Source decisions 8 and 9 of ARCHITECTURE.md.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "sync/link.hpp"
#include "sync/mapping.hpp"
#include "sync/sides.hpp"

namespace bennu::sync {

enum class Direction : std::uint8_t { kNothing, kToGit, kToKv };

/// One key: absent before means put, absent after means delete. Whoever prints masks the values of
/// secrets.
struct PlannedChange {
  std::string key;
  std::string shown;  ///< the key for people: secret names cut short
  std::optional<std::string> before;
  std::optional<std::string> after;
  bool secret = false;
};

/// Fills in what people may see of it. Secret is what either side's mapping says is.
void show(const Mapping& before, const Mapping& after, PlannedChange& change);

struct Plan {
  Direction direction = Direction::kNothing;
  git::ObjectId base_commit;
  git::ObjectId git_head;
  Revision revision;                   ///< of KV
  std::vector<PlannedChange> changes;  ///< in key order
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::uint64_t total_keys = 0;  ///< in the state that is changed, for the budget
  /// Operational keys that Git changed and KV keeps: they go back to Git with the next export.
  /// `before` is KV's value, `after` Git's.
  std::vector<PlannedChange> kept;
  std::set<std::string> same;  ///< keys that Git changed, and KV has so already
  std::vector<std::string>
      normalised;                      ///< documents that will be brought into their canonical form
  std::vector<std::string> plaintext;  ///< those of them with a secret in clear
  bool over_budget = false;
  int steps = 0;
  std::string hash;  ///< SHA-256, hex, of direction, base, sides and changes
};

/// Git's documents are not in their canonical form yet, as the base's tree has them.
[[nodiscard]] bool awaits_normalising(const Sides& sides);

/// Which way the change goes since the base. Errors: kBothChanged.
[[nodiscard]] Result<Direction> direction_of(const Link& link, const Sides& sides);
/// What import would do: the keys of Git's changed files against KV.
[[nodiscard]] Result<Plan> plan_to_kv(const Link& link, const Sides& sides);
/// What export would do: the keys that changed in KV since the base, and are not so in Git already.
[[nodiscard]] Result<Plan> plan_to_git(const Link& link, const Sides& sides);

[[nodiscard]] std::string_view direction_name(Direction direction);
/// Errors: kDeleteBudget, unless somebody looked at a plan of exactly this. `side`: KV or Git.
[[nodiscard]] Status check_budget(const DeleteBudget& budget, std::int64_t deleted,
                                  std::int64_t total, std::string_view side, bool confirmed);

}  // namespace bennu::sync
