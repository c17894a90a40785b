#include "inventory/check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "inventory/derived.hpp"
#include "inventory/read.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {
namespace {

using Index = std::map<EntityId, Entity>;

class Checker {
 public:
  explicit Checker(std::vector<Violation>& out) : out_(&out) {}

  void load(std::vector<Entity> entities) {
    for (Entity& entity : entities) all_.emplace(entity.id, std::move(entity));
  }

  void run() {
    std::map<std::string, EntityId> holders;
    for (const auto& [id, entity] : all_) {
      check_id(id);
      check_fields(entity);
      for (const auto& [key, holder] : unique_keys(entity)) {
        const auto [at, fresh] = holders.emplace(key, id);
        if (!fresh) report_shared(entity, unique_field(key), all_.at(at->second));
      }
      check_references(entity);
    }
  }

 private:
  void report(const EntityId& id, std::string_view message) { report(id, id, message); }
  void report(const EntityId& id, const EntityId& other, std::string_view message) {
    out_->push_back({.id = id,
                     .other = other,
                     .message = fmt::format("{}: {}", describe(all_.at(id)), message)});
  }

  void report_shared(const Entity& entity, std::string_view field, const Entity& holder) {
    // A uuid is a credential: it is not said which.
    const std::string value =
        field == "uuid" ? std::string() : fmt::format(" {}", printable(entity.get(field), 64));
    report(entity.id, holder.id,
           fmt::format("{}{} is also that of {}", field, value, describe(holder)));
  }

  // Under another spelling than the one it would be given, nothing finds it.
  void check_id(const EntityId& id) {
    bool good = true;
    switch (id.kind) {
      case Kind::kUser:
        good = parse_count(id.first).has_value();
        break;
      case Kind::kDevice:
        good = parse_count(id.first).has_value() &&
               (is_sealed_name(id.second) || canonical_uuid(id.second) == id.second);
        break;
      case Kind::kNode:
        good = canonical_ip(id.first) == id.first;
        break;
      case Kind::kCell:
        good = canonical_domain(id.first) == id.first;
        break;
      case Kind::kLink:
        good = canonical_ip(id.first) == id.first && canonical_ip(id.second) == id.second;
        break;
    }
    if (!good) {
      const auto& parts = kind_info(id.kind).primary_key;
      report(id, fmt::format("{} is not in its stored form",
                             parts[1].empty() ? parts[0] : std::string_view("its primary key")));
    }
  }

  const Entity* find(const EntityId& id) const {
    const auto found = all_.find(id);
    return found == all_.end() ? nullptr : &found->second;
  }

  void check_fields(const Entity& entity) {
    for (const Field& field : kind_info(entity.id.kind).fields) {
      const std::string* text = entity.find(field.name);
      if (text == nullptr) {
        if (field.required) report(entity.id, fmt::format("{} is missing", field.name));
        continue;
      }
      if (is_sealed_value(*text)) continue;
      const auto canonical = canonical_value(field, *text);
      if (!canonical) {
        report(entity.id, canonical.error().message);
      } else if (*canonical != *text) {
        report(entity.id, fmt::format("{} is not in its stored form", field.name));
      }
    }
  }

  void check_node(const EntityId& id, std::string_view what, std::string_view ip,
                  std::string_view role) {
    const Entity* node = find(node_id(ip));
    if (node == nullptr) {
      report(id, node_id(ip), fmt::format("{} {} does not exist", what, printable(ip, 64)));
    } else if (node->get("role") != role) {
      report(id, node->id, fmt::format("{} {} is not of role {}", what, ip, role));
    } else if (node->has_status(kArchived) && !all_.at(id).has_status(kArchived)) {
      report(id, node->id, fmt::format("{} {} is archived", what, ip));
    }
  }

  void check_references(const Entity& entity) {
    switch (entity.id.kind) {
      case Kind::kUser:
        for (const auto& ip : parse_set(entity.get("core_nodes")).value_or(Members())) {
          check_node(entity.id, "core node", ip, kRoleCore);
        }
        break;
      case Kind::kDevice:
        check_device(entity);
        break;
      case Kind::kNode:
        check_cell_of(entity);
        break;
      case Kind::kLink:
        check_node(entity.id, "entry node", entity.id.first, kRoleEntry);
        check_node(entity.id, "core node", entity.id.second, kRoleCore);
        break;
      case Kind::kCell:
        break;
    }
  }

  void check_device(const Entity& device) {
    const Entity* user = find(owner_of(device.id));
    if (user == nullptr) {
      report(device.id, owner_of(device.id), "its user does not exist");
      return;
    }
    if (device.has_status(kActive) && !user->has_status(kActive)) {
      report(device.id, user->id,
             fmt::format("is active, but its user is {}", printable(user->get("status"), 64)));
    }
    if (const std::string* core = device.find("core_node")) {
      const auto cores = parse_set(user->get("core_nodes")).value_or(Members());
      if (std::ranges::find(cores, *core) == cores.end()) {
        report(
            device.id, user->id,
            fmt::format("core_node {} is not one of its user's core_nodes", printable(*core, 64)));
      }
    }
  }

  void check_cell_of(const Entity& node) {
    const std::string* name = node.find("cell");
    if (name == nullptr) return;
    const Entity* cell = find(cell_id(*name));
    if (cell == nullptr) {
      report(node.id, cell_id(*name), fmt::format("cell {} does not exist", printable(*name, 64)));
      return;
    }
    if (cell->has_status(kArchived) && !node.has_status(kArchived)) {
      report(node.id, cell->id, fmt::format("cell {} is archived", *name));
    }
    if (node.get("role") != kRoleCore) return;
    const auto number = parse_count(node.get("node_number"));
    const auto newest = parse_count(cell->get("core_node_counter"));
    if (!number || !newest || *number > *newest || *number < 1) {
      report(node.id, cell->id, fmt::format("node_number is not one that cell {} gave", *name));
    } else if (node.get("domain") != fmt::format("{}.core.{}", *number, *name)) {
      report(node.id, "domain is not <number>.core.<cell>");
    }
  }

  using Members = std::vector<std::string>;
  std::vector<Violation>* out_;
  Index all_;
};

}  // namespace

std::vector<Violation> check(std::vector<Entity> entities) {
  std::vector<Violation> violations;
  Checker checker(violations);
  checker.load(std::move(entities));
  checker.run();
  return violations;
}

Result<std::vector<Violation>> check(kv::Reader& reader, const Layout& layout) {
  std::vector<Violation> violations;
  Checker checker(violations);
  // All kinds at the revision of the first read, so that nothing looks broken that is only newer.
  BENNU_ASSIGN(const auto newest, reader.range({.range = {.key = layout.user_counter_key()}}));
  for (const KindInfo& info : all_kinds()) {
    BENNU_ASSIGN(auto entities, list(reader, layout, info.kind, {}, newest.revision));
    checker.load(std::move(entities));
  }
  checker.run();
  if (newest.kvs.empty()) return violations;
  BENNU_ASSIGN(auto wrong, check_counter(reader, layout, newest.kvs[0].value, newest.revision));
  if (wrong) violations.push_back({.message = std::move(*wrong)});
  return violations;
}

Result<std::optional<std::string>> check_counter(kv::Reader& reader, const Layout& layout,
                                                 std::string_view value, Revision revision) {
  const auto told = [&](std::string_view what) {
    return std::optional(fmt::format("{} {}", layout.user_counter_key(), what));
  };
  const auto counter = parse_count(value);
  if (!counter)
    return told("is not a number: no user can be added; put the newest user's id there");
  if (*counter == kLastCount)
    return told("leaves no id for another user: put the newest one's there");
  BENNU_ASSIGN(const auto users, list(reader, layout, Kind::kUser, {}, revision));
  const auto last = users.empty() ? std::nullopt : parse_count(users.back().id.first);
  if (last && *last > *counter) return told("is below the newest user's id");
  return std::optional<std::string>();
}

}  // namespace bennu::inventory
