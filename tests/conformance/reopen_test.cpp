// What was answered is there after the store was closed and opened again (and etcd killed and
// started again).

#include <gmock/gmock.h>

#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class ReopenTest : public Conformance {};

TEST_P(ReopenTest, KeysAndTheirNumbersStay) {
  const auto lease = grant();
  put("a", "1");
  put("a", "2", lease);
  put("b\0\xff"s, "\0"s);
  put("gone", "1");
  erase("gone");
  const auto before = range({.range = kv::all_keys()});
  reopen();
  const auto after = range({.range = kv::all_keys()});
  EXPECT_EQ(after.kvs, before.kvs);
  EXPECT_EQ(after.count, 2);
  EXPECT_EQ(after.revision, before.revision);
  EXPECT_EQ(put("c", "1"), before.revision.next()) << "revisions go on without a gap";
  EXPECT_EQ(put("a", "3"), before.revision.next().next());
  EXPECT_EQ(get("a")->version, 3);
}

TEST_P(ReopenTest, HistoryStays) {
  const auto one = put("a", "1");
  const auto two = put("a", "2");
  erase("a");
  value_of(store().txn({.success = {op_put("x", "1"), op_put("y", "1")}}));
  const auto hash = value_of(store().hash(two));
  reopen();
  EXPECT_EQ(get("a", one)->value, "1");
  EXPECT_EQ(get("a", two)->value, "2");
  EXPECT_FALSE(get("a").has_value());
  EXPECT_EQ(value_of(store().hash(two)).hash, hash.hash);
  const auto stream = watch_stream();
  watch(*stream, {.range = kv::all_keys(), .start_revision = one, .prev_kv = true});
  put("z", "live");
  const auto seen = events(*stream, 6);
  EXPECT_THAT(describe(seen),
              ElementsAre("PUT a=1", "PUT a=2", "DELETE a", "PUT x=1", "PUT y=1", "PUT z=live"));
  EXPECT_EQ(seen[2].prev_kv.at(0).value, "2");
}

TEST_P(ReopenTest, CompactionStays) {
  const auto one = put("a", "1");
  const auto two = put("a", "2");
  put("a", "3");
  value_of(store().compact(two, false));
  reopen();
  expect_error(store().range({.range = {.key = "a"}, .revision = one}), Code::kOutOfRange,
               kv::reason::kCompacted);
  expect_error(store().compact(two, false), Code::kOutOfRange, kv::reason::kCompacted);
  EXPECT_EQ(get("a", two)->value, "2");
  EXPECT_EQ(value_of(store().hash({})).compact_revision, two);
}

TEST_P(ReopenTest, LeasesAndWhatHangsOnThemStay) {
  const auto one = grant(5'000);
  const auto two = grant(6'000);
  const auto revoked = grant();
  put("a", "1", one);
  put("b", "1", two);
  put("b", "2", one);
  put("c", "1", one);
  put("c", "2");
  value_of(store().lease_revoke(revoked));
  reopen();
  EXPECT_THAT(value_of(store().leases()).leases, UnorderedElementsAre(one, two));
  const auto first = value_of(store().lease_time_to_live(one, true));
  EXPECT_EQ(first.granted_ttl_s, 5'000);
  EXPECT_THAT(first.keys, ElementsAre("a", "b"));
  EXPECT_EQ(value_of(store().lease_time_to_live(two, true)).keys.size(), 0U);
  EXPECT_EQ(value_of(store().lease_keep_alive(two)).ttl_s, 6'000);
  expect_error(store().lease_grant({.id = one, .ttl_s = 100}), Code::kFailedPrecondition,
               kv::reason::kLeaseExists);
  value_of(store().lease_revoke(one));
  EXPECT_THAT(keys("a", "z"), ElementsAre("c"));
}

TEST_P(ReopenTest, ALeaseStillExpires) {
  const auto id = value_of(store().lease_grant({.ttl_s = 1})).id;
  put("a", "1", id);
  reopen();
  eventually([&] { return !get("a").has_value(); });
  EXPECT_EQ(value_of(store().lease_time_to_live(id, false)).ttl_s, -1);
}

TEST_P(ReopenTest, ManyTimes) {
  const auto before = revision();
  for (int i = 0; i < 5; ++i) {
    put("k" + std::to_string(i), "1");
    put("same", std::to_string(i));
    reopen();
  }
  EXPECT_EQ(revision().value, before.value + 10);
  EXPECT_EQ(get("same")->version, 5);
  EXPECT_EQ(range({.range = kv::prefix_range("k"), .count_only = true}).count, 5);
}

TEST_P(ReopenTest, CountsStayRight) {
  constexpr int kKeys = 3'000;
  for (int first = 0; first < kKeys; first += 100) {
    kv::TxnRequest txn;
    for (int i = first; i < first + 100; ++i)
      txn.success.push_back(op_put("k" + std::to_string(10'000 + i), "v"));
    value_of(store().txn(txn));
  }
  erase("k10500", "k11000");
  reopen();
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, kKeys - 500);
  EXPECT_EQ(range({.range = {.key = "k1040", .end = "k1110"}, .count_only = true}).count, 200);
  erase("k12000", "k12010");
  put("new", "1");
  reopen();
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, kKeys - 509);
}

TEST_P(ReopenTest, AStagedCommitStaysAndAnAbandonedOneDoesNot) {
  if (!store().capabilities().atomic_staging) {
    GTEST_SKIP() << "this engine has no staged transactions";
  }
  put("a", "1");
  put("b", "1");
  auto committed = value_of(store().stage());
  auto abandoned = value_of(store().stage());
  value_of(committed->put("a", "staged"));
  value_of(committed->erase("b"));
  value_of(abandoned->put("c", "never"));
  value_of(abandoned->put("a", "never"));
  const auto at = value_of(committed->commit({}, {}));
  committed.reset();
  abandoned.reset();
  reopen();
  EXPECT_EQ(revision(), at);
  EXPECT_THAT(keys("a", "z"), ElementsAre("a"));
  EXPECT_EQ(get("a")->value, "staged");
  EXPECT_EQ(get("a")->version, 2);
  EXPECT_EQ(get("b", at.previous())->value, "1");
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, 1);
}

BENNU_CONFORMANCE(ReopenTest);

}  // namespace
}  // namespace bennu::conformance
