#pragma once
// What   Reading the inventory: one entity, a list, and the entity that a person means by what they
//        typed.
// Why    Works on a kv::Reader alone, so that a plain clone of the repository answers like a
//        running store.
// Use    `parse_id(reader, layout, Kind::kUser, {"anna"})`, then `get(reader, layout, id)`.
// Errors kNotFound (kNoEntity); kInvalidArgument (kBadValue); kFailedPrecondition (kRule: a name
//        that fits several); and whatever the reader returns.
// Threads As the reader.
// Source own design.

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "inventory/entity.hpp"
#include "kv/store.hpp"

namespace bennu::inventory {

struct ListFilter {
  /// Only what has this first part of the primary key: a user's devices, an entry node's links.
  /// Empty: all.
  std::string parent;
  /// Only what has these field values (stored form).
  std::vector<std::pair<std::string, std::string>> where;
};

/// The entity, or nothing. `revision` 0 is the newest.
[[nodiscard]] Result<std::optional<Entity>> find(kv::Reader& reader, const Layout& layout,
                                                 const EntityId& id, Revision revision = {});
/// The entity; kNotFound if there is none.
[[nodiscard]] Result<Entity> get(kv::Reader& reader, const Layout& layout, const EntityId& id,
                                 Revision revision = {});
/// All of a kind, in id order, at one revision.
[[nodiscard]] Result<std::vector<Entity>> list(kv::Reader& reader, const Layout& layout, Kind kind,
                                               const ListFilter& filter = {},
                                               Revision revision = {});

/// The id that `parts` mean. A user: id or username. A device: uuid; or user and uuid, or user and
/// device name. A node: address or domain. A cell: domain. A link: entry and core node, each by
/// address or domain. An id written in full need not exist; everything else is looked up.
[[nodiscard]] Result<EntityId> parse_id(kv::Reader& reader, const Layout& layout, Kind kind,
                                        std::span<const std::string> parts);

/// The error for an entity that is not there.
[[nodiscard]] Error no_entity(const EntityId& id);

}  // namespace bennu::inventory
