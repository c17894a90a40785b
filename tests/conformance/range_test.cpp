// Reading: which keys a range holds, in which order, how many, and at which revision.

#include <gmock/gmock.h>

#include "base/bytes.hpp"
#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using kv::SortOrder;
using kv::SortTarget;
using testing::ElementsAre;
using testing::IsEmpty;

class RangeTest : public Conformance {
 protected:
  // key: b is the oldest, c the newest put, a has most versions; values run the other way.
  void fill() {
    put("b", "m");
    put("a", "z");
    put("a", "z");
    put("c", "a");
    put("b", "m");
    put("a", "z");
    put("c", "a");
    put("a", "z");
    put("c", "a");
    put("c", "a");
    put("c", "a");
  }
};

const std::string kToTheEnd(1, '\0');

TEST_P(RangeTest, SingleKeyCarriesItsNumbers) {
  const auto created = put("k", "one");
  const auto changed = put("k", "two");
  const auto response = range({.range = {.key = "k"}});
  EXPECT_EQ(response.revision, changed);
  EXPECT_EQ(response.count, 1);
  EXPECT_FALSE(response.more);
  ASSERT_EQ(response.kvs.size(), 1U);
  EXPECT_EQ(response.kvs[0], (kv::KeyValue{.key = "k",
                                           .create_revision = created,
                                           .mod_revision = changed,
                                           .version = 2,
                                           .value = "two",
                                           .lease = {}}));
}

TEST_P(RangeTest, AbsentKeyIsAnEmptyAnswer) {
  put("a", "1");
  const auto response = range({.range = {.key = "b"}});
  EXPECT_EQ(response.count, 0);
  EXPECT_FALSE(response.more);
  EXPECT_THAT(response.kvs, IsEmpty());
  EXPECT_EQ(response.revision, revision());
}

TEST_P(RangeTest, EndIsExclusive) {
  put_all({"a", "b", "c", "d"});
  EXPECT_THAT(keys("a", "c"), ElementsAre("a", "b"));
  EXPECT_THAT(keys("b", "d"), ElementsAre("b", "c"));
  EXPECT_THAT(keys("aa", "cc"), ElementsAre("b", "c"));
}

TEST_P(RangeTest, ASingleKeyIsNotAPrefix) {
  put_all({"a", "ab"});
  EXPECT_THAT(keys("a"), ElementsAre("a"));
}

TEST_P(RangeTest, Prefix) {
  put_all({"a", "ab", "abc", "ab\xff", "ac", "b"});
  EXPECT_THAT(keys("ab", prefix_end("ab")), ElementsAre("ab", "abc", "ab\xff"));
  EXPECT_THAT(keys("a", prefix_end("a")), ElementsAre("a", "ab", "abc", "ab\xff", "ac"));
}

TEST_P(RangeTest, PrefixOfLastByteRunsToTheEnd) {
  put_all({"a", "\xff", "\xff\x01", "\xff\xff"});
  ASSERT_EQ(prefix_end("\xff"), kToTheEnd);
  EXPECT_THAT(keys("\xff", prefix_end("\xff")), ElementsAre("\xff", "\xff\x01", "\xff\xff"));
}

TEST_P(RangeTest, FromKey) {
  put_all({"a", "b", "c", "\xff\xff"});
  EXPECT_THAT(keys("b", kToTheEnd), ElementsAre("b", "c", "\xff\xff"));
  EXPECT_THAT(keys("bb", kToTheEnd), ElementsAre("c", "\xff\xff"));
}

TEST_P(RangeTest, WholeSpace) {
  put_all({"\0"s, "\0a"s, "a", "\xff"});
  const auto everything = kv::all_keys();
  EXPECT_THAT(keys(everything.key, everything.end), ElementsAre("\0"s, "\0a"s, "a", "\xff"));
}

TEST_P(RangeTest, EmptyAndInvertedRangesHoldNothing) {
  put_all({"a", "b", "c"});
  EXPECT_THAT(keys("b", "b"), IsEmpty());
  EXPECT_THAT(keys("c", "a"), IsEmpty());
  EXPECT_THAT(keys("bb", "bc"), IsEmpty());
  EXPECT_EQ(range({.range = {.key = "c", .end = "a"}, .count_only = true}).count, 0);
}

TEST_P(RangeTest, EmptyKeyIsRefused) {
  expect_error(store().range({.range = {}}), Code::kInvalidArgument, kv::reason::kEmptyKey);
  expect_error(store().range({.range = {.key = "", .end = kToTheEnd}}), Code::kInvalidArgument,
               kv::reason::kEmptyKey);
}

TEST_P(RangeTest, LimitSaysMoreAndCountsAll) {
  put_all({"a", "b", "c", "d"});
  const auto two = range({.range = {.key = "a", .end = "z"}, .limit = 2});
  EXPECT_THAT(keys_of(two.kvs), ElementsAre("a", "b"));
  EXPECT_TRUE(two.more);
  EXPECT_EQ(two.count, 4);
  const auto four = range({.range = {.key = "a", .end = "z"}, .limit = 4});
  EXPECT_EQ(four.kvs.size(), 4U);
  EXPECT_FALSE(four.more);
  EXPECT_EQ(four.count, 4);
  const auto five = range({.range = {.key = "a", .end = "z"}, .limit = 5});
  EXPECT_EQ(five.kvs.size(), 4U);
  EXPECT_FALSE(five.more);
}

TEST_P(RangeTest, KeysOnlyLeavesOutValuesAlone) {
  const auto at = put("a", "value");
  const auto response = range({.range = {.key = "a"}, .keys_only = true});
  ASSERT_EQ(response.kvs.size(), 1U);
  EXPECT_EQ(response.kvs[0].value, "");
  EXPECT_EQ(response.kvs[0].mod_revision, at);
  EXPECT_EQ(response.kvs[0].version, 1);
  EXPECT_EQ(response.count, 1);
}

TEST_P(RangeTest, KeysOnlyStillSortsByValue) {
  put("a", "3");
  put("b", "1");
  put("c", "2");
  const auto response = range({.range = {.key = "a", .end = "z"},
                               .sort_order = SortOrder::kAscend,
                               .sort_target = SortTarget::kValue,
                               .keys_only = true});
  EXPECT_THAT(keys_of(response.kvs), ElementsAre("b", "c", "a"));
  EXPECT_EQ(response.kvs[0].value, "");
}

TEST_P(RangeTest, CountOnly) {
  put_all({"a", "b", "c"});
  const auto response = range({.range = {.key = "a", .end = "c"}, .count_only = true});
  EXPECT_EQ(response.count, 2);
  EXPECT_THAT(response.kvs, IsEmpty());
  EXPECT_FALSE(response.more);
}

TEST_P(RangeTest, CountOnlyIgnoresLimitAndFilters) {
  const auto first = put_all({"a"});
  put_all({"b", "c"});
  const auto response = range({.range = {.key = "a", .end = "z"},
                               .limit = 1,
                               .count_only = true,
                               .max_mod_revision = first});
  EXPECT_EQ(response.count, 3);
  EXPECT_FALSE(response.more);
}

TEST_P(RangeTest, CountFollowsDeletes) {
  put_all({"a", "b", "c"});
  const auto before = revision();
  erase("b");
  EXPECT_EQ(range({.range = {.key = "a", .end = "z"}, .count_only = true}).count, 2);
  EXPECT_EQ(
      range({.range = {.key = "a", .end = "z"}, .revision = before, .count_only = true}).count, 3);
}

// Every target in every order, over values chosen so that no two targets give the same order.
struct Sorting {
  SortTarget target;
  std::vector<std::string> ascending;
};

TEST_P(RangeTest, SortedByEveryTargetAndOrder) {
  fill();
  const std::vector<Sorting> sortings = {
      {SortTarget::kKey, {"a", "b", "c"}},
      {SortTarget::kVersion, {"b", "a", "c"}},
      {SortTarget::kCreateRevision, {"b", "a", "c"}},
      {SortTarget::kModRevision, {"b", "a", "c"}},
      {SortTarget::kValue, {"c", "b", "a"}},
  };
  for (const auto& sorting : sortings) {
    SCOPED_TRACE(static_cast<int>(sorting.target));
    const kv::KeyRange everything{.key = "a", .end = "z"};
    const auto up = range(
        {.range = everything, .sort_order = SortOrder::kAscend, .sort_target = sorting.target});
    EXPECT_EQ(keys_of(up.kvs), sorting.ascending);
    const auto down = range(
        {.range = everything, .sort_order = SortOrder::kDescend, .sort_target = sorting.target});
    EXPECT_EQ(keys_of(down.kvs), std::vector(sorting.ascending.rbegin(), sorting.ascending.rend()));
    // No order but a target: ascending, as etcd does it.
    const auto unspecified = range({.range = everything, .sort_target = sorting.target});
    EXPECT_EQ(keys_of(unspecified.kvs), sorting.ascending);
  }
}

TEST_P(RangeTest, LimitIsTakenAfterSorting) {
  fill();
  const auto newest = range({.range = {.key = "a", .end = "z"},
                             .limit = 1,
                             .sort_order = SortOrder::kDescend,
                             .sort_target = SortTarget::kModRevision});
  EXPECT_THAT(keys_of(newest.kvs), ElementsAre("c"));
  EXPECT_TRUE(newest.more);
  EXPECT_EQ(newest.count, 3);
  const auto last_key = range({.range = {.key = "a", .end = "z"},
                               .limit = 2,
                               .sort_order = SortOrder::kDescend,
                               .sort_target = SortTarget::kKey});
  EXPECT_THAT(keys_of(last_key.kvs), ElementsAre("c", "b"));
}

TEST_P(RangeTest, SortedAtAnOldRevision) {
  put("a", "2");
  const auto old = put("b", "1");
  put("b", "3");
  const auto response = range({.range = {.key = "a", .end = "z"},
                               .revision = old,
                               .sort_order = SortOrder::kAscend,
                               .sort_target = SortTarget::kValue});
  EXPECT_THAT(keys_of(response.kvs), ElementsAre("b", "a"));
}

TEST_P(RangeTest, ModRevisionBoundsAreInclusive) {
  const auto a = put("a", "1");
  const auto b = put("b", "1");
  const auto c = put("c", "1");
  const kv::KeyRange everything{.key = "a", .end = "z"};
  EXPECT_THAT(keys_of(range({.range = everything, .min_mod_revision = b}).kvs),
              ElementsAre("b", "c"));
  EXPECT_THAT(keys_of(range({.range = everything, .max_mod_revision = b}).kvs),
              ElementsAre("a", "b"));
  const auto both = range({.range = everything, .min_mod_revision = b, .max_mod_revision = b});
  EXPECT_THAT(keys_of(both.kvs), ElementsAre("b"));
  EXPECT_EQ(both.count, 3) << "the count is of the range, whatever the filters";
  EXPECT_FALSE(both.more);
  EXPECT_THAT(range({.range = everything, .min_mod_revision = c, .max_mod_revision = a}).kvs,
              IsEmpty());
}

TEST_P(RangeTest, CreateRevisionBoundsAreInclusive) {
  const auto a = put("a", "1");
  const auto b = put("b", "1");
  put("c", "1");
  put("a", "2");  // changes mod only
  const kv::KeyRange everything{.key = "a", .end = "z"};
  EXPECT_THAT(keys_of(range({.range = everything, .min_create_revision = b}).kvs),
              ElementsAre("b", "c"));
  EXPECT_THAT(keys_of(range({.range = everything, .max_create_revision = b}).kvs),
              ElementsAre("a", "b"));
  EXPECT_THAT(
      keys_of(range({.range = everything, .min_mod_revision = b, .max_create_revision = a}).kvs),
      ElementsAre("a"));
}

TEST_P(RangeTest, LimitIsTakenAfterFilters) {
  put("a", "1");
  const auto b = put("b", "1");
  put_all({"c", "d"});
  const auto response =
      range({.range = {.key = "a", .end = "z"}, .limit = 2, .min_mod_revision = b});
  EXPECT_THAT(keys_of(response.kvs), ElementsAre("b", "c"));
  EXPECT_TRUE(response.more);
  const auto all = range({.range = {.key = "a", .end = "z"}, .limit = 3, .min_mod_revision = b});
  EXPECT_EQ(all.kvs.size(), 3U);
  EXPECT_FALSE(all.more);
}

TEST_P(RangeTest, OldRevisionsStayReadable) {
  const auto one = put("k", "one");
  const auto two = put("k", "two");
  const auto gone = erase("k");
  const auto three = put("k", "three");
  ASSERT_TRUE(get("k", one).has_value());
  EXPECT_EQ(get("k", one)->value, "one");
  EXPECT_EQ(get("k", two)->value, "two");
  EXPECT_EQ(get("k", two)->version, 2);
  EXPECT_FALSE(get("k", gone).has_value());
  EXPECT_EQ(get("k", three)->value, "three");
  EXPECT_EQ(get("k", three)->version, 1) << "a key that was deleted begins anew";
  EXPECT_EQ(get("k", three)->create_revision, three);
  EXPECT_FALSE(get("k", one.previous()).has_value());
}

TEST_P(RangeTest, AReadInThePastNamesTheNewestRevision) {
  const auto old = put("a", "1");
  const auto newest = put("b", "1");
  const auto response = range({.range = {.key = "a", .end = "z"}, .revision = old});
  EXPECT_EQ(response.revision, newest);
  EXPECT_THAT(keys_of(response.kvs), ElementsAre("a"));
  EXPECT_EQ(response.count, 1);
}

TEST_P(RangeTest, LimitAtAnOldRevision) {
  put_all({"a", "b", "c"});
  const auto old = revision();
  erase("a", "z");
  const auto response = range({.range = {.key = "a", .end = "z"}, .limit = 2, .revision = old});
  EXPECT_THAT(keys_of(response.kvs), ElementsAre("a", "b"));
  EXPECT_TRUE(response.more);
  EXPECT_EQ(response.count, 3);
}

TEST_P(RangeTest, FutureRevisionIsRefused) {
  const auto newest = put("a", "1");
  EXPECT_TRUE(get("a", newest).has_value());
  expect_error(store().range({.range = {.key = "a"}, .revision = newest.next()}), Code::kOutOfRange,
               kv::reason::kFutureRevision);
  expect_error(
      store().range({.range = {.key = "a"}, .revision = newest.next(), .count_only = true}),
      Code::kOutOfRange, kv::reason::kFutureRevision);
}

TEST_P(RangeTest, ReadsDoNotMakeRevisions) {
  const auto before = put("a", "1");
  get("a");
  get("none");
  EXPECT_EQ(revision(), before);
}

TEST_P(RangeTest, SerializableReadsTheSameHere) {
  put("a", "1");
  const auto response = range({.range = {.key = "a"}, .serializable = true});
  EXPECT_THAT(keys_of(response.kvs), ElementsAre("a"));
}

TEST_P(RangeTest, ManyKeysInOrderAndCounted) {
  constexpr int kKeys = 2'000;
  for (int first = 0; first < kKeys; first += 100) {
    kv::TxnRequest txn;
    for (int i = first; i < first + 100; ++i) {
      // Not in key order, and neighbours of different lengths.
      txn.success.push_back(op_put("many/" + std::to_string((i * 7919) % kKeys), "v"));
    }
    value_of(store().txn(txn));
  }
  const auto all = range({.range = kv::prefix_range("many/")});
  EXPECT_EQ(all.count, kKeys);
  const auto found = keys_of(all.kvs);
  EXPECT_TRUE(std::ranges::is_sorted(found));
  EXPECT_EQ(found.size(), static_cast<std::size_t>(kKeys));
  EXPECT_EQ(range({.range = kv::prefix_range("many/1"), .count_only = true}).count,
            1 + 10 + 100 + 1000);
  EXPECT_EQ(range({.range = {.key = "many/5", .end = kToTheEnd}, .count_only = true}).count,
            5 * 111);
}

BENNU_CONFORMANCE(RangeTest);

}  // namespace
}  // namespace bennu::conformance
