#pragma once
// What   Builds a whole tree from a stream of files, on all cores, holding only the open
//        directories.
// Why    A first export and every proof of a restore go through all keys; they must run at the
//        speed of hashing.
// Use    Add files so that each directory is one run (any order inside it: key order does), then
//        `finish()`. With a PackWriter, blobs and trees are written; in proof mode only ids are
//        computed and nothing is written. Files known to come out of order (few: submodules, odd
//        files) are best given first, through `add_early`. Others that come after their directory
//        was closed are kept aside and merged in at the end.
// Units  `queue_bytes`: file bytes waiting for a core.
// Errors kInvalidArgument `git.bad_name`; those of the pack. kFailedPrecondition
//        `git.out_of_order`: in proof mode, late files and more than `proof_tree_bytes` of trees;
//        give them through `add_early`. An error may show only in a later call, `finish()` at the
//        latest.
// Threads Called from one thread; owns its workers. The PackWriter must not be used in between.
// Source own design; the same tree as TreeEditor makes, see TreeRules.

#include <cstdint>
#include <memory>
#include <string_view>

#include "git/pack_writer.hpp"
#include "git/tree_editor.hpp"

namespace bennu::git {

struct BulkOptions {
  TreeRules rules;
  /// 0: one worker per core.
  unsigned threads = 0;
  std::size_t queue_bytes = 16UL * 1024 * 1024;
  /// Proof mode: memory for trees kept in case a late file needs them.
  std::size_t proof_tree_bytes = 64UL * 1024 * 1024;
};

class BulkTreeWriter {
 public:
  /// Writes into `pack`, which must outlive this.
  BulkTreeWriter(PackWriter& pack, BulkOptions options);
  /// Proof mode.
  explicit BulkTreeWriter(BulkOptions options);
  ~BulkTreeWriter();
  BulkTreeWriter(const BulkTreeWriter&) = delete;
  BulkTreeWriter& operator=(const BulkTreeWriter&) = delete;

  /// A file, executable or link with its bytes (copied).
  Status add(std::string_view path, std::uint32_t mode, std::string_view bytes);
  /// An entry whose object is there already (a large blob kept by id), a submodule, or mode::kTree
  /// with the empty tree's id.
  Status add_id(std::string_view path, std::uint32_t mode, const ObjectId& id);
  /// As `add_id`, before the first `add`, in any order. Held in memory.
  Status add_early(std::string_view path, std::uint32_t mode, const ObjectId& id);

  /// The root tree's id. Call once. With a PackWriter, the pack is still to be finished.
  Result<ObjectId> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bennu::git
