// Keys and values are any bytes; how large they may be.

#include <algorithm>

#include <gmock/gmock.h>

#include "base/limits.hpp"
#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

class BytesTest : public Conformance {
 protected:
  // etcd's bound is on the whole request, so a value may be smaller than it by what goes around it.
  static constexpr std::size_t kSlack = 4UL * 1024;

  /// Not compressible to nothing, and different everywhere.
  static std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    std::uint32_t state = 1;
    for (char& byte : bytes) {
      state = state * 1664525U + 1013904223U;
      byte = static_cast<char>(state >> 24U);
    }
    return bytes;
  }
};

TEST_P(BytesTest, EveryByteIsAKeyAndSortsAsUnsigned) {
  std::vector<std::string> all;
  for (int byte = 0; byte < 256; ++byte) all.emplace_back(1, static_cast<char>(byte));
  // Backwards, so that the order is not that of the puts.
  for (auto key = all.rbegin(); key != all.rend(); ++key) put(*key, *key);
  const auto response = range({.range = kv::all_keys()});
  EXPECT_THAT(keys_of(response.kvs), ElementsAreArray(all));
  for (const auto& kv : response.kvs) EXPECT_EQ(kv.value, kv.key);
}

TEST_P(BytesTest, ZeroBytesInsideKeysKeepTheirOrder) {
  const std::vector<std::string> sorted = {
      "a"s,     "a\0"s,     "a\0\0"s, "a\0\0\xff"s, "a\0\x01"s,   "a\0a"s,      "a\0\xff"s,
      "a\x01"s, "a\x01\0"s, "a\xff"s, "a\xff\0"s,   "a\xff\x01"s, "a\xff\xff"s, "b"s};
  ASSERT_TRUE(std::ranges::is_sorted(sorted));
  for (auto key = sorted.rbegin(); key != sorted.rend(); ++key) put(*key, "v");
  EXPECT_THAT(keys("a", "c"), ElementsAreArray(sorted));
  EXPECT_THAT(keys("a", "a\0"s), ElementsAre("a")) << "the next key after a is a and a zero byte";
  EXPECT_THAT(keys("a\0"s, "a\x01"),
              ElementsAre("a\0"s, "a\0\0"s, "a\0\0\xff"s, "a\0\x01"s, "a\0a"s, "a\0\xff"s));
  for (const auto& key : sorted) EXPECT_TRUE(get(key).has_value());
  // Ends, single deletes and counts, too, treat each as a key of its own.
  EXPECT_EQ(value_of(store().delete_range({.range = {.key = "a\0"s}})).deleted, 1);
  EXPECT_EQ(range({.range = {.key = "a", .end = "c"}, .count_only = true}).count,
            static_cast<std::int64_t>(sorted.size()) - 1);
}

TEST_P(BytesTest, ValuesOfEveryByte) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every.push_back(static_cast<char>(byte));
  put("k", every);
  EXPECT_EQ(get("k")->value, every);
  put("k", std::string(3, '\0'));
  EXPECT_EQ(get("k")->value, std::string(3, '\0'));
}

TEST_P(BytesTest, AnEmptyValueIsAValue) {
  put("k", "");
  ASSERT_TRUE(get("k").has_value());
  EXPECT_EQ(get("k")->value, "");
  EXPECT_EQ(get("k")->version, 1);
  EXPECT_EQ(range({.range = {.key = "k"}}).count, 1);
  value_of(store().put({.key = "k", .value = "", .ignore_value = true}));
  EXPECT_EQ(get("k")->version, 2);
}

TEST_P(BytesTest, BinaryKeysInWatches) {
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "\0\xff"s, .end = "\0\xff\xff"s}, .prev_kv = true});
  put("\0"s, "no");
  put("\0\xff\0"s, "\0\xff"s);
  put("\0\xff\xff"s, "no");
  erase("\0\xff\0"s);
  const auto seen = events(*stream, 2);
  EXPECT_EQ(seen[0].kv.key, "\0\xff\0"s);
  EXPECT_EQ(seen[0].kv.value, "\0\xff"s);
  EXPECT_EQ(seen[1].prev_kv.at(0).value, "\0\xff"s);
}

TEST_P(BytesTest, BinaryKeysOnLeases) {
  const auto id = grant();
  put("\0b"s, "1", id);
  put("\xff"s, "1", id);
  put("\0"s, "1", id);
  EXPECT_THAT(value_of(store().lease_time_to_live(id, true)).keys,
              ElementsAre("\0"s, "\0b"s, "\xff"s));
  value_of(store().lease_revoke(id));
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, 0);
}

TEST_P(BytesTest, ALargeValueComesBackWhole) {
  const std::string large = noise(limits::kMaxValueBytes - kSlack);
  const auto at = put("k", large);
  EXPECT_EQ(get("k")->value, large);
  const auto previous = value_of(store().put({.key = "k", .value = "small", .prev_kv = true}));
  EXPECT_EQ(previous.prev_kv.at(0).value, large);
  EXPECT_EQ(get("k", at)->value, large);
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "k"}, .start_revision = at, .prev_kv = true});
  const auto seen = events(*stream, 2);
  EXPECT_EQ(seen[0].kv.value, large);
  EXPECT_EQ(seen[1].prev_kv.at(0).value, large);
}

TEST_P(BytesTest, ManyLargeValuesInOneAnswer) {
  const std::string large = noise(limits::kMaxValueBytes - kSlack);
  for (int i = 0; i < 8; ++i) put("k" + std::to_string(i), large);
  const auto response = range({.range = kv::prefix_range("k")});
  ASSERT_EQ(response.kvs.size(), 8U);
  for (const auto& kv : response.kvs) EXPECT_EQ(kv.value, large);
}

TEST_P(BytesTest, OverTheLimitIsRefusedAndLeavesNothing) {
  const auto before = put("k", "before");
  // Just over, and far over (where gRPC would refuse it with an error of its own).
  for (const std::size_t size : {limits::kMaxValueBytes + kSlack, 4 * limits::kMaxValueBytes}) {
    const std::string value(size, 'x');
    expect_error(store().put({.key = "k", .value = value}), Code::kInvalidArgument,
                 kv::reason::kTooLarge);
    expect_error(store().txn({.success = {op_put("j", "1"), op_put("k", value)}}),
                 Code::kInvalidArgument, kv::reason::kTooLarge);
    expect_error(store().txn({.failure = {op_txn({.success = {op_put("k", value)}})}}),
                 Code::kInvalidArgument, kv::reason::kTooLarge);
  }
  EXPECT_EQ(revision(), before);
  EXPECT_EQ(get("k")->value, "before");
}

TEST_P(BytesTest, LongKeys) {
  const std::string longest(limits::kMaxKeyBytes, 'k');
  const std::string neighbour = longest.substr(1) + "l";
  put(longest, "1");
  put(neighbour, "2");
  EXPECT_EQ(get(longest)->value, "1");
  EXPECT_EQ(get(neighbour)->value, "2");
  EXPECT_THAT(keys("k", "z"), ElementsAre(longest, neighbour));
  const auto over = store().put({.key = longest + "k", .value = "3"});
  if (traits().bounds_keys) {
    expect_error(over, Code::kInvalidArgument, kv::reason::kTooLarge);
  } else {
    EXPECT_TRUE(over.has_value());
  }
  // Reading with such a key is a question with an answer, whatever may be stored.
  EXPECT_EQ(range({.range = {.key = longest + longest}}).count, 0);
  EXPECT_EQ(range({.range = {.key = "a", .end = longest + longest}}).count, over ? 2 : 1);
}

BENNU_CONFORMANCE(BytesTest);

}  // namespace
}  // namespace bennu::conformance
