#pragma once
// What   The raw mapping's names: a key's bytes <-> a path in a Git tree.
// Why    Any key must have exactly one path, and any path at most one key, or a tree is not a
//        function of a state.
// Use    `append_path(key, out)`; `decode_path(path, key)`. Documents and reserved paths are
//        Mapping's business.
// Units  Bytes. A component has at most 255 bytes. Paths have no leading slash.
// Errors None: every key has a path; a path without a key is an answer, not an error.
// Threads Pure functions.
// Source own design, docs/formats/tree.md; unsafe names: git's fsck.c, path.c (is_ntfs_dotgit) and
//        utf8.c (is_hfs_dotgit), git 2.39.

#include <string>
#include <string_view>

namespace bennu::sync {

/// The name of the value of a key that is also a directory: `/a` is at `a/%v` where `/a/b` exists,
/// too.
inline constexpr std::string_view kLeafName = "%v";
/// The top component of keys that do not start with `/`.
inline constexpr std::string_view kSlashlessTop = "%-";
/// The top component of keys whose natural path belongs to a document or to Bennu itself.
inline constexpr std::string_view kAsideTop = "%r";
/// Ends a component that goes on in the next one.
inline constexpr std::string_view kContinues = "%+";
inline constexpr std::size_t kMaxComponentBytes = 255;
inline constexpr std::size_t kMaxPieceBytes = 253;

/// Appends the key's path to `out`. Different keys have different paths.
void append_path(std::string_view key, std::string& out);

/// The key whose path is exactly `path`; false (and `key` unspecified) if there is none. `%v` is
/// not understood here.
[[nodiscard]] bool decode_path(std::string_view path, std::string& key);

/// Appends one key segment as one component, or as several joined by `/` where it is too long.
void append_component(std::string_view segment, std::string& out);

/// The segment whose encoding is exactly this one component (no `/`); false if there is none.
[[nodiscard]] bool decode_component(std::string_view component, std::string& segment);

/// Whether git, on any file system, would take the name for something of its own: `.`, `..`, every
/// form of `.git`,
/// `.gitmodules` and `.gitattributes` (HFS+ ignorable code points, NTFS short names, streams,
/// trailing dots).
[[nodiscard]] bool is_unsafe_component(std::string_view component);

/// Whether `git fsck --strict` accepts the path: no empty component, no `.`, `..` or form of
/// `.git`, no NUL.
/// `.gitmodules` and `.gitattributes` are accepted here.
[[nodiscard]] bool is_valid_tree_path(std::string_view path);

}  // namespace bennu::sync
