// Others write between the reads and the commit of an operation. Each test names what would be
// broken if the commit did not compare it.
#include <atomic>
#include <thread>

#include "inventory/derived.hpp"
#include "inventory/fixture_for_tests.hpp"

namespace bennu::inventory {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Races : public Fixture {
 protected:
  /// Runs `other` once, just before the next transaction is evaluated: too late to be read.
  void meanwhile(std::function<void()> other) {
    store.before_txn = [this, other = std::move(other)] {
      store.before_txn = nullptr;
      other();
    };
  }
};

TEST_F(Races, TheCoreIsArchivedWhileAUserIsAdded) {
  const EntityId core = add_node(kCore, "core");
  meanwhile([&] { must(set_status(core, kArchived)); });
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}, {"core_nodes", kCore}}),
              FailsWith(reason::kRule, "node 203.0.113.7 is archived"));
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Races, AUserIsAddedWhileItsCoreIsRemoved) {
  const EntityId core = add_node(kCore, "core");
  meanwhile([&] { add_user("anna", {{"core_nodes", kCore}}); });
  EXPECT_THAT(remove(core), FailsWith(reason::kInUse, "user 1 (anna) depends on it"));
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Races, ALinkIsAddedWhileItsEntryIsArchived) {
  add_node(kCore, "core");
  const EntityId entry = add_node(kEntry, "entry");
  meanwhile([&] { must(add(link_id(kEntry, kCore))); });
  EXPECT_THAT(set_status(entry, kArchived), FailsWith(reason::kInUse, "link 198.51.100.1"));
}

TEST_F(Races, TheUserIsArchivedWhileADeviceIsAdded) {
  const EntityId user = add_user("anna");
  meanwhile([&] { must(set_status(user, kArchived)); });
  EXPECT_THAT(add({.kind = Kind::kDevice, .first = user.first}, {{"name", "tv"}}),
              FailsWith(reason::kRule, "is archived"));
}

TEST_F(Races, ADeviceIsAddedWhileItsUserIsArchived) {
  const EntityId user = add_user("anna");
  meanwhile([&] { add_device(user, "tv"); });
  const auto outcome = set_status(user, kArchived);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_THAT(outcome->also, SizeIs(1));
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Races, ADeviceIsAddedWhileItsUserIsRemoved) {
  const EntityId user = add_user("anna");
  meanwhile([&] { add_device(user, "tv", {}, kUuid); });
  const auto outcome = remove(user);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_THAT(outcome->also, SizeIs(1));
  EXPECT_FALSE(store.dump().contains(unique_key(Kind::kDevice, "uuid", kUuid)));
}

TEST_F(Races, ADeviceIsRemovedWhileItsUserIsArchived) {
  const EntityId user = add_user("anna");
  const EntityId tv = add_device(user, "tv");
  meanwhile([&] { must(remove(tv)); });
  ASSERT_TRUE(set_status(user, kArchived).has_value());
  // Not half of it comes back.
  EXPECT_FALSE(get(store, layout, tv).has_value());
}

TEST_F(Races, ADeviceMovesToACoreWhileItsUserLosesThatCore) {
  add_node(kCore, "core");
  add_node(kCore2, "core");
  const EntityId user = add_user("anna", {{"core_nodes", "203.0.113.7,203.0.113.8"}});
  const EntityId tv = add_device(user, "tv");
  meanwhile([&] { must(set(tv, {{"core_node", kCore2}})); });
  EXPECT_THAT(set(user, {{"core_nodes", kCore}}), FailsWith(reason::kRule, "cannot lose"));
  ASSERT_TRUE(set(tv, {{"core_node", std::nullopt}}).has_value());
  meanwhile([&] { must(set(user, {{"core_nodes", kCore}})); });
  EXPECT_THAT(set(tv, {{"core_node", kCore2}}), FailsWith(reason::kRule, "is not one of"));
}

TEST_F(Races, ANodeJoinsWhileItsCellIsRemoved) {
  const EntityId cell = must(add(cell_id("west.example.org")));
  meanwhile([&] { add_node(kEntry, "entry", {{"cell", "west.example.org"}}); });
  EXPECT_THAT(remove(cell), FailsWith(reason::kInUse, "node 198.51.100.1"));
}

TEST_F(Races, TwoCoresJoinACellAtOnce) {
  must(add(cell_id("west.example.org")));
  meanwhile([&] { add_node(kCore, "core", {{"cell", "west.example.org"}}); });
  const EntityId second = add_node(kCore2, "core", {{"cell", "west.example.org"}});
  EXPECT_EQ(field(second, "node_number"), "2");
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Races, TheUserIsRemovedWhileItIsChanged) {
  const EntityId user = add_user("anna");
  meanwhile([&] { must(remove(user)); });
  EXPECT_THAT(set(user, {{"email", "a@example.org"}}), FailsWith(reason::kNoEntity, "no user 1"));
  EXPECT_FALSE(store.dump().contains("/net/users/1/email"));
}

TEST_F(Races, TwoChangesOfOneUserAreBothKept) {
  const EntityId user = add_user("anna");
  meanwhile([&] { must(set(user, {{"email", "a@example.org"}})); });
  ASSERT_TRUE(set(user, {{"telegram", "@anna"}}).has_value());
  EXPECT_EQ(field(user, "email"), "a@example.org");
  EXPECT_EQ(field(user, "telegram"), "@anna");
}

TEST_F(Races, TheNameIsTakenMeanwhile) {
  add_user("boris");
  meanwhile([&] { add_user("anna"); });
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}}),
              FailsWith(reason::kTaken, "username anna is taken by user 2"));
  EXPECT_EQ(store.dump()["/net/counters/user_id"], "2");
}

TEST_F(Races, TheIndexesAreDroppedMeanwhile) {
  add_user("anna");
  meanwhile([&] {
    ASSERT_TRUE(store.delete_range({.range = kv::prefix_range(kUniquePrefix)}).has_value());
    put("/net/users/7/username", "boris");
    put("/net/users/7/status", "active");
  });
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "boris"}}),
              FailsWith(reason::kTaken, "taken by user 7"));
}

TEST_F(Races, ALostRaceIsRepeatedOnlySoOften) {
  add_user("anna");
  int calls = 0;
  store.before_txn = [&] {
    ++calls;
    put("/net/counters/user_id", std::to_string(100 + calls));
  };
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "boris"}}),
              FailsWith(reason::kContended, "try again"));
  EXPECT_EQ(calls, kMaxAttempts);
}

TEST_F(Races, ThreadsThatAddOneNameHaveOneWinner) {
  constexpr int kThreads = 8;
  std::atomic<int> won = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        const auto outcome = add({.kind = Kind::kUser}, {{"username", "anna"}});
        if (outcome) {
          ++won;
        } else if (outcome.error().reason == reason::kTaken) {
          ++refused;
        }
      });
    }
  }
  EXPECT_EQ(won, 1);
  EXPECT_EQ(refused, kThreads - 1);
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Races, ThreadsThatAddManyNamesHaveEachItsId) {
  constexpr int kThreads = 4;
  constexpr int kEach = 20;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        for (int n = 0; n < kEach; ++n) add_user("u" + std::to_string(i) + "." + std::to_string(n));
      });
    }
  }
  const auto users = list(store, layout, Kind::kUser);
  ASSERT_TRUE(users.has_value());
  ASSERT_THAT(*users, SizeIs(kThreads * kEach));
  // No id twice, none left out.
  EXPECT_EQ(users->back().id, user_id(kThreads * kEach));
  EXPECT_THAT(violations(), IsEmpty());
}

}  // namespace
}  // namespace bennu::inventory
