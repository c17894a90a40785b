// What others do at named places in the middle of a request, and what is thrown there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <new>

#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv {
namespace {

using testing::ElementsAre;

// A store whose fail point `at` calls a function.
class Hooked : public testing::Test {
 protected:
  void open(std::string at, std::function<void()> act) {
    EngineOptions options{.path = dir.path() / "kv", .create_if_missing = true};
    options.test_hooks = {.fail_point =
                              [at = std::move(at), act = std::move(act)](std::string_view here) {
                                if (here == at) act();
                              },
                          .stage_spill_changes = 2};
    auto opened = open_embedded(options);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  Status put_staged(int keys) {
    BENNU_ASSIGN(const auto stage, store->stage());
    for (int i = 0; i < keys; ++i) BENNU_TRY(stage->put("s" + std::to_string(i), "v"));
    BENNU_TRY(stage->commit({}, {}));
    return {};
  }

  env::TempDir dir;
  std::atomic<bool> armed = false;
  std::unique_ptr<Store> store;
};

TEST_F(Hooked, ARequestThatThrowsIsAnsweredAndHoldsNobodyUp) {
  armed = true;
  open("write.evaluate", [this] {
    if (armed.exchange(false)) throw std::bad_alloc();
  });
  const auto thrown = store->put({.key = "a", .value = "1"});
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().code, Code::kInternal);
  EXPECT_EQ(thrown.error().effect, Effect::kNone);
  const auto next = store->put({.key = "b", .value = "1"});
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->revision, Revision{2});

  ASSERT_TRUE(put_staged(5));
  armed = true;
  EXPECT_FALSE(put_staged(6));
  EXPECT_TRUE(put_staged(6));
  const auto all = store->range({.range = all_keys(), .count_only = true});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->count, 7);
}

TEST_F(Hooked, CompactionWhileAStageBeginsTakesNoChangeFromIt) {
  open("stage.ticket", [&] {
    ASSERT_TRUE(store->put({.key = "s1", .value = "2"}));
    const auto last = store->put({.key = "s1", .value = "3"});
    ASSERT_TRUE(last);
    ASSERT_TRUE(store->compact(last->revision, true));
  });
  ASSERT_TRUE(store->put({.key = "s1", .value = "1"}));
  ASSERT_TRUE(put_staged(5));
  const auto found = store->range({.range = {.key = "s1", .end = {}}});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->kvs.size(), 1U);
  EXPECT_EQ(found->kvs[0].version, 4);
  EXPECT_EQ(found->kvs[0].create_revision, Revision{2});
}

// What is mended in the commit's turn of the write role holds everyone up.
TEST_F(Hooked, AStageThatWaitedForALargeOneGivesItsTurnBack) {
  int turns = 0;
  open("stage.caught_up", [&] {
    ++turns;
    if (!armed.exchange(false)) return;
    ASSERT_TRUE(put_staged(5000));
  });
  armed = true;
  ASSERT_TRUE(put_staged(6000));
  EXPECT_EQ(turns, 3) << "of the one between, and two of the one that waited";
  const auto all = store->range({.range = all_keys()});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->count, 6000);
  for (const auto& kv : all->kvs) {
    EXPECT_EQ(kv.mod_revision, Revision{3});
    EXPECT_EQ(kv.version, kv.create_revision == Revision{2} ? 2 : 1);
  }
  armed = false;
  turns = 0;
  ASSERT_TRUE(put_staged(6000));
  EXPECT_EQ(turns, 1);
}

// A delete of more than is held in memory takes the way of a stage; what others do meanwhile must
// not show.
class ManyDeleted : public Hooked {
 protected:
  // Keys k0..k9 (of `lease`), and what `meanwhile` does between finding them and the commit.
  void fill(std::function<void()> meanwhile, LeaseId lease = {}) {
    open("stage.ingested", [this, act = std::move(meanwhile)] {
      if (armed.exchange(false)) act();
    });
    for (int i = 0; i < 10; ++i) put("k" + std::to_string(i), lease);
    armed = true;
  }
  void put(std::string key, LeaseId lease = {}) {
    const auto done = store->put({.key = std::move(key), .value = "v", .lease = lease});
    EXPECT_TRUE(done) << done.error().message;
  }
  std::vector<std::string> left() {
    const auto all = store->range({.range = all_keys()});
    std::vector<std::string> keys;
    if (!all) return {all.error().message};
    for (const auto& kv : all->kvs) keys.push_back(kv.key);
    EXPECT_EQ(all->count, static_cast<std::int64_t>(keys.size()));
    const auto counted = store->range({.range = all_keys(), .count_only = true});
    EXPECT_EQ(counted ? counted->count : -1, all->count);
    return keys;
  }
};

TEST_F(ManyDeleted, AreOneRevisionWithWhatOthersDidMeanwhile) {
  fill([&] {
    put("k5");   // a newer version
    put("k55");  // new in the range
    put("m");    // and beside it
    ASSERT_TRUE(store->delete_range({.range = {.key = "k7", .end = {}}}));
  });
  put("a");
  auto stream = store->watch();
  ASSERT_TRUE(stream);
  ASSERT_TRUE((*stream)->create({.range = prefix_range("k"), .prev_kv = true}));
  const auto done = store->delete_range({.range = prefix_range("k"), .prev_kv = true});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_FALSE(armed) << "it was not staged";
  EXPECT_EQ(done->revision, Revision{1 + 11 + 4 + 1});
  EXPECT_EQ(done->deleted, 10);
  ASSERT_EQ(done->prev_kvs.size(), 10U);
  EXPECT_EQ(done->prev_kvs[5].key, "k5");
  EXPECT_EQ(done->prev_kvs[5].version, 2);
  EXPECT_EQ(done->prev_kvs[6].key, "k55");
  EXPECT_THAT(left(), ElementsAre("a", "m"));

  std::vector<std::string> deleted;
  while (deleted.size() < 11) {
    const auto next = (*stream)->next(std::chrono::seconds{10});
    ASSERT_TRUE(next && *next);
    for (const Event& event : (*next)->events) {
      if (event.type != EventType::kDelete) continue;
      deleted.push_back(event.kv.key);
      EXPECT_EQ(event.prev_kv.size(), 1U);
      EXPECT_EQ(event.kv.mod_revision == done->revision, event.kv.key != "k7");
    }
  }
  std::sort(deleted.begin(), deleted.end());
  EXPECT_THAT(deleted,
              ElementsAre("k0", "k1", "k2", "k3", "k4", "k5", "k55", "k6", "k7", "k8", "k9"));
}

TEST_F(ManyDeleted, InATransactionWithComparesAndPuts) {
  fill([] {});
  TxnRequest request{.compares = {{.range = {.key = "none", .end = {}}, .number = 0}},
                     .success = {Op{PutRequest{.key = "x", .value = "1", .prev_kv = true}},
                                 Op{DeleteRangeRequest{.range = prefix_range("k")}},
                                 Op{DeleteRangeRequest{.range = {.key = "q", .end = {}}}},
                                 Op{DeleteRangeRequest{.range = {.key = "l", .end = "m"}}}},
                     .failure = {}};
  put("x");
  put("q");
  put("l");
  const auto done = store->txn(request);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_FALSE(armed);
  ASSERT_EQ(done->responses.size(), 4U);
  const auto& put_response = std::get<PutResponse>(done->responses[0].response);
  EXPECT_EQ(put_response.revision, done->revision);
  ASSERT_EQ(put_response.prev_kv.size(), 1U);
  EXPECT_EQ(put_response.prev_kv[0].value, "v");
  for (const auto& [at, deleted] : std::map<std::size_t, int>{{1, 10}, {2, 1}, {3, 1}}) {
    EXPECT_EQ(std::get<DeleteRangeResponse>(done->responses[at].response).deleted, deleted) << at;
    EXPECT_EQ(std::get<DeleteRangeResponse>(done->responses[at].response).revision, done->revision);
  }
  EXPECT_THAT(left(), ElementsAre("x"));
  for (int i = 0; i < 10; ++i) put("k" + std::to_string(i));
  request.compares[0].number = 1;
  const auto refused = store->txn(request);
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_FALSE(refused->succeeded);
  EXPECT_EQ(left().size(), 11U);
}

TEST_F(ManyDeleted, ALeaseTakesOnlyTheKeysThatAreItsAtThatTime) {
  const LeaseId lease{77};
  fill([] {}, {});
  ASSERT_TRUE(store->lease_grant({.id = lease, .ttl_s = 1000}));
  for (int i = 0; i < 10; ++i) put("k" + std::to_string(i), lease);
  store.reset();
  open("stage.ingested", [&] {
    if (!armed.exchange(false)) return;
    put("k3");         // is nobody's any more
    put("k4", lease);  // stays the lease's
    put("n", lease);
  });
  armed = true;
  const auto done = store->lease_revoke(lease);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_FALSE(armed) << "it was not staged";
  EXPECT_THAT(left(), ElementsAre("k3"));
  const auto life = store->lease_time_to_live(lease, true);
  ASSERT_TRUE(life);
  EXPECT_EQ(life->ttl_s, -1);
  EXPECT_EQ(store->put({.key = "z", .value = "", .lease = lease}).error().reason,
            reason::kLeaseNotFound);
  store.reset();
  open("", [] {});
  EXPECT_THAT(left(), ElementsAre("k3"));
  EXPECT_TRUE(store->leases()->leases.empty());
}

TEST_F(ManyDeleted, AreDeletedOnceWhenSomebodyElseWasFaster) {
  fill([&] { ASSERT_TRUE(store->delete_range({.range = prefix_range("k")})); });
  const auto done = store->delete_range({.range = prefix_range("k")});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->deleted, 0);
  EXPECT_EQ(done->revision, Revision{12}) << "nothing changed, so there is no revision";
  EXPECT_THAT(left(), ElementsAre());
}

}  // namespace
}  // namespace bennu::kv
