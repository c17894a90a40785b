#pragma once
// What   Walks over whole trees: every entry of one tree, every difference of two, every file with
//        its bytes.
// Why    Import, diff, restore and verify all read trees; equal subtrees must cost nothing and a
//        million files no memory.
// Use    Visitors get views that are valid only during the call. An error from a visitor ends the
//        walk with that error.
// Errors Those of Repository::read_tree, each with the full path; the visitor's own.
// Threads The visitor runs on the calling thread. `walk_files` reads on `threads` threads of its
//         own.
// Source own design; order is that of the trees.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "git/repository.hpp"

namespace bennu::git {

enum class Walk : std::uint8_t { kContinue, kSkip, kStop };

/// Gets every entry below the root: files, links, submodules, and trees before their content (an
/// empty tree too). kSkip on a tree leaves its content out; kStop ends the walk without an error.
using EntryVisitor = std::function<Result<Walk>(std::string_view path, const TreeEntry& entry)>;
[[nodiscard]] Status walk_tree(const Repository& repository, const ObjectId& tree,
                               const EntryVisitor& visitor);

/// One path that differs. Never a tree, unless that tree is empty. A file that became a directory
/// is one removal and its additions.
struct TreeChange {
  std::string_view path;
  const TreeEntry* before = nullptr;  ///< null: added
  const TreeEntry* after = nullptr;   ///< null: removed
};
using ChangeVisitor = std::function<Result<Walk>(const TreeChange& change)>;
/// Null ids (`ObjectId{}`) stand for "no tree". Equal subtrees are not read.
[[nodiscard]] Status diff_trees(const Repository& repository, const ObjectId& before,
                                const ObjectId& after, const ChangeVisitor& visitor);
/// The same where some of the trees are in no repository yet.
using TreeReader =
    std::function<Result<std::vector<TreeEntry>>(const ObjectId& tree, std::string_view path)>;
[[nodiscard]] Status diff_trees(const TreeReader& read, const ObjectId& before,
                                const ObjectId& after, const ChangeVisitor& visitor);

struct ReadOptions {
  /// 0: one per core.
  unsigned threads = 0;
  /// Bytes read ahead of the visitor; one larger blob alone may pass it.
  std::size_t window_bytes = 32UL * 1024 * 1024;
  /// Blobs over this are reported by size, without bytes.
  std::uint64_t max_blob_bytes = UINT64_MAX;
};

/// One entry of `walk_files`.
struct FileVisit {
  std::string_view path;
  std::uint32_t mode = mode::kFile;
  ObjectId id;
  std::uint64_t size_bytes = 0;
  /// Nothing for empty trees, submodules and blobs over `max_blob_bytes`.
  std::optional<std::string_view> bytes;
};
using FileVisitor = std::function<Status(const FileVisit& file)>;
/// Every file, link, submodule and empty tree below `tree`, in tree order, with the blobs' bytes
/// read on all cores. Each blob's bytes are checked against its id.
[[nodiscard]] Status walk_files(const Repository& repository, const ObjectId& tree,
                                const ReadOptions& options, const FileVisitor& visitor);

/// The given blobs in the given order, read on all cores. `bytes` is nothing for blobs over
/// `max_blob_bytes`.
using BlobVisitor = std::function<Status(std::size_t index, std::uint64_t size_bytes,
                                         std::optional<std::string_view> bytes)>;
[[nodiscard]] Status read_blobs(const Repository& repository, std::span<const ObjectId> ids,
                                const ReadOptions& options, const BlobVisitor& visitor);

}  // namespace bennu::git
