#include "inventory/client_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "inventory/read.hpp"
#include "inventory/reasons.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {
namespace {

Error refused(std::string message, Reason why) {
  return make_error(Code::kFailedPrecondition, std::move(message), why);
}

Error sealed(std::string_view what) {
  return refused(
      fmt::format("{} is sealed here: open or restore this with an identity that may read it "
                  "(`--identity FILE`)",
                  what),
      reason::kSealed);
}

Status check_usable(const Entity& device, const Entity& user, env::WallTime now) {
  if (is_sealed_name(device.id.second)) {
    return sealed(fmt::format("the uuid of {}", describe(device)));
  }
  for (const Entity* entity : {&user, &device}) {
    if (entity->has_status(kActive)) continue;
    return refused(
        fmt::format("{} is {}: activate it first (`bennu {} activate`)", describe(*entity),
                    entity->get("status"), kind_info(entity->id.kind).name),
        reason::kRule);
  }
  const std::string* expires = device.find("expires");
  if (expires == nullptr) return {};
  const auto end = env::parse_rfc3339(*expires);
  if (end && now < *end) return {};
  return refused(fmt::format("{} expired at {}: set a later `expires`, or unset it",
                             describe(device), *expires),
                 reason::kRule);
}

std::string make_uri(const Entity& device, std::string_view domain, std::string_view service) {
  return fmt::format("vless://{}@{}:443?type=grpc&security=tls&serviceName={}&fp=chrome&alpn=h2#{}",
                     device.id.second, domain, percent_encode(service),
                     percent_encode(device.get("name")));
}

}  // namespace

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Result<std::vector<ClientLink>> client_links(kv::Reader& reader, const Layout& layout,
                                             const EntityId& id, env::WallTime now) {
  // One revision for all of it: a link must not mix an old service name with a new entry.
  BENNU_ASSIGN(const auto newest, reader.range({.range = {.key = layout.user_counter_key()}}));
  const Revision at = newest.revision;
  BENNU_ASSIGN(const Entity device, get(reader, layout, id, at));
  BENNU_ASSIGN(const Entity user, get(reader, layout, owner_of(id), at));
  BENNU_TRY(check_usable(device, user, now));
  auto cores = parse_set(user.get("core_nodes")).value_or(std::vector<std::string>());
  if (const std::string* core = device.find("core_node")) cores = {*core};
  BENNU_ASSIGN(const auto nodes,
               list(reader, layout, Kind::kNode, {.where = {{"status", "active"}}}, at));
  const auto active = [&](std::string_view ip, std::string_view role) -> const Entity* {
    const auto found = std::ranges::find_if(
        nodes, [&](const Entity& node) { return node.id.first == ip && node.get("role") == role; });
    return found == nodes.end() ? nullptr : &*found;
  };
  BENNU_ASSIGN(const auto links,
               list(reader, layout, Kind::kLink, {.where = {{"status", "active"}}}, at));
  std::vector<ClientLink> out;
  for (const Entity& link : links) {
    const auto& [kind, entry_ip, core_ip] = link.id;
    if (std::ranges::find(cores, core_ip) == cores.end()) continue;
    const Entity* entry = active(entry_ip, kRoleEntry);
    const std::string* service = link.find("client_service_name");
    const std::string* domain = entry == nullptr ? nullptr : entry->find("domain");
    if (domain == nullptr || service == nullptr || active(core_ip, kRoleCore) == nullptr) continue;
    if (is_sealed_value(*service)) {
      return sealed(fmt::format("the service name of {}", describe(link)));
    }
    out.push_back({.entry_ip = entry_ip,
                   .entry_domain = *domain,
                   .core_ip = core_ip,
                   .uri = make_uri(device, *domain, *service)});
  }
  if (out.empty()) {
    return refused(fmt::format("nothing serves {}: give {} a core node that an active entry with a "
                               "domain is linked to (`bennu link list`)",
                               describe(device), describe(user)),
                   reason::kNotServed);
  }
  return out;
}

nlohmann::ordered_json to_json(const Entity& device, const std::vector<ClientLink>& links) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ClientLink& link : links) {
    list.push_back({{"entry_ip", link.entry_ip},
                    {"entry_domain", link.entry_domain},
                    {"core_ip", link.core_ip},
                    {"uri", link.uri}});
  }
  return {{"device", to_json(device)}, {"links", std::move(list)}};
}

}  // namespace bennu::inventory
