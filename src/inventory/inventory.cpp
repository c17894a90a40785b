#include "inventory/inventory.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "base/bytes.hpp"
#include "inventory/derived.hpp"
#include "inventory/reasons.hpp"
#include "inventory/rules.hpp"
#include "inventory/values.hpp"
#include "kv/reasons.hpp"

namespace bennu::inventory {
namespace {

Error bad_value(std::string message) {
  return make_error(Code::kInvalidArgument, std::move(message), reason::kBadValue);
}

Error contended(std::string_view what) {
  return make_error(Code::kAborted,
                    fmt::format("{}: others kept changing what it relies on; try again", what),
                    reason::kContended);
}

// What   people know the entity by; goes into the commit's subject, so never a secret.
std::string audit_name(const Entity& entity, const std::optional<Entity>& owner) {
  const auto or_id = [](const Entity& e, std::string_view field) {
    return e.get(field).empty() ? e.id.first : std::string(e.get(field));
  };
  switch (entity.id.kind) {
    case Kind::kUser:
      return or_id(entity, "username");
    case Kind::kDevice:
      return fmt::format("{} of {}", entity.get("name"),
                         owner ? or_id(*owner, "username") : entity.id.first);
    case Kind::kLink:
      return fmt::format("{} -> {}", entity.id.first, entity.id.second);
    default:
      return entity.id.first;
  }
}

Status apply_rules(Attempt& attempt, const Entity* before, Entity& after,
                   std::vector<Entity>& also) {
  switch (after.id.kind) {
    case Kind::kUser:
      return apply_user_rules(attempt, before, after, also);
    case Kind::kDevice:
      return apply_device_rules(attempt, before, after, also);
    case Kind::kNode:
      return apply_node_rules(attempt, before, after, also);
    case Kind::kCell:
      return apply_cell_rules(attempt, before, after, also);
    case Kind::kLink:
      return apply_link_rules(attempt, before, after, also);
  }
  return {};
}

Status apply_changes(Entity& entity, const Changes& changes) {
  const KindInfo& info = kind_info(entity.id.kind);
  for (const auto& [name, text] : changes) {
    const Field* field = find_field(info.kind, name);
    if (field == nullptr) {
      return bad_value(fmt::format("a {} has no field {}: see `bennu {} --help`", info.name,
                                   printable(name, 64), info.name));
    }
    if (field->set_by == SetBy::kBennu) {
      return bad_value(
          fmt::format("{} of a {} is set by Bennu alone: leave it out", name, info.name));
    }
    if (text) {
      BENNU_ASSIGN(entity.fields[name], canonical_value(*field, *text).with_context(info.name));
    } else if (field->required) {
      return bad_value(
          fmt::format("{} of a {} cannot be unset: give another value", name, info.name));
    } else {
      entity.fields.erase(name);
    }
  }
  return {};
}

void fill_defaults(Entity& entity, const std::string& now) {
  for (const Field& field : kind_info(entity.id.kind).fields) {
    if (!field.required || entity.find(field.name) != nullptr) continue;
    if (field.type == FieldType::kStatus) entity.fields.emplace(field.name, kActive);
    if (field.type == FieldType::kTime) entity.fields.emplace(field.name, now);
    if (field.type == FieldType::kIpSet) entity.fields.emplace(field.name, format_set({}));
    if (field.type == FieldType::kCount) entity.fields.emplace(field.name, "0");
  }
}

Status check_complete(const Entity& entity) {
  const KindInfo& info = kind_info(entity.id.kind);
  for (const Field& field : info.fields) {
    if (field.required && entity.find(field.name) == nullptr) {
      return bad_value(fmt::format("a new {} needs {}: {}", info.name, field.name, field.help));
    }
  }
  return {};
}

Error bad_key(const EntityId& id, std::string_view wanted) {
  const KindInfo& info = kind_info(id.kind);
  return bad_value(
      fmt::format("{}: \"{}\" is not valid: give {}", info.name, printable(id.first, 64), wanted));
}

// The id in its stored form, so that one thing never has two keys; a new one for users and devices.
Result<EntityId> settle_id(Attempt& attempt, EntityId id) {
  std::optional<std::string> first = id.first;
  std::optional<std::string> second = id.second;
  switch (id.kind) {
    case Kind::kUser: {
      if (!id.first.empty()) {
        return bad_value("the id of a new user is given by the counter: leave it out");
      }
      BENNU_ASSIGN(const std::int64_t number, take_user_number(attempt));
      return user_id(number);
    }
    case Kind::kDevice:
      second = canonical_uuid(id.second.empty() ? env::random_uuid(attempt.random()) : id.second);
      if (!second)
        return bad_value("device: the uuid is not valid: give one as in RFC 9562, or none");
      break;
    case Kind::kCell:
      first = canonical_domain(id.first);
      if (!first) return bad_key(id, "a domain such as west.example.org");
      break;
    case Kind::kNode:
      first = canonical_ip(id.first);
      if (!first) return bad_key(id, "an address such as 203.0.113.7 or 2001:db8::7");
      break;
    case Kind::kLink:
      first = canonical_ip(id.first);
      second = canonical_ip(id.second);
      if (!first || !second) return bad_key(id, "the addresses of an entry and a core node");
      break;
  }
  return EntityId{.kind = id.kind, .first = std::move(*first), .second = std::move(*second)};
}

Result<std::optional<Entity>> owner(Attempt& attempt, const Entity& entity) {
  if (entity.id.kind != Kind::kDevice) return std::optional<Entity>();
  return attempt.find(owner_of(entity.id));
}

Result<Outcome> add_body(Attempt& attempt, const EntityId& asked, const Changes& fields) {
  Outcome outcome;
  Entity& entity = outcome.entity;
  BENNU_ASSIGN(entity.id, settle_id(attempt, asked));
  BENNU_ASSIGN(const auto existing, attempt.find(entity.id));
  if (existing) {
    return make_error(Code::kAlreadyExists,
                      fmt::format("{} exists already: change it with `bennu {} set`",
                                  describe(*existing), kind_info(asked.kind).name),
                      reason::kExists);
  }
  BENNU_TRY(apply_changes(entity, fields));
  fill_defaults(entity, attempt.now());
  BENNU_TRY(apply_rules(attempt, nullptr, entity, outcome.also));
  BENNU_TRY(check_complete(entity));
  BENNU_TRY(attempt.put_entity(nullptr, entity));
  return outcome;
}

Result<Outcome> set_body(Attempt& attempt, const EntityId& id, const Changes& changes) {
  BENNU_ASSIGN(const Entity before, attempt.get(id));
  Outcome outcome{.entity = before};
  Entity& after = outcome.entity;
  BENNU_TRY(apply_changes(after, changes));
  if (after == before) return outcome;
  if (changed(&before, after, "status") && find_field(id.kind, "status_at") != nullptr) {
    after.fields["status_at"] = attempt.now();
  }
  BENNU_TRY(apply_rules(attempt, &before, after, outcome.also));
  BENNU_TRY(attempt.put_entity(&before, after));
  return outcome;
}

Result<Outcome> remove_body(Attempt& attempt, const EntityId& id) {
  Outcome outcome;
  BENNU_ASSIGN(outcome.entity, attempt.get(id));
  if (id.kind == Kind::kNode) {
    BENNU_TRY(refuse_node_in_use(attempt, outcome.entity, Dependants::kAll, "removed"));
  }
  if (id.kind == Kind::kCell) {
    BENNU_TRY(refuse_cell_in_use(attempt, outcome.entity, Dependants::kAll, "removed"));
  }
  if (id.kind == Kind::kUser) {
    BENNU_ASSIGN(outcome.also, attempt.all(Kind::kDevice, attempt.layout().devices_range(id)));
  }
  BENNU_TRY(attempt.remove_entity(outcome.entity, outcome.also));
  return outcome;
}

std::string_view status_verb(std::string_view status) {
  if (status == kActive) return "activate";
  return status == kInactive ? "deactivate" : "archive";
}

// Makes the keys below a prefix what is wanted, by writing the difference.
Status settle(Attempt& attempt, std::string_view prefix,
              const std::map<std::string, std::string>& wanted) {
  BENNU_ASSIGN(const auto there, attempt.below(prefix));
  for (const auto& [key, value] : there) {
    if (!wanted.contains(key)) attempt.erase(key);
  }
  for (const auto& [key, value] : wanted) {
    const auto found = there.find(key);
    if (found == there.end() || found->second != value) attempt.put(key, value);
  }
  return {};
}

Status rebuild_derived(Attempt& attempt) {
  const Layout& layout = attempt.layout();
  std::map<std::string, std::string> unique;
  std::map<std::string, std::string> routes;
  std::size_t values = 0;
  for (const Kind kind : {Kind::kUser, Kind::kDevice, Kind::kNode}) {
    BENNU_ASSIGN(const auto entities, attempt.all(kind, layout.kind_range(kind)));
    for (const Entity& entity : entities) {
      // The lowest id keeps a value that two of them have.
      auto keys = unique_keys(entity);
      values += keys.size();
      unique.merge(keys);
      routes.merge(route_keys(layout, entity));
    }
  }
  const bool repeated = unique.size() != values;
  unique.emplace(kUniqueComplete, repeated ? kUniqueRepeated : kUniqueVersion);
  BENNU_TRY(settle(attempt, kUniquePrefix, unique));
  return settle(attempt, routes_prefix(layout), routes);
}

bool lost_race(const Error& error) {
  // The pinned revision was compacted under a slow attempt.
  return error.reason == kv::reason::kCompacted;
}

}  // namespace

Inventory::Inventory(kv::Store& store, const env::Clock& clock, env::Random& random, Layout layout,
                     Guard guard)
    : store_(&store),
      clock_(&clock),
      random_(&random),
      layout_(std::move(layout)),
      guard_(std::move(guard)) {}

Status Inventory::ensure_derived() {
  for (int tries = 0; tries < kMaxAttempts; ++tries) {
    Attempt attempt(*store_, layout_, *clock_, *random_);
    BENNU_ASSIGN(const auto complete, attempt.value(std::string(kUniqueComplete)));
    if (complete == kUniqueVersion) return {};
    BENNU_TRY(rebuild_derived(attempt));
    if (!attempt.has_writes()) return {};
    BENNU_ASSIGN(const auto done, attempt.commit(std::nullopt, {}));
    if (done) return {};
  }
  return contended("making the unique indexes and routes");
}

Result<Outcome> Inventory::run(const Body& body, const kv::AuditContext& context,
                               std::string_view verb, std::string_view details) {
  for (int tries = 0; tries < kMaxAttempts; ++tries) {
    BENNU_TRY(ensure_derived());
    Attempt attempt(*store_, layout_, *clock_, *random_);
    BENNU_ASSIGN(const auto complete, attempt.value(std::string(kUniqueComplete)));
    if (complete != kUniqueVersion && complete != kUniqueRepeated) continue;
    auto outcome = body(attempt);
    if (!outcome) {
      if (lost_race(outcome.error())) continue;
      return outcome;
    }
    if (!attempt.has_writes()) return outcome;
    BENNU_ASSIGN(const auto parent, owner(attempt, outcome->entity));
    const std::string_view kind = kind_info(outcome->entity.id.kind).name;
    const std::string summary =
        fmt::format("{} {} {}{}", kind, verb, audit_name(outcome->entity, parent), details);
    BENNU_ASSIGN(const auto revision,
                 attempt.commit(kv::audit_op(context, fmt::format("{}.{}", kind, verb), summary,
                                             *clock_, *random_),
                                guard_));
    if (!revision) continue;
    outcome->revision = *revision;
    return outcome;
  }
  return contended(verb);
}

Result<Outcome> Inventory::add(EntityId id, const Changes& fields,
                               const kv::AuditContext& context) {
  return run([&](Attempt& attempt) { return add_body(attempt, id, fields); }, context, "add");
}

Result<Outcome> Inventory::set(const EntityId& id, const Changes& changes,
                               const kv::AuditContext& context) {
  std::vector<std::string_view> names;
  for (const auto& [name, text] : changes) names.push_back(name);
  return run([&](Attempt& attempt) { return set_body(attempt, id, changes); }, context, "set",
             fmt::format(": {}", fmt::join(names, ", ")));
}

Result<Outcome> Inventory::set_status(const EntityId& id, std::string_view status,
                                      const kv::AuditContext& context) {
  const Changes changes = {{"status", std::string(status)}};
  return run([&](Attempt& attempt) { return set_body(attempt, id, changes); }, context,
             status_verb(status));
}

Result<Outcome> Inventory::remove(const EntityId& id, const kv::AuditContext& context) {
  return run([&](Attempt& attempt) { return remove_body(attempt, id); }, context, "remove");
}

Result<Outcome> Inventory::what_goes(const EntityId& id) {
  Attempt attempt(*store_, layout_, *clock_, *random_);
  return remove_body(attempt, id);
}

}  // namespace bennu::inventory
