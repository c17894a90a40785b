// Random watches over random histories, against what a list of all changes says they must get.
// Survived must be: reads that stop anywhere, a ring of a few changes, fragments, compaction at any
// moment, cancels, concurrent writers. A failing seed is printed; BENNU_SEED runs it alone.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "kv/embedded/fake_changes.hpp"
#include "kv/embedded/watch_hub.hpp"

namespace bennu::kv::embedded {
namespace {

using std::chrono::milliseconds;
using Kind = WatchResponse::Kind;

constexpr milliseconds kSoon = std::chrono::seconds{20};

std::string random_key(std::mt19937& engine) {
  std::string key(1, static_cast<char>('a' + engine() % 4));
  if (engine() % 2 == 0) key += static_cast<char>('a' + engine() % 4);
  return key;
}

KeyRange random_range(std::mt19937& engine) {
  const std::string key = random_key(engine);
  switch (engine() % 5) {
    case 0:
      return all_keys();
    case 1:
      return prefix_range(key);
    case 2:
      return {key, std::string(1, '\0')};
    case 3:
      return {key, key + "z"};
    default:
      return {key, ""};
  }
}

// One stream, what it was told, and whether that is right.
class Client {
 public:
  Client(WatchHub& hub, const FakeChanges& log) : log_(log), stream_(*hub.open()) {}

  void create(std::mt19937& engine, Revision current) {
    WatchRequest request{.range = random_range(engine)};
    request.prev_kv = engine() % 3 == 0;
    request.no_put = engine() % 8 == 0;
    request.no_delete = engine() % 8 == 0;
    if (engine() % 2 == 0) {
      request.start_revision.value = 1 + static_cast<std::int64_t>(engine()) % (current.value + 5);
    }
    const auto id = stream_->create(request);
    ASSERT_TRUE(id) << id.error().message;
    Watch& watch = watches_[*id];
    watch = {.request = request};
  }

  void cancel(std::mt19937& engine) {
    if (watches_.empty()) return;
    const WatchId id = std::next(watches_.begin(), engine() % watches_.size())->first;
    ASSERT_TRUE(stream_->cancel(id));
    watches_.at(id).cancelling = true;
  }

  // Takes one response; whether there was one.
  bool take(milliseconds wait) {
    const auto response = stream_->next(wait);
    if (!response) {
      ADD_FAILURE() << response.error().message;
      return false;
    }
    if (!*response) return false;
    check(**response);
    return true;
  }

  // Takes all there is. Progress on request promises that it is all.
  void finish() {
    progress_ = {};
    ASSERT_TRUE(stream_->request_progress());
    const Revision current = log_.current_revision();
    while (progress_.value == 0) ASSERT_TRUE(take(kSoon));
    EXPECT_GE(progress_, current);
    for (const auto& [id, watch] : watches_) {
      ASSERT_TRUE(watch.created);
      EXPECT_FALSE(watch.fragment);
      compare(watch, progress_);
    }
  }

  std::size_t events = 0;
  std::size_t compactions = 0;
  std::size_t fragments = 0;

 private:
  struct Watch {
    WatchRequest request;
    bool created = false;
    bool cancelling = false;
    bool fragment = false;
    Revision from;
    Revision seen;
    std::vector<Event> events;
  };

  void check(const WatchResponse& response) {
    if (response.kind == Kind::kProgress) {
      EXPECT_EQ(response.id, -1);
      progress_ = response.revision;
      return;
    }
    const auto found = watches_.find(response.id);
    ASSERT_NE(found, watches_.end());
    Watch& watch = found->second;
    switch (response.kind) {
      case Kind::kCreated:
        ASSERT_FALSE(watch.created);
        watch.created = true;
        watch.from = watch.request.start_revision.value == 0 ? response.revision.next()
                                                             : watch.request.start_revision;
        return;
      case Kind::kCanceled: {
        ASSERT_TRUE(watch.created);
        if (response.compact_revision.value == 0) {
          EXPECT_TRUE(watch.cancelling);
        } else {
          // What it got has no gap, and it could not have read on.
          ++compactions;
          compare(watch, watch.fragment ? watch.seen.previous() : watch.seen);
          EXPECT_LT(watch.seen, response.compact_revision);
        }
        watches_.erase(found);
        return;
      }
      default:
        break;
    }
    ASSERT_TRUE(watch.created);
    EXPECT_TRUE(!response.events.empty() || watch.fragment);
    // A whole revision is never continued; only a fragment is.
    if (!response.events.empty()) {
      const Revision first = response.events[0].kv.mod_revision;
      EXPECT_TRUE(first > watch.seen || (watch.fragment && first == watch.seen));
    }
    EXPECT_GE(response.revision, watch.seen);
    for (const Event& event : response.events) EXPECT_LE(event.kv.mod_revision, response.revision);
    watch.events.insert(watch.events.end(), response.events.begin(), response.events.end());
    watch.seen = response.revision;
    watch.fragment = response.fragment;
    events += response.events.size();
    if (response.fragment) ++fragments;
  }

  void compare(const Watch& watch, Revision to) {
    auto expected = log_.expected(watch.request, watch.from);
    std::erase_if(expected, [&](const Event& event) { return event.kv.mod_revision > to; });
    auto got = watch.events;
    std::erase_if(got, [&](const Event& event) { return event.kv.mod_revision > to; });
    EXPECT_EQ(got.size(), expected.size());
    EXPECT_TRUE(got == expected);
  }

  const FakeChanges& log_;
  std::unique_ptr<WatchStream> stream_;
  std::map<WatchId, Watch> watches_;
  Revision progress_;
};

void random_commit(FakeChanges& log, std::mt19937& engine, unsigned most) {
  std::map<std::string, std::optional<std::string>> changes;
  for (auto count = engine() % 10 == 0 ? 1 + engine() % most : 1; count > 0; --count) {
    auto& value = changes[random_key(engine)];
    if (engine() % 4 != 0) value = std::string(engine() % 30, 'v');
  }
  log.commit({changes.begin(), changes.end()});
}

struct Totals {
  std::size_t events = 0;
  std::size_t compactions = 0;
  std::size_t fragments = 0;
};

void run(unsigned seed, Totals& totals) {
  SCOPED_TRACE(seed);
  std::mt19937 engine(seed);
  FakeChanges log;
  env::ManualClock clock;
  WatchHub hub(log, clock,
               {.ring_bytes = 1 + engine() % 1000, .response_bytes = 1 + engine() % 300});
  log.look_at_most(1 + engine() % 40);
  log.publish_to(&hub, true);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(std::make_unique<Client>(hub, log));
  for (int step = 0; step < 400; ++step) {
    Client& client = *clients[engine() % clients.size()];
    switch (engine() % 16) {
      case 0:
        client.create(engine, log.current_revision());
        break;
      case 1:
        if (engine() % 3 == 0) client.cancel(engine);
        break;
      case 2:
        if (engine() % 8 == 0)
          log.compact(
              Revision{1 + static_cast<std::int64_t>(engine()) % log.current_revision().value});
        break;
      case 3:
        if (engine() % 4 == 0) client.finish();
        break;
      case 4:
        log.publish_to(&hub, engine() % 4 != 0);
        break;
      case 5:
      case 6:
      case 7:
      case 8:
        random_commit(log, engine, 20);
        break;
      default:
        client.take(milliseconds{0});
    }
    if (testing::Test::HasFailure()) return;
  }
  for (const auto& client : clients) {
    client->finish();
    totals.events += client->events;
    totals.compactions += client->compactions;
    totals.fragments += client->fragments;
  }
}

TEST(WatchRandom, EveryWatchGetsWhatTheHistorySays) {
  Totals totals;
  if (const char* seed = std::getenv("BENNU_SEED")) {
    run(static_cast<unsigned>(std::strtoul(seed, nullptr, 10)), totals);
    return;
  }
  for (unsigned seed = 1; seed <= 300 && !HasFailure(); ++seed) run(seed, totals);
  EXPECT_GT(totals.events, 10'000U);
  EXPECT_GT(totals.compactions, 100U);
  EXPECT_GT(totals.fragments, 100U);
}

TEST(WatchRandom, ConcurrentWritersAndReaders) {
  FakeChanges log;
  env::ManualClock clock;
  WatchHub hub(log, clock, {.ring_bytes = 20'000, .response_bytes = 2'000});
  log.publish_to(&hub, true);
  std::atomic<bool> written = false;
  std::atomic<std::size_t> events = 0;
  const auto read = [&](unsigned seed) {
    std::mt19937 engine(seed);
    Client client(hub, log);
    while (!written) {
      if (engine() % 20 == 0) client.create(engine, log.current_revision());
      if (engine() % 40 == 0) client.cancel(engine);
      client.take(milliseconds{engine() % 3});
    }
    client.finish();
    events += client.events;
  };
  {
    std::vector<std::jthread> readers;
    for (unsigned i = 1; i <= 4; ++i) readers.emplace_back(read, i);
    std::mt19937 engine(99);  // NOLINT(cert-msc51-cpp): repeatable on purpose
    for (int i = 0; i < 3000; ++i) {
      random_commit(log, engine, 200);
      if (i % 500 == 499) log.compact(Revision{log.current_revision().value - 200});
      if (i % 50 == 0) std::this_thread::yield();
    }
    written = true;
  }
  EXPECT_GT(events, 0U);
}

// One stream is asked for watches from one thread and read by another.
TEST(WatchRandom, WatchesComeAndGoWhileTheStreamIsRead) {
  FakeChanges log;
  env::ManualClock clock;
  WatchHub hub(log, clock, {.ring_bytes = 2'000, .response_bytes = 500});
  log.publish_to(&hub, true);
  const auto stream = *hub.open();
  constexpr int kRounds = 2000;
  std::jthread asking([&] {
    std::mt19937 engine(5);  // NOLINT(cert-msc51-cpp): repeatable on purpose
    for (int i = 0; i < kRounds; ++i) {
      const auto start =
          Revision{engine() % 2 == 0 ? 0 : 2 + static_cast<std::int64_t>(engine() % 50)};
      const auto id =
          stream->create({.range = random_range(engine), .start_revision = start, .id = 1 + i});
      EXPECT_TRUE(id);
      random_commit(log, engine, 30);
      EXPECT_TRUE(stream->cancel(1 + i));
    }
    EXPECT_TRUE(stream->request_progress());
  });
  std::map<WatchId, int> created;
  std::map<WatchId, int> cancelled;
  while (cancelled.size() < kRounds) {
    const auto response = stream->next(kSoon);
    ASSERT_TRUE(response && *response);
    const WatchId id = (*response)->id;
    if ((*response)->kind == Kind::kCreated) ++created[id];
    if ((*response)->kind == Kind::kEvents) {
      EXPECT_TRUE(created[id] == 1 && !cancelled.contains(id));
    }
    if ((*response)->kind == Kind::kCanceled) ++cancelled[id];
  }
  for (const auto& [id, count] : cancelled) EXPECT_TRUE(count == 1 && created[id] == 1);
}

TEST(WatchRandom, ClosingWhileEverybodyIsBusy) {
  for (int round = 0; round < 20; ++round) {
    FakeChanges log;
    env::ManualClock clock;
    WatchHub hub(log, clock, {.ring_bytes = 500, .response_bytes = 200});
    log.publish_to(&hub, round % 2 == 0);
    std::vector<std::jthread> readers;
    for (unsigned i = 0; i < 3; ++i) {
      readers.emplace_back([&, i] {
        std::mt19937 engine(i);
        const auto opened = hub.open();
        if (!opened) return;  // closed before this thread began
        const auto& stream = *opened;
        while (true) {
          (void)stream->create({.range = random_range(engine), .start_revision = Revision{1}});
          const auto response = stream->next(milliseconds{1});
          if (response) continue;
          EXPECT_EQ(response.error().code, Code::kUnavailable);
          return;
        }
      });
    }
    std::mt19937 engine(static_cast<unsigned>(round));
    for (int i = 0; i < 300; ++i) random_commit(log, engine, 30);
    hub.close();
  }
}

}  // namespace
}  // namespace bennu::kv::embedded
