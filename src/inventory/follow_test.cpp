// What is written past the operations: its rules are told, its derived keys follow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inventory/derived.hpp"
#include "inventory/fixture_for_tests.hpp"
#include "inventory/reasons.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Follow : public Fixture {
 protected:
  void SetUp() override {
    add_node(kCore, "core");
    add_node(kCore2, "core");
    add_node(kEntry, "entry", {{"domain", "e1.example.org"}});
    anna = add_user("anna", {{"core_nodes", kCore}});
    boris = add_user("boris", {{"core_nodes", kCore}});
    phone = add_device(anna, "phone", {{"core_node", kCore}}, kUuid);
  }

  // One transaction past the operations, as an import makes it; nothing: delete.
  std::vector<std::string> write(const std::map<std::string, std::optional<std::string>>& keys) {
    kv::TxnRequest request;
    std::vector<std::string> names;
    for (const auto& [key, value] : keys) {
      names.push_back(key);
      if (value) {
        request.success.push_back({kv::PutRequest{.key = key, .value = *value}});
      } else {
        request.success.push_back({kv::DeleteRangeRequest{.range = {.key = key}}});
      }
    }
    for (kv::Op& op : forget_derived(layout, kv::prefix_range("/net/"))) {
      request.success.push_back(std::move(op));
    }
    const auto answer = store.txn(request);
    EXPECT_TRUE(answer && answer->succeeded);
    const auto found = inventory.follow(answer->revision, names);
    EXPECT_TRUE(found) << found.error().message;
    std::vector<std::string> lines;
    if (found) {
      for (const Violation& violation : *found) lines.push_back(violation.message);
    }
    return lines;
  }

  // The derived keys as they are, and as they are made from nothing.
  std::map<std::string, std::string> derived() {
    std::map<std::string, std::string> keys;
    for (const std::string& prefix : {std::string(kUniquePrefix), routes_prefix(layout)}) {
      const auto found = store.range({.range = kv::prefix_range(prefix)});
      for (const kv::KeyValue& kv : found->kvs) keys.emplace(kv.key, kv.value);
    }
    return keys;
  }
  void expect_derived_is_exact() {
    const auto mended = derived();
    EXPECT_TRUE(store.delete_range({.range = kv::prefix_range(kUniquePrefix)}));
    EXPECT_TRUE(inventory.ensure_derived());
    EXPECT_EQ(mended, derived());
  }

  std::string key(const EntityId& id, std::string_view name) { return layout.field_key(id, name); }

  EntityId anna;
  EntityId boris;
  EntityId phone;
};

TEST_F(Follow, AGoodChangeIsQuietAndMoved) {
  EXPECT_THAT(write({{key(anna, "username"), "anne"},
                     {key(phone, "core_node"), std::nullopt},
                     {key(phone, "status"), "inactive"}}),
              IsEmpty());
  EXPECT_EQ(store.range({.range = {.key = std::string(kUniqueComplete)}})->kvs[0].value,
            kUniqueVersion);
  expect_derived_is_exact();
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anne"}}),
              FailsWith(reason::kTaken, "anne"));
  add_user("anna");
}

TEST_F(Follow, NamesMayChangePlaces) {
  EXPECT_THAT(write({{key(anna, "username"), "boris"}, {key(boris, "username"), "anna"}}),
              IsEmpty());
  expect_derived_is_exact();
}

TEST_F(Follow, ATakenNameIsToldAndBothAreListed) {
  EXPECT_THAT(write({{key(boris, "username"), "anna"}}),
              ElementsAre("user 2 (anna): username anna is also that of user 1 (anna)"));
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}}),
              FailsWith(reason::kTaken, "anna"));
  const auto both = list(store, layout, Kind::kUser, {.where = {{"username", "anna"}}});
  EXPECT_EQ(both->size(), 2U);
  // Mended by an operation, all is as before.
  ASSERT_TRUE(set(boris, {{"username", "boris"}}));
  add_user("carol");
  EXPECT_THAT(violations(), IsEmpty());
  expect_derived_is_exact();
}

TEST_F(Follow, ACounterThatGivesNoGoodIdIsTold) {
  const std::string counter = layout.user_counter_key();
  EXPECT_THAT(write({{counter, "7"}}), IsEmpty());
  EXPECT_THAT(write({{counter, "5"}}), ElementsAre(HasSubstr("was 7: ids of removed users")));
  EXPECT_THAT(write({{counter, "1"}}), ElementsAre(HasSubstr("was 5"), HasSubstr("is below the")));
  EXPECT_THAT(write({{counter, std::nullopt}}), ElementsAre(HasSubstr("was 1")));
  EXPECT_THAT(write({{counter, "abc"}}), ElementsAre(HasSubstr("is not a number")));
  EXPECT_THAT(write({{counter, "9223372036854775807"}}), ElementsAre(HasSubstr("leaves no id")));
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "carol"}}),
              FailsWith(reason::kRule, "highest number"));
  EXPECT_THAT(write({{counter, "2"}, {key(anna, "username"), "boris"}}),
              testing::Contains(HasSubstr("was 9223372036854775807")));
}

TEST_F(Follow, WhatIsMissingIsTold) {
  EXPECT_THAT(write({{key(anna, "username"), std::nullopt}}),
              ElementsAre("user 1: username is missing"));
  EXPECT_THAT(write({{key(boris, "core_nodes"), "[\"9.9.9.9\"]"}}),
              ElementsAre("user 2 (boris): core node 9.9.9.9 does not exist"));
  EXPECT_THAT(write({{"/net/users/abc/username", "zed"}}),
              testing::Contains("user abc (zed): id is not in its stored form"));
  EXPECT_THAT(write({{"/net/users/77/devices/x/name", "tv"}}),
              testing::Contains("device tv of user 77: its user does not exist"));
}

TEST_F(Follow, OthersThatRelyOnWhatWentAreTold) {
  std::map<std::string, std::optional<std::string>> gone;
  for (const auto& [field, text] : entity(node_id(kCore)).fields) {
    gone[key(node_id(kCore), field)] = std::nullopt;
  }
  const auto told = write(gone);
  EXPECT_THAT(told, testing::Contains(HasSubstr("user 1 (anna): core node 203.0.113.7")));
  EXPECT_THAT(told, testing::Contains(HasSubstr("user 2 (boris): core node 203.0.113.7")));
  // What was broken before is not told again with a change that has nothing to do with it.
  EXPECT_THAT(write({{key(node_id(kEntry), "location"), "Berlin"}}), IsEmpty());
}

TEST_F(Follow, AUserThatWentLeavesItsDevices) {
  std::map<std::string, std::optional<std::string>> gone;
  for (const auto& [field, text] : entity(anna).fields) gone[key(anna, field)] = std::nullopt;
  EXPECT_THAT(write(gone), ElementsAre("device phone of user 1: its user does not exist"));
  expect_derived_is_exact();
}

TEST_F(Follow, NoMessageHoldsAUuid) {
  const EntityId twin{.kind = Kind::kDevice, .first = boris.first, .second = kUuid};
  const auto told = write({{key(twin, "name"), "phone"}, {key(twin, "status"), "on"}});
  EXPECT_THAT(told, testing::Contains(HasSubstr("uuid is also that of device phone of user 1")));
  for (const std::string& line : told) {
    EXPECT_EQ(line.find(std::string(kUuid).substr(0, 8)), std::string::npos) << line;
  }
}

TEST_F(Follow, WithoutCompleteIndexesEverythingIsLookedAt) {
  ASSERT_TRUE(store.delete_range({.range = kv::prefix_range(kUniquePrefix)}));
  EXPECT_THAT(write({{key(boris, "username"), "anna"}}),
              ElementsAre("user 2 (anna): username anna is also that of user 1 (anna)"));
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}}),
              FailsWith(reason::kTaken, "anna"));
}

TEST_F(Follow, AnotherChangeInBetweenIsNotLost) {
  kv::TxnRequest first{.success = {{kv::PutRequest{.key = key(anna, "username"), .value = "eve"}}}};
  first.success.push_back(forget_derived(layout, kv::prefix_range("/net/")).front());
  const auto at = store.txn(first)->revision;
  EXPECT_THAT(write({{key(boris, "username"), "zoe"}}), IsEmpty());
  ASSERT_TRUE(inventory.follow(at, {key(anna, "username")}));
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "eve"}}), FailsWith(reason::kTaken, "eve"));
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "zoe"}}), FailsWith(reason::kTaken, "zoe"));
}

}  // namespace
}  // namespace bennu::inventory
