#pragma once
// What   Git's objects as values: ObjectId, ObjectKind, file modes, and the id of given bytes.
// Why    Ids and modes are used by everyone above; none of them may see a libgit2 type.
// Use    `hash_object(ObjectKind::kBlob, bytes)`; `ObjectId::from_hex(text)`. Safe as map and hash
//        keys.
// Units  Modes are octal numbers as Git stores them (0100644).
// Threads Plain values; pure functions.
// Source Git's object format (gitformat-pack(5), git-hash-object(1)): SHA-1 over "kind size NUL
//        bytes".

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace bennu::git {

/// The SHA-1 name of an object. The null id (20 zero bytes) names nothing.
struct ObjectId {
  std::array<unsigned char, 20> bytes{};

  friend auto operator<=>(const ObjectId&, const ObjectId&) = default;
  /// 40 lower-case hex digits.
  [[nodiscard]] std::string hex() const;
  /// The first `digits` hex digits, for messages.
  [[nodiscard]] std::string short_hex(std::size_t digits = 10) const;
  [[nodiscard]] bool is_null() const { return *this == ObjectId{}; }
  /// The 20 bytes as a view, as trees store them.
  [[nodiscard]] std::string_view raw() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// Nothing unless the text is exactly 40 hex digits of either case.
  [[nodiscard]] static std::optional<ObjectId> from_hex(std::string_view hex);
  /// From exactly 20 bytes.
  [[nodiscard]] static ObjectId from_raw(std::string_view raw);
};

/// With the numbers that packs use.
enum class ObjectKind : std::uint8_t { kCommit = 1, kTree = 2, kBlob = 3, kTag = 4 };

/// `commit`, `tree`, `blob`, `tag`.
[[nodiscard]] std::string_view kind_name(ObjectKind kind);

/// The modes of tree entries. Every other mode is refused by name.
namespace mode {
inline constexpr std::uint32_t kTree = 0040000;
inline constexpr std::uint32_t kFile = 0100644;
inline constexpr std::uint32_t kGroupWritable =
    0100664;  ///< only in old repositories; kept as it is
inline constexpr std::uint32_t kExecutable = 0100755;
inline constexpr std::uint32_t kSymlink = 0120000;
inline constexpr std::uint32_t kSubmodule = 0160000;  ///< the id names a commit elsewhere

[[nodiscard]] bool is_known(std::uint32_t mode);
/// Whether the entry's id names a blob of this repository (any of the three file modes or a
/// symbolic link).
[[nodiscard]] bool is_blob(std::uint32_t mode);
/// `100644`; trees are `40000` as Git stores them.
[[nodiscard]] std::string to_text(std::uint32_t mode);
/// From octal digits; nothing for an unknown mode. Takes `040000` for a tree too.
[[nodiscard]] std::optional<std::uint32_t> from_text(std::string_view text);
}  // namespace mode

struct Object {
  ObjectKind kind = ObjectKind::kBlob;
  std::string bytes;
};

/// Kind and size without the bytes.
struct ObjectHeader {
  ObjectKind kind = ObjectKind::kBlob;
  std::uint64_t size_bytes = 0;
};

/// One line of a tree. `name` is one path component.
struct TreeEntry {
  std::string name;
  std::uint32_t mode = mode::kFile;
  ObjectId id;

  friend bool operator==(const TreeEntry&, const TreeEntry&) = default;
  [[nodiscard]] bool is_tree() const { return mode == mode::kTree; }
};

/// The id that Git gives these bytes.
[[nodiscard]] ObjectId hash_object(ObjectKind kind, std::string_view bytes);

/// The id of the tree without entries.
[[nodiscard]] const ObjectId& empty_tree_id();

}  // namespace bennu::git

template <>
struct std::hash<bennu::git::ObjectId> {
  std::size_t operator()(const bennu::git::ObjectId& id) const noexcept {
    std::size_t value = 0;
    std::memcpy(&value, id.bytes.data(), sizeof value);
    return value;
  }
};
