// Staged transactions: large, invisible until their commit, then one revision, or nothing at all.

#include <gmock/gmock.h>

#include "base/limits.hpp"
#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using testing::ElementsAre;

class StagingTest : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (!store().capabilities().atomic_staging) {
      GTEST_SKIP() << "this engine has no staged transactions";
    }
  }
  std::unique_ptr<kv::StagedTxn> stage() { return value_of(store().stage()); }
};
class StagingTestWithout : public Conformance {};

TEST_P(StagingTestWithout, IsUnimplemented) {
  if (store().capabilities().atomic_staging) GTEST_SKIP() << "this engine has staged transactions";
  expect_error(store().stage(), Code::kUnimplemented, {});
}

TEST_P(StagingTest, InvisibleUntilItsCommitThenOneRevision) {
  put("old", "1");
  const auto before = put("gone", "1");
  const auto staged = stage();
  value_of(staged->put("new", "2"));
  value_of(staged->put("old", "2"));
  value_of(staged->erase("gone"));
  EXPECT_THAT(keys("a", "z"), ElementsAre("gone", "old"));
  EXPECT_EQ(get("old")->value, "1");
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, 2);
  EXPECT_EQ(revision(), before);

  const auto at = value_of(staged->commit({}, {}));
  EXPECT_EQ(at, before.next());
  EXPECT_EQ(revision(), at);
  EXPECT_THAT(keys("a", "z"), ElementsAre("new", "old"));
  EXPECT_EQ(
      *get("new"),
      (kv::KeyValue{
          .key = "new", .create_revision = at, .mod_revision = at, .version = 1, .value = "2"}));
  EXPECT_EQ(get("old")->value, "2");
  EXPECT_EQ(get("old")->version, 2);
  EXPECT_EQ(get("old")->mod_revision, at);
  EXPECT_EQ(get("old", before)->value, "1") << "history keeps what it replaced";
  EXPECT_TRUE(get("gone", before).has_value());
  EXPECT_EQ(range({.range = kv::all_keys(), .revision = before, .count_only = true}).count, 2);
}

TEST_P(StagingTest, AbandonedLeavesNothing) {
  const auto before = put("a", "1");
  {
    const auto staged = stage();
    value_of(staged->put("a", "2"));
    value_of(staged->put("b", "2"));
  }
  EXPECT_EQ(revision(), before);
  EXPECT_THAT(keys("a", "z"), ElementsAre("a"));
  EXPECT_EQ(put("b", "3"), before.next());
  EXPECT_EQ(get("b")->version, 1);
}

TEST_P(StagingTest, ACompareThatFailsLeavesNothing) {
  const auto before = put("a", "1");
  const auto staged = stage();
  value_of(staged->put("b", "2"));
  expect_error(staged->commit({absent("a")}, {op_put("c", "1")}), Code::kAborted,
               kv::reason::kStageConflict);
  EXPECT_EQ(revision(), before);
  EXPECT_THAT(keys("a", "z"), ElementsAre("a"));
}

TEST_P(StagingTest, ComparesAreOfTheMomentOfTheCommit) {
  const auto base = put("a", "1");
  const auto staged = stage();
  value_of(staged->put("b", "2"));
  put("a", "2");
  const auto unchanged =
      compare("a", kv::CompareTarget::kModRevision, kv::CompareResult::kEqual, base.value);
  expect_error(staged->commit({unchanged}, {}), Code::kAborted, kv::reason::kStageConflict);
  EXPECT_FALSE(get("b").has_value());
}

TEST_P(StagingTest, ExtraOperationsAreOfTheSameRevision) {
  put("gone", "1");
  const auto staged = stage();
  value_of(staged->put("a", "1"));
  const auto at = value_of(staged->commit({exists("gone")}, {op_put("b", "2"), op_delete("gone")}));
  EXPECT_THAT(keys("a", "z"), ElementsAre("a", "b"));
  EXPECT_EQ(get("a")->mod_revision, at);
  EXPECT_EQ(get("b")->mod_revision, at);
}

TEST_P(StagingTest, OthersWriteMeanwhileAndItComesAfterThem) {
  put("both", "0");
  const auto staged = stage();
  value_of(staged->put("both", "staged"));
  value_of(staged->put("created", "staged"));
  value_of(staged->erase("erased"));
  value_of(staged->put("revived", "staged"));
  put("both", "other");
  const auto created = put("created", "other");
  put("erased", "other");
  put("revived", "other");
  erase("revived");
  const auto others = put("mine", "other");
  EXPECT_EQ(get("both")->value, "other");

  const auto at = value_of(staged->commit({}, {}));
  EXPECT_EQ(at, others.next());
  EXPECT_EQ(get("both")->value, "staged");
  EXPECT_EQ(get("both")->version, 3);
  EXPECT_EQ(get("created")->value, "staged");
  EXPECT_EQ(get("created")->version, 2);
  EXPECT_EQ(get("created")->create_revision, created);
  EXPECT_FALSE(get("erased").has_value());
  EXPECT_EQ(get("revived")->version, 1);
  EXPECT_EQ(get("revived")->create_revision, at);
  EXPECT_EQ(get("mine")->value, "other");
  EXPECT_EQ(get("both", others)->value, "other");
  EXPECT_EQ(get("erased", others)->value, "other");
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, 4);
  EXPECT_EQ(range({.range = kv::all_keys(), .revision = others, .count_only = true}).count, 4);
}

// Few keys are an ordinary transaction, many are table files: both must meet every change.
TEST_P(StagingTest, UnchangedSinceMeetsEveryChangeOfAStagedKey) {
  for (const int keys_staged : {3, 20'000}) {
    for (const bool before_the_stage : {true, false}) {
      for (const std::string key : {"put", "created", "erased", ""}) {
        const std::string place = std::to_string(keys_staged) + key + "/";
        put(place + "put", "1");
        const auto base = put(place + "erased", "1");
        const auto other = [&] {
          put(place + "elsewhere", "other");
          if (key == "erased") {
            erase(place + key);
          } else if (!key.empty()) {
            put(place + key, "other");
          }
        };
        if (before_the_stage) other();
        const auto staged = stage();
        staged->require_unchanged_since(base);
        value_of(staged->put(place + "put", "staged"));
        value_of(staged->put(place + "created", "staged"));
        value_of(staged->erase(place + "erased"));
        for (int i = 3; i < keys_staged; ++i) {
          value_of(staged->put(place + "x" + std::to_string(100'000 + i), "staged"));
        }
        if (!before_the_stage) other();
        const auto newest = revision();
        if (key.empty()) {
          EXPECT_EQ(value_of(staged->commit({}, {op_put(place + "elsewhere", "extra")})),
                    newest.next());
          continue;
        }
        expect_error(staged->commit({}, {}), Code::kAborted, kv::reason::kStageConflict);
        EXPECT_EQ(revision(), newest);
        EXPECT_EQ(get(place + "put")->value, key == "put" ? "other" : "1") << place;
        EXPECT_EQ(get(place + "created").has_value(), key == "created") << place;
      }
    }
  }
}

TEST_P(StagingTest, UnchangedSinceARevisionThatIsCompactedCannotBeTold) {
  const auto base = put("a", "1");
  const auto staged = stage();
  staged->require_unchanged_since(base);
  put("b", "1");
  value_of(store().compact(put("b", "2"), false));
  value_of(staged->put("a", "2"));
  expect_error(staged->commit({}, {}), Code::kAborted, kv::reason::kStageConflict);
}

TEST_P(StagingTest, ErasingWhatIsNotThereIsNoEvent) {
  const auto stream = watch_stream();
  watch(*stream, {.range = kv::all_keys()});
  const auto staged = stage();
  value_of(staged->erase("none"));
  value_of(staged->put("a", "1"));
  value_of(staged->commit({}, {}));
  EXPECT_THAT(describe(events(*stream, 1)), ElementsAre("PUT a=1"));
}

TEST_P(StagingTest, TakesTheLeaseAwayAsAPutDoes) {
  const auto lease = grant();
  put("a", "1", lease);
  put("b", "1", lease);
  const auto staged = stage();
  value_of(staged->put("a", "2"));
  value_of(staged->erase("b"));
  value_of(staged->commit({}, {}));
  EXPECT_EQ(value_of(store().lease_time_to_live(lease, true)).keys.size(), 0U);
  value_of(store().lease_revoke(lease));
  EXPECT_EQ(get("a")->value, "2");
}

// Found by comparing random scripts: after a stage, a second put took the key off its lease.
TEST_P(StagingTest, AKeyStaysOnItsLeaseWhenItIsPutAgainAfterAStage) {
  const auto staged = stage();
  value_of(staged->put("other", "1"));
  value_of(staged->commit({}, {}));
  const auto lease = grant();
  put("a", "1", lease);
  put("a", "2", lease);
  value_of(store().put({.key = "a", .value = "3", .ignore_lease = true}));
  EXPECT_THAT(value_of(store().lease_time_to_live(lease, true)).keys, ElementsAre("a"));
  value_of(store().lease_revoke(lease));
  EXPECT_FALSE(get("a").has_value());
}

TEST_P(StagingTest, RefusesWhatAPutRefuses) {
  expect_error(stage()->put("", "1"), Code::kInvalidArgument, kv::reason::kEmptyKey);
  expect_error(stage()->erase(""), Code::kInvalidArgument, kv::reason::kEmptyKey);
  expect_error(stage()->put("k", std::string(limits::kMaxValueBytes + 1, 'x')),
               Code::kInvalidArgument, kv::reason::kTooLarge);
}

TEST_P(StagingTest, WhatRefusedAChangeIsNotCommitted) {
  const auto staged = stage();
  value_of(staged->put("a", "1"));
  expect_error(staged->put("", "1"), Code::kInvalidArgument, kv::reason::kEmptyKey);
  expect_error(staged->put("b", "1"), Code::kFailedPrecondition, "");
  expect_error(staged->commit({}, {}), Code::kFailedPrecondition, "");
  EXPECT_FALSE(get("a"));
}

TEST_P(StagingTest, ManyKeysAreCountedWatchedAndReadAsOneRevision) {
  constexpr std::size_t kKeys = 20'000;
  put_all({"k/00500", "k/05000", "other"});
  const auto stream = watch_stream();
  watch(*stream, {.range = kv::prefix_range("k/")});
  const auto staged = stage();
  const auto name = [](std::size_t i) {
    std::string digits = std::to_string(i);
    return "k/" + std::string(5 - digits.size(), '0') + digits;
  };
  for (std::size_t i = 0; i < kKeys; ++i) value_of(staged->put(name(i), "staged"));
  const auto before = put("k/00500", "other");
  EXPECT_EQ(range({.range = kv::prefix_range("k/"), .count_only = true}).count, 2);
  const auto at = value_of(staged->commit({}, {}));
  EXPECT_EQ(at, before.next());
  EXPECT_EQ(range({.range = kv::prefix_range("k/"), .count_only = true}).count,
            static_cast<std::int64_t>(kKeys));
  EXPECT_EQ(range({.range = {.key = "k/01", .end = "k/02"}, .count_only = true}).count, 1'000);
  EXPECT_EQ(range({.range = kv::prefix_range("k/"), .revision = before, .count_only = true}).count,
            2);
  EXPECT_EQ(get("k/00500")->version, 3);
  EXPECT_EQ(get("k/05000")->version, 2);
  const auto seen = events(*stream, kKeys + 1);
  EXPECT_EQ(seen[0].kv.value, "other");
  for (std::size_t i = 1; i < seen.size(); ++i) ASSERT_EQ(seen[i].kv.mod_revision, at);
}

TEST_P(StagingTest, TwoAtOnce) {
  const auto one = stage();
  const auto two = stage();
  value_of(one->put("a", "one"));
  value_of(two->put("a", "two"));
  value_of(one->put("b", "one"));
  value_of(two->put("c", "two"));
  const auto second = value_of(two->commit({}, {}));
  EXPECT_THAT(keys("a", "z"), ElementsAre("a", "c"));
  const auto first = value_of(one->commit({}, {}));
  EXPECT_EQ(first, second.next());
  EXPECT_EQ(get("a")->value, "one") << "the later commit comes after";
  EXPECT_EQ(get("a")->version, 2);
  EXPECT_EQ(get("a", second)->value, "two");
  EXPECT_THAT(keys("a", "z"), ElementsAre("a", "b", "c"));
}

TEST_P(StagingTest, CompactionMeanwhileAndAfter) {
  put("a", "1");
  const auto staged = stage();
  value_of(staged->put("a", "staged"));
  value_of(staged->put("b", "staged"));
  put("a", "2");
  value_of(store().compact(revision(), true));
  const auto at = value_of(staged->commit({}, {}));
  EXPECT_EQ(get("a")->version, 3);
  put("a", "4");
  value_of(store().compact(at, true));
  EXPECT_EQ(get("a", at)->value, "staged");
  EXPECT_EQ(get("b")->value, "staged");
  value_of(store().compact(revision(), true));
  EXPECT_EQ(get("a")->value, "4");
  EXPECT_THAT(keys("a", "z"), ElementsAre("a", "b"));
}

BENNU_CONFORMANCE(StagingTest);
BENNU_CONFORMANCE(StagingTestWithout);

}  // namespace
}  // namespace bennu::conformance
