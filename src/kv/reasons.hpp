#pragma once
// What   The conditions of the key-value layer that callers act on.
// Why    A caller tells "compacted" from "future revision" by these, never by a message.
// Source etcd v3 (api/v3rpc/rpctypes/error.go); each with the code and text that etcd uses.

#include "base/error.hpp"
#include "env/files.hpp"

namespace bennu::kv::reason {

inline constexpr Reason kCompacted = "kv.compacted";                   ///< kOutOfRange
inline constexpr Reason kFutureRevision = "kv.future_revision";        ///< kOutOfRange
inline constexpr Reason kLeaseNotFound = "kv.lease_not_found";         ///< kNotFound
inline constexpr Reason kLeaseExists = "kv.lease_exists";              ///< kFailedPrecondition
inline constexpr Reason kLeaseTtlTooLarge = "kv.lease_ttl_too_large";  ///< kOutOfRange
/// kInvalidArgument (ignore_value, ignore_lease)
inline constexpr Reason kKeyNotFound = "kv.key_not_found";
inline constexpr Reason kEmptyKey = "kv.empty_key";          ///< kInvalidArgument
inline constexpr Reason kTooLarge = "kv.too_large";          ///< kInvalidArgument
inline constexpr Reason kDuplicateKey = "kv.duplicate_key";  ///< kInvalidArgument
/// kInvalidArgument (with ignore_value)
inline constexpr Reason kValueProvided = "kv.value_provided";
/// kInvalidArgument (with ignore_lease)
inline constexpr Reason kLeaseProvided = "kv.lease_provided";
/// kFailedPrecondition: another process has it open
inline constexpr Reason kLocked = "kv.locked";
inline constexpr Reason kNoStore = "kv.no_store";  ///< kNotFound: no store in this folder
inline constexpr Reason kCorrupt = "kv.corrupt";   ///< kDataLoss: a stored record fails its check
/// kFailedPrecondition: written by a newer Bennu
inline constexpr Reason kUnknownFormat = "kv.unknown_format";
inline constexpr Reason kNoSpace = env::kNoSpace;  ///< kResourceExhausted: the disk is full
/// kAborted: a compare of a staged commit failed
inline constexpr Reason kStageConflict = "kv.stage_conflict";

}  // namespace bennu::kv::reason
