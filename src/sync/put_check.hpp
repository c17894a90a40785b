#pragma once
// What   What a put would need of the key ring: to be written into the tree by the next export, or
//        to fit what the store already has.
// Why    A secret that nobody here can seal must be refused where it is put: in the store it would
//        stop every export. Sealed text over an open value, or beside open names, would lose the
//        value and have an entity there twice.
// Use    `needs_of_put(mapping, key, value)` for each put of a transaction; with kName ask whether
//        the name is new. `SealedImport::check` for each change of Git where no data key is open.
// Errors kFailedPrecondition (kNoKey).
// Threads needs_of_put is a pure function; a SealedImport belongs to one thread.
// Source decision 10 of ARCHITECTURE.md; docs/formats/sealed.md.

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "sync/link.hpp"
#include "sync/mapping.hpp"

namespace bennu::sync {

enum class PutNeeds : std::uint8_t {
  kNothing,
  kName,      ///< the data key, to hash a name of the key
  kValue,     ///< the data key, to seal the value
  kTooLarge,  ///< nothing helps: a secret has at most kMaxSecretBytes
  kRefused,   ///< the file's path would show a secret name: no field of the entity lies there
};

/// The ring of the mapping is not looked at.
[[nodiscard]] PutNeeds needs_of_put(const Mapping& mapping, std::string_view key,
                                    std::string_view value);

/// Changes of Git as a locked ring reads them, against a store whose secrets may be open.
class SealedImport {
 public:
  SealedImport(const Link& link, const Mapping& mapping, Revision revision);
  /// `now`: what the store has at `revision`; `after`: what Git says now.
  [[nodiscard]] Status check(const std::string& key, const std::optional<std::string>& now,
                             const std::optional<std::string>& after);

 private:
  [[nodiscard]] Result<bool> has_open_names(std::string_view parent);
  [[nodiscard]] Error refusal(std::string_view key) const;
  const Link& link_;
  const Mapping& mapping_;
  Revision revision_;
  std::set<std::string, std::less<>> sealed_parents_;
};

}  // namespace bennu::sync
