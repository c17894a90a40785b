#include "inventory/client_config.hpp"

#include <nlohmann/json.hpp>

#include "inventory/fixture_for_tests.hpp"

namespace bennu::inventory {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class ClientConfig : public Fixture {
 protected:
  void SetUp() override {
    add_node(kCore, "core");
    add_node(kCore2, "core");
    add_node(kEntry, "entry", {{"domain", "e1.example.org"}});
    add_node(kEntry2, "entry", {{"domain", "e2.example.org"}});
    link(kEntry, kCore, "feed/a&b");
    link(kEntry, kCore2, "two");
    link(kEntry2, kCore, "three");
    user = add_user("anna", {{"core_nodes", kCore}});
    phone = add_device(user, "Anna's téléphone", {}, kUuid);
  }

  void link(const std::string& entry, const std::string& core, const std::string& name) {
    must(add(link_id(entry, core), {{"client_service_name", name}}));
  }

  Result<std::vector<ClientLink>> links() {
    return client_links(store, layout, phone, clock.wall());
  }
  // The entries and cores that serve the device now.
  std::vector<std::string> served() {
    const auto found = links();
    EXPECT_TRUE(found.has_value()) << found.error().message;
    std::vector<std::string> pairs;
    if (!found) return pairs;
    for (const ClientLink& l : *found) pairs.push_back(l.entry_domain + " " + l.core_ip);
    return pairs;
  }

  static constexpr const char* kEntry2 = "198.51.100.2";
  EntityId user;
  EntityId phone;
};

TEST_F(ClientConfig, TheLinkIsEncodedAndInOrder) {
  const auto found = links();
  ASSERT_TRUE(found.has_value()) << found.error().message;
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->front().uri,
            "vless://6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11@e1.example.org:443?type=grpc&security=tls"
            "&serviceName=feed%2Fa%26b&fp=chrome&alpn=h2#Anna%27s%20t%C3%A9l%C3%A9phone");
  EXPECT_EQ(found->front().entry_ip, kEntry);
  EXPECT_EQ(found->front().core_ip, kCore);
  EXPECT_THAT(served(), ElementsAre("e1.example.org 203.0.113.7", "e2.example.org 203.0.113.7"));
}

TEST_F(ClientConfig, TheDevicesOwnCoreNodeComesBeforeTheUsers) {
  ASSERT_TRUE(set(user, {{"core_nodes", "203.0.113.7,203.0.113.8"}}).has_value());
  EXPECT_EQ(served().size(), 3U);
  ASSERT_TRUE(set(phone, {{"core_node", kCore2}}).has_value());
  EXPECT_THAT(served(), ElementsAre("e1.example.org 203.0.113.8"));
}

TEST_F(ClientConfig, OnlyActivePartsServe) {
  ASSERT_TRUE(set_status(link_id(kEntry, kCore), kInactive).has_value());
  EXPECT_THAT(served(), ElementsAre("e2.example.org 203.0.113.7"));
  ASSERT_TRUE(set_status(link_id(kEntry, kCore), kActive).has_value());
  ASSERT_TRUE(set_status(node_id(kEntry2), kInactive).has_value());
  EXPECT_THAT(served(), ElementsAre("e1.example.org 203.0.113.7"));
  ASSERT_TRUE(set(node_id(kEntry), {{"domain", std::nullopt}}).has_value());
  EXPECT_THAT(links(), FailsWith(reason::kNotServed, "nothing serves device Anna"));
  ASSERT_TRUE(set(node_id(kEntry), {{"domain", "e1.example.org"}}).has_value());
  ASSERT_TRUE(set_status(node_id(kCore), kInactive).has_value());
  EXPECT_THAT(links(), FailsWith(reason::kNotServed, "nothing serves"));
}

TEST_F(ClientConfig, InactiveAndExpiredDevicesHaveNone) {
  ASSERT_TRUE(set(phone, {{"expires", "2023-11-14T23:13:20Z"}}).has_value());
  EXPECT_TRUE(links().has_value());
  clock.advance(1h);
  EXPECT_THAT(links(), FailsWith(reason::kRule, "expired at 2023-11-14T23:13:20Z"));
  ASSERT_TRUE(set(phone, {{"expires", std::nullopt}}).has_value());
  ASSERT_TRUE(set_status(phone, kInactive).has_value());
  EXPECT_THAT(links(), FailsWith(reason::kRule, "is inactive: activate it first"));
  ASSERT_TRUE(set_status(phone, kActive).has_value());
  // Only by a change past the rules: the device active, its user not.
  put("/net/users/1/status", "archived");
  EXPECT_THAT(links(), FailsWith(reason::kRule, "user 1 (anna) is archived"));
}

TEST_F(ClientConfig, WhatIsSealedMakesNoLink) {
  put("/net/links/198.51.100.1/203.0.113.7/client_service_name", "bennu-sealed:1:1:AAAA");
  EXPECT_THAT(links(), FailsWith(reason::kSealed, "the service name of link 198.51.100.1"));
  const EntityId sealed{.kind = Kind::kDevice, .first = "1", .second = "~sealed~0123456789abcdef"};
  put("/net/users/1/devices/" + sealed.second + "/name", "tv");
  put("/net/users/1/devices/" + sealed.second + "/status", "active");
  EXPECT_THAT(client_links(store, layout, sealed, clock.wall()),
              FailsWith(reason::kSealed, "is sealed here: open or restore this with an identity"));
}

TEST_F(ClientConfig, AMissingDeviceIsSaidSo) {
  phone.second = "00000000-0000-4000-8000-000000000000";
  EXPECT_THAT(links(), FailsWith(reason::kNoEntity, "no device of user 1"));
}

TEST_F(ClientConfig, Json) {
  const auto found = links();
  const auto json = to_json(entity(phone), *found);
  EXPECT_EQ(json["device"]["uuid"], kUuid);
  EXPECT_EQ(json["links"][0]["entry_domain"], "e1.example.org");
  EXPECT_EQ(json["links"][1]["uri"], found->at(1).uri);
}

TEST(PercentEncode, KeepsOnlyUnreserved) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode(" /?#&=%+\xff"), "%20%2F%3F%23%26%3D%25%2B%FF");
}

}  // namespace
}  // namespace bennu::inventory
