#pragma once
// What   The keys that follow from an entity and are kept beside it: its entries in the unique
//        indexes, and the route of a device.
// Why    They are a pure function of the entity, so each change can move them in its own
//        transaction, and a restore or an import can drop them and have them made anew.
// Use    `unique_keys(entity)` and `route_keys(layout, entity)` before and after a change; the
//        difference is what to write.
// Units  The value of a unique key is the primary key of its holder: the user's id (also for a
//        device), the node's address.
// Threads Pure functions.
// Source own design; the design's inventory (username and hash_telegram_id unique, one active
//        domain per entry node).

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "inventory/entity.hpp"

namespace bennu::inventory {

/// The unique indexes are below this prefix: ephemeral, never in Git, gone after a restore.
inline constexpr std::string_view kUniquePrefix = "/_bennu/local/unique/";
/// Says that the indexes and the routes are complete. Whoever changes the inventory's keys past its
/// rules (an import, a restore) empties or deletes this key in the same transaction; the next
/// operation then makes the indexes anew, unless Inventory::follow could mend them.
inline constexpr std::string_view kUniqueComplete = "/_bennu/local/unique/complete";
/// The value of kUniqueComplete; another one means that another version made the indexes.
inline constexpr std::string_view kUniqueVersion = "1";
/// Complete, but two entities have one value (a change past the rules): made anew at each operation
/// until they do not.
inline constexpr std::string_view kUniqueRepeated = "1 repeated";

/// `/_bennu/local/unique/<entity>/<field>/<value>`; `%`, `/` and control characters in the value
/// are `%XX`.
[[nodiscard]] std::string unique_key(Kind kind, std::string_view field, std::string_view value);

/// `username` of `/_bennu/local/unique/user/username/anna`.
[[nodiscard]] std::string_view unique_field(std::string_view key);
/// Who holds a unique value, by the index entry's key and value.
[[nodiscard]] EntityId holder_id(Kind kind, std::string_view key, std::string_view holder);

/// Key -> value for this entity. A user holds its username and hash_telegram_id whatever its
/// status; a device its uuid unless that is sealed; a node its domain while it is active.
[[nodiscard]] std::map<std::string, std::string> unique_keys(const Entity& entity);

/// What to add to a transaction that writes in this range past the operations (a plain put):
/// empties kUniqueComplete if the range reaches into the inventory. No ops otherwise.
[[nodiscard]] std::vector<kv::Op> forget_derived(const Layout& layout, const kv::KeyRange& range);

/// The hot look-up of an entry node: `routes/<core ip>/<device uuid>/` with the status and
/// status_at of each device that has a core_node, unless its uuid is sealed. Class derived: never
/// in Git.
[[nodiscard]] std::map<std::string, std::string> route_keys(const Layout& layout,
                                                            const Entity& entity);
/// `/net/routes/`.
[[nodiscard]] std::string routes_prefix(const Layout& layout);

}  // namespace bennu::inventory
