// Users and devices.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "inventory/reasons.hpp"
#include "inventory/rules.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {
namespace {

Error broken(std::string message) {
  return make_error(Code::kFailedPrecondition, std::move(message), reason::kRule);
}

// Deactivating takes the devices off; nothing here puts them back.
Status take_devices_off(Attempt& attempt, const EntityId& user, std::vector<Entity>& also) {
  BENNU_ASSIGN(const auto devices,
               attempt.all(Kind::kDevice, attempt.layout().devices_range(user)));
  for (const Entity& listed : devices) {
    if (!listed.has_status(kActive)) continue;
    BENNU_ASSIGN(const Entity device, attempt.get(listed.id));
    Entity off = device;
    off.fields["status"] = kInactive;
    off.fields["status_at"] = attempt.now();
    BENNU_TRY(attempt.put_entity(&device, off));
    also.push_back(std::move(off));
  }
  return {};
}

// A device keeps to its user's core nodes: one that it uses cannot leave the set.
Status keep_devices_served(Attempt& attempt, const Entity& user,
                           const std::vector<std::string>& cores) {
  BENNU_ASSIGN(const auto devices,
               attempt.all(Kind::kDevice, attempt.layout().devices_range(user.id)));
  for (const Entity& device : devices) {
    const std::string* core = device.find("core_node");
    if (core == nullptr || std::ranges::find(cores, *core) != cores.end()) continue;
    return broken(fmt::format(
        "{}: core_nodes cannot lose {}: {} uses it; set or unset that device's core_node first",
        describe(user), *core, describe(device)));
  }
  return {};
}

// While a user was put away, a core node of theirs may have been, too. One that is only down
// counts.
Status check_cores_kept(Attempt& attempt, const Entity& user) {
  const auto cores = parse_set(user.get("core_nodes")).value_or(std::vector<std::string>());
  for (const std::string& ip : cores) {
    BENNU_ASSIGN(const auto node, attempt.find(node_id(ip)));
    if (node && node->get("role") == kRoleCore && !node->has_status(kArchived)) continue;
    return broken(fmt::format("{}: core_nodes names {}, which is {}; set them first",
                              describe(user), ip,
                              !node                         ? "not there"
                              : node->has_status(kArchived) ? "archived"
                                                            : "no core node"));
  }
  return {};
}

}  // namespace

bool changed(const Entity* before, const Entity& after, std::string_view field) {
  const std::string* was = before == nullptr ? nullptr : before->find(field);
  const std::string* is = after.find(field);
  if (was == nullptr || is == nullptr) return was != is;
  return *was != *is;
}

bool becomes_active(const Entity* before, const Entity& after) {
  return after.has_status(kActive) && changed(before, after, "status");
}

Error no_number_left(std::string_view what) {
  return broken(fmt::format("{} has the highest number there is: give it a lower one", what));
}

Result<std::int64_t> take_user_number(Attempt& attempt) {
  const Layout& layout = attempt.layout();
  BENNU_ASSIGN(const auto counter, attempt.value(layout.user_counter_key()));
  const auto last = counter ? parse_count(*counter) : std::optional<std::int64_t>(0);
  if (!last) {
    return broken(fmt::format("{} is not a number: put the id of the newest user there",
                              layout.user_counter_key()));
  }
  if (*last == kLastCount) return no_number_left(layout.user_counter_key());
  std::int64_t number = *last + 1;
  BENNU_ASSIGN(const bool occupied,
               attempt.any(kv::prefix_range(layout.entity_prefix(user_id(number)))));
  if (occupied) {
    // The counter was lost or users came past it: it starts again behind the highest id there is.
    for (const Kind kind : {Kind::kUser, Kind::kDevice}) {
      BENNU_ASSIGN(const auto there, attempt.all(kind, layout.kind_range(kind)));
      for (const Entity& entity : there) {
        const std::int64_t taken = parse_count(entity.id.first).value_or(0);
        if (taken == kLastCount) return no_number_left(describe(entity));
        number = std::max(number, taken + 1);
      }
    }
  }
  attempt.put(layout.user_counter_key(), fmt::to_string(number));
  return number;
}

Status apply_user_rules(Attempt& attempt, const Entity* before, Entity& after,
                        std::vector<Entity>& also) {
  if (changed(before, after, "core_nodes")) {
    const auto cores = parse_set(after.get("core_nodes")).value_or(std::vector<std::string>());
    const std::string why = fmt::format("{}: core_nodes", describe(after));
    for (const std::string& ip : cores) {
      BENNU_TRY(require_node(attempt, ip, kRoleCore, why));
    }
    if (before != nullptr) BENNU_TRY(keep_devices_served(attempt, after, cores));
  }
  if (before != nullptr && becomes_active(before, after))
    BENNU_TRY(check_cores_kept(attempt, after));
  if (before != nullptr && changed(before, after, "status") && !after.has_status(kActive)) {
    BENNU_TRY(take_devices_off(attempt, after.id, also));
  }
  return {};
}

Status apply_device_rules(Attempt& attempt, const Entity* before, Entity& after,
                          std::vector<Entity>& /*also*/) {
  const bool activates = becomes_active(before, after);
  const bool moves = changed(before, after, "core_node") && after.find("core_node") != nullptr;
  if (!activates && !moves) return {};
  BENNU_ASSIGN(const Entity user, attempt.get(owner_of(after.id)));
  if (activates && !user.has_status(kActive)) {
    return broken(fmt::format(
        "{} is {}: only an active user's devices can be added or activated; `bennu user activate "
        "{}` first",
        describe(user), user.get("status"), user.id.first));
  }
  if (const std::string* core = after.find("core_node")) {
    const auto cores = parse_set(user.get("core_nodes")).value_or(std::vector<std::string>());
    if (std::ranges::find(cores, *core) == cores.end()) {
      const std::string choice = cores.empty() ? "none" : fmt::format("{}", fmt::join(cores, ", "));
      return broken(fmt::format(
          "{}: core_node {} is not one of the core_nodes of {} ({}): choose one of them, or add it "
          "to the user first",
          describe(after), *core, describe(user), choice));
    }
  }
  return {};
}

}  // namespace bennu::inventory
