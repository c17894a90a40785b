#pragma once
// What   The links that a device's client application is set up with: one for each active entry
//        that serves it.
// Why    It is what people come for: add an account, get a link.
// Use    `client_links(reader, layout, device_id, clock.wall())`; each uri also makes a QR code
//        (qr.hpp).
// Errors kNotFound (kNoEntity); kFailedPrecondition: kRule (device or user not active, device
//        expired), kSealed (its uuid or a service name is sealed), kNotServed (no active entry
//        leads to a core node of it).
// Threads As the reader.
// Source The design's inventory ("Give a device its configuration"); RFC 3986 (percent-encoding).

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/clock.hpp"
#include "inventory/entity.hpp"
#include "kv/store.hpp"

namespace bennu::inventory {

/// A credential: print it for who asked, never log it.
struct ClientLink {
  std::string entry_ip;
  std::string entry_domain;
  std::string core_ip;
  std::string uri;
};

/// In the order of entry, then core node. The core nodes are the device's core_node if it has one,
/// else its user's core_nodes; an entry serves one of them if it is active, has a domain and an
/// active link to it.
[[nodiscard]] Result<std::vector<ClientLink>> client_links(kv::Reader& reader, const Layout& layout,
                                                           const EntityId& device,
                                                           env::WallTime now);

/// `{"device":{…},"links":[{"entry_ip","entry_domain","core_ip","uri"}]}`; the device as in `device
/// show`.
[[nodiscard]] nlohmann::ordered_json to_json(const Entity& device,
                                             const std::vector<ClientLink>& links);

/// Everything but RFC 3986's unreserved characters as `%XX`.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace bennu::inventory
