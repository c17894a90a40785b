#include "inventory/read.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "inventory/derived.hpp"
#include "inventory/reasons.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {
namespace {

Error bad_id(std::string message) {
  return make_error(Code::kInvalidArgument, std::move(message), reason::kBadValue);
}

Error not_found(Kind kind, std::string_view by, std::string_view text) {
  const std::string_view name = kind_info(kind).name;
  return make_error(
      Code::kNotFound,
      fmt::format("no {} with {} {}: see `bennu {} list`", name, by, printable(text, 64), name),
      reason::kNoEntity);
}

bool matches(const Entity& entity, const ListFilter& filter) {
  if (!filter.parent.empty() && entity.id.first != filter.parent) return false;
  return std::ranges::all_of(filter.where, [&](const auto& wanted) {
    const std::string* text = entity.find(wanted.first);
    return text != nullptr && *text == wanted.second;
  });
}

// The holder of a unique value by its index, if the store has one and it tells the truth; a clone
// has none.
Result<std::string> indexed_holder(kv::Reader& reader, const std::string& key) {
  BENNU_ASSIGN(const auto answer, reader.range({.range = {.key = key}}));
  return answer.kvs.empty() ? std::string() : answer.kvs.front().value;
}

Result<EntityId> user_by_name(kv::Reader& reader, const Layout& layout, const std::string& name) {
  BENNU_ASSIGN(const std::string holder,
               indexed_holder(reader, unique_key(Kind::kUser, "username", name)));
  if (!holder.empty()) {
    EntityId id{.kind = Kind::kUser, .first = holder};
    BENNU_ASSIGN(const auto user, find(reader, layout, id));
    if (user && user->get("username") == name) return id;
  }
  BENNU_ASSIGN(const auto users,
               list(reader, layout, Kind::kUser, {.where = {{"username", name}}}));
  if (users.empty()) return not_found(Kind::kUser, "username", name);
  return users.front().id;
}

Result<EntityId> parse_user(kv::Reader& reader, const Layout& layout, const std::string& text) {
  if (const auto number = parse_count(text)) return user_id(*number);
  return user_by_name(reader, layout, text);
}

Result<EntityId> device_by_uuid(kv::Reader& reader, const Layout& layout, const std::string& uuid) {
  BENNU_ASSIGN(const std::string holder,
               indexed_holder(reader, unique_key(Kind::kDevice, "uuid", uuid)));
  if (!holder.empty()) {
    EntityId id{.kind = Kind::kDevice, .first = holder, .second = uuid};
    BENNU_ASSIGN(const auto device, find(reader, layout, id));
    if (device) return id;
  }
  BENNU_ASSIGN(const auto devices, list(reader, layout, Kind::kDevice));
  const auto found = std::ranges::find(devices, uuid, [](const Entity& d) { return d.id.second; });
  const bool some_sealed = std::ranges::any_of(
      devices, [](const Entity& device) { return is_sealed_name(device.id.second); });
  if (found == devices.end() && some_sealed) {
    return make_error(Code::kNotFound,
                      "no device with this uuid, but there are some whose uuid is sealed here: "
                      "open or restore this with an identity that may read it (`--identity FILE`)",
                      reason::kNoEntity);
  }
  if (found == devices.end()) {
    return make_error(Code::kNotFound, "no device with this uuid: see `bennu device list`",
                      reason::kNoEntity);
  }
  return found->id;
}

Result<EntityId> device_of_user(kv::Reader& reader, const Layout& layout, const EntityId& user,
                                const std::string& text) {
  const auto uuid = canonical_uuid(text);
  if (uuid || is_sealed_name(text)) {
    return EntityId{.kind = Kind::kDevice, .first = user.first, .second = uuid.value_or(text)};
  }
  const ListFilter filter{.parent = user.first, .where = {{"name", text}}};
  BENNU_ASSIGN(const auto devices, list(reader, layout, Kind::kDevice, filter));
  if (devices.empty()) {
    return make_error(Code::kNotFound,
                      fmt::format("{} has no device \"{}\": see `bennu device list`",
                                  describe(user), printable(text, 64)),
                      reason::kNoEntity);
  }
  if (devices.size() > 1) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("{} has {} devices \"{}\": name the one you mean by its uuid",
                                  describe(user), devices.size(), printable(text, 64)),
                      reason::kRule);
  }
  return devices.front().id;
}

Result<std::string> parse_node(kv::Reader& reader, const Layout& layout, const std::string& text) {
  if (auto ip = canonical_ip(text)) return std::move(*ip);
  const auto domain = canonical_domain(text);
  if (!domain) {
    return bad_id(fmt::format("\"{}\" is no node: give an address such as 203.0.113.7, or a domain",
                              printable(text, 64)));
  }
  BENNU_ASSIGN(const auto nodes,
               list(reader, layout, Kind::kNode, {.where = {{"domain", *domain}}}));
  // A replaced node may still have the domain that its successor serves now.
  const auto active =
      std::ranges::find_if(nodes, [](const Entity& n) { return n.has_status(kActive); });
  if (active != nodes.end()) return active->id.first;
  if (nodes.empty()) return not_found(Kind::kNode, "domain", *domain);
  return nodes.front().id.first;
}

Result<EntityId> parse_device(kv::Reader& reader, const Layout& layout,
                              std::span<const std::string> parts) {
  if (parts.size() == 2) {
    BENNU_ASSIGN(const EntityId user, parse_user(reader, layout, parts[0]));
    return device_of_user(reader, layout, user, parts[1]);
  }
  const auto uuid = canonical_uuid(parts[0]);
  if (uuid || is_sealed_name(parts[0])) {
    return device_by_uuid(reader, layout, uuid.value_or(parts[0]));
  }
  return bad_id("this is no device: give its uuid, or its user and its name");
}

}  // namespace

Error no_entity(const EntityId& id) {
  return make_error(
      Code::kNotFound,
      fmt::format("no {}: see `bennu {} list`", describe(id), kind_info(id.kind).name),
      reason::kNoEntity);
}

Result<std::optional<Entity>> find(kv::Reader& reader, const Layout& layout, const EntityId& id,
                                   Revision revision) {
  BENNU_ASSIGN(auto answer, reader.range({.range = kv::prefix_range(layout.entity_prefix(id)),
                                          .revision = revision}));
  Assembler assembler(layout, id.kind);
  for (kv::KeyValue& kv : answer.kvs) assembler.take(kv.key, std::move(kv.value));
  auto entities = std::move(assembler).finish();
  if (entities.empty()) return std::optional<Entity>();
  return std::optional(std::move(entities.front()));
}

Result<Entity> get(kv::Reader& reader, const Layout& layout, const EntityId& id,
                   Revision revision) {
  BENNU_ASSIGN(auto entity, find(reader, layout, id, revision));
  if (!entity) return no_entity(id);
  return std::move(*entity);
}

Result<std::vector<Entity>> list(kv::Reader& reader, const Layout& layout, Kind kind,
                                 const ListFilter& filter, Revision revision) {
  kv::KeyRange range = layout.kind_range(kind);
  if (!filter.parent.empty()) {
    range = kv::prefix_range(fmt::format("{}{}/", range.key, filter.parent));
  }
  Assembler assembler(layout, kind);
  BENNU_TRY(reader.scan(range, revision, [&](kv::KeyValue& kv) -> Status {
    assembler.take(kv.key, std::move(kv.value));
    return {};
  }));
  auto entities = std::move(assembler).finish();
  std::erase_if(entities, [&](const Entity& entity) { return !matches(entity, filter); });
  return entities;
}

Result<EntityId> parse_id(kv::Reader& reader, const Layout& layout, Kind kind,
                          std::span<const std::string> parts) {
  const KindInfo& info = kind_info(kind);
  const std::size_t wanted = info.primary_key[1].empty() ? 1 : 2;
  if (parts.size() != wanted && !(kind == Kind::kDevice && parts.size() == 1)) {
    return bad_id(fmt::format(
        "a {} is named by {}: see `bennu {} list`", info.name,
        wanted == 1 ? info.primary_key[0] : std::string_view("two parts (parent first)"),
        info.name));
  }
  switch (kind) {
    case Kind::kUser:
      return parse_user(reader, layout, parts[0]);
    case Kind::kDevice:
      return parse_device(reader, layout, parts);
    case Kind::kNode: {
      BENNU_ASSIGN(const std::string ip, parse_node(reader, layout, parts[0]));
      return node_id(ip);
    }
    case Kind::kCell: {
      const auto domain = canonical_domain(parts[0]);
      if (!domain) {
        return bad_id(fmt::format("\"{}\" is no cell: give a domain such as west.example.org",
                                  printable(parts[0], 64)));
      }
      return cell_id(*domain);
    }
    case Kind::kLink: {
      BENNU_ASSIGN(const std::string entry, parse_node(reader, layout, parts[0]));
      BENNU_ASSIGN(const std::string core, parse_node(reader, layout, parts[1]));
      return link_id(entry, core);
    }
  }
  return bad_id("unknown kind of entity");
}

}  // namespace bennu::inventory
