#include "kv/embedded/watch_index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace bennu::kv::embedded {
namespace {

std::string random_key(std::mt19937& engine) {
  std::string key;
  for (auto length = 1 + engine() % 4; length > 0; --length) {
    static constexpr std::string_view kBytes("ab\xff\0", 4);
    key.push_back(kBytes[engine() % kBytes.size()]);
  }
  return key;
}

KeyRange random_range(std::mt19937& engine) {
  const std::string key = random_key(engine);
  switch (engine() % 5) {
    case 0:
      return {key, ""};
    case 1:
      return prefix_range(key);
    case 2:
      return {key, std::string(1, '\0')};
    case 3:
      return all_keys();
    default:
      return {key, random_key(engine)};  // also empty ones
  }
}

TEST(WatchIndex, FindsWhatTryingEachRangeFinds) {
  std::mt19937 engine(3);  // NOLINT(cert-msc51-cpp): repeatable on purpose
  WatchIndex<int> index;
  std::vector<std::pair<KeyRange, int>> ranges;
  for (int step = 0; step < 3000; ++step) {
    if (ranges.size() < 30 || engine() % 2 == 0) {
      ranges.emplace_back(random_range(engine), static_cast<int>(engine() % 20));
      index.add(ranges.back().first, ranges.back().second);
    } else {
      const auto at = ranges.begin() + static_cast<std::ptrdiff_t>(engine() % ranges.size());
      index.remove(at->first, at->second);
      ranges.erase(at);
    }
    const std::string key = random_key(engine);
    std::set<int> expected;
    for (const auto& [range, owner] : ranges) {
      if (contains(range, key)) expected.insert(owner);
    }
    std::set<int> found;
    index.match(key, [&](int owner) { found.insert(owner); });
    ASSERT_EQ(found, expected) << step;
  }
  for (const auto& [range, owner] : ranges) index.remove(range, owner);
  EXPECT_TRUE(index.empty());
}

TEST(WatchIndex, VisitsAnOwnerOncePerRange) {
  WatchIndex<int> index;
  index.add({"a", ""}, 1);
  index.add({"a", ""}, 1);
  index.add(prefix_range("a"), 1);
  std::vector<int> found;
  index.match("a", [&](int owner) { found.push_back(owner); });
  EXPECT_THAT(found, testing::ElementsAre(1, 1));
  index.remove({"a", ""}, 1);
  found.clear();
  index.match("a", [&](int owner) { found.push_back(owner); });
  EXPECT_THAT(found, testing::ElementsAre(1, 1));
}

}  // namespace
}  // namespace bennu::kv::embedded
