#pragma once
// What   How many keys there are between any two of about every 256th key: the index behind counts.
// Why    A count of the newest revision must be exact and must not cost a scan of the range.
// Use    Immutable: a view holds one; `apply` and the others return the next. Every key belongs to
//        the block with the greatest start not above it; the first block starts at the empty key.
//        `count` adds whole blocks and says which parts of blocks the caller has to scan.
// Units  Keys. A block is meant to hold up to kBlockKeys; an oversized one is right, only slower.
// Threads Immutable values; safe for all.
// Source own design, ADR 0002.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kv/types.hpp"

namespace bennu::kv::embedded {

/// One key came (+1) or went (-1).
struct CountDelta {
  std::string key;
  std::int64_t delta = 0;
};

/// What a stage adds to the keys from `start` up to `end` (empty: to the end).
struct CountInterval {
  std::string start;
  std::string end;
  std::int64_t delta = 0;
};

class CountIndex {
 public:
  static constexpr std::int64_t kBlockKeys = 512;
  static constexpr std::size_t kChunkBlocks = 128;

  struct Block {
    std::string start;
    std::string end;  ///< empty: to the end
    std::int64_t count = 0;
  };
  /// A count that needs these parts of blocks scanned: `whole` + keys in the ranges.
  struct Sum {
    std::int64_t whole = 0;
    std::vector<KeyRange> scan;
  };

  /// One empty block.
  CountIndex();
  /// `blocks` in order, the first starting at the empty key.
  explicit CountIndex(const std::vector<Block>& blocks);

  [[nodiscard]] std::int64_t total() const;
  [[nodiscard]] Sum count(const KeyRange& range) const;
  [[nodiscard]] std::vector<Block> blocks() const;
  /// The block that a key belongs to.
  [[nodiscard]] Block block_of(std::string_view key) const;
  /// A block with more than kBlockKeys keys, if there is one.
  [[nodiscard]] std::optional<Block> oversized() const;

  /// `grown`, if given, is set when a block that got a key is oversized now.
  [[nodiscard]] std::shared_ptr<const CountIndex> apply(std::span<const CountDelta> deltas,
                                                        bool* grown = nullptr) const;
  /// The block that starts at `block.start` and ends at `block.end` cut at `middle`, with `left`
  /// keys before it. Null if there is no such block any more.
  [[nodiscard]] std::shared_ptr<const CountIndex> split(const Block& block, std::string_view middle,
                                                        std::int64_t left) const;

  /// For meta: everything in one string.
  [[nodiscard]] std::string save(Revision revision) const;
  struct Saved;
  [[nodiscard]] static std::optional<Saved> load(std::string_view bytes);

 private:
  struct Chunk {
    std::shared_ptr<const std::vector<std::string>> starts;
    std::vector<std::int64_t> counts;
    std::int64_t total = 0;
  };
  struct Place {
    std::size_t chunk = 0;
    std::size_t block = 0;
  };
  [[nodiscard]] Place find(std::string_view key) const;
  [[nodiscard]] std::string end_of(Place place) const;

  std::vector<std::shared_ptr<const Chunk>> chunks_;
};

struct CountIndex::Saved {
  Revision revision;
  std::shared_ptr<const CountIndex> index;
};

/// Blocks with a stage's intervals added. An empty block takes over the stage's cuts; a small one,
/// too, after `keys_in` has told its keys; blocks that a stage's interval spans become one.
/// `keys_in` gives the keys of a block that exist without the stage.
[[nodiscard]] std::vector<CountIndex::Block> merge_intervals(
    const std::vector<CountIndex::Block>& blocks, const std::vector<CountInterval>& intervals,
    const std::function<std::vector<std::string>(const KeyRange&)>& keys_in);

}  // namespace bennu::kv::embedded
