#include "kv/embedded/counts.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "kv/embedded/codec.hpp"

namespace bennu::kv::embedded {
namespace {

// A block of at most this many keys is looked into rather than left oversized when a stage fills
// it.
constexpr std::int64_t kLookInto = 4096;

bool is_to_the_end(const KeyRange& range) { return range.end == std::string_view("\0", 1); }

KeyRange range_of(const CountIndex::Block& block) {
  // The empty key does not exist, so the range of the first block may start at the smallest that
  // does.
  return KeyRange{.key = block.start.empty() ? std::string(1, '\0') : block.start,
                  .end = block.end.empty() ? std::string(1, '\0') : block.end};
}

bool before_end(std::string_view key, std::string_view end) { return end.empty() || key < end; }

}  // namespace

CountIndex::CountIndex() : CountIndex({Block{}}) {}

CountIndex::CountIndex(const std::vector<Block>& blocks) {
  BENNU_CHECK(!blocks.empty() && blocks[0].start.empty(), "a count index covers every key");
  for (std::size_t from = 0; from < blocks.size(); from += kChunkBlocks) {
    const std::size_t to = std::min(blocks.size(), from + kChunkBlocks);
    auto chunk = std::make_shared<Chunk>();
    auto starts = std::make_shared<std::vector<std::string>>();
    for (std::size_t i = from; i < to; ++i) {
      starts->push_back(blocks[i].start);
      chunk->counts.push_back(blocks[i].count);
      chunk->total += blocks[i].count;
    }
    chunk->starts = std::move(starts);
    chunks_.push_back(std::move(chunk));
  }
}

std::int64_t CountIndex::total() const {
  std::int64_t sum = 0;
  for (const auto& chunk : chunks_) sum += chunk->total;
  return sum;
}

CountIndex::Place CountIndex::find(std::string_view key) const {
  const auto chunk = std::upper_bound(
      chunks_.begin() + 1, chunks_.end(), key,
      [](std::string_view one, const auto& other) { return one < other->starts->front(); });
  const auto& starts = *(*std::prev(chunk))->starts;
  const auto block = std::upper_bound(starts.begin() + 1, starts.end(), key);
  return {.chunk = static_cast<std::size_t>(chunk - chunks_.begin()) - 1,
          .block = static_cast<std::size_t>(block - starts.begin()) - 1};
}

std::string CountIndex::end_of(Place place) const {
  const Chunk& chunk = *chunks_[place.chunk];
  if (place.block + 1 < chunk.starts->size()) return (*chunk.starts)[place.block + 1];
  if (place.chunk + 1 < chunks_.size()) return chunks_[place.chunk + 1]->starts->front();
  return {};
}

CountIndex::Block CountIndex::block_of(std::string_view key) const {
  const Place place = find(key);
  const Chunk& chunk = *chunks_[place.chunk];
  return {.start = (*chunk.starts)[place.block],
          .end = end_of(place),
          .count = chunk.counts[place.block]};
}

std::vector<CountIndex::Block> CountIndex::blocks() const {
  std::vector<Block> out;
  for (const auto& chunk : chunks_) {
    for (std::size_t i = 0; i < chunk->counts.size(); ++i) {
      if (!out.empty()) out.back().end = (*chunk->starts)[i];
      out.push_back({.start = (*chunk->starts)[i], .end = {}, .count = chunk->counts[i]});
    }
  }
  return out;
}

CountIndex::Sum CountIndex::count(const KeyRange& range) const {
  Sum sum;
  if (!is_to_the_end(range) && range.end <= range.key) return sum;
  const Place first = find(range.key);
  const Block left = block_of(range.key);
  const bool one_block = left.end.empty() || (!is_to_the_end(range) && range.end <= left.end);
  // No key is below "\0", so a range from there on takes in the first block whole.
  const bool from_start =
      range.key == left.start || (left.start.empty() && range.key == std::string_view("\0", 1));
  const bool to_end = is_to_the_end(range) ? left.end.empty() : range.end == left.end;
  if (one_block) {
    if (from_start && to_end) {
      sum.whole = left.count;
    } else {
      sum.scan.push_back(range);
    }
    return sum;
  }
  if (from_start) {
    sum.whole += left.count;
  } else {
    sum.scan.push_back({.key = range.key, .end = left.end});
  }
  // Whole blocks between the first and the last, chunk by chunk where possible.
  Place last{.chunk = chunks_.size(), .block = 0};
  if (!is_to_the_end(range)) {
    last = find(range.end);
    const std::string& start = (*chunks_[last.chunk]->starts)[last.block];
    if (start != range.end) sum.scan.push_back({.key = start, .end = range.end});
  }
  for (std::size_t c = first.chunk; c < chunks_.size() && c <= last.chunk; ++c) {
    const Chunk& chunk = *chunks_[c];
    const std::size_t from = c == first.chunk ? first.block + 1 : 0;
    const std::size_t to = c == last.chunk ? last.block : chunk.counts.size();
    if (from == 0 && to == chunk.counts.size()) {
      sum.whole += chunk.total;
      continue;
    }
    for (std::size_t i = from; i < to; ++i) sum.whole += chunk.counts[i];
  }
  return sum;
}

std::optional<CountIndex::Block> CountIndex::oversized() const {
  for (std::size_t c = 0; c < chunks_.size(); ++c) {
    const Chunk& chunk = *chunks_[c];
    if (chunk.total <= kBlockKeys) continue;
    for (std::size_t i = 0; i < chunk.counts.size(); ++i) {
      if (chunk.counts[i] > kBlockKeys) {
        return Block{.start = (*chunk.starts)[i],
                     .end = end_of({.chunk = c, .block = i}),
                     .count = chunk.counts[i]};
      }
    }
  }
  return std::nullopt;
}

std::shared_ptr<const CountIndex> CountIndex::apply(std::span<const CountDelta> deltas,
                                                    bool* grown) const {
  auto next = std::make_shared<CountIndex>(*this);
  std::vector<bool> own(chunks_.size(), false);
  for (const CountDelta& delta : deltas) {
    const Place place = find(delta.key);
    auto& chunk = next->chunks_[place.chunk];
    if (!own[place.chunk]) {
      chunk = std::make_shared<Chunk>(*chunk);
      own[place.chunk] = true;
    }
    auto& mine = const_cast<Chunk&>(*chunk);  // made just above, nobody else has it yet
    mine.counts[place.block] += delta.delta;
    mine.total += delta.delta;
    if (grown != nullptr && mine.counts[place.block] > kBlockKeys) *grown = true;
  }
  return next;
}

std::shared_ptr<const CountIndex> CountIndex::split(const Block& block, std::string_view middle,
                                                    std::int64_t left) const {
  const Place place = find(block.start);
  const Chunk& old = *chunks_[place.chunk];
  if ((*old.starts)[place.block] != block.start || end_of(place) != block.end) return nullptr;
  // Nothing is below "\0", and as the end of a range it would mean something else.
  if (middle <= block.start || !before_end(middle, block.end) ||
      middle == std::string_view("\0", 1)) {
    return nullptr;
  }
  auto chunk = std::make_shared<Chunk>(old);
  auto starts = std::make_shared<std::vector<std::string>>(*old.starts);
  const auto at = static_cast<std::ptrdiff_t>(place.block);
  starts->insert(starts->begin() + at + 1, std::string(middle));
  chunk->counts.insert(chunk->counts.begin() + at + 1, chunk->counts[place.block] - left);
  chunk->counts[place.block] = left;
  chunk->starts = starts;
  auto next = std::make_shared<CountIndex>(*this);
  if (starts->size() <= 2 * kChunkBlocks) {
    next->chunks_[place.chunk] = std::move(chunk);
    return next;
  }
  const auto half = static_cast<std::ptrdiff_t>(starts->size() / 2);
  const auto part = [&](std::ptrdiff_t from, std::ptrdiff_t to) {
    auto out = std::make_shared<Chunk>();
    out->starts = std::make_shared<const std::vector<std::string>>(starts->begin() + from,
                                                                   starts->begin() + to);
    out->counts.assign(chunk->counts.begin() + from, chunk->counts.begin() + to);
    for (const std::int64_t count : out->counts) out->total += count;
    return out;
  };
  const auto c = static_cast<std::ptrdiff_t>(place.chunk);
  next->chunks_[place.chunk] = part(0, half);
  next->chunks_.insert(next->chunks_.begin() + c + 1,
                       part(half, static_cast<std::ptrdiff_t>(starts->size())));
  return next;
}

std::string CountIndex::save(Revision revision) const {
  std::string out;
  append_varint(out, static_cast<std::uint64_t>(revision.value));
  for (const auto& chunk : chunks_) {
    for (std::size_t i = 0; i < chunk->counts.size(); ++i) {
      append_varint(out, (*chunk->starts)[i].size());
      out.append((*chunk->starts)[i]);
      append_varint(out, static_cast<std::uint64_t>(chunk->counts[i]));
    }
  }
  return out;
}

std::optional<CountIndex::Saved> CountIndex::load(std::string_view bytes) {
  const auto revision = take_varint(bytes);
  if (!revision || bytes.empty()) return std::nullopt;
  std::vector<Block> blocks;
  while (!bytes.empty()) {
    const auto size = take_varint(bytes);
    if (!size || *size > bytes.size()) return std::nullopt;
    std::string start(bytes.substr(0, *size));
    bytes.remove_prefix(*size);
    const auto count = take_varint(bytes);
    if (!count || (blocks.empty() != start.empty())) return std::nullopt;
    if (!blocks.empty() && start <= blocks.back().start) return std::nullopt;
    blocks.push_back(
        {.start = std::move(start), .end = {}, .count = static_cast<std::int64_t>(*count)});
  }
  return Saved{.revision = {static_cast<std::int64_t>(*revision)},
               .index = std::make_shared<const CountIndex>(blocks)};
}

namespace {

using Block = CountIndex::Block;

// One run of blocks that shares its ends with a run of intervals.
struct Run {
  std::vector<Block> blocks;
  std::vector<CountInterval> intervals;
};

void append_cut(const Run& run, const std::vector<std::string>& keys, std::vector<Block>& out) {
  const std::string& start = run.blocks.front().start;
  std::vector<Block> cut;
  std::string last_end = start;
  for (const CountInterval& interval : run.intervals) {
    // A gap between intervals, or before the first, is a block of its own.
    if (cut.empty() ? interval.start != start : interval.start != last_end) {
      cut.push_back({.start = last_end, .end = interval.start, .count = 0});
    }
    cut.push_back({.start = interval.start, .end = interval.end, .count = interval.delta});
    last_end = interval.end;
  }
  if (!last_end.empty() && last_end != run.blocks.back().end) {
    cut.push_back({.start = last_end, .end = run.blocks.back().end, .count = 0});
  }
  for (const std::string& key : keys) {
    const auto at =
        std::upper_bound(cut.begin() + 1, cut.end(), key,
                         [](const std::string& one, const Block& b) { return one < b.start; });
    ++std::prev(at)->count;
  }
  out.insert(out.end(), cut.begin(), cut.end());
}

void append_run(const Run& run,
                const std::function<std::vector<std::string>(const KeyRange&)>& keys_in,
                std::vector<Block>& out) {
  if (run.intervals.empty()) {
    out.insert(out.end(), run.blocks.begin(), run.blocks.end());
    return;
  }
  std::int64_t had = 0;
  std::int64_t added = 0;
  for (const Block& block : run.blocks) had += block.count;
  for (const CountInterval& interval : run.intervals) added += interval.delta;
  const Block whole{
      .start = run.blocks.front().start, .end = run.blocks.back().end, .count = had + added};
  if (run.intervals.size() > 1 && had + added > CountIndex::kBlockKeys && had <= kLookInto) {
    append_cut(run, had == 0 ? std::vector<std::string>{} : keys_in(range_of(whole)), out);
  } else {
    out.push_back(whole);
  }
}

}  // namespace

std::vector<Block> merge_intervals(
    const std::vector<Block>& blocks, const std::vector<CountInterval>& intervals,
    const std::function<std::vector<std::string>(const KeyRange&)>& keys_in) {
  std::vector<Block> out;
  auto interval = intervals.begin();
  for (std::size_t i = 0; i < blocks.size();) {
    Run run;
    run.blocks.push_back(blocks[i++]);
    // Takes the intervals that start in the run, and more blocks as long as the last of them
    // reaches further.
    for (;;) {
      const std::string end = run.blocks.back().end;
      while (interval != intervals.end() && before_end(interval->start, end)) {
        run.intervals.push_back(*interval++);
      }
      const bool reaches = !run.intervals.empty() && !end.empty() &&
                           (run.intervals.back().end.empty() || run.intervals.back().end > end);
      if (!reaches || i >= blocks.size()) break;
      run.blocks.push_back(blocks[i++]);
    }
    append_run(run, keys_in, out);
  }
  for (std::size_t i = 0; i + 1 < out.size(); ++i) out[i].end = out[i + 1].start;
  return out;
}

}  // namespace bennu::kv::embedded
