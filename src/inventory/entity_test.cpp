#include "inventory/entity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "inventory/derived.hpp"

namespace bennu::inventory {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kUuid = "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11";

TEST(Fields, TheTableIsConsistent) {
  for (const KindInfo& info : all_kinds()) {
    EXPECT_EQ(find_kind(info.name), info.kind);
    std::set<std::string_view> names;
    for (const Field& field : info.fields) {
      EXPECT_TRUE(names.insert(field.name).second) << info.name << " " << field.name;
      EXPECT_FALSE(field.help.empty()) << field.name;
      EXPECT_EQ(find_field(info.kind, field.name), &field);
      // A primary key stands in the path only.
      EXPECT_NE(field.name, info.primary_key[0]);
      EXPECT_NE(field.name, info.primary_key[1]);
    }
    EXPECT_TRUE(names.contains("status")) << info.name;
  }
  EXPECT_EQ(find_field(Kind::kUser, "shoe_size"), nullptr);
  EXPECT_EQ(find_kind("ship"), std::nullopt);
}

TEST(Layout, KeysGoThereAndBack) {
  const Layout layout;
  const std::vector<std::pair<EntityId, std::string>> keys = {
      {user_id(7), "/net/users/7/status"},
      {device_id(7, kUuid), std::string("/net/users/7/devices/") + kUuid + "/status"},
      {node_id("2001:db8::1"), "/net/nodes/2001:db8::1/status"},
      {cell_id("west.example.org"), "/net/cells/west.example.org/status"},
      {link_id("198.51.100.1", "203.0.113.7"), "/net/links/198.51.100.1/203.0.113.7/status"},
  };
  for (const auto& [id, key] : keys) {
    EXPECT_EQ(layout.field_key(id, "status"), key);
    const auto parsed = layout.parse(key);
    ASSERT_TRUE(parsed.has_value()) << key;
    EXPECT_EQ(parsed->id, id);
    EXPECT_EQ(parsed->field, "status");
  }
  EXPECT_EQ(layout.user_counter_key(), "/net/counters/user_id");
  EXPECT_EQ(Layout("/sigilgate/").field_key(user_id(7), "status"), "/sigilgate/users/7/status");
}

TEST(Layout, OtherKeysAreNoFields) {
  const Layout layout;
  for (const char* key :
       {"", "/net/", "/net/users/7", "/net/users/7/", "/net/users//status",
        "/net/users/7/devices/u", "/net/users/7/devices/u/name/x", "/net/links/a/status",
        "/net/counters/user_id", "/other/users/7/status"}) {
    EXPECT_FALSE(layout.parse(key).has_value()) << key;
  }
}

TEST(Entity, JsonHasThePrimaryKeyAndTypedFieldsInTableOrder) {
  const Entity user{.id = user_id(7),
                    .fields = {{"username", "anna"},
                               {"status", "active"},
                               {"core_nodes", R"(["203.0.113.7","203.0.113.8"])"},
                               {"email", ""},
                               {"shoe_size", "38"}}};
  EXPECT_EQ(to_json(user).dump(),
            R"({"id":7,"username":"anna","status":"active",)"
            R"("core_nodes":["203.0.113.7","203.0.113.8"],"email":"","shoe_size":"38"})");
  const Entity node{.id = node_id("203.0.113.7"), .fields = {{"node_number", "3"}}};
  EXPECT_EQ(to_json(node).dump(), R"({"ip":"203.0.113.7","node_number":3})");
  const Entity device{.id = device_id(7, kUuid), .fields = {{"name", "phone"}}};
  EXPECT_EQ(to_json(device).dump(),
            std::string(R"({"user_id":7,"uuid":")") + kUuid + R"(","name":"phone"})");
  EXPECT_EQ(to_json(std::vector<Entity>{node}).dump(),
            R"({"items":[{"ip":"203.0.113.7","node_number":3}]})");
  EXPECT_EQ(to_json(std::vector<Entity>{}).dump(), R"({"items":[]})");
}

TEST(Entity, SealedPartsAreMarked) {
  const Entity user{.id = user_id(7),
                    .fields = {{"username", "anna"}, {"email", "bennu-sealed:1:1:AAAA"}}};
  EXPECT_THAT(user.sealed(), ElementsAre("email"));
  EXPECT_EQ(to_json(user).dump(), R"({"id":7,"username":"anna","email":null,"sealed":["email"]})");
  const Entity device{.id = device_id(7, "~sealed~0123456789abcdef0123456789abcdef"),
                      .fields = {{"name", "phone"}}};
  EXPECT_THAT(device.sealed(), ElementsAre("uuid"));
  const Entity clear{.id = device_id(7, kUuid), .fields = {{"name", "phone"}}};
  EXPECT_THAT(clear.sealed(), IsEmpty());
}

TEST(Entity, DescriptionsDoNotShowCredentials) {
  EXPECT_EQ(describe(device_id(7, kUuid)), "device of user 7");
  const Entity phone{.id = device_id(7, kUuid), .fields = {{"name", "phone"}}};
  EXPECT_EQ(describe(phone), "device phone of user 7");
  EXPECT_EQ(describe(link_id("198.51.100.1", "203.0.113.7")), "link 198.51.100.1 -> 203.0.113.7");
  EXPECT_EQ(describe(Entity{.id = user_id(7), .fields = {{"username", "anna"}}}), "user 7 (anna)");
}

TEST(Derived, FollowsFromTheEntityAlone) {
  const Entity user{.id = user_id(7), .fields = {{"username", "a/n%a"}, {"hash_telegram_id", "x"}}};
  EXPECT_THAT(unique_keys(user),
              ElementsAre(std::pair("/_bennu/local/unique/user/hash_telegram_id/x", "7"),
                          std::pair("/_bennu/local/unique/user/username/a%2Fn%25a", "7")));
  Entity node{.id = node_id("198.51.100.1"),
              .fields = {{"status", "active"}, {"domain", "e1.example.org"}}};
  EXPECT_THAT(
      unique_keys(node),
      ElementsAre(std::pair("/_bennu/local/unique/node/domain/e1.example.org", "198.51.100.1")));
  node.fields["status"] = "inactive";
  EXPECT_THAT(unique_keys(node), IsEmpty());
  EXPECT_THAT(unique_keys(Entity{.id = device_id(7, "~sealed~00")}), IsEmpty());
}

TEST(Derived, IsForgottenWhereAPlainWriteReachesIntoTheInventory) {
  const Layout layout;
  const std::string all(1, '\0');
  for (const kv::KeyRange& range :
       {kv::KeyRange{.key = "/net/users/1/username"}, kv::prefix_range("/net/users/"),
        kv::prefix_range("/n"), kv::all_keys(), kv::KeyRange{.key = "/a", .end = all}}) {
    EXPECT_EQ(forget_derived(layout, range).size(), 1U) << range.key;
  }
  for (const kv::KeyRange& range :
       {kv::KeyRange{.key = "/nets"}, kv::prefix_range("/other/"), kv::KeyRange{.key = "/net"},
        kv::KeyRange{.key = "/a", .end = "/net/"}, kv::KeyRange{.key = "/o", .end = all}}) {
    EXPECT_TRUE(forget_derived(layout, range).empty()) << range.key;
  }
}

TEST(Assembler, ASealedNameIsNoField) {
  const Layout layout;
  Assembler assembler(layout, Kind::kDevice);
  const std::string prefix = "/net/users/1/devices/~sealed~0123456789abcdef0123456789abcdef/";
  assembler.take(prefix + "$uuid", "bennu-sealed:1:1:AAAA");
  assembler.take(prefix + "name", "phone");
  const auto devices = std::move(assembler).finish();
  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices.front().fields.size(), 1U);
  EXPECT_THAT(devices.front().sealed(), ElementsAre("uuid"));
}

TEST(Assembler, SortsUsersByNumber) {
  const Layout layout;
  Assembler assembler(layout, Kind::kUser);
  for (const char* id : {"10", "2", "1"}) {
    assembler.take(std::string("/net/users/") + id + "/username", "u");
    assembler.take(std::string("/net/users/") + id + "/devices/" + kUuid + "/name", "d");
  }
  std::vector<std::string> order;
  for (const Entity& user : std::move(assembler).finish()) order.push_back(user.id.first);
  EXPECT_THAT(order, ElementsAre("1", "2", "10"));
}

}  // namespace
}  // namespace bennu::inventory
