// The operations on the engine that runs them: many threads at once, and after a reopening.
#include <atomic>
#include <thread>

#include "env/temp_dir.hpp"
#include "inventory/derived.hpp"
#include "inventory/fixture_for_tests.hpp"
#include "kv/embedded/engine.hpp"

namespace bennu::inventory {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Durable : public ::testing::Test {
 protected:
  void open() {
    auto opened = kv::open_embedded({.path = dir_.path() / "kv", .create_if_missing = true});
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store = std::move(*opened);
  }
  void SetUp() override { open(); }

  Result<Outcome> add_user(Inventory& inventory, const std::string& name) {
    return inventory.add({.kind = Kind::kUser}, {{"username", name}}, {.actor = {.name = "Ana"}});
  }
  std::vector<Violation> violations() { return check(*store, Layout()).value(); }

  std::unique_ptr<kv::Store> store;

 private:
  env::TempDir dir_;
};

TEST_F(Durable, ManyThreadsOneNameOneWinner) {
  constexpr int kThreads = 8;
  constexpr int kNames = 10;
  std::atomic<int> refused = 0;
  std::atomic<int> lost = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        // One object per thread, as separate commands would have.
        Inventory inventory(*store, env::system_clock(), env::system_random());
        for (int n = 0; n < kNames; ++n) {
          const auto outcome = add_user(inventory, "user" + std::to_string(n));
          if (outcome) continue;
          ++(outcome.error().reason == reason::kTaken ? refused : lost);
        }
      });
    }
  }
  EXPECT_EQ(refused, (kThreads - 1) * kNames);
  EXPECT_EQ(lost, 0);
  const auto users = list(*store, Layout(), Kind::kUser);
  ASSERT_TRUE(users.has_value());
  EXPECT_THAT(*users, SizeIs(kNames));
  // Each id was given once, and none to a loser.
  EXPECT_EQ(users->back().id, user_id(kNames));
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Durable, EverythingIsThereAfterAReopening) {
  {
    Inventory inventory(*store, env::system_clock(), env::system_random());
    ASSERT_TRUE(add_user(inventory, "anna").has_value());
    ASSERT_TRUE(
        inventory.add({.kind = Kind::kDevice, .first = "1"}, {{"name", "phone"}}, {}).has_value());
  }
  store.reset();
  open();
  Inventory inventory(*store, env::system_clock(), env::system_random());
  const auto again = add_user(inventory, "anna");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().message, "username anna is taken by user 1 (anna): choose another one");
  const auto gone = inventory.remove(user_id(1), {});
  ASSERT_TRUE(gone.has_value()) << gone.error().message;
  EXPECT_THAT(gone->also, SizeIs(1));
  EXPECT_EQ(add_user(inventory, "anna")->entity.id, user_id(2));
}

TEST_F(Durable, AChangeIsOneRevision) {
  Inventory inventory(*store, env::system_clock(), env::system_random());
  ASSERT_TRUE(inventory.ensure_derived().has_value());
  const auto before = store->range({.range = {.key = "x"}})->revision;
  const auto outcome = add_user(inventory, "anna");
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->revision, before.next());
  for (const std::string& prefix : {std::string("/net/"), std::string(kv::kAuditPrefix)}) {
    const auto keys = store->range({.range = kv::prefix_range(prefix)});
    EXPECT_FALSE(keys->kvs.empty()) << prefix;
    for (const kv::KeyValue& kv : keys->kvs) {
      EXPECT_EQ(kv.mod_revision, outcome->revision) << kv.key;
    }
  }
}

}  // namespace
}  // namespace bennu::inventory
