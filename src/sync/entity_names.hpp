#pragma once
// What   The secret names of one entity: from its key to the tree (sealed, with hashes), and back.
// Why    A device's uuid is a credential: the file is called by a keyed hash, the name is sealed
//        inside as `$uuid`. Export and import must do exactly the opposite of each other.
// Use    `names_for_export` when a document is written, `names_for_import` when one is read.
// Errors kFailedPrecondition (kNoKey); kDataLoss (kTampered: hash and name do not belong together);
//        kInvalidArgument (kBadDocument: the name field is missing). All name the path.
// Threads Pure functions.
// Source own design, docs/formats/sealed.md.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sync/document.hpp"
#include "sync/key_ring.hpp"
#include "sync/schema.hpp"

namespace bennu::sync {

struct EntityNames {
  /// The prefix of the entity's keys with real names, as far as they are known: sealed values are
  /// bound to it. Sealed names stand as `~sealed~<hash>`.
  std::string prefix;
  bool known = true;                  ///< every secret name is known
  bool current = true;                ///< all is sealed in the ring's current epoch
  std::vector<DocumentField> fields;  ///< export: `$name` fields to add; import: those to keep
};

/// `parameters` as in the key, `prefix` of its keys, `fields` those in the store.
[[nodiscard]] Result<EntityNames> names_for_export(const KeyRing& ring, const Entity& entity,
                                                   std::span<const std::string> parameters,
                                                   std::string_view prefix,
                                                   std::span<const DocumentField> fields);

/// `parameters` as in the path; `clear`: the path has the names in clear.
[[nodiscard]] Result<EntityNames> names_for_import(const KeyRing& ring, const Entity& entity,
                                                   std::span<const std::string> parameters,
                                                   bool clear, std::string_view path,
                                                   std::span<const DocumentField> fields);

}  // namespace bennu::sync
