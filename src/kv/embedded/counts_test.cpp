#include "kv/embedded/counts.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace bennu::kv::embedded {
namespace {

std::int64_t count_of(const std::set<std::string>& keys, const KeyRange& range) {
  std::int64_t count = 0;
  for (const auto& key : keys) count += contains(range, key) ? 1 : 0;
  return count;
}

std::int64_t count_by(const CountIndex& index, const std::set<std::string>& keys,
                      const KeyRange& range) {
  const auto sum = index.count(range);
  std::int64_t count = sum.whole;
  for (const auto& part : sum.scan) count += count_of(keys, part);
  return count;
}

std::string random_key(std::mt19937& random) {
  std::string key;
  const auto length = 1 + random() % 4;
  // "\0" alone ends no block, see CountIndex::split.
  if (length == 1) return std::string(1, static_cast<char>('a' + random() % 6));
  for (std::size_t i = 0; i < length; ++i)
    key.push_back(static_cast<char>(random() % 5 == 0 ? 0 : 'a' + random() % 6));
  return key;
}

TEST(Counts, AgreeWithAScanWhateverIsSplit) {
  std::mt19937 random(7);
  std::set<std::string> keys;
  auto index = std::make_shared<const CountIndex>();
  for (int step = 0; step < 3000; ++step) {
    std::vector<CountDelta> deltas;
    const std::string key = random_key(random);
    if (keys.contains(key)) {
      keys.erase(key);
      deltas.push_back({key, -1});
    } else {
      keys.insert(key);
      deltas.push_back({key, 1});
    }
    index = index->apply(deltas);
    if (step % 3 == 0) {
      const std::string middle = random_key(random);
      const auto block = index->block_of(middle);
      const KeyRange left{.key = block.start.empty() ? std::string(1, '\0') : block.start,
                          .end = middle};
      if (const auto split = index->split(block, middle, count_of(keys, left))) index = split;
    }
    const KeyRange range{.key = random_key(random),
                         .end = random() % 8 == 0 ? std::string(1, '\0') : random_key(random)};
    ASSERT_EQ(count_by(*index, keys, range), count_of(keys, range)) << step;
    ASSERT_EQ(index->total(), static_cast<std::int64_t>(keys.size()));
  }
  EXPECT_GT(index->blocks().size(), 2 * CountIndex::kChunkBlocks);
  const auto loaded = CountIndex::load(index->save({42}));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->revision, Revision{42});
  EXPECT_EQ(loaded->index->blocks().size(), index->blocks().size());
  EXPECT_EQ(count_by(*loaded->index, keys, all_keys()), static_cast<std::int64_t>(keys.size()));
  EXPECT_FALSE(CountIndex::load(index->save({42}).substr(0, 20)));
}

TEST(Counts, StagedIntervalsAgreeWithAScan) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> keys;
    auto index = std::make_shared<const CountIndex>();
    for (int i = 0; i < 40; ++i) {
      if (round % 3 != 0) {
        if (std::string key = random_key(random); keys.insert(key).second)
          index = index->apply(std::vector<CountDelta>{{key, 1}});
      }
      const std::string middle = random_key(random);
      const auto block = index->block_of(middle);
      const KeyRange left{.key = block.start.empty() ? std::string(1, '\0') : block.start,
                          .end = middle};
      if (const auto split = index->split(block, middle, count_of(keys, left))) index = split;
    }
    // A stage that adds keys, cut at other places than the index.
    std::set<std::string> added;
    for (int i = 0; i < 900; ++i) {
      std::string key = random_key(random) + random_key(random);
      if (!keys.contains(key)) added.insert(key);
    }
    std::set<std::string> cuts;
    for (int i = 0; i < 6; ++i) cuts.insert(random_key(random));
    std::vector<CountInterval> intervals;
    std::string start;
    for (const auto& cut : cuts) {
      intervals.push_back({.start = start, .end = cut, .delta = 0});
      start = cut;
    }
    intervals.push_back({.start = start, .end = "", .delta = 0});
    for (auto& interval : intervals) {
      interval.delta =
          count_of(added, {.key = interval.start.empty() ? std::string(1, '\0') : interval.start,
                           .end = interval.end.empty() ? std::string(1, '\0') : interval.end});
    }
    std::erase_if(intervals, [](const auto& interval) { return interval.delta == 0; });
    const CountIndex merged(merge_intervals(index->blocks(), intervals, [&](const KeyRange& range) {
      std::vector<std::string> out;
      for (const auto& key : keys) {
        if (contains(range, key)) out.push_back(key);
      }
      return out;
    }));
    keys.insert(added.begin(), added.end());
    for (int i = 0; i < 30; ++i) {
      const KeyRange range{.key = random_key(random), .end = random_key(random)};
      ASSERT_EQ(count_by(merged, keys, range), count_of(keys, range)) << round;
    }
    ASSERT_EQ(merged.total(), static_cast<std::int64_t>(keys.size())) << round;
  }
}

}  // namespace
}  // namespace bennu::kv::embedded
