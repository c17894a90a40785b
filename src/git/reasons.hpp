#pragma once
// What   The conditions of the Git layer that callers act on.
// Why    A caller tells "the remote moved" from "the remote is down" by these, never by a message.
// Source own design.

#include "base/error.hpp"
#include "env/files.hpp"

namespace bennu::git::reason {

inline constexpr Reason kNotARepository =
    "git.not_a_repository";                           ///< kNotFound: no Git repository there
inline constexpr Reason kNotFound = "git.not_found";  ///< kNotFound: no such object, commit, ref
inline constexpr Reason kAmbiguous =
    "git.ambiguous";  ///< kInvalidArgument: short id of several objects
inline constexpr Reason kCorrupt = "git.corrupt";  ///< kDataLoss: an object or pack fails its check
inline constexpr Reason kBadTree =
    "git.bad_tree";  ///< kFailedPrecondition: `git fsck --strict` rejects it
inline constexpr Reason kBadName =
    "git.bad_name";  ///< kInvalidArgument: name or path no tree may hold
inline constexpr Reason kOutOfOrder =
    "git.out_of_order";  ///< kFailedPrecondition: see BulkTreeWriter
inline constexpr Reason kRefMoved =
    "git.ref_moved";  ///< kAborted: a local ref is not what was expected
inline constexpr Reason kNotFastForward =
    "git.not_fast_forward";  ///< kAborted: the remote has commits of its own
inline constexpr Reason kRemoteUnreachable =
    "git.remote_unreachable";                ///< kUnavailable: no answer from the remote
inline constexpr Reason kAuth = "git.auth";  ///< kUnauthenticated: the remote refused us
inline constexpr Reason kPushDeclined =
    "git.push_declined";  ///< kPermissionDenied: a hook or rule refused the push
inline constexpr Reason kCheckedOut =
    "git.checked_out";  ///< kFailedPrecondition: branch checked out there
inline constexpr Reason kTruncated =
    "git.truncated";                            ///< kDataLoss: bundle cut short, shallow or partial
inline constexpr Reason kNoGit = "git.no_git";  ///< kNotFound: the `git` program is missing
inline constexpr Reason kNoSpace = env::kNoSpace;  ///< kResourceExhausted: the disk is full

}  // namespace bennu::git::reason
