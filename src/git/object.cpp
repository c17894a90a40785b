#include "git/object.hpp"

#include <charconv>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace bennu::git {

std::string ObjectId::hex() const { return to_hex(raw()); }

std::string ObjectId::short_hex(std::size_t digits) const { return hex().substr(0, digits); }

std::optional<ObjectId> ObjectId::from_hex(std::string_view hex) {
  if (hex.size() != 40) return std::nullopt;
  const auto raw = bennu::from_hex(hex);
  if (!raw) return std::nullopt;
  return from_raw(*raw);
}

ObjectId ObjectId::from_raw(std::string_view raw) {
  BENNU_CHECK(raw.size() == 20, "an object id has 20 bytes");
  ObjectId id;
  std::memcpy(id.bytes.data(), raw.data(), id.bytes.size());
  return id;
}

std::string_view kind_name(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kCommit:
      return "commit";
    case ObjectKind::kTree:
      return "tree";
    case ObjectKind::kBlob:
      return "blob";
    case ObjectKind::kTag:
      return "tag";
  }
  return "unknown";
}

namespace mode {

bool is_known(std::uint32_t mode) { return is_blob(mode) || mode == kTree || mode == kSubmodule; }

bool is_blob(std::uint32_t mode) {
  return mode == kFile || mode == kExecutable || mode == kSymlink || mode == kGroupWritable;
}

std::string to_text(std::uint32_t mode) {
  std::array<char, 16> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), mode, 8);
  BENNU_CHECK(error == std::errc{}, "a mode has at most 11 digits");
  return {buffer.data(), end};
}

std::optional<std::uint32_t> from_text(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc{} || end != text.data() + text.size() || !is_known(value))
    return std::nullopt;
  return value;
}

}  // namespace mode

const ObjectId& empty_tree_id() {
  static const ObjectId id = hash_object(ObjectKind::kTree, "");
  return id;
}

}  // namespace bennu::git
