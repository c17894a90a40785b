#include "inventory/derived.hpp"

#include <fmt/format.h>

#include "inventory/values.hpp"

namespace bennu::inventory {

std::string unique_key(Kind kind, std::string_view field, std::string_view value) {
  std::string key = fmt::format("{}{}/{}/", kUniquePrefix, kind_info(kind).name, field);
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '%' || c == '/' || byte < 0x20 || byte == 0x7f) {
      key += fmt::format("%{:02X}", byte);
    } else {
      key += c;
    }
  }
  return key;
}

std::string_view unique_field(std::string_view key) {
  key.remove_prefix(kUniquePrefix.size());
  key.remove_prefix(key.find('/') + 1);
  return key.substr(0, key.find('/'));
}

EntityId holder_id(Kind kind, std::string_view key, std::string_view holder) {
  EntityId id{.kind = kind, .first = std::string(holder)};
  if (kind == Kind::kDevice) id.second = key.substr(key.rfind('/') + 1);
  return id;
}

std::map<std::string, std::string> unique_keys(const Entity& entity) {
  std::map<std::string, std::string> keys;
  const EntityId& id = entity.id;
  for (const Field& field : kind_info(id.kind).fields) {
    const std::string* text = entity.find(field.name);
    if (field.unique && text != nullptr && !is_sealed_value(*text)) {
      keys.emplace(unique_key(id.kind, field.name, *text), id.first);
    }
  }
  if (id.kind == Kind::kDevice && !is_sealed_name(id.second)) {
    keys.emplace(unique_key(Kind::kDevice, "uuid", id.second), id.first);
  }
  if (id.kind == Kind::kNode && entity.has_status(kActive)) {
    if (const std::string* domain = entity.find("domain")) {
      keys.emplace(unique_key(Kind::kNode, "domain", *domain), id.first);
    }
  }
  return keys;
}

std::vector<kv::Op> forget_derived(const Layout& layout, const kv::KeyRange& range) {
  const kv::KeyRange mine = kv::prefix_range(layout.prefix());
  const bool to_the_end = range.end == std::string_view("\0", 1);
  const bool touched = range.end.empty()
                           ? kv::contains(mine, range.key)
                           : range.key < mine.end && (to_the_end || range.end > mine.key);
  if (!touched) return {};
  return {{kv::PutRequest{.key = std::string(kUniqueComplete), .value = {}}}};
}

std::map<std::string, std::string> route_keys(const Layout& layout, const Entity& entity) {
  std::map<std::string, std::string> keys;
  const std::string* core = entity.find("core_node");
  if (entity.id.kind != Kind::kDevice || core == nullptr || is_sealed_name(entity.id.second)) {
    return keys;
  }
  for (const std::string_view field : {"status", "status_at"}) {
    if (const std::string* text = entity.find(field)) {
      keys.emplace(fmt::format("{}{}/{}/{}", routes_prefix(layout), *core, entity.id.second, field),
                   *text);
    }
  }
  return keys;
}

std::string routes_prefix(const Layout& layout) { return layout.prefix() + "routes/"; }

}  // namespace bennu::inventory
