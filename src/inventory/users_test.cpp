// Users and devices: each rule of the inventory, and what happens without it.
#include "inventory/derived.hpp"
#include "inventory/fixture_for_tests.hpp"

namespace bennu::inventory {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Users : public Fixture {};
class Devices : public Fixture {};

std::vector<kv::AuditEntry> audits(MemoryStore& store) {
  std::vector<kv::AuditEntry> entries;
  for (const auto& [key, value] : store.dump()) {
    if (key.starts_with(kv::kAuditPrefix)) entries.push_back(kv::parse_audit(value).value());
  }
  return entries;
}

TEST_F(Users, AddWritesOneKeyPerFieldAndTheCounter) {
  add_node(kCore, "core");
  const EntityId id = add_user("anna", {{"core_nodes", kCore}, {"email", "anna@example.org"}});
  EXPECT_EQ(id, user_id(1));
  auto keys = store.dump();
  EXPECT_EQ(keys["/net/users/1/username"], "anna");
  EXPECT_EQ(keys["/net/users/1/status"], "active");
  EXPECT_EQ(keys["/net/users/1/status_at"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(keys["/net/users/1/created"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(keys["/net/users/1/core_nodes"], R"(["203.0.113.7"])");
  EXPECT_EQ(keys["/net/users/1/email"], "anna@example.org");
  EXPECT_FALSE(keys.contains("/net/users/1/telegram"));
  EXPECT_EQ(keys["/net/counters/user_id"], "1");
  EXPECT_EQ(keys["/_bennu/local/unique/user/username/anna"], "1");
}

TEST_F(Users, AnIdIsNeverUsedTwice) {
  const EntityId first = add_user("anna");
  ASSERT_TRUE(remove(first).has_value());
  EXPECT_EQ(add_user("boris"), user_id(2));
}

TEST_F(Users, ALostCounterStartsBehindTheHighestId) {
  put("/net/users/1/username", "old");
  put("/net/users/41/username", "older");
  EXPECT_EQ(add_user("anna"), user_id(42));
  EXPECT_EQ(store.dump()["/net/counters/user_id"], "42");
}

TEST_F(Users, ABrokenCounterIsNamed) {
  put("/net/counters/user_id", "many");
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}}),
              FailsWith(reason::kRule, "/net/counters/user_id is not a number"));
}

TEST_F(Users, TheIdIsNotAChoice) {
  EXPECT_THAT(add(user_id(5), {{"username", "anna"}}), FailsWith(reason::kBadValue, "counter"));
}

TEST_F(Users, UsernameIsNeededAndCannotBeUnset) {
  EXPECT_THAT(add({.kind = Kind::kUser}), FailsWith(reason::kBadValue, "needs username"));
  const EntityId id = add_user("anna");
  EXPECT_THAT(set(id, {{"username", std::nullopt}}),
              FailsWith(reason::kBadValue, "cannot be unset"));
}

TEST_F(Users, UsernameIsUnique) {
  add_user("anna");
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}}),
              FailsWith(reason::kTaken, "username anna is taken by user 1 (anna)"));
  const EntityId boris = add_user("boris");
  EXPECT_THAT(set(boris, {{"username", "anna"}}), FailsWith(reason::kTaken, "anna is taken"));
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Users, AUsernameIsFreeAfterARenameOrARemoval) {
  const EntityId anna = add_user("anna");
  ASSERT_TRUE(set(anna, {{"username", "anne"}}).has_value());
  const EntityId second = add_user("anna");
  ASSERT_TRUE(remove(second).has_value());
  add_user("anna");
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Users, HashOfTelegramIdIsUnique) {
  add_user("anna", {{"hash_telegram_id", "abc"}});
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "boris"}, {"hash_telegram_id", "abc"}}),
              FailsWith(reason::kTaken, "hash_telegram_id abc is taken by user 1 (anna)"));
}

TEST_F(Users, TheIndexIsMadeAnewWhenItIsGone) {
  // As after a restore: the entities are there, nothing under /_bennu/local/ is.
  put("/net/users/1/username", "anna");
  put("/net/users/1/status", "active");
  put("/net/counters/user_id", "1");
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}}),
              FailsWith(reason::kTaken, "username anna is taken by user 1"));
  EXPECT_EQ(store.dump()[std::string(kUniqueComplete)], kUniqueVersion);
}

TEST_F(Users, AStaleIndexEntryGivesWay) {
  add_user("anna");
  // Renamed past the rules, the index complete but old.
  put("/net/users/1/username", "anne");
  EXPECT_EQ(add_user("anna"), user_id(2));
}

TEST_F(Users, TwoThatShareANameAreBothFoundOut) {
  for (const char* id : {"1", "2"}) {
    put(std::string("/net/users/") + id + "/username", "anna");
    put(std::string("/net/users/") + id + "/status", "active");
  }
  put("/net/counters/user_id", "2");
  // Renaming one frees nothing: the other still has the name.
  ASSERT_TRUE(set(user_id(1), {{"username", "anne"}}).has_value());
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}}),
              FailsWith(reason::kTaken, "taken by user 2"));
}

TEST_F(Users, EmailAndTelegramHaveAForm) {
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}, {"email", "anna"}}),
              FailsWith(reason::kBadValue, "user: email is not valid"));
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}, {"telegram", "anna"}}),
              FailsWith(reason::kBadValue, "user: telegram is not valid"));
}

TEST_F(Users, CoreNodesExistAreActiveAndAreCores) {
  add_node(kEntry, "entry");
  const EntityId core = add_node(kCore, "core");
  const auto with = [&](const char* ip) {
    return add({.kind = Kind::kUser}, {{"username", "anna"}, {"core_nodes", ip}});
  };
  EXPECT_THAT(with("203.0.113.9"), FailsWith(reason::kRule, "no node 203.0.113.9: "));
  EXPECT_THAT(with(kEntry), FailsWith(reason::kRule, "node 198.51.100.1 has role entry"));
  ASSERT_TRUE(set_status(core, kInactive).has_value());
  EXPECT_THAT(with(kCore), FailsWith(reason::kRule, "node 203.0.113.7 is inactive"));
  EXPECT_THAT(store.dump(), Not(testing::Contains(testing::Key("/net/users/1/username"))));
  const EntityId id = add_user("anna");
  EXPECT_THAT(set(id, {{"core_nodes", "203.0.113.9"}}),
              FailsWith(reason::kRule, "user 1 (anna): core_nodes may only name active nodes"));
}

TEST_F(Users, ComesBackOnlyToCoreNodesThatAreLeft) {
  add_node(kCore, "core");
  add_node(kCore2, "core");
  const EntityId user = add_user("anna", {{"core_nodes", kCore}});
  ASSERT_TRUE(set_status(user, kArchived));
  ASSERT_TRUE(set_status(node_id(kCore), kArchived));
  EXPECT_THAT(set_status(user, kActive),
              FailsWith(reason::kRule, "203.0.113.7, which is archived"));
  ASSERT_TRUE(set(user, {{"core_nodes", kCore2}}));
  ASSERT_TRUE(set_status(node_id(kCore2), kInactive));
  EXPECT_TRUE(set_status(user, kActive));
  EXPECT_THAT(violations(), testing::IsEmpty());
}

TEST_F(Users, OtherFieldsCanChangeWhileACoreIsDown) {
  const EntityId core = add_node(kCore, "core");
  const EntityId id = add_user("anna", {{"core_nodes", kCore}});
  ASSERT_TRUE(set_status(core, kInactive).has_value());
  EXPECT_TRUE(set(id, {{"email", "anna@example.org"}}).has_value());
}

TEST_F(Users, FieldsThatBennuSetsAreNotSet) {
  EXPECT_THAT(
      add({.kind = Kind::kUser}, {{"username", "anna"}, {"created", "2020-01-01T00:00:00Z"}}),
      FailsWith(reason::kBadValue, "set by Bennu alone"));
  EXPECT_THAT(add({.kind = Kind::kUser}, {{"username", "anna"}, {"shoe_size", "38"}}),
              FailsWith(reason::kBadValue, "no field shoe_size"));
}

TEST_F(Users, SetChangesAndUnsets) {
  const EntityId id = add_user("anna", {{"email", "a@example.org"}, {"telegram", "@anna"}});
  const auto outcome = set(id, {{"email", "b@example.org"}, {"telegram", std::nullopt}});
  ASSERT_TRUE(outcome.has_value());
  EXPECT_TRUE(outcome->changed());
  EXPECT_EQ(field(id, "email"), "b@example.org");
  EXPECT_EQ(entity(id).find("telegram"), nullptr);
  EXPECT_EQ(field(id, "status_at"), field(id, "created"));
}

TEST_F(Users, NoChangeIsNoTransaction) {
  const EntityId id = add_user("anna", {{"email", "a@example.org"}});
  const auto before = store.dump();
  const auto outcome = set(id, {{"email", "a@example.org"}, {"telegram", std::nullopt}});
  ASSERT_TRUE(outcome.has_value());
  EXPECT_FALSE(outcome->changed());
  EXPECT_FALSE(set_status(id, kActive)->changed());
  EXPECT_EQ(store.dump(), before);
}

TEST_F(Users, WhatIsNotThereIsSaidSo) {
  for (const auto& failed :
       {set(user_id(7), {}), set_status(user_id(7), kArchived), remove(user_id(7))}) {
    EXPECT_THAT(failed, FailsWith(reason::kNoEntity, "no user 7: see `bennu user list`"));
  }
}

TEST_F(Users, DeactivatingTakesDevicesOffAndActivatingDoesNotPutThemBack) {
  for (const std::string_view off : {kInactive, kArchived}) {
    const EntityId user = add_user(std::string("user-") + std::string(off));
    const EntityId phone = add_device(user, "phone");
    const EntityId old = add_device(user, "old");
    ASSERT_TRUE(set_status(old, kArchived).has_value());
    clock.advance(1h);
    const auto outcome = set_status(user, off);
    ASSERT_TRUE(outcome.has_value());
    EXPECT_THAT(outcome->also, SizeIs(1));
    EXPECT_EQ(field(phone, "status"), kInactive);
    EXPECT_EQ(field(phone, "status_at"), env::to_rfc3339(clock.wall()));
    EXPECT_EQ(field(user, "status_at"), env::to_rfc3339(clock.wall()));
    EXPECT_EQ(field(old, "status"), kArchived);
    ASSERT_TRUE(set_status(user, kActive).has_value());
    EXPECT_EQ(field(phone, "status"), kInactive);
  }
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Users, RemovingTakesTheDevicesAndTheirIndexInOneTransaction) {
  const EntityId user = add_user("anna", {{"hash_telegram_id", "abc"}});
  add_device(user, "phone");
  add_device(user, "tv");
  const EntityId other = add_user("boris");
  const EntityId kept = add_device(other, "phone");
  const auto preview = inventory.what_goes(user);
  ASSERT_TRUE(preview.has_value());
  EXPECT_THAT(preview->also, SizeIs(2));
  EXPECT_FALSE(preview->changed());
  const auto outcome = remove(user);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->entity, preview->entity);
  EXPECT_EQ(outcome->also, preview->also);
  for (const auto& [key, value] : store.dump()) {
    EXPECT_FALSE(key.starts_with("/net/users/1/")) << key;
    if (key == kUniqueComplete || !key.starts_with(kUniquePrefix)) continue;
    EXPECT_NE(value, "1") << key;
  }
  EXPECT_EQ(field(kept, "name"), "phone");
}

TEST_F(Users, EachChangeHasOneAuditRecord) {
  const EntityId user = add_user("anna");
  const EntityId phone = add_device(user, "phone", {}, kUuid);
  clock.advance(1s);
  ASSERT_TRUE(set(phone, {{"name", "mobile"}}).has_value());
  clock.advance(1s);
  ASSERT_TRUE(set_status(user, kArchived).has_value());
  clock.advance(1s);
  ASSERT_TRUE(remove(user).has_value());
  std::vector<std::string> lines;
  for (const kv::AuditEntry& entry : audits(store)) {
    EXPECT_EQ(entry.actor, context().actor);
    EXPECT_EQ(entry.reason, "test");
    EXPECT_EQ(entry.node, "n1");
    EXPECT_THAT(entry.summary, Not(HasSubstr(std::string(kUuid).substr(0, 8))));
    lines.push_back(entry.op + ": " + entry.summary);
  }
  EXPECT_THAT(lines, testing::UnorderedElementsAre(
                         "user.add: user add anna", "device.add: device add phone of anna",
                         "device.set: device set mobile of anna: name",
                         "user.archive: user archive anna", "user.remove: user remove anna"));
}

TEST_F(Users, AFailureLeavesNoAuditRecord) {
  add_user("anna");
  ASSERT_FALSE(add({.kind = Kind::kUser}, {{"username", "anna"}}).has_value());
  EXPECT_THAT(audits(store), SizeIs(1));
}

TEST_F(Devices, AddGivesARandomUuidOfVersion4) {
  const EntityId user = add_user("anna");
  const EntityId device = add_device(user, "phone");
  EXPECT_THAT(device.second, testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                                                   "[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_EQ(field(device, "name"), "phone");
  EXPECT_EQ(field(device, "status"), "active");
  EXPECT_NE(add_device(user, "phone"), device);
}

TEST_F(Devices, AGivenUuidIsCheckedAndUnique) {
  const EntityId anna = add_user("anna");
  const EntityId boris = add_user("boris");
  EXPECT_THAT(add(device_id(1, "123"), {{"name", "x"}}),
              FailsWith(reason::kBadValue, "uuid is not valid"));
  EXPECT_EQ(add_device(anna, "phone", {}, "6F1C1F0E-3A52-4C5B-9D0E-2F6F0C1B7A11").second, kUuid);
  EXPECT_THAT(add(device_id(1, kUuid), {{"name", "x"}}),
              FailsWith(reason::kExists, "exists already"));
  EXPECT_THAT(add({.kind = Kind::kDevice, .first = boris.first, .second = kUuid}, {{"name", "x"}}),
              FailsWith(reason::kTaken, "uuid is taken by device phone of user 1"));
}

TEST_F(Devices, NameIsNotEmpty) {
  const EntityId user = add_user("anna");
  EXPECT_THAT(add({.kind = Kind::kDevice, .first = user.first}),
              FailsWith(reason::kBadValue, "needs name"));
  EXPECT_THAT(add({.kind = Kind::kDevice, .first = user.first}, {{"name", ""}}),
              FailsWith(reason::kBadValue, "name"));
}

TEST_F(Devices, TheUserExistsAndIsActive) {
  const EntityId user = add_user("anna");
  const EntityId phone = add_device(user, "phone");
  ASSERT_TRUE(set_status(user, kArchived).has_value());
  EXPECT_THAT(add({.kind = Kind::kDevice, .first = user.first}, {{"name", "tv"}}),
              FailsWith(reason::kRule, "user 1 (anna) is archived: only an active user's devices"));
  EXPECT_THAT(set_status(phone, kActive), FailsWith(reason::kRule, "is archived"));
  EXPECT_THAT(add({.kind = Kind::kDevice, .first = "9"}, {{"name", "tv"}}),
              FailsWith(reason::kNoEntity, "no user 9"));
  EXPECT_TRUE(set(phone, {{"name", "old phone"}}).has_value());
}

TEST_F(Devices, TheCoreNodeIsOneOfTheUsers) {
  add_node(kCore, "core");
  add_node(kCore2, "core");
  const EntityId user = add_user("anna", {{"core_nodes", kCore}});
  EXPECT_THAT(
      add({.kind = Kind::kDevice, .first = user.first}, {{"name", "tv"}, {"core_node", kCore2}}),
      FailsWith(reason::kRule,
                "core_node 203.0.113.8 is not one of the core_nodes of user 1 "
                "(anna) (203.0.113.7)"));
  const EntityId phone = add_device(user, "phone", {{"core_node", kCore}});
  EXPECT_THAT(set(phone, {{"core_node", kCore2}}), FailsWith(reason::kRule, "is not one of"));
  EXPECT_THAT(set(user, {{"core_nodes", kCore2}}),
              FailsWith(reason::kRule, "core_nodes cannot lose 203.0.113.7"));
  ASSERT_TRUE(set(phone, {{"core_node", std::nullopt}}).has_value());
  EXPECT_TRUE(set(user, {{"core_nodes", kCore2}}).has_value());
}

TEST_F(Devices, ARouteFollowsTheCoreNodeInTheSameTransaction) {
  add_node(kCore, "core");
  add_node(kCore2, "core");
  const EntityId user = add_user("anna", {{"core_nodes", "203.0.113.7,203.0.113.8"}});
  const EntityId phone = add_device(user, "phone", {}, kUuid);
  const auto routes = [&] {
    std::vector<std::string> lines;
    for (const auto& [key, value] : store.dump()) {
      if (key.starts_with(routes_prefix(layout))) lines.push_back(key + " " + value);
    }
    return lines;
  };
  const std::string first = std::string("/net/routes/203.0.113.7/") + kUuid;
  const std::string second = std::string("/net/routes/203.0.113.8/") + kUuid;
  EXPECT_THAT(routes(), IsEmpty());
  must(set(phone, {{"core_node", kCore}}));
  EXPECT_THAT(routes(),
              ElementsAre(first + "/status active", first + "/status_at 2023-11-14T22:13:20Z"));
  must(set(phone, {{"core_node", kCore2}}));
  EXPECT_THAT(routes(),
              ElementsAre(second + "/status active", second + "/status_at 2023-11-14T22:13:20Z"));
  clock.advance(1s);
  must(set_status(user, kInactive));
  const auto off = {second + "/status inactive", second + "/status_at 2023-11-14T22:13:21Z"};
  EXPECT_THAT(routes(), testing::ElementsAreArray(off));
  // Made anew when somebody wrote past the operations.
  put(first + "/status", "active");
  ASSERT_TRUE(store.delete_range({.range = kv::prefix_range(kUniquePrefix)}).has_value());
  ASSERT_TRUE(inventory.ensure_derived().has_value());
  EXPECT_THAT(routes(), testing::ElementsAreArray(off));
  must(remove(user));
  EXPECT_THAT(routes(), IsEmpty());
}

TEST_F(Devices, ASealedOneIsListedAndCanBeTakenOff) {
  const EntityId user = add_user("anna");
  const std::string sealed = "~sealed~0123456789abcdef0123456789abcdef";
  put("/net/users/1/devices/" + sealed + "/name", "phone");
  put("/net/users/1/devices/" + sealed + "/status", "active");
  const auto devices = list(store, layout, Kind::kDevice);
  ASSERT_THAT(*devices, SizeIs(1));
  EXPECT_THAT(devices->front().sealed(), ElementsAre("uuid"));
  ASSERT_TRUE(set_status(user, kInactive).has_value());
  EXPECT_EQ(field(devices->front().id, "status"), kInactive);
  EXPECT_TRUE(remove(devices->front().id).has_value());
}

}  // namespace
}  // namespace bennu::inventory
