// What was written past the operations: its rules, and the derived keys that follow from it.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "inventory/check.hpp"
#include "inventory/derived.hpp"
#include "inventory/inventory.hpp"
#include "inventory/read.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {
namespace {

using Writes = std::map<std::string, std::optional<std::string>>;  // nothing: delete

// One entity before and after what happened.
struct Change {
  std::optional<Entity> before;
  std::optional<Entity> after;
};
using Touched = std::map<EntityId, Change>;

// Whether others that rely on it may no longer do so. They are found by looking at everything.
bool may_leave_others(const EntityId& id, const Change& change) {
  if (!change.before) return false;
  if (id.kind != Kind::kNode && id.kind != Kind::kCell) return false;
  if (!change.after) return true;
  if (change.after->has_status(kArchived) && !change.before->has_status(kArchived)) return true;
  return change.after->get("role") != change.before->get("role") ||
         change.after->get("core_node_counter") != change.before->get("core_node_counter");
}

// The derived keys of what changed, moved in a transaction of their own.
class Mender {
 public:
  Mender(kv::Store& store, const Layout& layout) : store_(&store), layout_(&layout) {}

  // Finds the holders of unique values that changed entities have, too.
  Status plan(const Touched& touched, std::vector<Entity>& holders) {
    for (const auto& [id, change] : touched) drop(change.before);
    for (const auto& [id, change] : touched) {
      if (change.after) BENNU_TRY(take(*change.after, touched, holders));
    }
    return {};
  }

  // Only if nothing else was written past the operations meanwhile: the next operation makes
  // everything anew then.
  Status commit(Revision at) {
    kv::TxnRequest request{.compares = {{.range = {.key = std::string(kUniqueComplete)},
                                         .target = kv::CompareTarget::kModRevision,
                                         .number = at.value}}};
    for (auto& [key, value] : writes_) {
      if (value) {
        request.success.push_back({kv::PutRequest{.key = key, .value = std::move(*value)}});
      } else {
        request.success.push_back({kv::DeleteRangeRequest{.range = {.key = key}}});
      }
    }
    request.success.push_back(
        {kv::PutRequest{.key = std::string(kUniqueComplete),
                        .value = std::string(repeated_ ? kUniqueRepeated : kUniqueVersion)}});
    BENNU_ASSIGN([[maybe_unused]] const auto answer, store_->txn(request));
    return {};
  }

 private:
  void drop(const std::optional<Entity>& entity) {
    if (!entity) return;
    for (const auto& [key, holder] : unique_keys(*entity)) writes_[key] = std::nullopt;
    for (const auto& [key, text] : route_keys(*layout_, *entity)) writes_[key] = std::nullopt;
  }

  Status take(const Entity& entity, const Touched& touched, std::vector<Entity>& holders) {
    for (const auto& [key, text] : route_keys(*layout_, entity)) writes_[key] = text;
    for (const auto& [key, mine] : unique_keys(entity)) {
      BENNU_ASSIGN(const auto other, holder(key, entity.id.kind, touched));
      if (other && other->id != entity.id && unique_keys(*other).contains(key)) {
        repeated_ = true;  // the one that has it keeps it
        holders.push_back(*other);
      } else {
        writes_[key] = mine;
      }
    }
    return {};
  }

  Result<std::optional<Entity>> holder(const std::string& key, Kind kind, const Touched& touched) {
    const auto planned = writes_.find(key);
    std::optional<std::string> text;
    if (planned != writes_.end()) {
      text = planned->second;
    } else {
      BENNU_ASSIGN(auto found, store_->range({.range = {.key = key}}));
      if (!found.kvs.empty()) text = std::move(found.kvs[0].value);
    }
    if (!text) return std::optional<Entity>();
    const EntityId id = holder_id(kind, key, *text);
    if (const auto changed = touched.find(id); changed != touched.end()) {
      return changed->second.after;
    }
    return find(*store_, *layout_, id);
  }

  kv::Store* store_;
  const Layout* layout_;
  Writes writes_;
  bool repeated_ = false;
};

Result<Touched> read_touched(kv::Store& store, const Layout& layout, Revision at,
                             const std::vector<std::string>& keys) {
  Touched touched;
  for (const std::string& key : keys) {
    const auto parsed = layout.parse(key);
    if (!parsed || touched.contains(parsed->id)) continue;
    Change& change = touched[parsed->id];
    BENNU_ASSIGN(change.before, find(store, layout, parsed->id, Revision{at.value - 1}));
    BENNU_ASSIGN(change.after, find(store, layout, parsed->id, at));
  }
  return touched;
}

// Everything that a rule of a changed entity looks at.
class Neighbours {
 public:
  Neighbours(kv::Store& store, const Layout& layout) : store_(&store), layout_(&layout) {}

  Status of(const EntityId& id, const Change& change) {
    if (change.after) add(*change.after);
    if (id.kind == Kind::kDevice) BENNU_TRY(fetch(owner_of(id)));
    if (id.kind == Kind::kUser) {
      BENNU_ASSIGN(auto devices, list(*store_, *layout_, Kind::kDevice, {.parent = id.first}));
      for (Entity& device : devices) add(std::move(device));
    }
    if (id.kind == Kind::kLink) {
      BENNU_TRY(fetch(node_id(id.first)));
      BENNU_TRY(fetch(node_id(id.second)));
    }
    if (!change.after) return {};
    for (const auto& ip :
         parse_set(change.after->get("core_nodes")).value_or(std::vector<std::string>())) {
      BENNU_TRY(fetch(node_id(ip)));
    }
    if (id.kind == Kind::kNode && change.after->find("cell") != nullptr) {
      BENNU_TRY(fetch(cell_id(change.after->get("cell"))));
    }
    return {};
  }
  void add(Entity entity) {
    const EntityId id = entity.id;
    entities_.insert_or_assign(id, std::move(entity));
  }
  std::vector<Entity> all() && {
    std::vector<Entity> all;
    for (auto& [id, entity] : entities_) all.push_back(std::move(entity));
    return all;
  }

 private:
  Status fetch(const EntityId& id) {
    if (entities_.contains(id)) return {};
    BENNU_ASSIGN(auto entity, find(*store_, *layout_, id));
    if (entity) add(std::move(*entity));
    return {};
  }

  kv::Store* store_;
  const Layout* layout_;
  std::map<EntityId, Entity> entities_;
};

// A counter that went back gives the ids of removed users again, so what it was counts, too.
Result<std::vector<Violation>> follow_counter(kv::Store& store, const Layout& layout, Revision at,
                                              const std::vector<std::string>& keys) {
  const std::string key = layout.user_counter_key();
  std::vector<Violation> found;
  if (std::ranges::find(keys, key) == keys.end()) return found;
  BENNU_ASSIGN(const auto before, store.range({.range = {.key = key}, .revision = at.previous()}));
  BENNU_ASSIGN(const auto after, store.range({.range = {.key = key}, .revision = at}));
  constexpr std::int64_t kNone = -1;  // not there, or no number
  const std::int64_t was =
      before.kvs.empty() ? kNone : parse_count(before.kvs[0].value).value_or(kNone);
  const std::int64_t is = after.kvs.empty() ? 0 : parse_count(after.kvs[0].value).value_or(kNone);
  if (is != kNone && is < was) {
    found.push_back(
        {.message = fmt::format("{} was {}: ids of removed users would be given again", key, was)});
  }
  // One that only grew from a right one is right.
  if (after.kvs.empty() || (was != kNone && is > was && is != kLastCount)) return found;
  BENNU_ASSIGN(auto wrong, check_counter(store, layout, after.kvs[0].value, at));
  if (wrong) found.push_back({.message = std::move(*wrong)});
  return found;
}

}  // namespace

Result<std::vector<Violation>> Inventory::follow(Revision at,
                                                 const std::vector<std::string>& keys) {
  BENNU_ASSIGN(const Touched touched, read_touched(*store_, layout_, at, keys));
  BENNU_ASSIGN(auto of_counter, follow_counter(*store_, layout_, at, keys));
  if (touched.empty()) return of_counter;
  BENNU_ASSIGN(const auto marker, store_->range({.range = {.key = std::string(kUniqueComplete)},
                                                 .revision = Revision{at.value - 1}}));
  const bool complete = !marker.kvs.empty() && marker.kvs[0].value == kUniqueVersion;
  std::vector<Violation> found;
  std::vector<Entity> holders;
  if (complete) {
    Mender mender(*store_, layout_);
    BENNU_TRY(mender.plan(touched, holders));
    BENNU_TRY(mender.commit(at));
  }
  const bool everything = !complete || std::ranges::any_of(touched, [](const auto& each) {
    return may_leave_others(each.first, each.second);
  });
  if (everything) {
    BENNU_ASSIGN(found, check(*store_, layout_));
  } else {
    Neighbours neighbours(*store_, layout_);
    for (const auto& [id, change] : touched) BENNU_TRY(neighbours.of(id, change));
    for (Entity& holder : holders) neighbours.add(std::move(holder));
    found = check(std::move(neighbours).all());
  }
  std::erase_if(found, [&](const Violation& violation) {
    return !touched.contains(violation.id) && !touched.contains(violation.other);
  });
  std::ranges::move(of_counter, std::back_inserter(found));
  return found;
}

}  // namespace bennu::inventory
