// Leases on the real engine, on a clock that only moves when told to. A crash is a copy of the
// folder of a store that is still open: what was answered is synced, so the copy must have it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class LeaseEngineTest : public testing::Test {
 protected:
  void SetUp() override { open(); }

  std::unique_ptr<Store> open_at(const std::filesystem::path& path) {
    auto store = open_embedded({.path = path,
                                .create_if_missing = true,
                                .lease_stall_limit = hours{24 * 365},
                                .clock = &clock_});
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  void open() { store_ = open_at(dir_.path() / "store"); }
  void reopen() {
    store_.reset();
    open();
  }
  // What a crash now would leave.
  std::unique_ptr<Store> crashed() {
    const auto copy = dir_.path() / ("crash" + std::to_string(crashes_++));
    // A copy is only the state of one moment if no file came or went meanwhile.
    const auto names = [&] {
      std::set<std::string> out;
      for (const auto& file : std::filesystem::directory_iterator(dir_.path() / "store")) {
        out.insert(file.path().filename());
      }
      return out;
    };
    for (std::set<std::string> before; before.empty() || before != names();) {
      before = names();
      std::filesystem::remove_all(copy);
      std::filesystem::create_directories(copy);
      for (const std::string& name : before) {
        std::error_code gone;
        std::filesystem::copy(dir_.path() / "store" / name, copy / name, gone);
      }
    }
    return open_at(copy);
  }

  LeaseId grant(std::int64_t ttl_s) { return store_->lease_grant({.ttl_s = ttl_s})->id; }
  void put(const std::string& key, LeaseId lease) {
    const auto done = store_->put({.key = key, .value = "v", .lease = lease});
    ASSERT_TRUE(done) << done.error().message;
  }
  static LeaseTimeToLiveResponse life(Store& store, LeaseId id) {
    return *store.lease_time_to_live(id, true);
  }
  static std::int64_t count(Store& store) {
    return store.range({.range = all_keys(), .count_only = true})->count;
  }
  // Until only this many keys are left. Expiry runs on a thread of the store's, and a lease is gone
  // before its keys are; each round writes, so that the wait is for a few syncs.
  void wait_for_keys(std::int64_t keys) {
    for (int i = 0; i < 100'000; ++i) {
      put("tick", {});
      if (count(*store_) == keys + 1) break;
    }
    EXPECT_EQ(count(*store_), keys + 1);
  }

  env::TempDir dir_;
  env::ManualClock clock_;
  int crashes_ = 0;
  std::unique_ptr<Store> store_;
};

TEST_F(LeaseEngineTest, RevokingDeletesTheKeysInOneRevision) {
  const LeaseId id = grant(60);
  const LeaseId other = grant(60);
  for (const char* key : {"c", "a", "b"}) put(key, id);
  put("d", other);
  put("b", other);  // taken over
  EXPECT_THAT(life(*store_, id).keys, ElementsAre("a", "c"));
  const Revision before = store_->range({.range = all_keys()})->revision;
  EXPECT_EQ(*store_->lease_revoke(id), before.next());
  EXPECT_EQ(count(*store_), 2);
  EXPECT_EQ(store_->lease_revoke(id).error().reason, reason::kLeaseNotFound);
  EXPECT_EQ(store_->put({.key = "x", .lease = id}).error().reason, reason::kLeaseNotFound);
  ASSERT_TRUE(store_->delete_range({.range = {"d", ""}}));
  EXPECT_THAT(life(*store_, other).keys, ElementsAre("b"));
  reopen();
  EXPECT_THAT(life(*store_, other).keys, ElementsAre("b"));
  EXPECT_EQ(life(*store_, id).ttl_s, -1);
}

TEST_F(LeaseEngineTest, AStagedPutTakesAKeyFromItsLease) {
  const LeaseId id = grant(60);
  put("a", id);
  put("b", id);
  {
    auto stage = *store_->stage();
    ASSERT_TRUE(stage->put("a", "staged"));
    ASSERT_TRUE(stage->commit({}, {}));
  }
  EXPECT_THAT(life(*store_, id).keys, ElementsAre("b"));
  ASSERT_TRUE(store_->lease_revoke(id));
  EXPECT_EQ(count(*store_), 1);
}

TEST_F(LeaseEngineTest, ExpiryDeletesTheKeys) {
  const LeaseId id = grant(10);
  const LeaseId longer = grant(11);
  put("a", id);
  put("b", longer);
  clock_.advance(seconds{10} - milliseconds{1});
  EXPECT_EQ(life(*store_, id).ttl_s, 0);
  clock_.advance(milliseconds{1});
  wait_for_keys(1);
  EXPECT_EQ(life(*store_, id).ttl_s, -1);
  EXPECT_EQ(store_->range({.range = {"a", ""}})->count, 0);
  EXPECT_EQ(store_->range({.range = {"b", ""}})->count, 1);
  EXPECT_EQ(store_->lease_keep_alive(id).error().reason, reason::kLeaseNotFound);
  EXPECT_THAT(store_->leases()->leases, ElementsAre(longer));
  const auto after = crashed();
  EXPECT_EQ(after->range({.range = {"a", ""}})->count, 0);
  EXPECT_THAT(after->leases()->leases, ElementsAre(longer));
}

TEST_F(LeaseEngineTest, AStopKeepsWhatIsLeftAndDownTimeDoesNotCount) {
  const LeaseId id = grant(100);
  put("a", id);
  clock_.advance(milliseconds{30'500});
  store_.reset();
  clock_.advance(hours{3});
  open();
  const auto left = life(*store_, id);
  EXPECT_EQ(left.granted_ttl_s, 100);
  EXPECT_EQ(left.ttl_s, 70);
  EXPECT_THAT(left.keys, ElementsAre("a"));
  ASSERT_TRUE(store_->lease_keep_alive(id));
  clock_.advance(seconds{99});
  reopen();
  EXPECT_EQ(life(*store_, id).ttl_s, 1);
  clock_.advance(seconds{1});
  wait_for_keys(0);
}

TEST_F(LeaseEngineTest, ACheckpointIsWrittenEveryMinute) {
  const LeaseId id = grant(1000);
  clock_.advance(seconds{60});
  // The thread writes it when it looks at the clock next; a crash before that leaves more.
  std::int64_t left_s = 1000;
  for (int i = 0; i < 1000 && left_s == 1000; ++i) left_s = life(*crashed(), id).ttl_s;
  EXPECT_EQ(left_s, 940);
}

TEST_F(LeaseEngineTest, AKeptLeaseIsNotShorterAfterACrash) {
  const LeaseId id = grant(1000);
  clock_.advance(seconds{400});
  reopen();  // a checkpoint of 600 is on disk
  EXPECT_EQ(life(*store_, id).ttl_s, 600);
  EXPECT_EQ(life(*crashed(), id).ttl_s, 600);
  ASSERT_EQ(store_->lease_keep_alive(id)->ttl_s, 1000);
  EXPECT_EQ(life(*crashed(), id).ttl_s, 1000);
}

TEST_F(LeaseEngineTest, GrantsAndKeysSurviveACrash) {
  const LeaseId id = grant(50);
  put("a", id);
  ASSERT_TRUE(store_->lease_grant({.id = LeaseId{-7}, .ttl_s = 60}));
  const auto after = crashed();
  EXPECT_THAT(after->leases()->leases, ElementsAre(id, LeaseId{-7}));
  EXPECT_THAT(life(*after, id).keys, ElementsAre("a"));
  EXPECT_EQ(after->lease_grant({.id = id, .ttl_s = 60}).error().reason, reason::kLeaseExists);
}

TEST_F(LeaseEngineTest, ManyLeasesExpireTogether) {
  constexpr int kLeases = 50;
  LeaseId last;
  for (int i = 0; i < kLeases; ++i) {
    last = grant(5);
    put("key" + std::to_string(i), last);
  }
  clock_.advance(seconds{5});
  wait_for_keys(0);
  EXPECT_THAT(store_->leases()->leases, IsEmpty());
}

}  // namespace
}  // namespace bennu::kv
