#pragma once
// What   What a put would need of the key ring, so that the next export can write it into the tree.
// Why    A secret that nobody here can seal must be refused where it is put: in the store it would
//        stop every export.
// Use    `needs_of_put(mapping, key, value)` for each put of a transaction; with kName ask whether
//        the name is new.
// Threads Pure function.
// Source decision 10 of ARCHITECTURE.md; docs/formats/sealed.md.

#include <string_view>

#include "sync/mapping.hpp"

namespace bennu::sync {

enum class PutNeeds : std::uint8_t {
  kNothing,
  kName,     ///< the data key, to hash a name of the key
  kValue,    ///< the data key, to seal the value
  kRefused,  ///< the file's path would show a secret name: no field of the entity lies there
};

/// The ring of the mapping is not looked at.
[[nodiscard]] PutNeeds needs_of_put(const Mapping& mapping, std::string_view key,
                                    std::string_view value);

}  // namespace bennu::sync
