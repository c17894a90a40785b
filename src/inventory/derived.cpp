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

std::map<std::string, std::string> derived_keys(const Entity& entity) {
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

}  // namespace bennu::inventory
