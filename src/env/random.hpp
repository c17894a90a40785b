#pragma once
// What   The seam for randomness.
// Why    Ids and lineages must be unguessable in production and repeatable in a simulation.
// Use    Pass `Random&` down; production uses `system_random()`.
// Threads Safe for all.
// Source own design; production reads getrandom(2).

#include <cstddef>
#include <cstdint>
#include <string>

namespace bennu::env {

class Random {
 public:
  virtual ~Random() = default;
  /// `count` random bytes.
  [[nodiscard]] virtual std::string bytes(std::size_t count) = 0;
};

/// The kernel's generator, fit for secrets.
[[nodiscard]] Random& system_random();

/// A random UUID of version 4 (RFC 9562), lower case.
[[nodiscard]] std::string random_uuid(Random& random);

}  // namespace bennu::env
