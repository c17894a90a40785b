#include "inventory/read.hpp"

#include "inventory/derived.hpp"
#include "inventory/fixture_for_tests.hpp"

namespace bennu::inventory {
namespace {

using ::testing::ElementsAre;

class Read : public Fixture {
 protected:
  Result<EntityId> parse(Kind kind, std::vector<std::string> parts) {
    return parse_id(store, layout, kind, parts);
  }
  std::vector<std::string> listed(Kind kind, const ListFilter& filter = {}) {
    const auto found = list(store, layout, kind, filter);
    EXPECT_TRUE(found.has_value());
    std::vector<std::string> ids;
    if (!found) return ids;
    for (const Entity& e : *found) {
      ids.push_back(e.id.first + (e.id.second.empty() ? "" : " " + e.id.second));
    }
    return ids;
  }
};

TEST_F(Read, ListsOneKindInOrderAndFilters) {
  add_node(kCore, "core");
  add_node(kEntry, "entry");
  for (int i = 0; i < 11; ++i) add_user("u" + std::to_string(i));
  add_device(user_id(2), "phone", {}, kUuid);
  EXPECT_THAT(listed(Kind::kUser),
              ElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"));
  EXPECT_THAT(listed(Kind::kDevice), ElementsAre(std::string("2 ") + kUuid));
  EXPECT_THAT(listed(Kind::kDevice, {.parent = "2"}), ElementsAre(std::string("2 ") + kUuid));
  EXPECT_THAT(listed(Kind::kDevice, {.parent = "1"}), ElementsAre());
  EXPECT_THAT(listed(Kind::kNode, {.where = {{"role", "core"}}}), ElementsAre(kCore));
  EXPECT_THAT(listed(Kind::kNode, {.where = {{"cell", "x"}}}), ElementsAre());
}

TEST_F(Read, AtAnOldRevision) {
  const EntityId id = add_user("anna");
  const Revision then = store.range({.range = {.key = "x"}})->revision;
  must(set(id, {{"username", "anne"}}));
  EXPECT_EQ(get(store, layout, id, then)->get("username"), "anna");
  EXPECT_EQ(get(store, layout, id)->get("username"), "anne");
}

TEST_F(Read, AUserIsNamedByIdOrUsername) {
  const EntityId id = add_user("anna");
  EXPECT_EQ(*parse(Kind::kUser, {"1"}), id);
  EXPECT_EQ(*parse(Kind::kUser, {"anna"}), id);
  EXPECT_EQ(*parse(Kind::kUser, {"7"}), user_id(7));
  EXPECT_THAT(parse(Kind::kUser, {"boris"}),
              FailsWith(reason::kNoEntity, "no user with username boris: see `bennu user list`"));
  EXPECT_THAT(parse(Kind::kUser, {}), FailsWith(reason::kBadValue, "a user is named by id"));
  EXPECT_THAT(parse(Kind::kUser, {"1", "2"}), FailsWith(reason::kBadValue, "named by id"));
}

TEST_F(Read, AUserIsFoundWithoutIndexesAndDespiteStaleOnes) {
  add_user("anna");
  add_user("boris");
  put("/net/users/1/username", "carl");
  put("/net/users/2/username", "anna");
  EXPECT_EQ(*parse(Kind::kUser, {"anna"}), user_id(2));
  ASSERT_TRUE(store.delete_range({.range = kv::prefix_range(kUniquePrefix)}).has_value());
  EXPECT_EQ(*parse(Kind::kUser, {"carl"}), user_id(1));
}

TEST_F(Read, ADeviceIsNamedByUuidOrUserAndName) {
  const EntityId anna = add_user("anna");
  const EntityId phone = add_device(anna, "phone", {}, kUuid);
  EXPECT_EQ(*parse(Kind::kDevice, {kUuid}), phone);
  EXPECT_EQ(*parse(Kind::kDevice, {"6F1C1F0E-3A52-4C5B-9D0E-2F6F0C1B7A11"}), phone);
  EXPECT_EQ(*parse(Kind::kDevice, {"anna", "phone"}), phone);
  EXPECT_EQ(*parse(Kind::kDevice, {"1", kUuid}), phone);
  ASSERT_TRUE(store.delete_range({.range = kv::prefix_range(kUniquePrefix)}).has_value());
  EXPECT_EQ(*parse(Kind::kDevice, {kUuid}), phone);
  EXPECT_THAT(parse(Kind::kDevice, {"anna", "tv"}),
              FailsWith(reason::kNoEntity, "user 1 has no device \"tv\""));
  EXPECT_THAT(parse(Kind::kDevice, {"phone"}),
              FailsWith(reason::kBadValue, "its user and its name"));
  EXPECT_THAT(parse(Kind::kDevice, {"00000000-0000-4000-8000-000000000000"}),
              FailsWith(reason::kNoEntity, "no device with this uuid"));
  put("/net/users/1/devices/~sealed~1~AAAA/name", "tv");
  EXPECT_THAT(parse(Kind::kDevice, {"00000000-0000-4000-8000-000000000000"}),
              FailsWith(reason::kNoEntity, "--identity"));
  add_device(anna, "phone");
  EXPECT_THAT(parse(Kind::kDevice, {"anna", "phone"}),
              FailsWith(reason::kRule, "has 2 devices \"phone\""));
}

TEST_F(Read, ANodeIsNamedByAddressOrDomain) {
  const EntityId old = add_node(kEntry, "entry", {{"domain", "e1.example.org"}});
  EXPECT_EQ(*parse(Kind::kNode, {"2001:DB8::1"}), node_id("2001:db8::1"));
  EXPECT_EQ(*parse(Kind::kNode, {"E1.example.org"}), old);
  must(set_status(old, kInactive));
  EXPECT_EQ(*parse(Kind::kNode, {"e1.example.org"}), old);
  const EntityId successor = add_node("198.51.100.2", "entry", {{"domain", "e1.example.org"}});
  EXPECT_EQ(*parse(Kind::kNode, {"e1.example.org"}), successor);
  EXPECT_EQ(*parse(Kind::kLink, {"e1.example.org", kCore}), link_id("198.51.100.2", kCore));
  EXPECT_THAT(parse(Kind::kNode, {"e9.example.org"}),
              FailsWith(reason::kNoEntity, "no node with domain e9.example.org"));
  EXPECT_THAT(parse(Kind::kNode, {"e1"}), FailsWith(reason::kBadValue, "\"e1\" is no node"));
  EXPECT_EQ(*parse(Kind::kCell, {"West.example.org"}), cell_id("west.example.org"));
  EXPECT_THAT(parse(Kind::kCell, {"west"}), FailsWith(reason::kBadValue, "\"west\" is no cell"));
}

}  // namespace
}  // namespace bennu::inventory
