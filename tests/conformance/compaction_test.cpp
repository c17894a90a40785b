// Compaction: what is given up, what stays, what readers and watches are told. And the hash of the
// state.

#include <map>
#include <random>

#include <gmock/gmock.h>

#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = kv::WatchResponse::Kind;

class CompactionTest : public Conformance {
 protected:
  Revision compact(Revision at) { return value_of(store().compact(at, /*physical=*/true)); }
};
class CompactionTestHash : public CompactionTest {
 protected:
  std::uint64_t hash(Revision at = {}) { return value_of(store().hash(at)).hash; }
};

TEST_P(CompactionTest, ReadsBelowAreRefusedAtAndAboveWork) {
  const auto one = put("a", "1");
  const auto two = put("a", "2");
  const auto three = put("a", "3");
  EXPECT_EQ(compact(two), three) << "it answers the newest revision";
  EXPECT_EQ(revision(), three) << "and is none itself";
  expect_error(store().range({.range = {.key = "a"}, .revision = one}), Code::kOutOfRange,
               kv::reason::kCompacted);
  expect_error(store().range({.range = {.key = "none"}, .revision = one, .count_only = true}),
               Code::kOutOfRange, kv::reason::kCompacted);
  EXPECT_EQ(get("a", two)->value, "2");
  EXPECT_EQ(get("a", three)->value, "3");
  EXPECT_EQ(get("a")->value, "3");
  EXPECT_EQ(get("a")->version, 3);
  EXPECT_EQ(get("a")->create_revision, one);
}

TEST_P(CompactionTest, AgainOrLowerIsCompactedAlready) {
  const auto one = put("a", "1");
  const auto two = put("a", "2");
  compact(two);
  expect_error(store().compact(two, false), Code::kOutOfRange, kv::reason::kCompacted);
  expect_error(store().compact(one, false), Code::kOutOfRange, kv::reason::kCompacted);
}

TEST_P(CompactionTest, AboveTheNewestIsTheFuture) {
  const auto newest = put("a", "1");
  expect_error(store().compact(newest.next(), false), Code::kOutOfRange,
               kv::reason::kFutureRevision);
  EXPECT_EQ(get("a", newest)->value, "1");
}

TEST_P(CompactionTest, AnsweredAtOnceWhenNotPhysical) {
  const auto one = put("a", "1");
  const auto two = put("a", "2");
  EXPECT_EQ(value_of(store().compact(two, /*physical=*/false)), two);
  expect_error(store().range({.range = {.key = "a"}, .revision = one}), Code::kOutOfRange,
               kv::reason::kCompacted);
}

TEST_P(CompactionTest, TheStateAtItStaysWhole) {
  put_all({"a", "b", "c", "d"});
  put("b", "b2");
  erase("c");
  const auto at = revision();
  put("a", "a2");
  erase("d");
  compact(at);
  const auto then = range({.range = kv::all_keys(), .revision = at});
  EXPECT_THAT(keys_of(then.kvs), ElementsAre("a", "b", "d"));
  EXPECT_EQ(then.count, 3);
  EXPECT_EQ(then.kvs[0].value, "a");
  EXPECT_EQ(then.kvs[1].value, "b2");
  EXPECT_EQ(then.kvs[1].version, 2);
  EXPECT_THAT(keys("a", "z"), ElementsAre("a", "b"));
}

TEST_P(CompactionTest, AKeyDeletedBeforeItBeginsAnew) {
  put("a", "1");
  erase("a");
  compact(revision());
  EXPECT_FALSE(get("a").has_value());
  const auto again = put("a", "2");
  EXPECT_EQ(get("a")->version, 1);
  EXPECT_EQ(get("a")->create_revision, again);
}

TEST_P(CompactionTest, ReadsInATransactionAreRefusedToo) {
  const auto one = put("a", "1");
  const auto two = put("a", "2");
  compact(two);
  kv::Op past{kv::RangeRequest{.range = {.key = "a"}, .revision = one}};
  expect_error(store().txn({.success = {op_put("b", "1"), past}}), Code::kOutOfRange,
               kv::reason::kCompacted);
  EXPECT_FALSE(get("b").has_value());
  EXPECT_EQ(revision(), two);
}

// Every revision from the compaction on reads as it was written, whatever was compacted below it,
// and in how many steps.
TEST_P(CompactionTest, EveryRevisionLeftReadsAsItWasWritten) {
  std::mt19937 random(7);
  std::map<std::int64_t, std::map<std::string, std::string>> states;
  std::map<std::string, std::string> state;
  for (int step = 0; step < 300; ++step) {
    const std::string key(1, static_cast<char>('a' + random() % 12));
    if (random() % 3 == 0 && state.contains(key)) {
      erase(key);
      state.erase(key);
    } else {
      put(key, std::to_string(step));
      state[key] = std::to_string(step);
    }
    states[revision().value] = state;
    if (step % 75 != 74) continue;
    const auto compacted = Revision{revision().value - 20};
    compact(compacted);
    states.erase(states.begin(), states.find(compacted.value));
    for (const auto& [at, expected] : states) {
      const auto read = range({.range = kv::all_keys(), .revision = Revision{at}});
      ASSERT_EQ(read.count, static_cast<std::int64_t>(expected.size())) << "at revision " << at;
      std::map<std::string, std::string> found;
      for (const auto& kv : read.kvs) found[kv.key] = kv.value;
      ASSERT_EQ(found, expected) << "at revision " << at;
    }
  }
}

TEST_P(CompactionTest, AWatchFromBelowIsCancelledWithTheRevisionToResumeFrom) {
  const auto one = put("a", "1");
  put("a", "2");
  const auto three = put("a", "3");
  compact(three);
  const auto stream = watch_stream();
  const auto good = watch(*stream, {.range = {.key = "b"}});
  const auto bad = watch(*stream, {.range = {.key = "a"}, .start_revision = one});
  const auto last = next(*stream);
  EXPECT_EQ(last.kind, Kind::kCanceled);
  EXPECT_EQ(last.id, bad);
  EXPECT_EQ(last.compact_revision, three);
  put("a", "4");
  put("b", "1");
  const auto response = next(*stream);
  EXPECT_EQ(response.id, good) << "the stream and its other watches go on";
  EXPECT_THAT(describe(response.events), ElementsAre("PUT b=1"));
}

TEST_P(CompactionTest, AWatchFromExactlyThereWorks) {
  put("a", "1");
  const auto two = put("a", "2");
  put("a", "3");
  compact(two);
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "a"}, .start_revision = two, .prev_kv = true});
  const auto seen = events(*stream, 2);
  EXPECT_THAT(describe(seen), ElementsAre("PUT a=2", "PUT a=3"));
  EXPECT_THAT(seen[0].prev_kv, IsEmpty()) << "what was before is compacted";
  ASSERT_EQ(seen[1].prev_kv.size(), 1U);
  EXPECT_EQ(seen[1].prev_kv[0].value, "2");
}

TEST_P(CompactionTest, ADeleteAtExactlyThereIsStillDelivered) {
  if (!traits().keeps_tombstone_at_compaction) GTEST_SKIP() << "this engine drops it: etcd#19179";
  put("a", "1");
  const auto deleted = erase("a");
  put("b", "1");
  compact(deleted);
  const auto stream = watch_stream();
  watch(*stream, {.range = kv::all_keys(), .start_revision = deleted});
  EXPECT_THAT(describe(events(*stream, 2)), ElementsAre("DELETE a", "PUT b=1"));
}

TEST_P(CompactionTest, AWatchThatIsUpToDateNoticesNothing) {
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "a"}});
  put("a", "1");
  EXPECT_EQ(events(*stream, 1).size(), 1U);
  put("b", "1");
  put("b", "2");
  compact(revision());
  put("a", "2");
  EXPECT_THAT(describe(events(*stream, 1)), ElementsAre("PUT a=2"));
}

TEST_P(CompactionTest, LeasesOutliveIt) {
  const auto id = grant();
  put("a", "1", id);
  put("b", "1");
  compact(revision());
  EXPECT_EQ(get("a")->lease, id);
  value_of(store().lease_revoke(id));
  EXPECT_THAT(keys("a", "z"), ElementsAre("b"));
}

TEST_P(CompactionTestHash, SameStateSameHashOtherStateOtherHash) {
  put_all({"a", "b"});
  const auto before = hash();
  EXPECT_EQ(hash(), before);
  put("a", "other");
  const auto after = hash();
  EXPECT_NE(after, before);
  erase("b");
  EXPECT_NE(hash(), after);
}

TEST_P(CompactionTestHash, OfAnOldRevisionStaysTheSame) {
  const auto old = put_all({"a", "b"});
  const auto then = hash();
  EXPECT_EQ(hash(old), then);
  put("a", "other");
  erase("b");
  EXPECT_EQ(hash(old), then);
}

TEST_P(CompactionTestHash, NamesItsRevisions) {
  const auto old = put("a", "1");
  const auto newest = put("a", "2");
  const auto past = value_of(store().hash(old));
  EXPECT_EQ(past.hash_revision, old);
  EXPECT_EQ(past.revision, newest);
  EXPECT_EQ(value_of(store().hash({})).hash_revision, newest);
  compact(newest);
  EXPECT_EQ(value_of(store().hash({})).compact_revision, newest);
}

TEST_P(CompactionTestHash, RefusesWhatIsNotThere) {
  const auto one = put("a", "1");
  const auto two = put("a", "2");
  compact(two);
  put("a", "3");
  expect_error(store().hash(one), Code::kOutOfRange, kv::reason::kCompacted);
  expect_error(store().hash(revision().next()), Code::kOutOfRange, kv::reason::kFutureRevision);
}

BENNU_CONFORMANCE(CompactionTest);
BENNU_CONFORMANCE(CompactionTestHash);

}  // namespace
}  // namespace bennu::conformance
