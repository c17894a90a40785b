#include "sync/document.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/bytes.hpp"
#include "sync/json_node.hpp"
#include "sync/reasons.hpp"
#include "sync/seal.hpp"

namespace bennu::sync {
namespace {

constexpr std::string_view kText = "$text";
constexpr std::string_view kBase64 = "$base64";
// Leaves room for the document around an embedded value.
constexpr JsonLimits kValueLimits{.max_depth = 24, .max_nodes = 100'000};
constexpr std::size_t kMaxDepth = 32;

using Kind = JsonNode::Kind;

std::string to_base64(std::string_view bytes) {
  std::string out(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();  // the NUL
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string out(text.size() / 4 * 3 + 3, '\0');
  std::size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                        text.size(), nullptr, &size, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

bool is_canonical_int(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && std::to_string(value) == text;
}

bool is_escape(const JsonNode& node) {
  return node.kind == Kind::kObject && node.members.size() == 1 &&
         (node.members[0].name == kText || node.members[0].name == kBase64);
}

// The value as JSON if its bytes are exactly the compact form of it, and nothing that means
// something else as a member: an escape, or null, which is an absent field.
std::optional<JsonNode> canonical_json(std::string_view value) {
  auto node = parse_json(value, kValueLimits);
  if (!node || is_escape(*node) || node->kind == Kind::kNull) return std::nullopt;
  std::string again;
  append_compact_json(*node, again);
  if (again != value) return std::nullopt;
  return std::move(*node);
}

bool is_canonical_set(const JsonNode& node) {
  if (node.kind != Kind::kArray) return false;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    if (node.items[i].kind != Kind::kString) return false;
    if (i > 0 && node.items[i - 1].text >= node.items[i].text) return false;
  }
  return true;
}

std::size_t count_values(const JsonNode& node) {
  std::size_t count = 1;
  for (const JsonNode& item : node.items) count += count_values(item);
  for (const JsonMember& member : node.members) count += count_values(member.value);
  return count;
}

// What   a value of its type cannot be: an object that holds its bytes.
std::size_t append_escape(std::string_view value, std::string& out) {
  const bool text = is_utf8(value);
  out += "{\n    ";
  append_json_string(text ? kText : kBase64, out);
  out += ": ";
  append_json_string(text ? std::string(value) : to_base64(value), out);
  out += "\n  }";
  return 2;
}

// Returns how many JSON values it is.
std::size_t append_value(FieldType type, std::string_view value, std::string& out) {
  switch (type) {
    case FieldType::kString:
    case FieldType::kTime:
      if (is_utf8(value)) {
        append_json_string(value, out);
        return 1;
      }
      break;
    case FieldType::kInt:
      if (is_canonical_int(value)) {
        out += value;
        return 1;
      }
      break;
    case FieldType::kBool:
      if (value == "true" || value == "false") {
        out += value;
        return 1;
      }
      break;
    case FieldType::kSet:
    case FieldType::kJson: {
      const auto node = canonical_json(value);
      if (node && (type == FieldType::kJson || is_canonical_set(*node))) {
        append_pretty_json(*node, 1, out);
        return count_values(*node);
      }
      break;
    }
  }
  return append_escape(value, out);
}

std::string_view type_text(FieldType type) {
  switch (type) {
    case FieldType::kInt:
      return "a whole number";
    case FieldType::kBool:
      return "true or false";
    case FieldType::kSet:
      return "an array of strings";
    case FieldType::kJson:
      return "JSON";
    default:
      return "a string";
  }
}

// The value's bytes in the store, or what is wrong with it.
Result<std::string> value_of(FieldType type, const JsonNode& node) {
  if (is_escape(node)) {
    const JsonMember& escape = node.members[0];
    if (escape.value.kind == Kind::kString) {
      if (escape.name == kText) return escape.value.text;
      if (auto bytes = from_base64(escape.value.text)) return std::move(*bytes);
    }
    return make_error(Code::kInvalidArgument, "has a bad " + escape.name + " object");
  }
  bool good = false;
  switch (type) {
    case FieldType::kString:
    case FieldType::kTime:
      good = node.kind == Kind::kString;
      break;
    case FieldType::kInt:
      good = node.kind == Kind::kInteger && is_canonical_int(node.text);
      break;
    case FieldType::kBool:
      if (node.kind == Kind::kBool) return std::string(node.boolean ? "true" : "false");
      break;
    case FieldType::kSet: {
      good = node.kind == Kind::kArray &&
             std::ranges::all_of(node.items, [](const auto& i) { return i.kind == Kind::kString; });
      if (!good) break;
      JsonNode sorted = node;
      std::ranges::sort(sorted.items, {}, &JsonNode::text);
      const auto rest = std::ranges::unique(sorted.items, {}, &JsonNode::text);
      sorted.items.erase(rest.begin(), rest.end());
      std::string value;
      append_compact_json(sorted, value);
      return value;
    }
    case FieldType::kJson: {
      std::string value;
      append_compact_json(node, value);
      return value;
    }
  }
  if (good) return node.text;
  return make_error(Code::kInvalidArgument, fmt::format("must be {}", type_text(type)));
}

class DocumentParser {
 public:
  DocumentParser(const Entity& entity, std::string_view path, std::string_view bytes,
                 const DocumentLimits& limits)
      : entity_(entity), path_(path), bytes_(bytes), limits_(limits) {}

  Result<ParsedDocument> parse() {
    if (const auto over = over_limit({.bytes = bytes_.size()}, limits_)) return error(0, *over);
    auto root = parse_json(bytes_, {.max_depth = kMaxDepth, .max_nodes = limits_.max_values});
    if (!root) {
      return make_error(root.error().code, fmt::format("{}:{}", path_, root.error().message),
                        reason::kBadDocument);
    }
    if (root->kind != Kind::kObject) {
      return error(root->offset, fmt::format("a {} must be a JSON object", entity_.name));
    }
    if (root->members.empty()) {
      return error(root->offset,
                   fmt::format("a {} without a field is none; delete the file", entity_.name));
    }
    if (const auto over = over_limit({.fields = root->members.size()}, limits_))
      return error(root->offset, *over);
    ParsedDocument parsed;
    for (const JsonMember& member : root->members) BENNU_TRY(add(member, parsed));
    std::ranges::sort(parsed.fields, {}, &DocumentField::name);
    std::string again;
    const DocumentSize written = append_document(entity_, parsed.fields, again);
    if (const auto over = over_limit(written, limits_))
      return error(root->offset, "in its canonical form it has " + *over);
    parsed.exact = again == bytes_;
    return parsed;
  }

 private:
  [[nodiscard]] Error error(std::size_t offset, std::string_view what) const {
    return make_error(Code::kInvalidArgument,
                      fmt::format("{}:{}: {}", path_, position(bytes_, offset), what),
                      reason::kBadDocument);
  }

  [[nodiscard]] bool is_name_field(std::string_view name) const {
    return name.starts_with('$') && std::ranges::any_of(entity_.segments, [&](const auto& segment) {
             return segment.secret && segment.text == name.substr(1);
           });
  }

  Status add(const JsonMember& member, ParsedDocument& parsed) const {
    const std::string& name = member.name;
    if (member.value.kind == Kind::kNull) return {};  // an absent field is an absent key
    if (is_name_field(name)) {
      if (member.value.kind != Kind::kString || !sealed_epoch(member.value.text)) {
        return error(member.offset, fmt::format("`{}` must be a sealed value of Bennu's", name));
      }
      parsed.fields.push_back({.name = name, .value = member.value.text, .sealed = true});
      return {};
    }
    const bool sealed = member.value.kind == Kind::kString && sealed_epoch(member.value.text);
    if (sealed && name.starts_with('$')) {
      return error(member.offset, fmt::format("`{}` is a sealed name, and .bennu/schema.json does "
                                              "not make that name secret; revert that change of it",
                                              printable(name, 40)));
    }
    if (!is_field_name(name)) {
      return error(member.offset,
                   fmt::format("`{}` cannot be a field; names have 1 to {} bytes and "
                               "start with no `$` and hold no `/`",
                               printable(name, 40), kMaxFieldNameBytes));
    }
    const Field field = entity_.field(name);
    if (sealed && field.traits.secret) {
      parsed.fields.push_back({.name = name, .value = member.value.text, .sealed = true});
      return {};
    }
    if (sealed) parsed.exposed.push_back(name);
    auto value = value_of(field.type, member.value);
    if (!value) {
      const bool declared = entity_.fields.contains(name);
      return error(member.value.offset,
                   fmt::format("`{}` {}{}", name, value.error().message,
                               declared ? "" : ": it is not declared in .bennu/schema.json"));
    }
    parsed.fields.push_back({.name = name, .value = std::move(*value), .sealed = false});
    return {};
  }

  const Entity& entity_;
  std::string_view path_;
  std::string_view bytes_;
  const DocumentLimits& limits_;
};

}  // namespace

bool is_field_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxFieldNameBytes && name.front() != '$' &&
         name.find('/') == std::string_view::npos && is_utf8(name);
}

std::optional<std::string> over_limit(const DocumentSize& size, const DocumentLimits& limits) {
  if (size.fields > limits.max_fields)
    return fmt::format("{} fields, {} are the limit", size.fields, limits.max_fields);
  if (size.bytes > limits.max_bytes)
    return fmt::format("{} bytes, {} are the limit", size.bytes, limits.max_bytes);
  if (size.values > limits.max_values)
    return fmt::format("{} JSON values, {} are the limit", size.values, limits.max_values);
  return std::nullopt;
}

DocumentSize append_document(const Entity& entity, std::span<const DocumentField> fields,
                             std::string& out) {
  const std::size_t start = out.size();
  DocumentSize size{.fields = fields.size(), .values = 1};
  out += '{';
  const char* separator = "\n  ";
  for (const DocumentField& field : fields) {
    out += separator;
    append_json_string(field.name, out);
    out += ": ";
    if (field.sealed) {
      append_json_string(field.value, out);
      ++size.values;
    } else {
      size.values += append_value(entity.field(field.name).type, field.value, out);
    }
    separator = ",\n  ";
  }
  out += "\n}\n";
  size.bytes = out.size() - start;
  return size;
}

Result<ParsedDocument> parse_document(const Entity& entity, std::string_view path,
                                      std::string_view bytes, const DocumentLimits& limits) {
  return DocumentParser(entity, path, bytes, limits).parse();
}

}  // namespace bennu::sync
