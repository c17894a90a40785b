#include "kv/embedded/watch_hub.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <thread>

#include "kv/embedded/fake_changes.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using Kind = WatchResponse::Kind;

constexpr milliseconds kSoon = seconds{20};  // never waited for when the code is right

class WatchHubTest : public testing::Test {
 protected:
  void start(WatchOptions options = {}, bool with_changes = true) {
    hub_.emplace(log_, clock_, options);
    log_.publish_to(&*hub_, with_changes);
    stream_ = *hub_->open();
  }

  WatchId watch(const WatchRequest& request) {
    const auto id = stream_->create(request);
    EXPECT_TRUE(id) << id.error().message;
    const WatchResponse created = next();
    EXPECT_EQ(created.kind, Kind::kCreated);
    EXPECT_EQ(created.id, *id);
    return *id;
  }

  WatchResponse next() {
    const auto response = stream_->next(kSoon);
    if (!response || !*response) {
      ADD_FAILURE() << (response ? "nothing came" : response.error().message);
      return {};
    }
    return **response;
  }

  // Whether there is nothing, once every watch has seen every change.
  void expect_nothing() {
    ASSERT_TRUE(stream_->request_progress());
    const WatchResponse response = next();
    EXPECT_EQ(response.kind, Kind::kProgress);
    EXPECT_EQ(response.id, -1);
    EXPECT_EQ(response.revision, log_.current_revision());
  }

  static std::vector<std::string> summary(const WatchResponse& response) {
    std::vector<std::string> events;
    for (const Event& event : response.events) {
      std::string text =
          event.kv.key + (event.type == EventType::kPut ? "=" + event.kv.value : "-");
      if (!event.prev_kv.empty()) text += "<" + event.prev_kv[0].value;
      events.push_back(text + "@" + std::to_string(event.kv.mod_revision.value));
    }
    return events;
  }

  FakeChanges log_;
  env::ManualClock clock_;
  std::optional<WatchHub> hub_;
  std::unique_ptr<WatchStream> stream_;
};

TEST_F(WatchHubTest, DeliversChangesAfterCreation) {
  log_.put("a", "0");
  start();
  watch({.range = prefix_range("a")});
  log_.put("a", "1");
  log_.put("b", "2");
  log_.erase("a");
  const WatchResponse response = next();
  EXPECT_EQ(response.kind, Kind::kEvents);
  EXPECT_THAT(summary(response), ElementsAre("a=1@3", "a-@5"));
  EXPECT_EQ(response.revision, Revision{5});
  expect_nothing();
}

TEST_F(WatchHubTest, StartsAtOldCurrentAndFutureRevisions) {
  for (int i = 2; i <= 6; ++i) log_.put("k", std::to_string(i));
  start();
  watch({.range = {"k", ""}, .start_revision = Revision{3}});
  EXPECT_THAT(summary(next()), ElementsAre("k=3@3", "k=4@4", "k=5@5", "k=6@6"));
  watch({.range = {"k", ""}, .start_revision = Revision{6}});
  EXPECT_THAT(summary(next()), ElementsAre("k=6@6"));
  EXPECT_EQ(watch({.range = {"k", ""}, .start_revision = Revision{9}}), 2);
  for (int i = 7; i <= 9; ++i) log_.put("k", std::to_string(i));
  for (int i = 0; i < 3; ++i) {
    const WatchResponse response = next();
    if (response.id == 2) {
      EXPECT_THAT(summary(response), ElementsAre("k=9@9"));
    } else {
      EXPECT_THAT(summary(response), ElementsAre("k=7@7", "k=8@8", "k=9@9"));
    }
  }
  expect_nothing();
}

TEST_F(WatchHubTest, FiltersAndPreviousValues) {
  start();
  const WatchId puts = watch({.range = all_keys(), .prev_kv = true, .no_delete = true});
  const WatchId deletes = watch({.range = all_keys(), .no_put = true});
  log_.put("a", "1");
  log_.put("a", "2");
  log_.erase("a");
  for (int i = 0; i < 2; ++i) {
    const WatchResponse response = next();
    if (response.id == puts) {
      EXPECT_THAT(summary(response), ElementsAre("a=1@2", "a=2<1@3"));
    } else {
      EXPECT_EQ(response.id, deletes);
      EXPECT_THAT(summary(response), ElementsAre("a-@4"));
    }
  }
  expect_nothing();
}

TEST_F(WatchHubTest, IdsArePickedAndRefused) {
  start();
  EXPECT_EQ(watch({.range = {"a", ""}, .id = 1}), 1);
  EXPECT_EQ(watch({.range = {"a", ""}}), 0);
  EXPECT_EQ(watch({.range = {"a", ""}}), 2);
  const auto used = stream_->create({.range = {"a", ""}, .id = 2});
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, Code::kInvalidArgument);
  EXPECT_EQ(stream_->create({.range = {"", ""}}).error().reason, reason::kEmptyKey);
  EXPECT_EQ(stream_->create({.range = {"b", "a"}}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(stream_->create({.range = {"a", ""}, .start_revision = Revision{-1}}).error().reason,
            reason::kCompacted);
}

TEST_F(WatchHubTest, CancelEndsAWatchAndFreesItsId) {
  start();
  const WatchId id = watch({.range = {"a", ""}, .id = 7});
  log_.put("a", "1");
  ASSERT_TRUE(stream_->cancel(id));
  ASSERT_TRUE(stream_->cancel(99));
  const WatchResponse response = next();
  EXPECT_EQ(response.kind, Kind::kCanceled);
  EXPECT_EQ(response.id, id);
  EXPECT_EQ(response.cancel_reason, "");
  EXPECT_EQ(response.compact_revision, Revision{});
  expect_nothing();
  EXPECT_EQ(watch({.range = {"a", ""}, .id = 7}), 7);
}

TEST_F(WatchHubTest, ProgressIsReportedWhenNothingHappens) {
  start({.progress_interval = seconds{10}});
  const WatchId quiet = watch({.range = {"q", ""}, .progress_notify = true});
  const WatchId busy = watch({.range = {"b", ""}, .progress_notify = true});
  watch({.range = {"x", ""}});
  log_.put("b", "1");
  EXPECT_EQ(next().id, busy);
  clock_.advance(seconds{10});
  const WatchResponse response = next();
  EXPECT_EQ(response.kind, Kind::kProgress);
  EXPECT_EQ(response.id, quiet);
  EXPECT_EQ(response.revision, Revision{2});
  expect_nothing();
  clock_.advance(seconds{10});
  EXPECT_EQ(next().kind, Kind::kProgress);
  EXPECT_EQ(next().kind, Kind::kProgress);
  expect_nothing();
}

TEST_F(WatchHubTest, RequestedProgressComesAfterEveryChange) {
  for (int i = 0; i < 100; ++i) log_.put("k", std::to_string(i));
  start({.response_bytes = 20});
  log_.look_at_most(3);
  watch({.range = {"k", ""}, .start_revision = Revision{2}});
  ASSERT_TRUE(stream_->request_progress());
  std::size_t events = 0;
  WatchResponse response = next();
  for (; response.kind == Kind::kEvents; response = next()) events += response.events.size();
  EXPECT_EQ(events, 100U);
  EXPECT_EQ(response.id, -1);
  EXPECT_EQ(response.revision, Revision{101});
}

TEST_F(WatchHubTest, ACompactedStartIsCancelled) {
  for (int i = 2; i <= 9; ++i) log_.put("k", std::to_string(i));
  log_.compact(Revision{6});
  start();
  const WatchId id = watch({.range = {"k", ""}, .start_revision = Revision{5}});
  const WatchResponse response = next();
  EXPECT_EQ(response.kind, Kind::kCanceled);
  EXPECT_EQ(response.id, id);
  EXPECT_EQ(response.compact_revision, Revision{6});
  EXPECT_EQ(response.cancel_reason, "etcdserver: mvcc: required revision has been compacted");
  watch({.range = {"k", ""}, .start_revision = Revision{6}});
  EXPECT_THAT(summary(next()), ElementsAre("k=6@6", "k=7@7", "k=8@8", "k=9@9"));
}

TEST_F(WatchHubTest, CompactionUnderASlowWatcherCancelsItAndNobodyElse) {
  start({.ring_bytes = 40, .response_bytes = 10});
  const WatchId slow = watch({.range = prefix_range("s")});
  const WatchId idle = watch({.range = prefix_range("i")});
  auto other = *hub_->open();
  ASSERT_TRUE(other->create({.range = prefix_range("x")}));
  for (int i = 0; i < 50; ++i) log_.put("s" + std::to_string(i), "value");
  // Once it is known that nothing of it concerns the other stream.
  EXPECT_EQ((**other->next(kSoon)).kind, Kind::kCreated);
  ASSERT_TRUE(other->request_progress());
  EXPECT_EQ((**other->next(kSoon)).kind, Kind::kProgress);
  log_.compact(Revision{40});
  WatchResponse response = next();
  for (; response.kind == Kind::kEvents; response = next()) EXPECT_EQ(response.id, slow);
  // The stream has one place for both, and history is gone there.
  EXPECT_EQ(response.kind, Kind::kCanceled);
  EXPECT_EQ(response.compact_revision, Revision{40});
  EXPECT_EQ(next().kind, Kind::kCanceled);
  (void)idle;
  log_.put("x", "1");
  EXPECT_THAT(summary(**other->next(kSoon)), ElementsAre("x=1@52"));
}

TEST_F(WatchHubTest, RevisionsAreNotSplit) {
  for (int i = 0; i < 10; ++i) log_.commit({{"a", "1234"}, {"b", "1234"}, {"c", "1234"}});
  start({.response_bytes = 35});
  watch({.range = all_keys(), .start_revision = Revision{2}});
  for (int i = 0; i < 5; ++i) {
    const WatchResponse response = next();
    EXPECT_EQ(response.events.size(), 6U);
    EXPECT_FALSE(response.fragment);
    EXPECT_EQ(response.revision, response.events.back().kv.mod_revision);
  }
  expect_nothing();
}

TEST_F(WatchHubTest, ARevisionThatIsTooLargeComesInFragments) {
  start({.ring_bytes = 4000, .response_bytes = 100});
  const WatchId all = watch({.range = all_keys()});
  const WatchId one = watch({.range = {"k000", ""}});
  const WatchId none = watch({.range = {"z", ""}});
  FakeChanges::Changes changes;
  for (int i = 0; i < 200; ++i)
    changes.emplace_back("k" + std::to_string(1000 + i).substr(1), "123456");
  log_.commit(changes);
  log_.put("z", "1");
  std::map<WatchId, std::size_t> events;
  std::map<WatchId, bool> open;
  while (events[none] == 0 || events[all] < 201 || open[one]) {
    const WatchResponse response = next();
    ASSERT_EQ(response.kind, Kind::kEvents);
    events[response.id] += response.events.size();
    open[response.id] = response.fragment;
    EXPECT_LE(response.events.size(), 11U);
    if (response.fragment) {
      EXPECT_EQ(response.revision, Revision{2});
    }
  }
  EXPECT_EQ(events[all], 201U);
  EXPECT_EQ(events[one], 1U);
  expect_nothing();
}

TEST_F(WatchHubTest, AStuckWatcherReadsOnWhereItStopped) {
  start({.ring_bytes = 500, .response_bytes = 200});
  watch({.range = prefix_range("k")});
  watch({.range = prefix_range("k")});
  log_.put("k", "first");
  EXPECT_THAT(summary(next()), ElementsAre("k=first@2"));
  // The second watch's response waits while everything in memory is replaced.
  for (int i = 0; i < 1000; ++i) log_.put("k", std::to_string(i));
  std::map<WatchId, std::int64_t> last;
  std::map<WatchId, std::size_t> events;
  while (events[0] + events[1] < 2001) {
    const WatchResponse response = next();
    ASSERT_EQ(response.kind, Kind::kEvents);
    for (const Event& event : response.events) {
      EXPECT_GT(event.kv.mod_revision.value, last[response.id]);
      last[response.id] = event.kv.mod_revision.value;
    }
    events[response.id] += response.events.size();
  }
  EXPECT_EQ(events[0], 1000U);
  EXPECT_EQ(events[1], 1001U);
  expect_nothing();
}

TEST_F(WatchHubTest, RecentChangesAreNotReadAgain) {
  start();
  watch({.range = prefix_range("k"), .prev_kv = true});
  log_.put("k", "1");
  EXPECT_EQ(next().events.size(), 1U);
  for (int i = 0; i < 100; ++i) log_.put("k", "2");
  std::size_t events = 0;
  while (events < 100) events += next().events.size();
  EXPECT_EQ(log_.reads(), 0U);
}

TEST_F(WatchHubTest, AWaitingStreamIsWoken) {
  for (const bool with_changes : {true, false}) {
    start({}, with_changes);
    watch({.range = {"k", ""}});
    auto waiting = std::async(std::launch::async, [&] { return next(); });
    log_.put("other", "1");
    const Revision revision = log_.put("k", "1");
    EXPECT_EQ(waiting.get().events.at(0).kv.mod_revision, revision);
    waiting = std::async(std::launch::async, [&] { return next(); });
    ASSERT_TRUE(stream_->create({.range = {"b", ""}}));
    EXPECT_EQ(waiting.get().kind, Kind::kCreated);
    stream_.reset();
  }
}

TEST_F(WatchHubTest, CloseEndsEveryStream) {
  start();
  watch({.range = {"k", ""}});
  auto waiting = std::async(std::launch::async, [&] { return stream_->next(kSoon); });
  hub_->close();
  const auto ended = waiting.get();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Code::kUnavailable);
  EXPECT_EQ(stream_->create({.range = {"a", ""}}).error().code, Code::kUnavailable);
  EXPECT_EQ(stream_->request_progress().error().code, Code::kUnavailable);
  EXPECT_EQ(hub_->open().error().code, Code::kUnavailable);
  EXPECT_TRUE(stream_->cancel(0));
  hub_.reset();
  stream_.reset();  // a stream may outlive its store
}

TEST_F(WatchHubTest, NobodyIsAskedForChangesThatNobodyWatches) {
  start();
  EXPECT_FALSE(hub_->wants().changes);
  watch({.range = {"k", ""}, .start_revision = Revision{100}});
  EXPECT_TRUE(hub_->wants().changes);
  EXPECT_FALSE(hub_->wants().prev);
  const WatchId id = watch({.range = {"k", ""}, .prev_kv = true});
  EXPECT_TRUE(hub_->wants().prev);
  ASSERT_TRUE(stream_->cancel(id));
  EXPECT_FALSE(hub_->wants().prev);
  stream_.reset();
  EXPECT_FALSE(hub_->wants().changes);
}

TEST_F(WatchHubTest, ManyWatchesOnOneStream) {
  start();
  constexpr int kWatches = 10'000;
  for (int i = 0; i < kWatches; ++i) {
    const std::string key = "key/" + std::to_string(i);
    ASSERT_TRUE(
        stream_->create({.range = i % 2 == 0 ? KeyRange{key, ""} : prefix_range(key + "/")}));
  }
  for (int i = 0; i < kWatches; ++i) ASSERT_EQ(next().kind, Kind::kCreated);
  for (int i = 0; i < kWatches; ++i) {
    log_.put("key/" + std::to_string(i) + (i % 2 == 0 ? "" : "/x"), "v");
  }
  std::vector<bool> seen(kWatches);
  for (int i = 0; i < kWatches; ++i) {
    const WatchResponse response = next();
    ASSERT_EQ(response.events.size(), 1U);
    seen[static_cast<std::size_t>(response.id)] = true;
  }
  EXPECT_EQ(std::ranges::count(seen, true), kWatches);
  expect_nothing();
}

}  // namespace
}  // namespace bennu::kv::embedded
