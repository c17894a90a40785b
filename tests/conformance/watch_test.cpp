// Watches: what is delivered, in which order and pieces, from where on, and how a watch ends.

#include <thread>

#include <gmock/gmock.h>

#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using kv::EventType;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = kv::WatchResponse::Kind;

class WatchTest : public Conformance {
 protected:
  static kv::WatchRequest everything(Revision from = {}) {
    return {.range = kv::all_keys(), .start_revision = from};
  }
};

TEST_P(WatchTest, CreatedComesFirstWithTheNewestRevision) {
  const auto newest = put("a", "1");
  const auto stream = watch_stream();
  const auto id = value_of(stream->create({.range = {.key = "a"}}));
  const auto created = next(*stream);
  EXPECT_EQ(created.kind, Kind::kCreated);
  EXPECT_EQ(created.id, id);
  EXPECT_EQ(created.revision, newest);
  EXPECT_THAT(created.events, IsEmpty());
}

TEST_P(WatchTest, DeliversChangesOfItsKeyOnly) {
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "a"}});
  put("b", "0");
  const auto created = put("a", "1");
  put("ab", "0");
  const auto changed = put("a", "2");
  const auto deleted = erase("a");
  const auto seen = events(*stream, 3);
  EXPECT_THAT(describe(seen), ElementsAre("PUT a=1", "PUT a=2", "DELETE a"));
  EXPECT_EQ(seen[1].kv, (kv::KeyValue{.key = "a",
                                      .create_revision = created,
                                      .mod_revision = changed,
                                      .version = 2,
                                      .value = "2"}));
  EXPECT_EQ(seen[2].kv, (kv::KeyValue{.key = "a", .mod_revision = deleted}))
      << "a delete names the key and its revision, nothing else";
}

TEST_P(WatchTest, EventsCarryTheLease) {
  const LeaseId lease = grant();
  const auto stream = watch_stream();
  watch(*stream, everything());
  put("a", "1", lease);
  EXPECT_EQ(events(*stream, 1)[0].kv.lease, lease);
}

TEST_P(WatchTest, RangesPrefixesAndToTheEnd) {
  const auto from = revision().next();
  put_all({"a", "b", "b1", "c", "\xff"});
  const auto seen = [&](const kv::KeyRange& range, std::size_t count) {
    const auto stream = watch_stream();
    watch(*stream, {.range = range, .start_revision = from});
    return describe(events(*stream, count));
  };
  EXPECT_THAT(seen({.key = "a", .end = "b1"}, 2), ElementsAre("PUT a=a", "PUT b=b"));
  EXPECT_THAT(seen(kv::prefix_range("b"), 2), ElementsAre("PUT b=b", "PUT b1=b1"));
  EXPECT_THAT(seen({.key = "c", .end = "\0"s}, 2), ElementsAre("PUT c=c", "PUT \xff=\xff"));
  EXPECT_EQ(seen(kv::all_keys(), 5).size(), 5U);
}

TEST_P(WatchTest, FromAnOldRevisionOnAndThenLive) {
  put("a", "0");
  const auto from = put("a", "1");
  put("b", "2");
  erase("a");
  const auto stream = watch_stream();
  watch(*stream, everything(from));
  put("c", "3");
  EXPECT_THAT(describe(events(*stream, 4)),
              ElementsAre("PUT a=1", "PUT b=2", "DELETE a", "PUT c=3"))
      << "the start is inclusive, and nothing is missing between history and now";
}

TEST_P(WatchTest, FromAFutureRevision) {
  const auto newest = put("a", "0");
  const auto stream = watch_stream();
  watch(*stream, everything(Revision{newest.value + 3}));
  put("a", "1");
  put("a", "2");
  put("a", "3");
  put("a", "4");
  EXPECT_THAT(describe(events(*stream, 2)), ElementsAre("PUT a=3", "PUT a=4"));
}

TEST_P(WatchTest, Filters) {
  const auto from = revision().next();
  put("a", "1");
  erase("a");
  put("a", "2");
  const auto no_puts = watch_stream();
  watch(*no_puts, {.range = {.key = "a"}, .start_revision = from, .no_put = true});
  const auto no_deletes = watch_stream();
  watch(*no_deletes, {.range = {.key = "a"}, .start_revision = from, .no_delete = true});
  const auto nothing = watch_stream();
  watch(*nothing,
        {.range = {.key = "a"}, .start_revision = from, .no_put = true, .no_delete = true});
  erase("a");
  EXPECT_THAT(describe(events(*no_puts, 2)), ElementsAre("DELETE a", "DELETE a"));
  EXPECT_THAT(describe(events(*no_deletes, 2)), ElementsAre("PUT a=1", "PUT a=2"));
  // A second watch of the same stream shows that the first had its chance to say something.
  watch(*nothing, everything(from));
  EXPECT_EQ(describe(events(*nothing, 4)).size(), 4U);
}

TEST_P(WatchTest, PreviousValues) {
  const auto created = put("a", "1");
  const auto from = put("a", "2");
  const auto history = watch_stream();
  const auto live = watch_stream();
  watch(*live, {.range = {.key = "a"}, .start_revision = from, .prev_kv = true});
  erase("a");
  put("a", "3");
  watch(*history, {.range = {.key = "a"}, .start_revision = from, .prev_kv = true});
  for (auto* stream : {history.get(), live.get()}) {
    const auto seen = events(*stream, 3);
    EXPECT_THAT(seen[0].prev_kv, ElementsAre(kv::KeyValue{.key = "a",
                                                          .create_revision = created,
                                                          .mod_revision = created,
                                                          .version = 1,
                                                          .value = "1"}));
    ASSERT_EQ(seen[1].prev_kv.size(), 1U);
    EXPECT_EQ(seen[1].type, EventType::kDelete);
    EXPECT_EQ(seen[1].prev_kv[0].value, "2");
    EXPECT_EQ(seen[1].prev_kv[0].version, 2);
    EXPECT_THAT(seen[2].prev_kv, IsEmpty()) << "a key that begins anew has no previous value";
  }
}

// etcd lets a key change twice in one revision (see TxnTest); the value before is that of the
// revision before.
TEST_P(WatchTest, PreviousValuesOfAKeyThatChangesTwiceInARevision) {
  const auto from = put("a", "old");
  const auto live = watch_stream();
  watch(*live, {.range = kv::all_keys(), .prev_kv = true});
  value_of(store().txn({.success = {op_txn({.success = {op_put("a", "new"), op_put("b", "1")}}),
                                    op_txn({.success = {op_delete("a", "c")}})}}));
  const auto history = watch_stream();
  watch(*history, {.range = kv::all_keys(), .start_revision = from.next(), .prev_kv = true});
  for (auto* stream : {live.get(), history.get()}) {
    const auto seen = events(*stream, 4);
    EXPECT_THAT(describe(seen), ElementsAre("PUT a=new", "PUT b=1", "DELETE a", "DELETE b"));
    EXPECT_EQ(seen[0].prev_kv.at(0).value, "old");
    EXPECT_THAT(seen[1].prev_kv, IsEmpty());
    EXPECT_EQ(seen[2].prev_kv.at(0).value, "old");
    EXPECT_THAT(seen[3].prev_kv, IsEmpty());
  }
}

TEST_P(WatchTest, NoPreviousValueUnlessAskedFor) {
  put("a", "1");
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "a"}});
  put("a", "2");
  erase("a");
  for (const auto& event : events(*stream, 2)) EXPECT_THAT(event.prev_kv, IsEmpty());
}

TEST_P(WatchTest, ATransactionIsOneResponseInTheOrderOfItsWrites) {
  put_all({"x", "y"});
  const auto stream = watch_stream();
  watch(*stream, everything());
  const auto at =
      value_of(store().txn({.success = {op_put("b", "1"), op_delete("x", "z"), op_put("a", "2"),
                                        op_txn({.success = {op_put("c", "3")}})}}))
          .revision;
  const auto response = next(*stream);
  EXPECT_EQ(response.kind, Kind::kEvents);
  EXPECT_EQ(response.revision, at);
  EXPECT_THAT(describe(response.events),
              ElementsAre("PUT b=1", "DELETE x", "DELETE y", "PUT a=2", "PUT c=3"));
  for (const auto& event : response.events) EXPECT_EQ(event.kv.mod_revision, at);
}

TEST_P(WatchTest, HistoryIsNeverCutWithinARevision) {
  constexpr int kTransactions = 1'200;
  const auto from = revision().next();
  for (int i = 0; i < kTransactions; ++i) {
    const std::string value = std::to_string(i);
    value_of(
        store().txn({.success = {op_put("a", value), op_put("b", value), op_put("c", value)}}));
  }
  const auto stream = watch_stream();
  watch(*stream, everything(from));
  Revision last = from.previous();
  while (last.value < from.value + kTransactions - 1) {
    const auto response = next(*stream);
    ASSERT_EQ(response.kind, Kind::kEvents);
    ASSERT_EQ(response.events.size() % 3, 0U);
    for (std::size_t i = 0; i < response.events.size(); ++i) {
      if (i % 3 == 0) last = last.next();
      ASSERT_EQ(response.events[i].kv.mod_revision, last);
    }
  }
}

TEST_P(WatchTest, NothingWrittenIsNoEvent) {
  put("a", "1");
  const auto stream = watch_stream();
  watch(*stream, everything());
  erase("none");
  value_of(store().txn({.success = {op_get("a")}}));
  put("b", "1");
  EXPECT_THAT(describe(events(*stream, 1)), ElementsAre("PUT b=1"));
}

TEST_P(WatchTest, IdsCountFromZeroUnlessChosen) {
  const auto stream = watch_stream();
  EXPECT_EQ(watch(*stream, {.range = {.key = "a"}}), 0);
  EXPECT_EQ(watch(*stream, {.range = {.key = "a"}}), 1);
  EXPECT_EQ(watch(*stream, {.range = {.key = "a"}, .id = 77}), 77);
  EXPECT_EQ(watch(*stream, {.range = {.key = "a"}}), 2);
  const auto other = watch_stream();
  EXPECT_EQ(watch(*other, {.range = {.key = "a"}}), 0) << "each stream counts for itself";
}

TEST_P(WatchTest, AnIdInUseIsRefusedAndTheWatchGoesOn) {
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "a"}, .id = 7});
  const auto again = stream->create({.range = {.key = "b"}, .id = 7});
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Code::kInvalidArgument);
  put("b", "1");
  put("a", "1");
  const auto response = next(*stream);
  EXPECT_EQ(response.id, 7);
  EXPECT_THAT(describe(response.events), ElementsAre("PUT a=1"));
}

TEST_P(WatchTest, AnEmptyKeyOrRangeIsRefused) {
  const auto stream = watch_stream();
  expect_error(stream->create({.range = {}}), Code::kInvalidArgument, kv::reason::kEmptyKey);
  for (const kv::KeyRange& range :
       {kv::KeyRange{.key = "b", .end = "a"}, kv::KeyRange{.key = "b", .end = "b"}}) {
    const auto refused = stream->create({.range = range});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  }
  EXPECT_FALSE(value_of(stream->next(std::chrono::milliseconds{0})).has_value());
  watch(*stream, {.range = {.key = "a"}});
}

TEST_P(WatchTest, ManyOnOneStreamEachGetTheirs) {
  constexpr int kWatches = 50;
  const auto stream = watch_stream();
  std::vector<kv::WatchId> ids;
  for (int i = 0; i < kWatches; ++i) {
    ids.push_back(watch(*stream, {.range = {.key = "key" + std::to_string(i)}}));
  }
  const auto all = watch(*stream, everything());
  for (int i = 0; i < kWatches; ++i) put("key" + std::to_string(i), "v");
  std::map<kv::WatchId, std::vector<std::string>> seen;
  for (int events_left = 2 * kWatches; events_left > 0;) {
    const auto response = next(*stream);
    for (auto& line : describe(response.events)) seen[response.id].push_back(line);
    events_left -= static_cast<int>(response.events.size());
  }
  for (int i = 0; i < kWatches; ++i) {
    EXPECT_THAT(seen[ids[static_cast<std::size_t>(i)]],
                ElementsAre("PUT key" + std::to_string(i) + "=v"));
  }
  EXPECT_EQ(seen[all].size(), static_cast<std::size_t>(kWatches));
}

TEST_P(WatchTest, CancelEndsWithOneLastResponse) {
  const auto stream = watch_stream();
  const auto cancelled = watch(*stream, {.range = {.key = "a"}});
  const auto kept = watch(*stream, {.range = {.key = "b"}});
  ASSERT_TRUE(stream->cancel(cancelled).has_value());
  const auto last = next(*stream);
  EXPECT_EQ(last.kind, Kind::kCanceled);
  EXPECT_EQ(last.id, cancelled);
  EXPECT_EQ(last.cancel_reason, "");
  EXPECT_EQ(last.compact_revision, Revision{});
  put("a", "1");
  put("b", "1");
  const auto response = next(*stream);
  EXPECT_EQ(response.id, kept);
  EXPECT_THAT(describe(response.events), ElementsAre("PUT b=1"));
}

TEST_P(WatchTest, CancelOfAnUnknownIdIsIgnored) {
  const auto stream = watch_stream();
  ASSERT_TRUE(stream->cancel(404).has_value());
  EXPECT_EQ(watch(*stream, {.range = {.key = "a"}}), 0) << "its created response is the first one";
}

TEST_P(WatchTest, AnIdIsFreeAgainAfterCancel) {
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "a"}, .id = 9});
  ASSERT_TRUE(stream->cancel(9).has_value());
  EXPECT_EQ(next(*stream).kind, Kind::kCanceled);
  EXPECT_EQ(watch(*stream, {.range = {.key = "b"}, .id = 9}), 9);
  put("a", "1");
  put("b", "1");
  EXPECT_THAT(describe(events(*stream, 1)), ElementsAre("PUT b=1"));
}

TEST_P(WatchTest, ProgressOnRequest) {
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "a"}});
  put("a", "1");
  EXPECT_EQ(events(*stream, 1).size(), 1U);
  const auto newest = put("b", "1");
  ASSERT_TRUE(stream->request_progress().has_value());
  const auto progress = next(*stream);
  EXPECT_EQ(progress.kind, Kind::kProgress);
  EXPECT_EQ(progress.id, -1);
  EXPECT_EQ(progress.revision, newest);
  EXPECT_THAT(progress.events, IsEmpty());
}

TEST_P(WatchTest, ProgressNeverOvertakesEvents) {
  if (!traits().progress_follows_events) GTEST_SKIP() << "this engine may overtake: etcd#15220";
  constexpr int kRounds = 200;
  const auto from = revision().next();
  for (int i = 0; i < 500; ++i) put("a", std::to_string(i));
  const auto stream = watch_stream();
  watch(*stream, everything(from));
  Revision seen = from.previous();
  for (int i = 0; i < kRounds; ++i) {
    put("a", "more");
    ASSERT_TRUE(stream->request_progress().has_value());
  }
  for (int answered = 0; answered < 1;) {
    const auto response = next(*stream);
    if (response.kind == Kind::kProgress) {
      EXPECT_LE(response.revision, seen)
          << "progress names a revision whose events are still to come";
      if (response.revision == revision()) ++answered;
      continue;
    }
    for (const auto& event : response.events) seen = event.kv.mod_revision;
  }
}

TEST_P(WatchTest, ProgressNotifyDoesNotDisturbEvents) {
  const auto stream = watch_stream();
  watch(*stream, {.range = {.key = "a"}, .progress_notify = true});
  put("a", "1");
  EXPECT_THAT(describe(events(*stream, 1)), ElementsAre("PUT a=1"));
}

TEST_P(WatchTest, NothingToSayIsAnEmptyAnswer) {
  const auto stream = watch_stream();
  EXPECT_FALSE(value_of(stream->next(std::chrono::milliseconds{0})).has_value());
  watch(*stream, {.range = {.key = "a"}});
  EXPECT_FALSE(value_of(stream->next(std::chrono::milliseconds{1})).has_value());
}

TEST_P(WatchTest, AReaderThatComesLateMissesNothing) {
  constexpr std::size_t kPuts = 3'000;
  const auto stream = watch_stream();
  watch(*stream, everything());
  const auto from = revision();
  for (std::size_t i = 0; i < kPuts; ++i) put("a", std::to_string(i));
  const auto seen = events(*stream, kPuts);
  for (std::size_t i = 0; i < kPuts; ++i) {
    ASSERT_EQ(seen[i].kv.value, std::to_string(i));
    ASSERT_EQ(seen[i].kv.mod_revision.value, from.value + static_cast<std::int64_t>(i) + 1);
  }
}

TEST_P(WatchTest, AStreamMayEndInTheMiddleOfEverything) {
  auto stuck = watch_stream();
  watch(*stuck, everything());
  const auto reading = watch_stream();
  watch(*reading, everything());
  for (int i = 0; i < 500; ++i) put("a", std::string(1'000, 'x'));
  stuck.reset();
  put("b", "after");
  EXPECT_EQ(describe(events(*reading, 501)).back(), "PUT b=after");
}

TEST_P(WatchTest, ConcurrentWritersAreSeenInRevisionOrderWithoutGaps) {
  constexpr int kThreads = 4;
  constexpr int kPuts = 100;
  const auto stream = watch_stream();
  watch(*stream, everything());
  const auto before = revision();
  {
    std::vector<std::jthread> writers;
    for (int t = 0; t < kThreads; ++t) {
      writers.emplace_back([this, t] {
        for (int i = 0; i < kPuts; ++i) {
          EXPECT_TRUE(store()
                          .put({.key = "t" + std::to_string(t), .value = std::to_string(i)})
                          .has_value());
        }
      });
    }
    const auto seen = events(*stream, kThreads * kPuts);
    std::map<std::string, int> next_value;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      ASSERT_EQ(seen[i].kv.mod_revision.value, before.value + static_cast<std::int64_t>(i) + 1);
      ASSERT_EQ(seen[i].kv.value, std::to_string(next_value[seen[i].kv.key]++));
    }
  }
}

// What   one thread wrote and was answered, a watch created afterwards from there on must deliver.
TEST_P(WatchTest, AnAnsweredWriteIsInHistory) {
  for (int i = 0; i < 10; ++i) {  // etcd takes a tenth of a second for each
    const auto at = put("a", std::to_string(i));
    const auto stream = watch_stream();
    watch(*stream, everything(at));
    EXPECT_EQ(events(*stream, 1)[0].kv.value, std::to_string(i));
  }
}

BENNU_CONFORMANCE(WatchTest);

}  // namespace
}  // namespace bennu::conformance
