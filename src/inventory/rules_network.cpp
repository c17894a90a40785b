// Nodes, cells and links.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "inventory/reasons.hpp"
#include "inventory/rules.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {
namespace {

constexpr std::size_t kNamedDependants = 5;
constexpr std::size_t kServiceNameBytes = 12;

Error broken(std::string message) {
  return make_error(Code::kFailedPrecondition, std::move(message), reason::kRule);
}

bool counts(const Entity& dependant, Dependants which) {
  return which == Dependants::kAll || !dependant.has_status(kArchived);
}

Status refuse(const Entity& entity, std::string_view verb, const std::vector<Entity>& dependants) {
  if (dependants.empty()) return {};
  std::string names;
  const std::size_t named = std::min(dependants.size(), kNamedDependants);
  for (std::size_t i = 0; i < named; ++i) {
    names += (i == 0 ? "" : ", ") + describe(dependants[i]);
  }
  if (dependants.size() > named) names += fmt::format(" and {} more", dependants.size() - named);
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("{} cannot be {}: {} {} on it; change or remove {} first", describe(entity), verb,
                  names, dependants.size() == 1 ? "depends" : "depend",
                  dependants.size() == 1 ? "that" : "them"),
      reason::kInUse);
}

Result<std::vector<Entity>> dependants_of(Attempt& attempt, const Entity& node, Dependants which) {
  const Layout& layout = attempt.layout();
  const std::string& ip = node.id.first;
  std::vector<Entity> found;
  if (node.get("role") == kRoleCore) {
    BENNU_ASSIGN(const auto users, attempt.all(Kind::kUser, layout.kind_range(Kind::kUser)));
    for (const Entity& user : users) {
      const auto cores = parse_set(user.get("core_nodes")).value_or(std::vector<std::string>());
      if (counts(user, which) && std::ranges::find(cores, ip) != cores.end()) found.push_back(user);
    }
    BENNU_ASSIGN(const auto devices, attempt.all(Kind::kDevice, layout.kind_range(Kind::kDevice)));
    for (const Entity& device : devices) {
      if (counts(device, which) && device.get("core_node") == ip) found.push_back(device);
    }
  }
  BENNU_ASSIGN(const auto links, attempt.all(Kind::kLink, layout.kind_range(Kind::kLink)));
  for (const Entity& link : links) {
    if (counts(link, which) && (link.id.first == ip || link.id.second == ip)) found.push_back(link);
  }
  return found;
}

// A core node in a cell has the cell's next number, and its domain follows from it.
Status number_core_node(Attempt& attempt, Entity& cell, Entity& after, std::vector<Entity>& also) {
  const Entity before = cell;
  const auto last = parse_count(cell.get("core_node_counter"));
  if (!last) {
    return broken(
        fmt::format("{}: core_node_counter is not a number: put the number of its newest "
                    "core node there",
                    describe(cell)));
  }
  if (*last == kLastCount)
    return no_number_left(fmt::format("{}: core_node_counter", describe(cell)));
  const std::string number = fmt::to_string(*last + 1);
  cell.fields["core_node_counter"] = number;
  BENNU_TRY(attempt.put_entity(&before, cell));
  also.push_back(cell);
  after.fields["node_number"] = number;
  after.fields["domain"] = fmt::format("{}.core.{}", number, cell.id.first);
  return {};
}

Status settle_cell(Attempt& attempt, const Entity* before, Entity& after,
                   std::vector<Entity>& also) {
  const std::string* name = after.find("cell");
  const bool core = after.get("role") == kRoleCore;
  const bool moved = changed(before, after, "cell") || changed(before, after, "role");
  const bool renamed = changed(before, after, "domain");
  if (core && name != nullptr && renamed) {
    return broken(
        fmt::format("{}: the domain of a core node in a cell is <number>.core.{}: leave it out",
                    describe(after), *name));
  }
  if (moved && after.fields.erase("node_number") > 0 && !renamed) after.fields.erase("domain");
  if (name == nullptr || (!moved && !becomes_active(before, after))) return {};
  BENNU_ASSIGN(auto cell, attempt.find(cell_id(*name)));
  if (!cell || !cell->has_status(kActive)) {
    return broken(fmt::format("{} {}: {} belongs in an active cell; see `bennu cell list`",
                              cell ? describe(*cell) + " is" : "no cell",
                              cell ? cell->get("status") : std::string_view(*name),
                              describe(after)));
  }
  if (core && moved) return number_core_node(attempt, *cell, after, also);
  return {};
}

std::string random_service_name(Attempt& attempt) {
  return to_hex(attempt.random().bytes(kServiceNameBytes));
}

}  // namespace

Result<Entity> require_node(Attempt& attempt, std::string_view ip, std::string_view role,
                            std::string_view why) {
  BENNU_ASSIGN(auto node, attempt.find(node_id(ip)));
  std::string problem;
  if (!node) {
    problem = fmt::format("no node {}", ip);
  } else if (node->get("role") != role) {
    problem = fmt::format("node {} has role {}", ip, node->get("role"));
  } else if (!node->has_status(kActive)) {
    problem = fmt::format("node {} is {}", ip, node->get("status"));
  } else {
    return std::move(*node);
  }
  return broken(fmt::format("{}: {} may only name active nodes of role {}; see `bennu node list`",
                            problem, why, role));
}

Status refuse_node_in_use(Attempt& attempt, const Entity& node, Dependants which,
                          std::string_view verb) {
  BENNU_ASSIGN(const auto dependants, dependants_of(attempt, node, which));
  return refuse(node, verb, dependants);
}

Status refuse_cell_in_use(Attempt& attempt, const Entity& cell, Dependants which,
                          std::string_view verb) {
  BENNU_ASSIGN(auto nodes, attempt.all(Kind::kNode, attempt.layout().kind_range(Kind::kNode)));
  std::erase_if(nodes, [&](const Entity& node) {
    return node.get("cell") != cell.id.first || !counts(node, which);
  });
  return refuse(cell, verb, nodes);
}

Status apply_node_rules(Attempt& attempt, const Entity* before, Entity& after,
                        std::vector<Entity>& also) {
  if (before != nullptr && changed(before, after, "role")) {
    BENNU_TRY(refuse_node_in_use(attempt, *before, Dependants::kAll, "given another role"));
  }
  if (before != nullptr && changed(before, after, "status") && after.has_status(kArchived)) {
    BENNU_TRY(refuse_node_in_use(attempt, *before, Dependants::kLive, "archived"));
  }
  return settle_cell(attempt, before, after, also);
}

Status apply_cell_rules(Attempt& attempt, const Entity* before, Entity& after,
                        std::vector<Entity>& /*also*/) {
  if (before != nullptr && changed(before, after, "status") && after.has_status(kArchived)) {
    return refuse_cell_in_use(attempt, *before, Dependants::kLive, "archived");
  }
  return {};
}

Status apply_link_rules(Attempt& attempt, const Entity* before, Entity& after,
                        std::vector<Entity>& /*also*/) {
  if (becomes_active(before, after)) {
    const std::string why = describe(after);
    BENNU_TRY(require_node(attempt, after.id.first, kRoleEntry, why + " (entry node)"));
    BENNU_TRY(require_node(attempt, after.id.second, kRoleCore, why + " (core node)"));
  }
  for (const std::string_view name : {"client_service_name", "core_service_name"}) {
    if (after.find(name) == nullptr) after.fields[std::string(name)] = random_service_name(attempt);
    if (changed(before, after, name)) after.fields["last_rotation"] = attempt.now();
  }
  return {};
}

}  // namespace bennu::inventory
