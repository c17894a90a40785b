#include "sync/json_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

namespace bennu::sync {
namespace {

using Kind = JsonNode::Kind;

// Feeds the parser and tells how far it has read.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, std::size_t* consumed) : at_(at), consumed_(consumed) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    ++at_;
    ++*consumed_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  std::size_t* consumed_;
};

// Builds the tree; every false ends the parse with `problem_`.
class Builder {
 public:
  Builder(std::string_view bytes, const JsonLimits& limits) : bytes_(bytes), limits_(limits) {}

  bool null() { return put(Kind::kNull, {}, token_end() - 4) != nullptr; }
  bool boolean(bool value) {
    JsonNode* node = put(Kind::kBool, {}, token_end() - (value ? 4 : 5));
    if (node != nullptr) node->boolean = value;
    return node != nullptr;
  }
  bool number_integer(std::int64_t value) { return number(Kind::kInteger, std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) {
    return number(Kind::kInteger, std::to_string(value));
  }
  bool number_float(double value, const std::string& /*text*/) {
    return number(Kind::kFloat, nlohmann::json(value).dump());
  }
  bool string(std::string& text) {
    return put(Kind::kString, std::move(text), quote_before(consumed_)) != nullptr;
  }
  bool binary(std::vector<std::uint8_t>& /*bytes*/) { return fail("binary data", consumed_); }
  bool start_object(std::size_t /*size*/) { return open(Kind::kObject); }
  bool start_array(std::size_t /*size*/) { return open(Kind::kArray); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const std::size_t offset = quote_before(consumed_);
    if (is_there(name)) return fail("`" + name + "` is there twice; keep one", offset);
    open_.back()->members.push_back({.name = std::move(name), .offset = offset, .value = {}});
    return true;
  }

  template <class Exception>
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/, const Exception& exception) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: what; last read: '…'"
    std::string_view what = exception.what();
    if (const auto colon = what.find(": "); colon != std::string_view::npos) {
      what.remove_prefix(colon + 2);
    }
    what = what.substr(0, what.find("; last read"));
    return fail("not JSON: " + std::string(what), consumed_ == 0 ? 0 : consumed_ - 1);
  }

  std::size_t* consumed() { return &consumed_; }
  JsonNode take() { return std::move(root_); }
  [[nodiscard]] Error error() const {
    return make_error(Code::kInvalidArgument, position(bytes_, problem_offset_) + ": " + problem_);
  }

 private:
  // Few names are looked through, many are kept in a set.
  bool is_there(const std::string& name) {
    constexpr std::size_t kFew = 24;
    const std::vector<JsonMember>& members = open_.back()->members;
    if (members.size() < kFew) return open_.back()->find(name) != nullptr;
    auto& names = names_.back();
    if (names.empty()) {
      for (const JsonMember& member : members) names.insert(member.name);
    }
    return !names.insert(name).second;
  }

  bool fail(std::string problem, std::size_t offset) {
    problem_ = std::move(problem);
    problem_offset_ = std::min(offset, bytes_.size());
    return false;
  }

  // The parser has read one byte past a number, except at the end.
  [[nodiscard]] std::size_t token_end() const { return consumed_; }

  [[nodiscard]] std::size_t quote_before(std::size_t end) const {
    for (std::size_t i = end - 1; i > 0;) {
      --i;
      if (bytes_[i] != '"') continue;
      std::size_t backslashes = 0;
      while (backslashes < i && bytes_[i - 1 - backslashes] == '\\') ++backslashes;
      if (backslashes % 2 == 0) return i;
    }
    return 0;
  }

  bool number(Kind kind, std::string text) {
    std::size_t at = std::min(consumed_, bytes_.size());
    const auto in_number = [&](std::size_t i) {
      return std::string_view("+-.eE0123456789").find(bytes_[i]) != std::string_view::npos;
    };
    if (at > 0 && !in_number(at - 1)) --at;
    while (at > 0 && in_number(at - 1)) --at;
    return put(kind, std::move(text), at) != nullptr;
  }

  JsonNode* put(Kind kind, std::string text, std::size_t offset) {
    if (++nodes_ > limits_.max_nodes) {
      fail(fmt::format("more than {} values", limits_.max_nodes), offset);
      return nullptr;
    }
    JsonNode* node = &root_;
    if (!open_.empty()) {
      JsonNode& parent = *open_.back();
      node =
          parent.kind == Kind::kArray ? &parent.items.emplace_back() : &parent.members.back().value;
    }
    node->kind = kind;
    node->text = std::move(text);
    node->offset = offset;
    return node;
  }

  bool open(Kind kind) {
    const std::size_t offset = consumed_ - 1;
    if (open_.size() >= limits_.max_depth) {
      return fail(fmt::format("nested deeper than {} levels", limits_.max_depth), offset);
    }
    JsonNode* node = put(kind, {}, offset);
    if (node == nullptr) return false;
    open_.push_back(node);
    names_.emplace_back();
    return true;
  }

  bool close() {
    open_.pop_back();
    names_.pop_back();
    return true;
  }

  std::string_view bytes_;
  JsonLimits limits_;
  std::size_t consumed_ = 0;
  std::size_t nodes_ = 0;
  JsonNode root_;
  // A parent's vectors do not grow while one of their nodes is open, so the pointers stay good.
  std::vector<JsonNode*> open_;
  std::vector<std::set<std::string, std::less<>>> names_;
  std::string problem_ = "not JSON";
  std::size_t problem_offset_ = 0;
};

std::vector<const JsonMember*> sorted_members(const JsonNode& node) {
  std::vector<const JsonMember*> members;
  members.reserve(node.members.size());
  for (const JsonMember& member : node.members) members.push_back(&member);
  std::ranges::sort(members, {}, [](const JsonMember* m) -> const std::string& { return m->name; });
  return members;
}

void append_scalar(const JsonNode& node, std::string& out) {
  switch (node.kind) {
    case Kind::kNull:
      out += "null";
      break;
    case Kind::kBool:
      out += node.boolean ? "true" : "false";
      break;
    case Kind::kString:
      append_json_string(node.text, out);
      break;
    default:
      out += node.text;
  }
}

void append_line(std::size_t level, std::string& out) {
  out += '\n';
  out.append(level * 2, ' ');
}

}  // namespace

const JsonNode* JsonNode::find(std::string_view name) const {
  const auto found = std::ranges::find(members, name, &JsonMember::name);
  return found == members.end() ? nullptr : &found->value;
}

Result<JsonNode> parse_json(std::string_view bytes, const JsonLimits& limits) {
  Builder builder(bytes, limits);
  const Cursor begin(bytes.data(), builder.consumed());
  const Cursor end(bytes.data() + bytes.size(), builder.consumed());
  if (!nlohmann::json::sax_parse(begin, end, &builder)) return builder.error();
  return builder.take();
}

std::string position(std::string_view bytes, std::size_t offset) {
  const std::string_view before = bytes.substr(0, offset);
  const auto line = std::ranges::count(before, '\n') + 1;
  const std::size_t line_start = before.rfind('\n');
  const std::size_t column =
      line_start == std::string_view::npos ? before.size() + 1 : before.size() - line_start;
  return fmt::format("{}:{}", line, column);
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text, copied, i - copied);
    copied = i + 1;
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    }
  }
  out.append(text, copied, text.size() - copied);
  out += '"';
}

void append_compact_json(const JsonNode& node, std::string& out) {
  const char* separator = "";
  if (node.kind == Kind::kArray) {
    out += '[';
    for (const JsonNode& item : node.items) {
      out += separator;
      append_compact_json(item, out);
      separator = ",";
    }
    out += ']';
  } else if (node.kind == Kind::kObject) {
    out += '{';
    for (const JsonMember* member : sorted_members(node)) {
      out += separator;
      append_json_string(member->name, out);
      out += ':';
      append_compact_json(member->value, out);
      separator = ",";
    }
    out += '}';
  } else {
    append_scalar(node, out);
  }
}

void append_pretty_json(const JsonNode& node, std::size_t level, std::string& out) {
  const bool object = node.kind == Kind::kObject;
  if (!object && node.kind != Kind::kArray) {
    append_scalar(node, out);
    return;
  }
  out += object ? '{' : '[';
  const char* separator = "";
  for (const JsonNode& item : node.items) {
    out += separator;
    append_line(level + 1, out);
    append_pretty_json(item, level + 1, out);
    separator = ",";
  }
  for (const JsonMember* member : sorted_members(node)) {
    out += separator;
    append_line(level + 1, out);
    append_json_string(member->name, out);
    out += ": ";
    append_pretty_json(member->value, level + 1, out);
    separator = ",";
  }
  if (!node.items.empty() || !node.members.empty()) append_line(level, out);
  out += object ? '}' : ']';
}

}  // namespace bennu::sync
