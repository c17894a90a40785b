#include "git/fsck_names.hpp"

#include <cstddef>
#include <cstdint>

namespace bennu::git {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool starts_with_fold(std::string_view text, std::string_view lower_prefix) {
  if (text.size() < lower_prefix.size()) return false;
  for (std::size_t i = 0; i < lower_prefix.size(); ++i) {
    if (lower(text[i]) != lower_prefix[i]) return false;
  }
  return true;
}

// Only names that start so can be meant; everything else is decided by one look.
bool may_be_special(std::string_view name) {
  const auto first = static_cast<unsigned char>(name.empty() ? 0 : name[0]);
  return first == '.' || first == 'g' || first == 'G' || first == 0xe2 || first == 0xef;
}

// Takes one code point off the front, skipping those that HFS+ ignores; 0 at the end and for
// malformed UTF-8 (as git does).
std::uint32_t next_hfs_char(std::string_view& text) {
  while (!text.empty()) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    std::size_t length = 1;
    std::uint32_t c = at(0);
    if (c >= 0x80) {
      length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
      if (length == 0 || c > 0xf4 || text.size() < length) return 0;
      c &= 0xffU >> (length + 1);
      for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0) != 0x80) return 0;
        c = (c << 6) | (at(i) & 0x3fU);
      }
    }
    text.remove_prefix(length);
    const bool ignored = (c >= 0x200c && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
                         (c >= 0x206a && c <= 0x206f) || c == 0xfeff;
    if (!ignored) return c;
  }
  return 0;
}

bool is_hfs_dot(std::string_view name, std::string_view needle) {
  if (next_hfs_char(name) != '.') return false;
  for (const char expected : needle) {
    const std::uint32_t c = next_hfs_char(name);
    if (c > 127 || lower(static_cast<char>(c)) != expected) return false;
  }
  return next_hfs_char(name) == 0;
}

// What   NTFS drops at the end of a name; a `:` begins a stream name.
bool only_dropped(std::string_view rest, bool backslash_ends) {
  for (const char c : rest) {
    if (c == ':' || (backslash_ends && c == '\\')) return true;
    if (c != ' ' && c != '.') return false;
  }
  return true;
}

bool is_ntfs_dotgit(std::string_view name) {
  if (starts_with_fold(name, ".git")) return only_dropped(name.substr(4), true);
  if (starts_with_fold(name, "git~1")) return only_dropped(name.substr(5), true);
  return false;
}

// `prefix` is the start of the fall-back short name that NTFS makes of a hash ("gi7eba").
bool is_ntfs_dot(std::string_view name, std::string_view needle, std::string_view prefix) {
  if (name.starts_with('.') && starts_with_fold(name.substr(1), needle)) {
    return only_dropped(name.substr(1 + needle.size()), false);
  }
  if (starts_with_fold(name, needle.substr(0, 6)) && name.size() >= 8 && name[6] == '~' &&
      name[7] >= '1' && name[7] <= '4') {
    return only_dropped(name.substr(8), false);
  }
  if (name.size() < 8) return false;
  bool saw_tilde = false;
  for (std::size_t i = 0; i < 8; ++i) {
    if (saw_tilde) {
      if (name[i] < '0' || name[i] > '9') return false;
    } else if (name[i] == '~') {
      ++i;
      if (i >= name.size() || name[i] < '1' || name[i] > '9') return false;
      saw_tilde = true;
    } else if (i >= 6 || lower(name[i]) != prefix[i]) {
      return false;
    }
  }
  return only_dropped(name.substr(8), false);
}

// NTFS also takes what follows a backslash for a name of its own.
template <class Predicate>
bool any_part(std::string_view name, Predicate is_meant) {
  for (auto slash = name.find('\\'); slash != std::string_view::npos; slash = name.find('\\')) {
    name.remove_prefix(slash + 1);
    if (is_meant(name)) return true;
  }
  return false;
}

}  // namespace

bool looks_like_dotgit(std::string_view name) {
  if (may_be_special(name) && (is_hfs_dot(name, "git") || is_ntfs_dotgit(name))) return true;
  return any_part(name, is_ntfs_dotgit);
}

bool looks_like_gitmodules(std::string_view name) {
  const auto is_ntfs = [](std::string_view part) {
    return is_ntfs_dot(part, "gitmodules", "gi7eba");
  };
  if (may_be_special(name) && (is_hfs_dot(name, "gitmodules") || is_ntfs(name))) return true;
  return any_part(name, is_ntfs);
}

bool looks_like_gitattributes(std::string_view name) {
  return may_be_special(name) &&
         (is_hfs_dot(name, "gitattributes") || is_ntfs_dot(name, "gitattributes", "gi7d29"));
}

}  // namespace bennu::git
