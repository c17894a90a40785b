#pragma once
// What   The conditions of the inventory that callers act on.
// Why    The command line and the API choose an exit status or an HTTP status by these, never by a
//        message.
// Source own design (CONTRIBUTING.md).

#include "base/error.hpp"

namespace bennu::inventory::reason {

inline constexpr Reason kNoEntity = "inventory.no_entity";  ///< kNotFound
inline constexpr Reason kExists =
    "inventory.exists";  ///< kAlreadyExists: this primary key is in use
inline constexpr Reason kTaken =
    "inventory.taken";  ///< kAlreadyExists: a unique value is another's
inline constexpr Reason kBadValue = "inventory.bad_value";  ///< kInvalidArgument
inline constexpr Reason kRule = "inventory.rule";  ///< kFailedPrecondition: a rule between entities
inline constexpr Reason kInUse = "inventory.in_use";  ///< kFailedPrecondition: others depend on it
inline constexpr Reason kSealed =
    "inventory.sealed";  ///< kFailedPrecondition: needs the clear value
inline constexpr Reason kContended =
    "inventory.contended";  ///< kAborted: lost the race too many times
inline constexpr Reason kNotServed =
    "inventory.not_served";  ///< kFailedPrecondition: no entry serves the device

}  // namespace bennu::inventory::reason
