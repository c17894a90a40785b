#include "cli/broken_rules.hpp"

#include <fmt/format.h>

#include "inventory/inventory.hpp"
#include "sync/changes_since.hpp"
#include "sync/state_tree.hpp"
#include "sync/window.hpp"

namespace bennu::cli {
namespace {

constexpr std::size_t kNamed = 10;

Result<std::vector<inventory::Violation>> find_violations(kv::Store& store, Revision at) {
  BENNU_ASSIGN(const auto mapping, sync::mapping_of_state(store, {}, {}));
  if (mapping.schema().find("device") == nullptr) return std::vector<inventory::Violation>();
  const inventory::Layout layout;
  if (at.value == 0) return inventory::check(store, layout);
  BENNU_ASSIGN(const auto changes,
               sync::changes_since(store, at.previous(), at, sync::kMaxWindowKeys));
  if (!changes) return inventory::check(store, layout);
  std::vector<std::string> keys;
  for (const auto& transaction : *changes) {
    for (const auto& change : transaction.changes) keys.push_back(change.key);
  }
  inventory::Inventory inventory(store, env::system_clock(), env::system_random());
  return inventory.follow(at, keys);
}

}  // namespace

nlohmann::json broken_rules(const Context& context, kv::Store& store, Revision at) {
  const auto found = find_violations(store, at);
  if (!found) {
    context.out.warn(fmt::format(
        "the change is made, but whether it broke rules of the inventory could not be checked: {}",
        found.error().message));
    return nullptr;
  }
  nlohmann::json lines = nlohmann::json::array();
  for (const inventory::Violation& violation : *found) {
    if (lines.size() < kNamed) context.out.warn(violation.message);
    lines.push_back(violation.message);
  }
  if (found->size() > kNamed) {
    context.out.warn(
        fmt::format("and {} more broken rules; `-o json` lists them all", found->size() - kNamed));
  }
  return lines;
}

}  // namespace bennu::cli
