#pragma once
// What   Trees as bytes: parse, check, sort, serialise.
// Why    libgit2's tree builder changes odd modes (100664) and hides what `git fsck --strict`
//        rejects; both must be exact here.
// Use    `parse_tree(bytes, "conf/")` names the full path of a bad entry. `serialise_tree` wants
//        `sort_entries` first.
// Errors kFailedPrecondition `git.bad_tree` (read side), kInvalidArgument `git.bad_name` (write
//        side); both name the path.
// Threads Pure functions; `check_special_blob` may run `git` for a `.gitmodules`.
// Source Git's fsck.c (2.39): the rules of `git fsck --strict`; tree order: base_name_compare (a
//        directory sorts as "name/").

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "git/object.hpp"

namespace bennu::git {

/// Entries of a tree in its own order. Refused, with the full path: zero-padded and unknown modes,
/// wrong order, duplicates (also a file and a directory of one name), empty names, `.`, `..`, `/`
/// in a name, whatever HFS+ or NTFS take for `.git`, null ids. `path` is the tree's own path, for
/// messages only ("" for the root).
[[nodiscard]] Result<std::vector<TreeEntry>> parse_tree(std::string_view bytes,
                                                        std::string_view path);

/// Directories inside one another, at most (git's core.maxTreeDepth): walks are recursive.
inline constexpr std::size_t kMaxDepth = 2048;
/// An error if a directory at `depth` (the root is 0) is deeper than that.
[[nodiscard]] Status check_depth(std::size_t depth, std::string_view path);

/// Whether `a` sorts before `b` in a tree.
[[nodiscard]] bool tree_order(std::string_view a_name, bool a_is_tree, std::string_view b_name,
                              bool b_is_tree);
void sort_entries(std::vector<TreeEntry>& entries);

/// The tree's bytes. Requires sorted, checked entries.
[[nodiscard]] std::string serialise_tree(const std::vector<TreeEntry>& entries);

/// Whether a component may stand in a tree. `path` is the full path for the message.
[[nodiscard]] Status check_name(std::string_view name, std::string_view path);
/// As `check_name`, and the mode must be known and fit the name: `.gitmodules` may only be an
/// ordinary file, and so on.
[[nodiscard]] Status check_entry(std::string_view name, std::uint32_t mode, std::string_view path);

/// Whether fsck looks into the content of files of this name (`.gitmodules`, `.gitattributes` and
/// what HFS+ and NTFS take for them).
[[nodiscard]] bool is_special_name(std::string_view name);
/// Whether fsck accepts this content under this name. For `.gitmodules` the `git` program itself is
/// asked (a few ms). Errors also: kNotFound `git.no_git`.
[[nodiscard]] Status check_special_blob(std::string_view name, std::string_view bytes,
                                        std::string_view path);

}  // namespace bennu::git
