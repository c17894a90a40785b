#pragma once
// What   TreeAssembler: a state, in key order, becomes the files of its canonical tree.
// Why    A whole export must not hold the state in memory; only open documents and tree records are
//        held.
// Use    add_record() for every key of Mapping::record_ranges(); add() for every key of the state,
//        in key order; finish(). Files go to the sink as soon as they are whole: in key order, so
//        directories are contiguous but for documents and escaped names.
// Units  As many documents are open at once as the schema nests.
// Errors kFailedPrecondition (kNoKey: a secret and no data key; names the key's prefix);
//        (kTooLargeForGit: a document that no TreeParser would read; names path and key);
//        kInvalidArgument (two keys that claim one file; names the path); whatever the sink
//        returns. Useless afterwards.
// Threads One thread.
// Source own design, docs/formats/tree.md.

#include <cstdint>
#include <memory>
#include <string_view>

#include "kv/types.hpp"
#include "sync/mapping.hpp"
#include "sync/tree_file.hpp"

namespace bennu::sync {

struct AssemblyStats {
  std::uint64_t keys = 0;  ///< that went into files
  std::uint64_t files = 0;
  std::uint64_t skipped = 0;  ///< leased, derived, ephemeral, local
  std::uint64_t sealed =
      0;  ///< values that were sealed already: no identity when they were restored
  std::uint64_t inert_records =
      0;  ///< tree records that say nothing: their file is not there, or a key took its place
};

/// Whether the key exists in the state, without a lease.
using KeyProbe = std::function<Result<bool>(std::string_view key)>;

class TreeAssembler {
 public:
  /// `mapping` must outlive this. `probe` is asked, during add_record only, about the key in whose
  /// place a submodule or a blob by id stands: the key wins.
  TreeAssembler(const Mapping& mapping, KeyProbe probe, FileSink sink);
  ~TreeAssembler();
  TreeAssembler(TreeAssembler&&) noexcept;
  TreeAssembler& operator=(TreeAssembler&&) noexcept;

  /// Tree records. What they stand for goes to the sink at once, marked `early`, each path once.
  [[nodiscard]] Status add_record(std::string_view key, std::string_view value);
  /// Whether an only `a/%v` stays where it is (git::TreeRules::keep): a record says so.
  [[nodiscard]] bool keeps(std::string_view path) const;
  /// The next key of the state. Tree records are ignored here.
  [[nodiscard]] Status add(std::string_view key, std::string_view value, bool leased);
  [[nodiscard]] Status add(const kv::KeyValue& kv) {
    return add(kv.key, kv.value, kv.lease.value != 0);
  }
  [[nodiscard]] Result<AssemblyStats> finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bennu::sync
