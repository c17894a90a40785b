#pragma once
// What   How a key may stand in a message, a commit or a log: without its secret names.
// Why    A device's uuid is a credential; a subject `kv put /net/users/1/devices/<uuid>/name` would
//        give it away, and its first digits would do so in part.
// Use    `shown_key(mapping, key)` wherever a key leaves the store other than as data.
// Threads Pure functions.
// Source decision 10 of ARCHITECTURE.md.

#include <string>
#include <string_view>

#include "sync/mapping.hpp"

namespace bennu::sync {

/// Printable. Also of a key that only begins like an entity's (a prefix, a deeper key). In the
/// place of a secret name stands its hash, as in the tree; without the data key, the parameter
/// (`{uuid}`). So does whatever looks like a UUID elsewhere in a key of a schema with secret names.
/// Of a tree record, the path of its file and what it says of it: `run.sh (mode)`.
[[nodiscard]] std::string shown_key(const Mapping& mapping, std::string_view key);

/// Whether the key leads to or through a place where an entity has a secret name.
[[nodiscard]] bool holds_secret_name(const Mapping& mapping, std::string_view key);

}  // namespace bennu::sync
