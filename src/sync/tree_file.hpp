#pragma once
// What   One entry of a canonical tree as the mapping sees it, going out (export) or coming in
//        (import).
// Why    The mapping is pure: it knows neither libgit2 nor an engine, so this is all it shares with
//        the Git layer.
// Use    A view: valid during the call that passes it.
// Units  `path` relative to the tree's root, without the leaf rule on the way out: where `/a` and
//        `/a/b` both exist, the paths are `a` and `a/b`, and the Git layer puts the first at
//        `a/%v`. On the way in paths are the tree's.
// Threads Plain values.
// Source own design, docs/formats/tree.md.

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/result.hpp"

namespace bennu::sync {

/// Git's modes, as numbers.
enum class FileMode : std::uint32_t {
  kEmptyTree = 0040000,  ///< a tree entry with nothing in it
  kRegular = 0100644,
  kGroupWritable = 0100664,  ///< in old repositories
  kExecutable = 0100755,
  kSymlink = 0120000,    ///< the bytes are the target
  kSubmodule = 0160000,  ///< `id` is the commit
};

struct TreeFile {
  std::string_view path;
  FileMode mode = FileMode::kRegular;
  std::string_view bytes;
  /// 40 lower-case hex digits. Out: the entry names this object (a submodule's commit, a blob kept
  /// by id) and `bytes` is empty. In: of a submodule, and of a blob whose bytes are not passed
  /// because of its size.
  std::string_view id;
  std::uint64_t size = 0;  ///< of a blob by id, in bytes
  /// Out only: from TreeAssembler::add_record, before the keys and in no order of directories.
  bool early = false;
  /// In only: whether the file's directory has other entries. Unknown: the parser finds out from
  /// the neighbours of the stream. Only looked at where the name is `%v`.
  std::optional<bool> has_siblings;
};

using FileSink = std::function<Status(const TreeFile&)>;
/// Views into the caller's buffers, valid during the call.
using KeyValueSink = std::function<Status(std::string_view key, std::string_view value)>;

}  // namespace bennu::sync
