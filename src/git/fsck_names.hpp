#pragma once
// What   Which names HFS+ and NTFS take for `.git`, `.gitmodules` or `.gitattributes`.
// Why    `git fsck --strict` refuses them, since a checkout there would write into the Git
//        directory.
// Use    One path component without `/` and NUL.
// Threads Pure functions.
// Source git 2.39: path.c (is_ntfs_dotgit, is_ntfs_dot_generic), utf8.c (is_hfs_dot_generic),
//        fsck.c (fsck_tree).

#include <string_view>

namespace bennu::git {

[[nodiscard]] bool looks_like_dotgit(std::string_view name);
[[nodiscard]] bool looks_like_gitmodules(std::string_view name);
[[nodiscard]] bool looks_like_gitattributes(std::string_view name);

}  // namespace bennu::git
