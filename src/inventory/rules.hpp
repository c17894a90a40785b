#pragma once
// What   The rules between entities: what must hold before one is added, changed, archived or
//        removed, and what else changes with it.
// Why    One place per kind, apart from the mechanics of reading and committing.
// Use    By Inventory only, inside one Attempt. `also` collects other entities that changed in the
//        same transaction.
// Errors kFailedPrecondition (kRule, kInUse), kInvalidArgument (kBadValue), kNotFound (kNoEntity).
// Threads As the Attempt.
// Source The design's inventory, "Rules" and "Cascades".

#include <vector>

#include "inventory/attempt.hpp"

namespace bennu::inventory {

/// Checks `after` (null `before`: a new one), fills in what Bennu sets, and writes the others that
/// change with it.
[[nodiscard]] Status apply_user_rules(Attempt& attempt, const Entity* before, Entity& after,
                                      std::vector<Entity>& also);
[[nodiscard]] Status apply_device_rules(Attempt& attempt, const Entity* before, Entity& after,
                                        std::vector<Entity>& also);
[[nodiscard]] Status apply_node_rules(Attempt& attempt, const Entity* before, Entity& after,
                                      std::vector<Entity>& also);
[[nodiscard]] Status apply_cell_rules(Attempt& attempt, const Entity* before, Entity& after,
                                      std::vector<Entity>& also);
[[nodiscard]] Status apply_link_rules(Attempt& attempt, const Entity* before, Entity& after,
                                      std::vector<Entity>& also);

/// Which dependants forbid something.
enum class Dependants : std::uint8_t {
  kAll,   ///< any reference: the entity would be gone
  kLive,  ///< references of what is not archived
};

/// kInUse with the names of the dependants, if there are any. `verb` is `removed`, `archived`…
[[nodiscard]] Status refuse_node_in_use(Attempt& attempt, const Entity& node, Dependants which,
                                        std::string_view verb);
[[nodiscard]] Status refuse_cell_in_use(Attempt& attempt, const Entity& cell, Dependants which,
                                        std::string_view verb);

/// The node, which must exist, be active and have the role; `why` begins the message (`user 7
/// (anna): core_nodes`).
[[nodiscard]] Result<Entity> require_node(Attempt& attempt, std::string_view ip,
                                          std::string_view role, std::string_view why);

/// kRule: `what`, a counter or an entity, has the number kLastCount.
[[nodiscard]] Error no_number_left(std::string_view what);

/// The number for the next user, taken from the counter.
[[nodiscard]] Result<std::int64_t> take_user_number(Attempt& attempt);

/// Whether a field differs between the two; a null `before` has no fields.
[[nodiscard]] bool changed(const Entity* before, const Entity& after, std::string_view field);
/// Whether `after` becomes active by this change.
[[nodiscard]] bool becomes_active(const Entity* before, const Entity& after);

}  // namespace bennu::inventory
