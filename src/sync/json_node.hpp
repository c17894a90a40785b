#pragma once
// What   JSON as a small tree that knows where each value stood, and the one way Bennu writes JSON.
// Why    Errors in the schema and in documents name line and column, which nlohmann's own tree does
//        not keep; and duplicate names, which it drops silently, must be refused.
// Use    `parse_json(bytes, limits)`, then `position(bytes, node.offset)` for a message.
// Units  Offsets in bytes; lines and columns from 1, columns in bytes.
// Errors kInvalidArgument, message `LINE:COLUMN: what is wrong`.
// Threads Pure functions.
// Source RFC 8259; the parser is nlohmann-json's.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bennu::sync {

struct JsonMember;

struct JsonNode {
  enum class Kind : std::uint8_t { kNull, kBool, kInteger, kFloat, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  bool boolean = false;
  std::string text;  ///< a string's bytes, or a number as Bennu writes it
  std::vector<JsonNode> items;
  std::vector<JsonMember> members;  ///< in the order of the text, no name twice
  std::size_t offset = 0;           ///< of the value, near enough for a message

  [[nodiscard]] const JsonNode* find(std::string_view name) const;
};

struct JsonMember {
  std::string name;
  std::size_t offset = 0;  ///< of the name's opening quote
  JsonNode value;
};

struct JsonLimits {
  std::size_t max_depth = 32;
  std::size_t max_nodes = 200'000;
};

[[nodiscard]] Result<JsonNode> parse_json(std::string_view bytes, const JsonLimits& limits);

/// `LINE:COLUMN` of an offset.
[[nodiscard]] std::string position(std::string_view bytes, std::size_t offset);

/// Appends a JSON string: UTF-8 as it is, only `"`, `\` and control characters escaped (the short
/// forms where there are, else `\u00xx`). Needs UTF-8.
void append_json_string(std::string_view text, std::string& out);
/// Appends the value without spaces, members sorted by name.
void append_compact_json(const JsonNode& node, std::string& out);
/// Appends the value over several lines, two spaces a level, members sorted by name; `level` is
/// that of the line it starts on.
void append_pretty_json(const JsonNode& node, std::size_t level, std::string& out);

}  // namespace bennu::sync
