// Leases: grant, revoke, keep alive, time to live, list, what hangs on them, and expiry. Nothing
// here depends on how fast the machine is: expiry is waited for, and only "not before its time" is
// measured.

#include <algorithm>

#include <gmock/gmock.h>

#include "conformance.hpp"
#include "env/clock.hpp"

namespace bennu::conformance {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class LeaseTest : public Conformance {
 protected:
  kv::LeaseTimeToLiveResponse time_to_live(LeaseId id) {
    return value_of(store().lease_time_to_live(id, true));
  }
  std::vector<LeaseId> leases() { return value_of(store().leases()).leases; }
};

TEST_P(LeaseTest, GrantPicksAnId) {
  const auto before = revision();
  const auto one = value_of(store().lease_grant({.ttl_s = 100}));
  const auto two = value_of(store().lease_grant({.ttl_s = 100}));
  EXPECT_GT(one.id.value, 0);
  EXPECT_NE(one.id, two.id);
  EXPECT_EQ(one.ttl_s, 100);
  EXPECT_EQ(one.revision, before);
  EXPECT_EQ(revision(), before) << "a lease is no change of a key";
}

TEST_P(LeaseTest, GrantTakesTheIdGiven) {
  const auto response = value_of(store().lease_grant({.id = LeaseId{4711}, .ttl_s = 100}));
  EXPECT_EQ(response.id, LeaseId{4711});
  EXPECT_THAT(leases(), ElementsAre(LeaseId{4711}));
}

TEST_P(LeaseTest, AnIdInUseIsRefused) {
  value_of(store().lease_grant({.id = LeaseId{4711}, .ttl_s = 100}));
  expect_error(store().lease_grant({.id = LeaseId{4711}, .ttl_s = 200}), Code::kFailedPrecondition,
               kv::reason::kLeaseExists);
  EXPECT_EQ(time_to_live(LeaseId{4711}).granted_ttl_s, 100);
  value_of(store().lease_revoke(LeaseId{4711}));
  EXPECT_EQ(value_of(store().lease_grant({.id = LeaseId{4711}, .ttl_s = 200})).ttl_s, 200);
}

TEST_P(LeaseTest, TtlBounds) {
  constexpr std::int64_t kLargest = 9'000'000'000;
  EXPECT_EQ(value_of(store().lease_grant({.ttl_s = kLargest})).ttl_s, kLargest);
  expect_error(store().lease_grant({.ttl_s = kLargest + 1}), Code::kOutOfRange,
               kv::reason::kLeaseTtlTooLarge);
  EXPECT_EQ(value_of(store().lease_grant({.ttl_s = 0})).ttl_s, traits().min_ttl_s);
  EXPECT_EQ(value_of(store().lease_grant({.ttl_s = -5})).ttl_s, traits().min_ttl_s);
}

TEST_P(LeaseTest, List) {
  EXPECT_THAT(leases(), IsEmpty());
  const auto a = grant();
  const auto b = grant();
  EXPECT_THAT(leases(), UnorderedElementsAre(a, b));
  value_of(store().lease_revoke(a));
  EXPECT_THAT(leases(), UnorderedElementsAre(b));
}

TEST_P(LeaseTest, TimeToLive) {
  const auto id = grant(1'000);
  put("b", "1", id);
  put("a", "1", id);
  const auto with_keys = value_of(store().lease_time_to_live(id, true));
  EXPECT_EQ(with_keys.granted_ttl_s, 1'000);
  EXPECT_LE(with_keys.ttl_s, 1'000);
  EXPECT_GT(with_keys.ttl_s, 0);
  EXPECT_THAT(with_keys.keys, ElementsAre("a", "b"));
  EXPECT_THAT(value_of(store().lease_time_to_live(id, false)).keys, IsEmpty());
}

TEST_P(LeaseTest, TimeToLiveOfAnUnknownLeaseIsAnAnswer) {
  const auto response = value_of(store().lease_time_to_live(LeaseId{404}, true));
  EXPECT_EQ(response.ttl_s, -1);
  EXPECT_EQ(response.granted_ttl_s, 0);
  EXPECT_THAT(response.keys, IsEmpty());
}

TEST_P(LeaseTest, RevokeDeletesItsKeysInOneRevision) {
  const auto id = grant();
  put("c", "1", id);
  put("a", "1", id);
  put("b", "other");
  const auto before = put("d", "1", id);
  const auto stream = watch_stream();
  watch(*stream, {.range = kv::all_keys(), .prev_kv = true});
  const auto at = value_of(store().lease_revoke(id));
  EXPECT_EQ(at, before.next());
  EXPECT_EQ(revision(), at);
  EXPECT_THAT(keys("a", "z"), ElementsAre("b"));
  const auto response = next(*stream);
  EXPECT_THAT(describe(response.events), ElementsAre("DELETE a", "DELETE c", "DELETE d"));
  for (const auto& event : response.events) {
    EXPECT_EQ(event.kv.mod_revision, at);
    ASSERT_EQ(event.prev_kv.size(), 1U);
    EXPECT_EQ(event.prev_kv[0].lease, id);
  }
}

TEST_P(LeaseTest, RevokeWithoutKeysIsNoRevision) {
  const auto before = put("a", "1");
  EXPECT_EQ(value_of(store().lease_revoke(grant())), before);
  EXPECT_EQ(revision(), before);
}

TEST_P(LeaseTest, RevokeOfAnUnknownLeaseIsRefused) {
  expect_error(store().lease_revoke(LeaseId{404}), Code::kNotFound, kv::reason::kLeaseNotFound);
  const auto id = grant();
  value_of(store().lease_revoke(id));
  expect_error(store().lease_revoke(id), Code::kNotFound, kv::reason::kLeaseNotFound);
  expect_error(store().put({.key = "a", .value = "1", .lease = id}), Code::kNotFound,
               kv::reason::kLeaseNotFound);
}

TEST_P(LeaseTest, APutWithoutLeaseDetaches) {
  const auto id = grant();
  put("a", "1", id);
  put("a", "2");
  EXPECT_THAT(time_to_live(id).keys, IsEmpty());
  value_of(store().lease_revoke(id));
  EXPECT_EQ(get("a")->value, "2");
}

TEST_P(LeaseTest, APutWithAnotherLeaseMoves) {
  const auto one = grant();
  const auto two = grant();
  put("a", "1", one);
  put("a", "2", two);
  EXPECT_THAT(time_to_live(one).keys, IsEmpty());
  EXPECT_THAT(time_to_live(two).keys, ElementsAre("a"));
  value_of(store().lease_revoke(one));
  EXPECT_TRUE(get("a").has_value());
  value_of(store().lease_revoke(two));
  EXPECT_FALSE(get("a").has_value());
}

TEST_P(LeaseTest, APutWithTheSameLeaseStays) {
  const auto id = grant();
  put("a", "1", id);
  put("a", "2", id);
  EXPECT_THAT(time_to_live(id).keys, ElementsAre("a"));
}

TEST_P(LeaseTest, ADeleteDetaches) {
  const auto id = grant();
  put("a", "1", id);
  put("b", "1", id);
  erase("a");
  EXPECT_THAT(time_to_live(id).keys, ElementsAre("b"));
  put("a", "2");
  value_of(store().lease_revoke(id));
  EXPECT_THAT(keys("a", "z"), ElementsAre("a"));
}

TEST_P(LeaseTest, ATransactionDetachesAndAttaches) {
  const auto id = grant();
  put("a", "1", id);
  put("b", "1", id);
  value_of(store().txn({.success = {op_put("a", "2"),
                                    op_delete("b"),
                                    {kv::PutRequest{.key = "c", .value = "1", .lease = id}}}}));
  EXPECT_THAT(time_to_live(id).keys, ElementsAre("c"));
}

TEST_P(LeaseTest, AFailedPutAttachesNothing) {
  const auto id = grant();
  expect_error(store().put({.key = "a", .value = "", .lease = id, .ignore_value = true}),
               Code::kInvalidArgument, kv::reason::kKeyNotFound);
  EXPECT_THAT(time_to_live(id).keys, IsEmpty());
}

TEST_P(LeaseTest, OldRevisionsRememberTheLease) {
  const auto id = grant();
  const auto at = put("a", "1", id);
  put("a", "2");
  EXPECT_EQ(get("a", at)->lease, id);
  EXPECT_EQ(get("a")->lease, LeaseId{});
}

TEST_P(LeaseTest, KeepAliveAnswersTheGrantedTtl) {
  const auto id = grant(500);
  EXPECT_EQ(value_of(store().lease_keep_alive(id)).ttl_s, 500);
  EXPECT_EQ(value_of(store().lease_keep_alive(id)).revision, revision());
}

TEST_P(LeaseTest, KeepAliveOfAnUnknownLeaseIsRefused) {
  expect_error(store().lease_keep_alive(LeaseId{404}), Code::kNotFound, kv::reason::kLeaseNotFound);
}

TEST_P(LeaseTest, KeepAliveStartsTheTimeAnew) {
  const auto id = grant(100);
  eventually([&] { return time_to_live(id).ttl_s <= 98; });
  eventually([&] {
    value_of(store().lease_keep_alive(id));
    return time_to_live(id).ttl_s >= 99;
  });
}

TEST_P(LeaseTest, ExpiryDeletesItsKeysInOneRevisionAndNotBeforeItsTime) {
  constexpr std::int64_t kTtl = 1;
  auto& clock = env::system_clock();
  const auto began = clock.monotonic();
  const auto granted = value_of(store().lease_grant({.ttl_s = kTtl}));
  const auto stays = grant();
  value_of(store().txn({.success = {{kv::PutRequest{.key = "b", .value = "1", .lease = granted.id}},
                                    {kv::PutRequest{.key = "a", .value = "1", .lease = granted.id}},
                                    {kv::PutRequest{.key = "c", .value = "1", .lease = stays}}}}));
  const auto from = revision().next();
  const auto stream = watch_stream();
  watch(*stream, {.range = kv::all_keys(), .start_revision = from});
  const auto response = next(*stream);
  EXPECT_GE(clock.monotonic() - began, std::chrono::seconds{granted.ttl_s});
  EXPECT_THAT(describe(response.events), ElementsAre("DELETE a", "DELETE b"));
  EXPECT_EQ(response.events.at(0).kv.mod_revision, from);
  EXPECT_EQ(response.events.at(1).kv.mod_revision, from);

  EXPECT_THAT(keys("a", "z"), ElementsAre("c"));
  EXPECT_EQ(time_to_live(granted.id).ttl_s, -1);
  EXPECT_THAT(leases(), Not(Contains(granted.id)));
  expect_error(store().lease_keep_alive(granted.id), Code::kNotFound, kv::reason::kLeaseNotFound);
  expect_error(store().put({.key = "d", .value = "1", .lease = granted.id}), Code::kNotFound,
               kv::reason::kLeaseNotFound);
}

TEST_P(LeaseTest, ExpiryWithoutKeysIsNoRevision) {
  const auto before = put("a", "1");
  const auto id = value_of(store().lease_grant({.ttl_s = 1})).id;
  eventually([&] { return time_to_live(id).ttl_s == -1; });
  EXPECT_EQ(revision(), before);
}

TEST_P(LeaseTest, ManyKeysOnOneLease) {
  const auto id = grant();
  kv::TxnRequest txn;
  for (int i = 0; i < 100; ++i) {
    txn.success.push_back(
        {kv::PutRequest{.key = "k" + std::to_string(i), .value = "v", .lease = id}});
  }
  const auto at = value_of(store().txn(txn)).revision;
  const auto attached = time_to_live(id).keys;
  EXPECT_EQ(attached.size(), 100U);
  EXPECT_TRUE(std::ranges::is_sorted(attached));
  EXPECT_EQ(value_of(store().lease_revoke(id)), at.next());
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, 0);
}

BENNU_CONFORMANCE(LeaseTest);

}  // namespace
}  // namespace bennu::conformance
