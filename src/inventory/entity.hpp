#pragma once
// What   One user, device, node, cell or link as it stands in the store: its id and its fields; and
//        where its keys are.
// Why    All kinds share one shape (the table in fields.hpp), so one reader, one writer and one
//        printer serve them all.
// Use    `Layout layout; layout.field_key(user_id(7), "status")` is `/net/users/7/status`.
// Units  Field values are the stored text (values.hpp says the form of each type).
// Threads Plain values.
// Source The design's inventory, "Entities".

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inventory/fields.hpp"
#include "kv/types.hpp"

namespace bennu::inventory {

/// Which entity: its kind and its primary key, the parent's part first (`KindInfo::primary_key`
/// names the parts).
struct EntityId {
  Kind kind = Kind::kUser;
  std::string first;
  std::string second;  ///< of devices (uuid) and links (core node); else empty
  friend auto operator<=>(const EntityId&, const EntityId&) = default;
};

/// The parts must be in their stored form; `parse_id` (read.hpp) makes an id of what a person
/// typed.
[[nodiscard]] EntityId user_id(std::int64_t id);
[[nodiscard]] EntityId device_id(std::int64_t user, std::string_view uuid);
[[nodiscard]] EntityId node_id(std::string_view ip);
[[nodiscard]] EntityId cell_id(std::string_view domain);
[[nodiscard]] EntityId link_id(std::string_view entry_ip, std::string_view core_ip);
/// The user that a device belongs to.
[[nodiscard]] EntityId owner_of(const EntityId& device);

/// `user 7`, `node 203.0.113.7`, `device of user 7`: its uuid is a credential, no part of it is
/// shown.
[[nodiscard]] std::string describe(const EntityId& id);

struct Entity {
  EntityId id;
  std::map<std::string, std::string, std::less<>> fields;

  /// The field's text, or null if it is absent.
  [[nodiscard]] const std::string* find(std::string_view field) const;
  /// The field's text, or an empty view if it is absent.
  [[nodiscard]] std::string_view get(std::string_view field) const;
  [[nodiscard]] bool has_status(std::string_view status) const { return get("status") == status; }
  /// What stands sealed in it because it was restored without the identity: field names, and the
  /// name of the primary key's last part if that is sealed.
  [[nodiscard]] std::vector<std::string> sealed() const;
  friend bool operator==(const Entity&, const Entity&) = default;
};

/// `user 7 (anna)`, `device phone of user 7`: with the name that people know it by.
[[nodiscard]] std::string describe(const Entity& entity);

/// One JSON object: the parts of the primary key, then the fields in the table's order, then
/// undeclared ones. Ids and counters are numbers, sets arrays, everything else strings; an absent
/// field is left out. Sealed fields are null and listed under "sealed". Secrets are printed: mask
/// nothing here, and never log the result.
[[nodiscard]] nlohmann::ordered_json to_json(const Entity& entity);
/// `{"items":[…]}`.
[[nodiscard]] nlohmann::ordered_json to_json(const std::vector<Entity>& entities);

/// Where the inventory's keys are.
class Layout {
 public:
  struct FieldKey {
    EntityId id;
    std::string field;
  };

  /// `prefix` starts and ends with `/`.
  explicit Layout(std::string prefix = "/net/") : prefix_(std::move(prefix)) {}

  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  /// `/net/users/7/`. A user's devices are below it, too.
  [[nodiscard]] std::string entity_prefix(const EntityId& id) const;
  [[nodiscard]] std::string field_key(const EntityId& id, std::string_view field) const;
  [[nodiscard]] std::string user_counter_key() const;
  /// Every key of every entity of the kind (users and devices share one range).
  [[nodiscard]] kv::KeyRange kind_range(Kind kind) const;
  /// A user's devices.
  [[nodiscard]] kv::KeyRange devices_range(const EntityId& user) const;
  /// Which field of which entity a key is; nothing if it is none.
  [[nodiscard]] std::optional<FieldKey> parse(std::string_view key) const;

 private:
  std::string prefix_;
};

/// Puts single keys together to entities of one kind, in id order (users by number).
class Assembler {
 public:
  Assembler(const Layout& layout, Kind kind) : layout_(&layout), kind_(kind) {}
  /// Takes the key if it is a field of an entity of the kind.
  void take(std::string_view key, std::string value);
  [[nodiscard]] std::vector<Entity> finish() &&;

 private:
  const Layout* layout_;
  Kind kind_;
  std::map<EntityId, Entity> entities_;
};

}  // namespace bennu::inventory
