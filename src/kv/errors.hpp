#pragma once
// What   The errors of the key-value contract, each with etcd's code and text.
// Why    Clients match on these texts; one place keeps every engine saying the same.
// Use    `return errors::compacted();`
// Errors They are the errors. All have effect kNone.
// Threads Pure functions.
// Source etcd v3.5 api/v3rpc/rpctypes/error.go.

#include <cstddef>

#include "base/error.hpp"

namespace bennu::kv::errors {

[[nodiscard]] Error compacted();
[[nodiscard]] Error future_revision();
[[nodiscard]] Error empty_key();
[[nodiscard]] Error value_provided();
[[nodiscard]] Error lease_provided();
[[nodiscard]] Error key_not_found();
[[nodiscard]] Error duplicate_key();
[[nodiscard]] Error lease_not_found();
[[nodiscard]] Error lease_exists();
[[nodiscard]] Error lease_ttl_too_large();
/// etcd only says "request is too large"; this adds what was too large and the limit.
[[nodiscard]] Error key_too_large(std::size_t size_bytes);
[[nodiscard]] Error value_too_large(std::size_t size_bytes);

}  // namespace bennu::kv::errors
