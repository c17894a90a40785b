#include "inventory/attempt.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "inventory/derived.hpp"
#include "inventory/read.hpp"
#include "inventory/reasons.hpp"

namespace bennu::inventory {
namespace {

Error taken(std::string_view field, const Entity& wanting, const Entity& holder) {
  // A uuid is a credential: the message does not repeat it.
  const std::string value =
      field == "uuid" ? std::string() : fmt::format(" {}", printable(wanting.get(field), 64));
  return make_error(
      Code::kAlreadyExists,
      fmt::format("{}{} is taken by {}: choose another one", field, value, describe(holder)),
      reason::kTaken);
}

}  // namespace

Attempt::Attempt(kv::Store& store, const Layout& layout, const env::Clock& clock,
                 env::Random& random)
    : store_(&store), layout_(&layout), random_(&random), now_(env::to_rfc3339(clock.wall())) {}

Result<std::vector<kv::KeyValue>> Attempt::read(const kv::KeyRange& range) {
  BENNU_ASSIGN(auto answer, store_->range({.range = range, .revision = revision_}));
  if (revision_.value == 0) revision_ = answer.revision;
  return std::move(answer.kvs);
}

void Attempt::rely_on(const EntityId& id, const std::vector<kv::KeyValue>& kvs) {
  for (const Field& field : kind_info(id.kind).fields) {
    relied_.emplace(layout_->field_key(id, field.name), Revision{});
  }
  for (const kv::KeyValue& kv : kvs) {
    const auto parsed = layout_->parse(kv.key);
    if (parsed && parsed->id == id) relied_[kv.key] = kv.mod_revision;
  }
}

Result<std::optional<std::string>> Attempt::value(const std::string& key) {
  BENNU_ASSIGN(auto kvs, read({.key = key}));
  relied_[key] = kvs.empty() ? Revision{} : kvs.front().mod_revision;
  if (kvs.empty()) return std::optional<std::string>();
  return std::optional(std::move(kvs.front().value));
}

Result<std::optional<Entity>> Attempt::find(const EntityId& id) {
  BENNU_ASSIGN(auto kvs, read(kv::prefix_range(layout_->entity_prefix(id))));
  rely_on(id, kvs);
  Assembler assembler(*layout_, id.kind);
  for (kv::KeyValue& kv : kvs) assembler.take(kv.key, std::move(kv.value));
  auto entities = std::move(assembler).finish();
  if (entities.empty()) return std::optional<Entity>();
  return std::optional(std::move(entities.front()));
}

Result<Entity> Attempt::get(const EntityId& id) {
  BENNU_ASSIGN(auto entity, find(id));
  if (!entity) return no_entity(id);
  return std::move(*entity);
}

Result<std::vector<Entity>> Attempt::all(Kind kind, const kv::KeyRange& range) {
  BENNU_ASSIGN(auto kvs, read(range));
  quiet_.push_back(range);
  Assembler assembler(*layout_, kind);
  for (kv::KeyValue& kv : kvs) assembler.take(kv.key, std::move(kv.value));
  return std::move(assembler).finish();
}

Result<bool> Attempt::any(const kv::KeyRange& range) {
  BENNU_ASSIGN(const auto answer,
               store_->range({.range = range, .revision = revision_, .count_only = true}));
  if (revision_.value == 0) revision_ = answer.revision;
  quiet_.push_back(range);
  return answer.count > 0;
}

Result<std::map<std::string, std::string>> Attempt::below(std::string_view prefix) {
  BENNU_ASSIGN(auto kvs, read(kv::prefix_range(prefix)));
  std::map<std::string, std::string> found;
  for (kv::KeyValue& kv : kvs) found.emplace(std::move(kv.key), std::move(kv.value));
  return found;
}

void Attempt::put(std::string key, std::string value) {
  writes_.insert_or_assign(std::move(key), std::move(value));
}

void Attempt::erase(std::string key) { writes_.insert_or_assign(std::move(key), std::nullopt); }

Status Attempt::claim(const std::string& key, const Entity& owner) {
  BENNU_ASSIGN(const auto holder, value(key));
  const Kind kind = owner.id.kind;
  if (!holder || holder_id(kind, key, *holder) == owner.id) return {};
  BENNU_ASSIGN(const auto other, find(holder_id(kind, key, *holder)));
  // An entry that its holder no longer deserves is left over from a change past the rules: it gives
  // way.
  if (!other || !unique_keys(*other).contains(key)) return {};
  return taken(unique_field(key), owner, *other);
}

Status Attempt::release(const std::string& key, const Entity& owner) {
  BENNU_ASSIGN(const auto holder, value(key));
  // Two entities may have one value after a change past the rules; the index belongs to one of
  // them.
  if (holder && holder_id(owner.id.kind, key, *holder) == owner.id) erase(key);
  return {};
}

void Attempt::put_routes(const std::map<std::string, std::string>& old,
                         const std::map<std::string, std::string>& wanted) {
  for (const auto& [key, text] : wanted) {
    const auto found = old.find(key);
    if (found == old.end() || found->second != text) put(key, text);
  }
  for (const auto& [key, text] : old) {
    if (!wanted.contains(key)) erase(key);
  }
}

Status Attempt::put_entity(const Entity* before, const Entity& after) {
  static const Entity nothing;
  const Entity& old = before == nullptr ? nothing : *before;
  for (const auto& [field, text] : after.fields) {
    const std::string* was = old.find(field);
    if (was == nullptr || *was != text) put(layout_->field_key(after.id, field), text);
  }
  for (const auto& [field, text] : old.fields) {
    if (after.find(field) == nullptr) erase(layout_->field_key(after.id, field));
  }
  const auto held = before == nullptr ? std::map<std::string, std::string>() : unique_keys(old);
  const auto wanted = unique_keys(after);
  for (const auto& [key, holder] : wanted) {
    if (held.contains(key)) continue;
    BENNU_TRY(claim(key, after));
    put(key, holder);
  }
  for (const auto& [key, holder] : held) {
    if (!wanted.contains(key)) BENNU_TRY(release(key, after));
  }
  put_routes(before == nullptr ? std::map<std::string, std::string>() : route_keys(*layout_, old),
             route_keys(*layout_, after));
  // Relied on in full: a field that somebody else removes must not come back by half.
  BENNU_CHECK(relied_.contains(layout_->field_key(after.id, "status")),
              "read before it is written");
  return {};
}

Status Attempt::remove_entity(const Entity& entity, const std::vector<Entity>& below) {
  erased_.push_back(kv::prefix_range(layout_->entity_prefix(entity.id)));
  std::vector<const Entity*> gone = {&entity};
  for (const Entity& child : below) gone.push_back(&child);
  for (const Entity* each : gone) {
    for (const auto& [key, holder] : unique_keys(*each)) BENNU_TRY(release(key, *each));
    put_routes(route_keys(*layout_, *each), {});
  }
  return {};
}

Result<std::optional<Revision>> Attempt::commit(
    std::optional<kv::Op> audit, const std::function<Status(const kv::TxnRequest&)>& guard) {
  kv::TxnRequest txn;
  for (const auto& [key, mod] : relied_) {
    txn.compares.push_back({.range = {.key = key},
                            .target = kv::CompareTarget::kModRevision,
                            .result = kv::CompareResult::kEqual,
                            .number = mod.value});
  }
  for (const kv::KeyRange& range : quiet_) {
    txn.compares.push_back({.range = range,
                            .target = kv::CompareTarget::kModRevision,
                            .result = kv::CompareResult::kLess,
                            .number = revision_.next().value});
  }
  for (const kv::KeyRange& range : erased_) {
    txn.success.push_back({kv::DeleteRangeRequest{.range = range}});
  }
  for (auto& [key, value] : writes_) {
    if (value) {
      txn.success.push_back({kv::PutRequest{.key = key, .value = std::move(*value)}});
    } else {
      txn.success.push_back({kv::DeleteRangeRequest{.range = {.key = key}}});
    }
  }
  if (audit) txn.success.push_back(std::move(*audit));
  if (guard) BENNU_TRY(guard(txn));
  BENNU_ASSIGN(const auto answer, store_->txn(txn));
  if (!answer.succeeded) return std::optional<Revision>();
  return std::optional(answer.revision);
}

}  // namespace bennu::inventory
