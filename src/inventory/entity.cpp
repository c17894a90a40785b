#include "inventory/entity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path = path.substr(slash + 1);
  }
}

Json number_or_text(std::string_view text) {
  if (const auto number = parse_count(text)) return *number;
  return text;
}

Json value_to_json(const Field* field, const std::string& text) {
  if (is_sealed_value(text)) return nullptr;
  if (field == nullptr) return text;
  if (field->type == FieldType::kCount) return number_or_text(text);
  if (field->type == FieldType::kIpSet) {
    if (const auto members = parse_set(text)) return *members;
  }
  return text;
}

// Users 2 and 10 stand in that order, though "10" < "2".
bool before(const Entity& a, const Entity& b) {
  const auto left = parse_count(a.id.first);
  const auto right = parse_count(b.id.first);
  if (left && right && *left != *right) return *left < *right;
  return a.id < b.id;
}

}  // namespace

EntityId user_id(std::int64_t id) { return {.kind = Kind::kUser, .first = fmt::to_string(id)}; }
EntityId device_id(std::int64_t user, std::string_view uuid) {
  return {.kind = Kind::kDevice, .first = fmt::to_string(user), .second = std::string(uuid)};
}
EntityId node_id(std::string_view ip) { return {.kind = Kind::kNode, .first = std::string(ip)}; }
EntityId cell_id(std::string_view domain) {
  return {.kind = Kind::kCell, .first = std::string(domain)};
}
EntityId link_id(std::string_view entry_ip, std::string_view core_ip) {
  return {.kind = Kind::kLink, .first = std::string(entry_ip), .second = std::string(core_ip)};
}
EntityId owner_of(const EntityId& device) { return {.kind = Kind::kUser, .first = device.first}; }

std::string describe(const EntityId& id) {
  switch (id.kind) {
    case Kind::kDevice:
      return fmt::format("device of user {}", printable(id.first));
    case Kind::kLink:
      return fmt::format("link {} -> {}", printable(id.first), printable(id.second));
    default:
      return fmt::format("{} {}", kind_info(id.kind).name, printable(id.first));
  }
}

std::string describe(const Entity& entity) {
  const std::string name =
      printable(entity.get(entity.id.kind == Kind::kDevice ? "name" : "username"), 64);
  // A credential that came past the rules as a name is not repeated.
  if (name.empty() || looks_like_uuid(name)) return describe(entity.id);
  if (entity.id.kind == Kind::kUser) return fmt::format("{} ({})", describe(entity.id), name);
  if (entity.id.kind != Kind::kDevice) return describe(entity.id);
  return fmt::format("device {} of user {}", name, printable(entity.id.first));
}

const std::string* Entity::find(std::string_view field) const {
  const auto found = fields.find(field);
  return found == fields.end() ? nullptr : &found->second;
}

std::string_view Entity::get(std::string_view field) const {
  const std::string* text = find(field);
  return text == nullptr ? std::string_view{} : std::string_view(*text);
}

std::vector<std::string> Entity::sealed() const {
  std::vector<std::string> names;
  const KindInfo& info = kind_info(id.kind);
  if (is_sealed_name(id.second)) names.emplace_back(info.primary_key[1]);
  if (is_sealed_name(id.first)) names.emplace_back(info.primary_key[0]);
  for (const auto& [field, text] : fields) {
    if (is_sealed_value(text)) names.push_back(field);
  }
  return names;
}

Json to_json(const Entity& entity) {
  const KindInfo& info = kind_info(entity.id.kind);
  Json object = Json::object();
  const bool numbered = entity.id.kind == Kind::kUser || entity.id.kind == Kind::kDevice;
  object[std::string(info.primary_key[0])] =
      numbered ? number_or_text(entity.id.first) : Json(entity.id.first);
  if (!info.primary_key[1].empty()) object[std::string(info.primary_key[1])] = entity.id.second;
  for (const Field& field : info.fields) {
    if (const std::string* text = entity.find(field.name)) {
      object[std::string(field.name)] = value_to_json(&field, *text);
    }
  }
  for (const auto& [name, text] : entity.fields) {
    if (!object.contains(name)) object[name] = value_to_json(nullptr, text);
  }
  if (const auto sealed = entity.sealed(); !sealed.empty()) object["sealed"] = sealed;
  return object;
}

Json to_json(const std::vector<Entity>& entities) {
  Json items = Json::array();
  for (const Entity& entity : entities) items.push_back(to_json(entity));
  return Json{{"items", std::move(items)}};
}

std::string Layout::entity_prefix(const EntityId& id) const {
  const std::string_view plural = kind_info(id.kind).plural;
  switch (id.kind) {
    case Kind::kDevice:
      return fmt::format("{}{}/{}/devices/{}/", prefix_, plural, id.first, id.second);
    case Kind::kLink:
      return fmt::format("{}{}/{}/{}/", prefix_, plural, id.first, id.second);
    default:
      return fmt::format("{}{}/{}/", prefix_, plural, id.first);
  }
}

std::string Layout::field_key(const EntityId& id, std::string_view field) const {
  return entity_prefix(id).append(field);
}

std::string Layout::user_counter_key() const {
  return std::string(prefix_).append(kUserCounterPath);
}

kv::KeyRange Layout::kind_range(Kind kind) const {
  return kv::prefix_range(fmt::format("{}{}/", prefix_, kind_info(kind).plural));
}

kv::KeyRange Layout::devices_range(const EntityId& user) const {
  return kv::prefix_range(entity_prefix(user) + "devices/");
}

std::optional<Layout::FieldKey> Layout::parse(std::string_view key) const {
  if (!key.starts_with(prefix_)) return std::nullopt;
  const auto parts = split(key.substr(prefix_.size()));
  if (std::ranges::any_of(parts, &std::string_view::empty)) return std::nullopt;
  const auto make = [&](Kind kind, std::string_view first, std::string_view second) {
    return FieldKey{
        .id = {.kind = kind, .first = std::string(first), .second = std::string(second)},
        .field = std::string(parts.back())};
  };
  const std::string_view top = parts.front();
  if (parts.size() == 3) {
    for (const Kind kind : {Kind::kUser, Kind::kNode, Kind::kCell}) {
      if (top == kind_info(kind).plural) return make(kind, parts[1], {});
    }
  }
  if (parts.size() == 4 && top == kind_info(Kind::kLink).plural) {
    return make(Kind::kLink, parts[1], parts[2]);
  }
  if (parts.size() == 5 && top == kind_info(Kind::kDevice).plural && parts[2] == "devices") {
    return make(Kind::kDevice, parts[1], parts[3]);
  }
  return std::nullopt;
}

void Assembler::take(std::string_view key, std::string value) {
  auto parsed = layout_->parse(key);
  // `$uuid` beside a sealed name holds the name itself, sealed: part of the name, not a field.
  if (!parsed || parsed->id.kind != kind_ || parsed->field.starts_with('$')) return;
  Entity& entity = entities_[parsed->id];
  entity.id = std::move(parsed->id);
  entity.fields.insert_or_assign(std::move(parsed->field), std::move(value));
}

std::vector<Entity> Assembler::finish() && {
  std::vector<Entity> out;
  out.reserve(entities_.size());
  for (auto& [id, entity] : entities_) out.push_back(std::move(entity));
  std::ranges::stable_sort(out, before);
  return out;
}

}  // namespace bennu::inventory
