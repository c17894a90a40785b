// Nodes, cells and links: each rule of the inventory, and what happens without it.
#include "inventory/fixture_for_tests.hpp"

namespace bennu::inventory {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

class Nodes : public Fixture {};
class Cells : public Fixture {};
class Links : public Fixture {};

TEST_F(Nodes, TheAddressIsTheKeyInItsOneForm) {
  EXPECT_EQ(add_node("2001:DB8:0::1", "entry"), node_id("2001:db8::1"));
  EXPECT_TRUE(store.dump().contains("/net/nodes/2001:db8::1/role"));
  EXPECT_THAT(add(node_id("2001:db8::0:1"), {{"role", "entry"}}),
              FailsWith(reason::kExists, "node 2001:db8::1 exists already"));
  EXPECT_THAT(add(node_id("core-1"), {{"role", "core"}}),
              FailsWith(reason::kBadValue, "\"core-1\""));
}

TEST_F(Nodes, TheRoleIsNeededAndKnown) {
  EXPECT_THAT(add(node_id(kCore)), FailsWith(reason::kBadValue, "needs role"));
  EXPECT_THAT(add(node_id(kCore), {{"role", "kernel"}}),
              FailsWith(reason::kBadValue, "core, entry or mgmt"));
}

TEST_F(Nodes, ADomainBelongsToOneActiveNode) {
  const EntityId first = add_node(kEntry, "entry", {{"domain", "E1.example.org"}});
  EXPECT_EQ(field(first, "domain"), "e1.example.org");
  EXPECT_THAT(add(node_id("198.51.100.2"), {{"role", "entry"}, {"domain", "e1.example.org"}}),
              FailsWith(reason::kTaken, "domain e1.example.org is taken by node 198.51.100.1"));
  // Its successor takes the domain over once it is out of service, and it cannot come back with it.
  ASSERT_TRUE(set_status(first, kInactive).has_value());
  add_node("198.51.100.2", "entry", {{"domain", "e1.example.org"}});
  EXPECT_THAT(set_status(first, kActive), FailsWith(reason::kTaken, "taken by node 198.51.100.2"));
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Nodes, ACoreInACellHasTheNextNumberAndItsDomain) {
  must(add(cell_id("west.example.org")));
  const EntityId one = add_node(kCore, "core", {{"cell", "west.example.org"}});
  const EntityId two = add_node(kCore2, "core", {{"cell", "west.example.org"}});
  EXPECT_EQ(field(one, "node_number"), "1");
  EXPECT_EQ(field(one, "domain"), "1.core.west.example.org");
  EXPECT_EQ(field(two, "domain"), "2.core.west.example.org");
  EXPECT_EQ(field(cell_id("west.example.org"), "core_node_counter"), "2");
  // A number is never given twice.
  ASSERT_TRUE(remove(two).has_value());
  const EntityId three = add_node(kCore2, "core", {{"cell", "west.example.org"}});
  EXPECT_EQ(field(three, "domain"), "3.core.west.example.org");
  EXPECT_THAT(set(one, {{"domain", "own.example.org"}}),
              FailsWith(reason::kRule, "<number>.core.west.example.org"));
  EXPECT_THAT(set(one, {{"domain", std::nullopt}}), FailsWith(reason::kRule, "leave it out"));
  EXPECT_THAT(set(one, {{"node_number", "9"}}), FailsWith(reason::kBadValue, "set by Bennu"));
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Nodes, MovingACoreToAnotherCellNumbersItAnew) {
  must(add(cell_id("west.example.org")));
  must(add(cell_id("east.example.org")));
  const EntityId core = add_node(kCore, "core", {{"cell", "west.example.org"}});
  ASSERT_TRUE(set(core, {{"cell", "east.example.org"}}).has_value());
  EXPECT_EQ(field(core, "domain"), "1.core.east.example.org");
  ASSERT_TRUE(set(core, {{"cell", std::nullopt}}).has_value());
  EXPECT_EQ(entity(core).find("domain"), nullptr);
  EXPECT_EQ(entity(core).find("node_number"), nullptr);
  EXPECT_EQ(field(cell_id("west.example.org"), "core_node_counter"), "1");
}

TEST_F(Nodes, TheCellExistsAndIsActive) {
  EXPECT_THAT(add(node_id(kCore), {{"role", "core"}, {"cell", "west.example.org"}}),
              FailsWith(reason::kRule, "no cell west.example.org"));
  must(add(cell_id("west.example.org")));
  ASSERT_TRUE(set_status(cell_id("west.example.org"), kInactive).has_value());
  EXPECT_THAT(add(node_id(kEntry), {{"role", "entry"}, {"cell", "west.example.org"}}),
              FailsWith(reason::kRule, "cell west.example.org is inactive"));
}

TEST_F(Nodes, AnEntryInACellKeepsItsOwnDomain) {
  must(add(cell_id("west.example.org")));
  const EntityId entry =
      add_node(kEntry, "entry", {{"cell", "west.example.org"}, {"domain", "e1.example.org"}});
  EXPECT_EQ(field(entry, "domain"), "e1.example.org");
  EXPECT_EQ(entity(entry).find("node_number"), nullptr);
}

TEST_F(Nodes, ACoreInUseIsNotRemovedNorArchivedNorGivenAnotherRole) {
  const EntityId core = add_node(kCore, "core");
  const EntityId user = add_user("anna", {{"core_nodes", kCore}});
  const EntityId phone = add_device(user, "phone", {{"core_node", kCore}});
  const char* names = "user 1 (anna), device ";
  EXPECT_THAT(remove(core), FailsWith(reason::kInUse, names));
  EXPECT_THAT(inventory.what_goes(core), FailsWith(reason::kInUse, "cannot be removed"));
  EXPECT_THAT(set_status(core, kArchived), FailsWith(reason::kInUse, "cannot be archived"));
  EXPECT_THAT(set(core, {{"role", "entry"}}), FailsWith(reason::kInUse, "given another role"));
  // Out of service for a while is no reason to touch its users.
  EXPECT_TRUE(set_status(core, kInactive).has_value());
  // An archived user does not keep it in service, but still refers to it.
  ASSERT_TRUE(set_status(user, kArchived).has_value());
  ASSERT_TRUE(set_status(phone, kArchived).has_value());
  EXPECT_TRUE(set_status(core, kArchived).has_value());
  EXPECT_THAT(remove(core), FailsWith(reason::kInUse, names));
  ASSERT_TRUE(remove(user).has_value());
  EXPECT_TRUE(remove(core).has_value());
}

TEST_F(Nodes, ManyDependantsAreCounted) {
  const EntityId core = add_node(kCore, "core");
  for (int i = 0; i < 8; ++i) add_user("user" + std::to_string(i), {{"core_nodes", kCore}});
  EXPECT_THAT(remove(core), FailsWith(reason::kInUse, "user 5 (user4) and 3 more depend on it"));
}

TEST_F(Nodes, ALinkedNodeIsInUse) {
  const EntityId core = add_node(kCore, "core");
  const EntityId entry = add_node(kEntry, "entry");
  const EntityId link = must(add(link_id(kEntry, kCore)));
  const char* names = "link 198.51.100.1 -> 203.0.113.7 depends on it";
  EXPECT_THAT(remove(core), FailsWith(reason::kInUse, names));
  EXPECT_THAT(remove(entry), FailsWith(reason::kInUse, names));
  EXPECT_THAT(set_status(entry, kArchived), FailsWith(reason::kInUse, names));
  ASSERT_TRUE(set_status(link, kArchived).has_value());
  EXPECT_TRUE(set_status(entry, kArchived).has_value());
  EXPECT_THAT(remove(entry), FailsWith(reason::kInUse, names));
  ASSERT_TRUE(remove(link).has_value());
  EXPECT_TRUE(remove(entry).has_value());
}

TEST_F(Cells, StartWithCounterZero) {
  const EntityId cell = must(add(cell_id("West.Example.org")));
  EXPECT_EQ(cell, cell_id("west.example.org"));
  EXPECT_EQ(field(cell, "core_node_counter"), "0");
  EXPECT_EQ(field(cell, "status"), "active");
  EXPECT_THAT(add(cell_id("west")), FailsWith(reason::kBadValue, "\"west\""));
  EXPECT_THAT(set(cell, {{"core_node_counter", "7"}}),
              FailsWith(reason::kBadValue, "set by Bennu"));
}

TEST_F(Cells, OneWithNodesIsNotRemovedNorArchived) {
  const EntityId cell = must(add(cell_id("west.example.org")));
  const EntityId core = add_node(kCore, "core", {{"cell", "west.example.org"}});
  EXPECT_THAT(remove(cell), FailsWith(reason::kInUse, "node 203.0.113.7 depends on it"));
  EXPECT_THAT(set_status(cell, kArchived), FailsWith(reason::kInUse, "cannot be archived"));
  ASSERT_TRUE(set_status(core, kArchived).has_value());
  EXPECT_TRUE(set_status(cell, kArchived).has_value());
  EXPECT_THAT(remove(cell), FailsWith(reason::kInUse, "node 203.0.113.7"));
  EXPECT_THAT(set_status(core, kActive), FailsWith(reason::kRule, "belongs in an active cell"));
  ASSERT_TRUE(remove(core).has_value());
  EXPECT_TRUE(remove(cell).has_value());
}

TEST_F(Links, HaveRandomServiceNamesAndTheTimeOfTheirRotation) {
  add_node(kCore, "core");
  add_node(kCore2, "core");
  add_node(kEntry, "entry");
  const EntityId link = must(add(link_id(kEntry, kCore)));
  const EntityId other = must(add(link_id(kEntry, kCore2)));
  const std::string name = field(link, "client_service_name");
  EXPECT_EQ(name.size(), 24U);
  EXPECT_NE(name, field(link, "core_service_name"));
  EXPECT_NE(name, field(other, "client_service_name"));
  EXPECT_EQ(field(link, "last_rotation"), env::to_rfc3339(clock.wall()));
  clock.advance(1h);
  ASSERT_TRUE(set(link, {{"client_service_name", "updates.Feed"}}).has_value());
  EXPECT_EQ(field(link, "client_service_name"), "updates.Feed");
  EXPECT_EQ(field(link, "last_rotation"), env::to_rfc3339(clock.wall()));
  clock.advance(1h);
  ASSERT_TRUE(set_status(link, kInactive).has_value());
  EXPECT_NE(field(link, "last_rotation"), env::to_rfc3339(clock.wall()));
}

TEST_F(Links, JoinAnActiveEntryAndAnActiveCore) {
  add_node(kCore, "core");
  const EntityId entry = add_node(kEntry, "entry");
  EXPECT_THAT(add(link_id(kCore, kEntry)),
              FailsWith(reason::kRule, "node 203.0.113.7 has role core"));
  EXPECT_THAT(add(link_id(kEntry, kCore2)), FailsWith(reason::kRule, "no node 203.0.113.8"));
  EXPECT_THAT(add(link_id("x", kCore)), FailsWith(reason::kBadValue, "\"x\""));
  const EntityId link = must(add(link_id(kEntry, kCore)));
  EXPECT_THAT(add(link_id(kEntry, kCore)), FailsWith(reason::kExists, "exists already"));
  ASSERT_TRUE(set_status(link, kInactive).has_value());
  ASSERT_TRUE(set_status(entry, kInactive).has_value());
  EXPECT_THAT(set_status(link, kActive), FailsWith(reason::kRule, "node 198.51.100.1 is inactive"));
}

TEST_F(Nodes, CheckFindsWhatCamePastTheRules) {
  put("/net/nodes/203.0.113.7/role", "kernel");
  put("/net/users/9/core_nodes", R"(["203.0.113.9"])");
  put("/net/counters/user_id", "8");
  const auto found = violations();
  for (const char* wanted :
       {"node 203.0.113.7: role \"kernel\" is not valid", "node 203.0.113.7: status is missing",
        "user 9: core node 203.0.113.9 does not exist", "user 9: username is missing",
        "/net/counters/user_id is below the newest user's id"}) {
    EXPECT_THAT(found, testing::Contains(testing::HasSubstr(wanted)));
  }
}

}  // namespace
}  // namespace bennu::inventory
