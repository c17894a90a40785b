#pragma once
// What   The error value that every fallible call of Bennu returns: code, reason, effect, message.
// Why    One type from the engine to the exit status, so that an edge is one table and context is
//        never lost.
// Use    Make one with `make_error`; add context going up with `with_context`; never throw it.
// Errors The codes are the canonical ones of gRPC
//        (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
// Threads A plain value.
// Source own design (CONTRIBUTING.md); codes: gRPC status codes.

#include <cstdint>
#include <string>
#include <string_view>

namespace bennu {

/// The canonical codes of gRPC, with the same numbers, so that the wire's table is the identity.
enum class Code : std::uint8_t {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// Whether the call that failed may have changed something. Only idempotent or fenced work may be
/// retried blindly after `kUnknown`.
enum class Effect : std::uint8_t { kNone, kUnknown };

/// A condition that a caller acts on, named `module.condition` (`kv.compacted`). Each module lists
/// its own as `inline constexpr Reason`s in `reasons.hpp`. Empty where nobody would act on it.
/// Points to static storage.
using Reason = std::string_view;

/// What went wrong, in one line that says what, where and what to do.
struct Error {
  Code code = Code::kUnknown;
  Reason reason;
  Effect effect = Effect::kNone;
  std::string message;

  /// The same error with `context: ` before its message.
  [[nodiscard]] Error with_context(std::string_view context) &&;
};

/// `Error` with effect `kNone`.
[[nodiscard]] Error make_error(Code code, std::string message, Reason reason = {});

/// The code's name as gRPC writes it (`NOT_FOUND`).
[[nodiscard]] std::string_view code_name(Code code);

}  // namespace bennu
