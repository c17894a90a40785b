// Random operations, good and bad ones, some with a race in them: after each, every rule holds, the
// indexes and routes are exactly what the entities say, and a refused operation has changed
// nothing.
#include <fmt/format.h>

#include <random>

#include "inventory/derived.hpp"
#include "inventory/fixture_for_tests.hpp"

namespace bennu::inventory {
namespace {

class Property : public Fixture, public ::testing::WithParamInterface<unsigned> {
 protected:
  int pick(int below) { return static_cast<int>(engine_() % static_cast<unsigned>(below)); }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + pick(static_cast<int>(values.size())));
  }
  bool sometimes() { return pick(3) == 0; }

  std::string core_ip() { return fmt::format("203.0.113.{}", 1 + pick(3)); }
  std::string entry_ip() { return fmt::format("198.51.100.{}", 1 + pick(3)); }
  std::string any_ip() { return sometimes() ? entry_ip() : core_ip(); }
  std::string cell() {
    return fmt::format("{}.example.org", one_of<const char*>({"east", "west"}));
  }
  std::string cores() {
    std::string set;
    for (int i = pick(3); i > 0; --i) set += (set.empty() ? "" : ",") + any_ip();
    return set;
  }
  EntityId user() { return user_id(1 + pick(6)); }

  // One that exists, if there is any.
  EntityId existing(Kind kind) {
    const auto all = list(store, layout, kind);
    if (!all || all->empty()) return EntityId{.kind = kind, .first = "99", .second = kUuid};
    return all->at(static_cast<std::size_t>(pick(static_cast<int>(all->size())))).id;
  }
  Kind kind() { return static_cast<Kind>(pick(5)); }

  Result<Outcome> random_add() {
    switch (kind()) {
      case Kind::kUser:
        return add({.kind = Kind::kUser},
                   {{"username", fmt::format("u{}", pick(8))}, {"core_nodes", cores()}});
      case Kind::kDevice: {
        Changes fields = {{"name", "d"}};
        if (sometimes()) fields["core_node"] = core_ip();
        return add({.kind = Kind::kDevice, .first = user().first}, fields);
      }
      case Kind::kNode: {
        Changes fields = {{"role", one_of<const char*>({"core", "core", "entry"})}};
        if (sometimes()) fields["cell"] = cell();
        if (sometimes()) fields["domain"] = fmt::format("n{}.example.org", pick(4));
        return add(node_id(any_ip()), fields);
      }
      case Kind::kCell:
        return add(cell_id(cell()));
      case Kind::kLink:
        return add(link_id(entry_ip(), core_ip()));
    }
    return Outcome{};
  }

  Result<Outcome> random_set() {
    const EntityId id = existing(kind());
    switch (id.kind) {
      case Kind::kUser:
        return sometimes() ? set(id, {{"username", fmt::format("u{}", pick(8))}})
                           : set(id, {{"core_nodes", cores()}});
      case Kind::kDevice:
        return sometimes() ? set(id, {{"core_node", std::nullopt}})
                           : set(id, {{"core_node", core_ip()}});
      case Kind::kNode:
        if (sometimes()) return set(id, {{"role", one_of<const char*>({"core", "entry"})}});
        if (sometimes()) return set(id, {{"domain", fmt::format("n{}.example.org", pick(4))}});
        return sometimes() ? set(id, {{"cell", std::nullopt}}) : set(id, {{"cell", cell()}});
      case Kind::kCell:
        return set(id, {{"core_node_counter", "9"}});
      case Kind::kLink:
        return set(id, {{"client_service_name", fmt::format("s{}", pick(9))}});
    }
    return Outcome{};
  }

  Result<Outcome> random_operation() {
    switch (pick(8)) {
      case 0:
      case 1:
      case 2:
        return random_add();
      case 3:
      case 4:
        return random_set();
      case 5:
      case 6:
        return set_status(existing(kind()),
                          one_of<std::string_view>({kActive, kActive, kInactive, kArchived}));
      default:
        return remove(existing(kind()));
    }
  }

  // What the indexes and routes should hold, from the entities alone.
  std::map<std::string, std::string> wanted_derived() {
    std::map<std::string, std::string> wanted;
    for (const KindInfo& info : all_kinds()) {
      const auto all = list(store, layout, info.kind);
      for (const Entity& e : *all) {
        wanted.merge(unique_keys(e));
        wanted.merge(route_keys(layout, e));
      }
    }
    return wanted;
  }
  std::map<std::string, std::string> stored_derived() {
    std::map<std::string, std::string> stored;
    for (const auto& [key, value] : store.dump()) {
      const bool unique = key.starts_with(kUniquePrefix) && key != kUniqueComplete;
      if (unique || key.starts_with(routes_prefix(layout))) stored.emplace(key, value);
    }
    return stored;
  }

  std::mt19937 engine_{GetParam()};
};

TEST_P(Property, EveryRuleHoldsAfterEveryOperation) {
  int done = 0;
  int refused = 0;
  std::int64_t highest = 0;
  ASSERT_TRUE(inventory.ensure_derived().has_value());
  for (int step = 0; step < 400; ++step) {
    const bool race = pick(4) == 0;
    if (race) {
      store.before_txn = [&] {
        store.before_txn = nullptr;
        (void)random_operation();
      };
    }
    const auto before = store.dump();
    const auto outcome = random_operation();
    store.before_txn = nullptr;
    ++(outcome ? done : refused);
    if (!outcome && !race) {
      ASSERT_EQ(store.dump(), before) << step;
    }
    if (!outcome) {
      ASSERT_NE(outcome.error().reason, reason::kContended) << step;
    }
    if (outcome && outcome->changed() && outcome->entity.id.kind == Kind::kUser &&
        get(store, layout, outcome->entity.id)) {
      highest = std::max(highest, parse_count(outcome->entity.id.first).value());
    }
    ASSERT_THAT(violations(), ::testing::IsEmpty()) << "step " << step << " of seed " << GetParam();
    ASSERT_EQ(stored_derived(), wanted_derived()) << "step " << step << " of seed " << GetParam();
  }
  EXPECT_LE(highest, parse_count(store.dump()["/net/counters/user_id"]).value_or(0));
  // The mix is worth something only if both happen.
  EXPECT_GT(done, 50);
  EXPECT_GT(refused, 50);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Property, ::testing::Range(1U, 9U));

}  // namespace
}  // namespace bennu::inventory
