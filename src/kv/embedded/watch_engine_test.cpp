// Watches on the real engine, through kv::Store: what is live, what is history, and who pays for
// whom.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <random>
#include <thread>

#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = WatchResponse::Kind;

constexpr milliseconds kSoon = seconds{60};  // never waited for when the code is right

class WatchEngineTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store_.reset();
    auto store = open_embedded({.path = dir_.path() / "store",
                                .create_if_missing = true,
                                .lease_stall_limit = std::chrono::hours{24 * 365},
                                .clock = &clock_});
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }

  Revision put(const std::string& key, const std::string& value, LeaseId lease = {}) {
    const auto done = store_->put({.key = key, .value = value, .lease = lease});
    EXPECT_TRUE(done) << done.error().message;
    return done ? done->revision : Revision{};
  }

  // `count` puts in transactions of 100: a few syncs instead of very many.
  void put_many(const std::string& prefix, int count) {
    for (int i = 0; i < count; i += 100) {
      TxnRequest request;
      for (int j = i; j < std::min(i + 100, count); ++j) {
        request.success.push_back(Op{PutRequest{.key = prefix + std::to_string(j), .value = "v"}});
      }
      const auto done = store_->txn(request);
      ASSERT_TRUE(done) << done.error().message;
    }
  }

  std::unique_ptr<WatchStream> stream() { return *store_->watch(); }
  static WatchResponse next(WatchStream& stream) {
    const auto response = stream.next(kSoon);
    if (!response || !*response) {
      ADD_FAILURE() << (response ? "nothing came" : response.error().message);
      return {.kind = Kind::kCanceled};
    }
    return **response;
  }
  static WatchId watch(WatchStream& stream, const WatchRequest& request) {
    const auto id = stream.create(request);
    EXPECT_TRUE(id);
    EXPECT_EQ(next(stream).kind, Kind::kCreated);
    return *id;
  }
  static std::vector<Event> take(WatchStream& stream, std::size_t count) {
    std::vector<Event> events;
    while (events.size() < count) {
      auto response = next(stream);
      if (response.kind == Kind::kCanceled) break;
      std::ranges::move(response.events, std::back_inserter(events));
    }
    EXPECT_EQ(events.size(), count);
    return events;
  }

  env::TempDir dir_;
  env::ManualClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_F(WatchEngineTest, AStuckWatcherCatchesUpWithAHundredThousandChanges) {
  constexpr int kChanges = 100'000;
  const auto stuck = stream();
  const auto lively = stream();
  watch(*stuck, {.range = prefix_range("k")});
  watch(*lively, {.range = prefix_range("k")});
  auto reading = std::async(std::launch::async, [&] { return take(*lively, kChanges); });
  put_many("k", kChanges);
  const auto live = reading.get();
  const auto late = take(*stuck, kChanges);
  ASSERT_EQ(late.size(), live.size());
  EXPECT_TRUE(late == live);
}

TEST_F(WatchEngineTest, TenThousandWatchesOnOneStream) {
  constexpr int kWatches = 10'000;
  const auto watching = stream();
  for (int i = 0; i < kWatches; ++i) {
    ASSERT_TRUE(watching->create({.range = {"k" + std::to_string(i), ""}}));
  }
  for (int i = 0; i < kWatches; ++i) ASSERT_EQ(next(*watching).kind, Kind::kCreated);
  put_many("k", kWatches);
  std::vector<bool> seen(kWatches);
  for (int i = 0; i < kWatches; ++i) {
    const auto response = next(*watching);
    ASSERT_EQ(response.events.size(), 1U);
    EXPECT_EQ(response.events[0].kv.key, "k" + std::to_string(response.id));
    seen[static_cast<std::size_t>(response.id)] = true;
  }
  EXPECT_EQ(std::ranges::count(seen, true), kWatches);
}

TEST_F(WatchEngineTest, HistoryIsReadAgainAfterOpening) {
  put("a", "1");
  const Revision from = put("a", "2");
  ASSERT_TRUE(store_->delete_range({.range = {"a", ""}}));
  put("a", "3");
  open();
  const auto watching = stream();
  watch(*watching, {.range = {"a", ""}, .start_revision = from, .prev_kv = true});
  const auto events = take(*watching, 3);
  EXPECT_EQ(events[0].kv.value, "2");
  EXPECT_EQ(events[0].kv.version, 2);
  EXPECT_EQ(events[0].prev_kv.at(0).value, "1");
  EXPECT_EQ(events[1].type, EventType::kDelete);
  EXPECT_EQ(events[1].prev_kv.at(0).value, "2");
  EXPECT_EQ(events[2].kv.version, 1);
  EXPECT_THAT(events[2].prev_kv, IsEmpty());
}

TEST_F(WatchEngineTest, AnExpiredLeaseIsSeenAsOneRevisionOfDeletes) {
  const LeaseId lease = store_->lease_grant({.ttl_s = 10})->id;
  put("a", "1", lease);
  put("b", "1", lease);
  put("c", "1");
  const auto watching = stream();
  watch(*watching, {.range = all_keys(), .prev_kv = true});
  clock_.advance(seconds{10});
  const auto response = next(*watching);
  ASSERT_EQ(response.events.size(), 2U);
  for (const Event& event : response.events) {
    EXPECT_EQ(event.type, EventType::kDelete);
    EXPECT_EQ(event.kv.mod_revision, response.revision);
    EXPECT_EQ(event.prev_kv.at(0).lease, lease);
  }
}

TEST_F(WatchEngineTest, CompactionEndsAStuckWatcher) {
  const auto stuck = stream();
  watch(*stuck, {.range = prefix_range("k")});
  // More than the ring of recent changes takes.
  for (int i = 0; i < 20; ++i) put("k", std::string(500'000, 'v'));
  const Revision newest = put("k", "last");
  ASSERT_TRUE(store_->compact(newest, false));
  // What is still in memory may come first, or nothing.
  WatchResponse response = next(*stuck);
  while (response.kind == Kind::kEvents) response = next(*stuck);
  EXPECT_EQ(response.kind, Kind::kCanceled);
  EXPECT_EQ(response.compact_revision, newest);
  watch(*stuck, {.range = prefix_range("k"), .start_revision = response.compact_revision});
  EXPECT_EQ(take(*stuck, 1)[0].kv.value, "last");
}

TEST_F(WatchEngineTest, ALargeStagedTransactionIsOneRevisionInFragments) {
  constexpr std::size_t kKeys = 30'000;
  put("s00000", "before");
  const auto live = stream();
  watch(*live, {.range = prefix_range("s"), .prev_kv = true});
  const auto one = stream();
  watch(*one, {.range = {"s00007", ""}});
  auto stage = *store_->stage();
  for (std::size_t i = 0; i < kKeys; ++i) {
    const std::string key = "s" + std::to_string(100'000 + i).substr(1);
    ASSERT_TRUE(stage->put(key, std::string(100, 'v')));
  }
  const auto revision = stage->commit({}, {});
  ASSERT_TRUE(revision) << revision.error().message;
  const auto history = stream();
  watch(*history, {.range = prefix_range("s"), .start_revision = *revision});
  for (const auto* reading : {&live, &history}) {
    std::size_t events = 0;
    bool more = true;
    while (more) {
      const auto response = next(**reading);
      ASSERT_EQ(response.kind, Kind::kEvents);
      for (const Event& event : response.events) ASSERT_EQ(event.kv.mod_revision, *revision);
      events += response.events.size();
      more = response.fragment;
      ASSERT_LE(response.events.size(), kKeys / 2) << "a response holds about 1 MiB";
      if (reading == &live && events == response.events.size()) {
        EXPECT_EQ(response.events[0].prev_kv.at(0).value, "before");
      }
    }
    EXPECT_EQ(events, kKeys);
  }
  EXPECT_EQ(take(*one, 1)[0].kv.key, "s00007");
}

TEST_F(WatchEngineTest, ClosingTheStoreEndsItsStreams) {
  auto watching = stream();
  watch(*watching, {.range = all_keys()});
  auto waiting = std::async(std::launch::async, [&] { return watching->next(kSoon); });
  store_.reset();
  const auto ended = waiting.get();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Code::kUnavailable);
}

// What   watchers were told adds up to what is in the store, whoever wrote, and however.
TEST_F(WatchEngineTest, EventsAddUpToTheState) {
  std::atomic<bool> written = false;
  const auto follow = [&](unsigned seed) {
    std::mt19937 engine(seed);
    const auto watching = stream();
    EXPECT_TRUE(watching->create({.range = all_keys(), .start_revision = Revision{2}}));
    std::map<std::string, KeyValue> state;
    Revision seen;
    bool asked = false;
    while (true) {
      if (written && !asked) {
        EXPECT_TRUE(watching->request_progress());
        asked = true;
      }
      const auto response = watching->next(milliseconds{engine() % 20});
      if (!response) {
        ADD_FAILURE() << response.error().message;
        return;
      }
      if (!*response) continue;
      for (const Event& event : (*response)->events) {
        EXPECT_GE(event.kv.mod_revision, seen);
        seen = event.kv.mod_revision;
        if (event.type == EventType::kPut) {
          state[event.kv.key] = event.kv;
        } else {
          EXPECT_EQ(state.erase(event.kv.key), 1U);
        }
      }
      if ((*response)->kind == Kind::kProgress) break;
    }
    std::vector<KeyValue> kvs;
    for (auto& [key, kv] : state) kvs.push_back(std::move(kv));
    EXPECT_TRUE(kvs == store_->range({.range = all_keys()})->kvs);
  };
  const auto write = [&](unsigned seed) {
    std::mt19937 engine(seed);
    const auto key = [&] { return "k" + std::to_string(engine() % 30); };
    for (int i = 0; i < 150; ++i) {
      switch (engine() % 4) {
        case 0:
          (void)store_->delete_range({.range = {key(), key()}});
          break;
        case 1: {
          TxnRequest request{.success = {Op{DeleteRangeRequest{.range = {"k1", "k2"}}},
                                         Op{PutRequest{.key = key() + "x", .value = "t"}}}};
          (void)store_->txn(request);
          break;
        }
        case 2: {
          if (engine() % 8 != 0) break;
          const auto stage = *store_->stage();
          for (int j = 0; j < 20; ++j) (void)stage->put("k" + std::to_string(j), "staged");
          (void)stage->commit({}, {});
          break;
        }
        default:
          (void)store_->put({.key = key(), .value = std::to_string(i)});
      }
    }
  };
  std::vector<std::jthread> readers;
  {
    std::vector<std::jthread> writers;
    for (unsigned i = 0; i < 3; ++i) writers.emplace_back(write, i);
    for (unsigned i = 0; i < 3; ++i) readers.emplace_back(follow, i);
  }
  written = true;
  readers.clear();
  EXPECT_GT(store_->range({.range = all_keys(), .count_only = true})->count, 0);
}

}  // namespace
}  // namespace bennu::kv
