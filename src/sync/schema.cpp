#include "sync/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "base/bytes.hpp"
#include "sync/document.hpp"
#include "sync/json_node.hpp"
#include "sync/reasons.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kMaxSchemaBytes = 1024UL * 1024;
constexpr std::size_t kMaxEntities = 64;
constexpr std::size_t kMaxFields = 256;
constexpr std::size_t kMaxPrefixes = 1024;
constexpr std::size_t kMaxSegments = 8;
constexpr unsigned kMaxShardDigits = 4;
constexpr int kKnownVersion = 1;

using Kind = JsonNode::Kind;

constexpr std::array<std::pair<std::string_view, FieldType>, 6> kTypes = {{
    {"string", FieldType::kString},
    {"int", FieldType::kInt},
    {"bool", FieldType::kBool},
    {"time", FieldType::kTime},
    {"set", FieldType::kSet},
    {"json", FieldType::kJson},
}};

constexpr std::array<std::pair<std::string_view, KeyTraits>, 5> kClasses = {{
    {"desired", {KeyClass::kDesired, false}},
    {"operational", {KeyClass::kOperational, false}},
    {"secret", {KeyClass::kDesired, true}},
    {"derived", {KeyClass::kDerived, false}},
    {"ephemeral", {KeyClass::kEphemeral, false}},
}};

// `desired, operational, …` for messages.
template <class Table>
std::string names_of(const Table& table) {
  std::string out;
  for (const auto& [name, value] : table) out += (out.empty() ? "" : ", ") + std::string(name);
  return out;
}

bool is_identifier(std::string_view text) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= 64 && letter(text.front()) &&
         std::ranges::all_of(text, [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

// A literal segment of a path: nothing that the raw mapping would escape.
bool is_literal(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text.front() != '.' &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t slash = text.find('/');
    parts.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    text.remove_prefix(slash + 1);
  }
}

// One position of a key's or a path's shape: a literal, or nothing for "anything".
using Shape = std::vector<std::optional<std::string>>;

Shape key_shape(const Entity& entity) {
  Shape shape;
  for (const std::string_view part : split(entity.key_prefix)) shape.emplace_back(part);
  shape.pop_back();  // after the last slash
  for (const PatternSegment& segment : entity.segments) {
    shape.push_back(segment.parameter ? std::nullopt : std::optional(segment.text));
  }
  return shape;
}

Shape tree_shape(const Entity& entity) {
  Shape shape;
  for (const PatternSegment& segment : entity.segments) {
    if (segment.shard_digits > 0) shape.emplace_back();
    shape.push_back(segment.parameter ? std::nullopt : std::optional(segment.text));
  }
  return shape;
}

bool overlap(const Shape& a, const Shape& b) {
  return std::ranges::equal(
      a, b, [](const auto& left, const auto& right) { return !left || !right || left == right; });
}

class SchemaParser {
 public:
  explicit SchemaParser(std::string_view bytes) : bytes_(bytes) {}

  Result<Schema> parse() {
    if (bytes_.size() > kMaxSchemaBytes) return error(0, "is larger than 1 MiB");
    auto root = parse_json(bytes_, {.max_depth = 16, .max_nodes = 100'000});
    if (!root) {
      return make_error(root.error().code, ".bennu/schema.json:" + root.error().message,
                        reason::kBadSchema);
    }
    if (root->kind != Kind::kObject) return error(root->offset, "a schema must be a JSON object");
    BENNU_TRY(check_versions(*root));
    BENNU_TRY(allow(*root, {"version", "mapping", "root", "entities", "prefixes"}));
    BENNU_TRY(read_root(*root));
    BENNU_TRY(read_prefixes(*root));
    BENNU_TRY(read_entities(*root));
    inherit_parameters();
    BENNU_TRY(check_overlaps());
    return std::move(schema_);
  }

 private:
  [[nodiscard]] Error error(std::size_t offset, std::string_view what,
                            Reason why = reason::kBadSchema) const {
    const Code code =
        why == reason::kUnknownFormat ? Code::kFailedPrecondition : Code::kInvalidArgument;
    return make_error(
        code, fmt::format(".bennu/schema.json:{}: {}", position(bytes_, offset), what), why);
  }

  Status check_versions(const JsonNode& root) const {
    for (const std::string_view name : {"version", "mapping"}) {
      const JsonNode* node = root.find(name);
      if (node == nullptr || node->kind != Kind::kInteger) {
        return error(node == nullptr ? root.offset : node->offset,
                     fmt::format("`{0}` must be there and a whole number; write \"{0}\": 1", name));
      }
      if (node->text != std::to_string(kKnownVersion)) {
        return error(
            node->offset,
            fmt::format("{} {} is not known to this bennu (it knows 1); use a newer one",
                        name == "version" ? "schema version" : "mapping version", node->text),
            reason::kUnknownFormat);
      }
    }
    return {};
  }

  // Refuses misspelt members; a newer format has a newer version.
  Status allow(const JsonNode& object, std::initializer_list<std::string_view> names) const {
    for (const JsonMember& member : object.members) {
      if (std::ranges::find(names, member.name) != names.end()) continue;
      std::string known;
      for (const std::string_view name : names)
        known += (known.empty() ? "" : ", ") + std::string(name);
      return error(member.offset, fmt::format("`{}` is not known here; known are {}",
                                              printable(member.name, 40), known));
    }
    return {};
  }

  Result<std::string> text_of(const JsonNode& object, std::string_view name) const {
    const JsonNode* node = object.find(name);
    if (node == nullptr) return error(object.offset, fmt::format("`{}` is missing", name));
    if (node->kind != Kind::kString) {
      return error(node->offset, fmt::format("`{}` must be a string", name));
    }
    return node->text;
  }

  Result<bool> flag_of(const JsonNode& object, std::string_view name) const {
    const JsonNode* node = object.find(name);
    if (node == nullptr) return false;
    if (node->kind != Kind::kBool) {
      return error(node->offset, fmt::format("`{}` must be true or false", name));
    }
    return node->boolean;
  }

  // The array under `name`; nullptr if it is not there.
  Result<const JsonNode*> array_of(const JsonNode& object, std::string_view name, Kind item_kind,
                                   std::size_t max) const {
    const JsonNode* node = object.find(name);
    if (node == nullptr) return node;
    if (node->kind != Kind::kArray) {
      return error(node->offset, fmt::format("`{}` must be an array", name));
    }
    if (node->items.size() > max) {
      return error(node->offset, fmt::format("`{}` has more than {} items", name, max));
    }
    for (const JsonNode& item : node->items) {
      if (item.kind == item_kind) continue;
      return error(item.offset, fmt::format("an item of `{}` must be {}", name,
                                            item_kind == Kind::kString ? "a string" : "an object"));
    }
    return node;
  }

  // `class` and `secret` of a field, entity or prefix.
  Result<KeyTraits> traits_of(const JsonNode& object, KeyTraits fallback) const {
    KeyTraits traits = fallback;
    if (const JsonNode* node = object.find("class")) {
      const auto* found =
          std::ranges::find(kClasses, node->text, [](const auto& c) { return c.first; });
      if (node->kind != Kind::kString || found == kClasses.end()) {
        return error(node->offset, fmt::format("`{}` is not a class; classes are {}",
                                               printable(node->text, 40), names_of(kClasses)));
      }
      traits = found->second;
    }
    if (object.find("secret") != nullptr) {
      BENNU_ASSIGN(traits.secret, flag_of(object, "secret"));
    }
    return traits;
  }

  // A prefix of keys: starts and ends with a slash, and is not Bennu's own.
  Status check_prefix(const JsonNode& node, const std::string& prefix) const {
    if (!prefix.starts_with('/') || !prefix.ends_with('/')) {
      return error(node.offset,
                   fmt::format("`{}` must start and end with `/`", printable(prefix, 40)));
    }
    if (prefix.starts_with("/_bennu/")) {
      return error(node.offset, "`/_bennu/` is Bennu's own; choose another prefix");
    }
    return {};
  }

  Status read_root(const JsonNode& root) {
    if (root.find("root") == nullptr) return {};
    BENNU_ASSIGN(schema_.root, text_of(root, "root"));
    const JsonNode& node = *root.find("root");
    BENNU_TRY(check_prefix(node, schema_.root));
    if (schema_.root == "/") return {};
    const auto parts = split(std::string_view(schema_.root).substr(1, schema_.root.size() - 2));
    if (!std::ranges::all_of(parts, is_literal)) {
      return error(node.offset, "segments of `root` are letters, digits, `_`, `-` and inner dots");
    }
    return {};
  }

  Status read_prefixes(const JsonNode& root) {
    BENNU_ASSIGN(const JsonNode* array, array_of(root, "prefixes", Kind::kObject, kMaxPrefixes));
    if (array == nullptr) return {};
    std::set<std::string, std::less<>> seen;
    for (const JsonNode& item : array->items) {
      BENNU_TRY(allow(item, {"prefix", "class", "secret"}));
      BENNU_ASSIGN(std::string prefix, text_of(item, "prefix"));
      BENNU_TRY(check_prefix(*item.find("prefix"), prefix));
      if (!seen.insert(prefix).second) {
        return error(item.offset, fmt::format("the prefix `{}` is declared twice", prefix));
      }
      BENNU_ASSIGN(const KeyTraits traits, traits_of(item, {}));
      schema_.prefixes.push_back({.prefix = std::move(prefix), .traits = traits});
    }
    std::ranges::sort(schema_.prefixes, [](const auto& a, const auto& b) {
      return std::pair(b.prefix.size(), std::string_view(a.prefix)) <
             std::pair(a.prefix.size(), std::string_view(b.prefix));
    });
    return {};
  }

  Status read_entities(const JsonNode& root) {
    BENNU_ASSIGN(const JsonNode* array, array_of(root, "entities", Kind::kObject, kMaxEntities));
    if (array == nullptr) return {};
    for (const JsonNode& item : array->items) {
      BENNU_TRY(
          allow(item, {"name", "path", "class", "secret", "secret_names", "shard", "fields"}));
      Entity entity;
      BENNU_ASSIGN(entity.name, text_of(item, "name"));
      if (!is_identifier(entity.name)) {
        return error(item.find("name")->offset,
                     "a name is lower-case letters, digits, `_` and `-`, from a letter on");
      }
      if (schema_.find(entity.name) != nullptr) {
        return error(item.find("name")->offset,
                     fmt::format("the entity `{}` is declared twice", entity.name));
      }
      BENNU_TRY(read_path(item, entity));
      BENNU_TRY(read_secret_names(item, entity));
      BENNU_TRY(read_shard(item, entity));
      BENNU_ASSIGN(entity.traits, traits_of(item, prefix_traits(entity)));
      BENNU_TRY(read_fields(item, entity));
      schema_.entities.push_back(std::move(entity));
      offsets_.push_back(item.offset);
    }
    return {};
  }

  Status read_path(const JsonNode& item, Entity& entity) const {
    BENNU_ASSIGN(const std::string path, text_of(item, "path"));
    const std::size_t at = item.find("path")->offset;
    std::string_view rest = path;
    entity.key_prefix = rest.starts_with('/') ? "/" : schema_.root;
    if (rest.starts_with('/')) rest.remove_prefix(1);
    std::set<std::string_view> names;
    for (const std::string_view part : split(rest)) {
      PatternSegment segment{.text = std::string(part)};
      if (part.size() > 2 && part.front() == '{' && part.back() == '}') {
        segment.parameter = true;
        segment.text = std::string(part.substr(1, part.size() - 2));
        if (!is_identifier(segment.text) || !names.insert(part).second) {
          return error(at, fmt::format("`{}`: parameters are lower-case names, each once in a path",
                                       printable(part, 40)));
        }
      } else if (!is_literal(part)) {
        return error(at, fmt::format("`{}` cannot be a segment of a path; take letters, digits, "
                                     "`_`, `-`, inner dots, or a parameter such as `{{id}}`",
                                     printable(part, 40)));
      }
      entity.segments.push_back(std::move(segment));
    }
    if (entity.segments.front().parameter) {
      return error(at, "a path must start with a literal segment, such as `users/{id}`");
    }
    if (entity.key_prefix == "/" && entity.segments.front().text == "_bennu") {
      return error(at, "`/_bennu/` is Bennu's own; choose another path");
    }
    if (entity.segments.size() > kMaxSegments) {
      return error(at, fmt::format("a path has at most {} segments", kMaxSegments));
    }
    return {};
  }

  Status read_secret_names(const JsonNode& item, Entity& entity) const {
    BENNU_ASSIGN(const JsonNode* array,
                 array_of(item, "secret_names", Kind::kString, kMaxSegments));
    if (array == nullptr) return {};
    for (const JsonNode& name : array->items) {
      const auto found = std::ranges::find_if(entity.segments, [&](const auto& segment) {
        return segment.parameter && segment.text == name.text;
      });
      if (found == entity.segments.end()) {
        return error(name.offset, fmt::format("`{}` is no parameter of `{}`",
                                              printable(name.text, 40), item.find("path")->text));
      }
      found->secret = true;
    }
    return {};
  }

  Status read_shard(const JsonNode& item, Entity& entity) const {
    const JsonNode* node = item.find("shard");
    if (node == nullptr) return {};
    unsigned digits = 0;
    std::from_chars(node->text.data(), node->text.data() + node->text.size(), digits);
    if (node->kind != Kind::kInteger || digits < 1 || digits > kMaxShardDigits) {
      return error(node->offset,
                   fmt::format("`shard` is a number of hex digits, 1 to {}", kMaxShardDigits));
    }
    if (!entity.segments.back().parameter) {
      return error(node->offset, "`shard` needs a path that ends with a parameter");
    }
    entity.segments.back().shard_digits = digits;
    return {};
  }

  Status read_fields(const JsonNode& item, Entity& entity) const {
    const JsonNode* fields = item.find("fields");
    if (fields == nullptr) return {};
    if (fields->kind != Kind::kObject) return error(fields->offset, "`fields` must be an object");
    if (fields->members.size() > kMaxFields) {
      return error(fields->offset,
                   fmt::format("an entity has at most {} declared fields", kMaxFields));
    }
    for (const JsonMember& member : fields->members) {
      if (!is_field_name(member.name)) {
        return error(member.offset,
                     fmt::format("`{}` cannot be a field; names have 1 to {} bytes and "
                                 "start with no `$` and hold no `/`",
                                 printable(member.name, 40), kMaxFieldNameBytes));
      }
      if (member.value.kind != Kind::kObject) {
        return error(member.value.offset,
                     fmt::format("field `{}` must be an object such as {{\"type\": \"string\"}}",
                                 member.name));
      }
      BENNU_TRY(allow(member.value, {"type", "class", "secret", "unique"}));
      Field field;
      if (const JsonNode* type = member.value.find("type")) {
        const auto* found =
            std::ranges::find(kTypes, type->text, [](const auto& t) { return t.first; });
        if (type->kind != Kind::kString || found == kTypes.end()) {
          return error(type->offset, fmt::format("`{}` is not a type; types are {}",
                                                 printable(type->text, 40), names_of(kTypes)));
        }
        field.type = found->second;
      }
      BENNU_ASSIGN(field.traits, traits_of(member.value, entity.traits));
      BENNU_ASSIGN(field.unique, flag_of(member.value, "unique"));
      entity.fields.emplace(member.name, field);
    }
    return {};
  }

  // What the prefixes say about an entity that says nothing itself.
  [[nodiscard]] KeyTraits prefix_traits(const Entity& entity) const {
    const std::string head = entity.key_prefix + entity.segments.front().text + "/";
    for (const PrefixClass& prefix : schema_.prefixes) {
      if (head.starts_with(prefix.prefix)) return prefix.traits;
    }
    return {};
  }

  // `{user}` of `users/{user}/devices/{uuid}` is the last parameter of `users/{id}`: sharded and
  // secret as there.
  void inherit_parameters() {
    const auto same_shape = [](const PatternSegment& a, const PatternSegment& b) {
      return a.parameter == b.parameter && (a.parameter || a.text == b.text);
    };
    for (Entity& inner : schema_.entities) {
      for (const Entity& outer : schema_.entities) {
        const std::size_t length = outer.segments.size();
        if (length >= inner.segments.size() || outer.key_prefix != inner.key_prefix ||
            !std::equal(outer.segments.begin(), outer.segments.end(), inner.segments.begin(),
                        same_shape)) {
          continue;
        }
        const PatternSegment& from = outer.segments.back();
        PatternSegment& to = inner.segments[length - 1];
        to.secret = to.secret || from.secret;
        to.shard_digits = from.shard_digits;
      }
    }
  }

  Status check_overlaps() const {
    const auto& entities = schema_.entities;
    for (std::size_t b = 1; b < entities.size(); ++b) {
      for (std::size_t a = 0; a < b; ++a) {
        if (!overlap(key_shape(entities[a]), key_shape(entities[b])) &&
            !overlap(tree_shape(entities[a]), tree_shape(entities[b]))) {
          continue;
        }
        return error(offsets_[b], fmt::format("the entities `{}` and `{}` claim the same paths; "
                                              "change one of the two",
                                              entities[a].name, entities[b].name));
      }
    }
    return {};
  }

  std::string_view bytes_;
  Schema schema_;
  std::vector<std::size_t> offsets_;
};

}  // namespace

std::string_view class_name(KeyClass key_class) {
  switch (key_class) {
    case KeyClass::kDesired:
      return "desired";
    case KeyClass::kOperational:
      return "operational";
    case KeyClass::kDerived:
      return "derived";
    case KeyClass::kEphemeral:
      return "ephemeral";
    case KeyClass::kLocal:
      return "local";
  }
  return "desired";
}

Field Entity::field(std::string_view name_of_field) const {
  const auto found = fields.find(name_of_field);
  return found == fields.end() ? Field{.traits = traits} : found->second;
}

bool Entity::has_secret_name() const {
  return std::ranges::any_of(segments, &PatternSegment::secret);
}

bool Schema::has_secrets() const {
  return std::ranges::any_of(prefixes, [](const auto& p) { return p.traits.secret; }) ||
         std::ranges::any_of(entities, [](const Entity& entity) {
           return entity.traits.secret || entity.has_secret_name() ||
                  std::ranges::any_of(entity.fields,
                                      [](const auto& f) { return f.second.traits.secret; });
         });
}

const Entity* Schema::find(std::string_view entity) const {
  const auto found = std::ranges::find(entities, entity, &Entity::name);
  return found == entities.end() ? nullptr : &*found;
}

Result<Schema> parse_schema(std::string_view bytes) { return SchemaParser(bytes).parse(); }

}  // namespace bennu::sync
