#pragma once
// What   The conditions of the sync module that callers act on.
// Why    A caller tells "no key for this" from "tampered" by these, never by a message.
// Source own design (shape.md, "Errors").

#include "base/error.hpp"

namespace bennu::sync::reason {

inline constexpr Reason kUnknownFormat =
    "sync.unknown_format";  ///< kFailedPrecondition: a version this binary does not know
inline constexpr Reason kBadSchema =
    "sync.bad_schema";  ///< kInvalidArgument: the schema file, with line and column
inline constexpr Reason kBadDocument =
    "sync.bad_document";  ///< kInvalidArgument: a document, with line and column
inline constexpr Reason kBadTree =
    "sync.bad_tree";  ///< kInvalidArgument: a path or entry that git itself refuses
inline constexpr Reason kNoKey =
    "sync.no_key";  ///< kFailedPrecondition: a secret, and no data key to seal it with
inline constexpr Reason kTampered =
    "sync.tampered";  ///< kDataLoss: a sealed value that does not open at its path
inline constexpr Reason kNoAge =
    "sync.no_age";  ///< kFailedPrecondition: the `age` program is missing
inline constexpr Reason kNotARecipient =
    "sync.not_a_recipient";  ///< kPermissionDenied: this identity opens no data key

}  // namespace bennu::sync::reason
