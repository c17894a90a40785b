#include "git/tree.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "git/fsck_names.hpp"
#include "git/reasons.hpp"

namespace bennu::git {
namespace {

// git 2.44 and later warn above this, and --strict makes that an error.
constexpr std::size_t kMaxNameBytes = 4096;

std::string join(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return fmt::format("{}/{}", directory, name);
}

Error bad_tree(std::string_view path, std::string_view what) {
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("`{}` in the tree {}: `git fsck --strict` rejects it; correct it in a new commit",
                  printable(path), what),
      reason::kBadTree);
}

// Why    a component may not stand in a tree; empty if it may.
std::string_view name_problem(std::string_view name) {
  if (name.empty()) return "has an empty name";
  if (name == "." || name == "..") return "is named `.` or `..`";
  if (name.find('/') != std::string_view::npos) return "has a `/` inside a name";
  if (name.find('\0') != std::string_view::npos) return "has a NUL byte in its name";
  if (name.size() > kMaxNameBytes) return "has a name over 4096 bytes";
  if (looks_like_dotgit(name)) return "has a name that file systems take for `.git`";
  return {};
}

std::string_view mode_problem(std::string_view name, std::uint32_t entry_mode) {
  if (!mode::is_known(entry_mode)) return "has an unknown mode";
  const bool ordinary = mode::is_blob(entry_mode) && entry_mode != mode::kSymlink;
  if (!ordinary && looks_like_gitmodules(name))
    return "stands for `.gitmodules` and is not an ordinary file";
  if (!ordinary && entry_mode != mode::kSymlink && looks_like_gitattributes(name)) {
    return "stands for `.gitattributes` and is not a file";
  }
  return {};
}

// Takes "mode name NUL id" off the front. Returns what is wrong, empty if nothing.
std::string_view take_entry(std::string_view& bytes, TreeEntry& entry) {
  const auto space = bytes.find(' ');
  if (space == std::string_view::npos || space == 0 || space > 7) return "has a malformed mode";
  entry.mode = 0;
  for (const char c : bytes.substr(0, space)) {
    if (c < '0' || c > '7') return "has a malformed mode";
    entry.mode = entry.mode * 8 + static_cast<std::uint32_t>(c - '0');
  }
  const bool padded = bytes[0] == '0';
  bytes.remove_prefix(space + 1);
  const auto end = bytes.find('\0');
  if (end == std::string_view::npos || bytes.size() - end - 1 < 20) return "is cut short";
  entry.name = bytes.substr(0, end);
  entry.id = ObjectId::from_raw(bytes.substr(end + 1, 20));
  bytes.remove_prefix(end + 21);
  return padded ? "has a mode with leading zeros" : std::string_view{};
}

// A file `a` may stand well before a directory `a`: between them only names that start with `a`.
bool has_file_named(const std::vector<TreeEntry>& entries, std::string_view name) {
  for (auto it = entries.rbegin(); it != entries.rend() && it->name.starts_with(name); ++it) {
    if (it->name == name) return true;
  }
  return false;
}

}  // namespace

Result<std::vector<TreeEntry>> parse_tree(std::string_view bytes, std::string_view path) {
  std::vector<TreeEntry> entries;
  entries.reserve(bytes.size() / 32 + 1);
  while (!bytes.empty()) {
    TreeEntry entry;
    const std::string_view malformed = take_entry(bytes, entry);
    const auto where = [&] { return join(path, entry.name); };
    if (!malformed.empty()) return bad_tree(where(), malformed);
    if (!mode::is_known(entry.mode)) {
      return bad_tree(where(), fmt::format("has mode {:o}, which Bennu does not keep", entry.mode));
    }
    if (const auto problem = name_problem(entry.name); !problem.empty())
      return bad_tree(where(), problem);
    if (const auto problem = mode_problem(entry.name, entry.mode); !problem.empty())
      return bad_tree(where(), problem);
    if (entry.id.is_null()) return bad_tree(where(), "points at the null id");
    if (!entries.empty()) {
      const TreeEntry& last = entries.back();
      if (last.name == entry.name || (entry.is_tree() && has_file_named(entries, entry.name))) {
        return bad_tree(where(), "is there twice");
      }
      if (!tree_order(last.name, last.is_tree(), entry.name, entry.is_tree())) {
        return bad_tree(where(), "is not in order");
      }
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Status check_depth(std::size_t depth, std::string_view path) {
  if (depth <= kMaxDepth) return {};
  return make_error(Code::kFailedPrecondition,
                    fmt::format("`{}` has more than {} directories inside one another",
                                printable(path), kMaxDepth),
                    reason::kBadTree);
}

bool tree_order(std::string_view a_name, bool a_is_tree, std::string_view b_name, bool b_is_tree) {
  const std::size_t common = std::min(a_name.size(), b_name.size());
  const int order = std::char_traits<char>::compare(a_name.data(), b_name.data(), common);
  if (order != 0) return order < 0;
  const auto end_of = [&](std::string_view name, bool is_tree) -> unsigned char {
    if (name.size() > common) return static_cast<unsigned char>(name[common]);
    return is_tree ? '/' : '\0';
  };
  return end_of(a_name, a_is_tree) < end_of(b_name, b_is_tree);
}

void sort_entries(std::vector<TreeEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const TreeEntry& a, const TreeEntry& b) {
    return tree_order(a.name, a.is_tree(), b.name, b.is_tree());
  });
}

std::string serialise_tree(const std::vector<TreeEntry>& entries) {
  std::size_t size = 0;
  for (const auto& entry : entries) size += entry.name.size() + 28;
  std::string out;
  out.reserve(size);
  for (const auto& entry : entries) {
    out.append(mode::to_text(entry.mode)).push_back(' ');
    out.append(entry.name).push_back('\0');
    out.append(entry.id.raw());
  }
  return out;
}

Status check_name(std::string_view name, std::string_view path) {
  const auto problem = name_problem(name);
  if (problem.empty()) return {};
  return make_error(Code::kInvalidArgument,
                    fmt::format("path `{}` {}: no Git tree may hold it; choose another name",
                                printable(path), problem),
                    reason::kBadName);
}

Status check_entry(std::string_view name, std::uint32_t mode, std::string_view path) {
  BENNU_TRY(check_name(name, path));
  const auto problem = mode_problem(name, mode);
  if (problem.empty()) return {};
  return make_error(
      Code::kInvalidArgument,
      fmt::format("path `{}` {} ({:o}): no Git tree may hold it", printable(path), problem, mode),
      reason::kBadName);
}

bool is_special_name(std::string_view name) {
  return looks_like_gitmodules(name) || looks_like_gitattributes(name);
}

}  // namespace bennu::git
