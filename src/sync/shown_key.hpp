#pragma once
// What   A key as it may stand in a commit message, a log or on a screen: names that are secret are
//        cut short.
// Why    A device's uuid is a credential; a subject `kv put /net/users/1/devices/<uuid>/name` would
//        give it away.
// Use    `shown_key(mapping, key)` wherever a key leaves the store other than as data.
// Threads Pure function.
// Source decision 10 of ARCHITECTURE.md.

#include <string>
#include <string_view>

#include "sync/mapping.hpp"

namespace bennu::sync {

/// Printable; of a secret name only the first 8 bytes and `…`, as the inventory writes devices.
[[nodiscard]] std::string shown_key(const Mapping& mapping, std::string_view key);

}  // namespace bennu::sync
