#include "base/error.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/check.hpp"

namespace bennu {

Error Error::with_context(std::string_view context) && {
  std::string joined;
  joined.reserve(context.size() + 2 + message.size());
  joined.append(context).append(": ").append(message);
  message = std::move(joined);
  return std::move(*this);
}

Error make_error(Code code, std::string message, Reason reason) {
  return Error{
      .code = code, .reason = reason, .effect = Effect::kNone, .message = std::move(message)};
}

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kCancelled:
      return "CANCELLED";
    case Code::kUnknown:
      return "UNKNOWN";
    case Code::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code::kNotFound:
      return "NOT_FOUND";
    case Code::kAlreadyExists:
      return "ALREADY_EXISTS";
    case Code::kPermissionDenied:
      return "PERMISSION_DENIED";
    case Code::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case Code::kAborted:
      return "ABORTED";
    case Code::kOutOfRange:
      return "OUT_OF_RANGE";
    case Code::kUnimplemented:
      return "UNIMPLEMENTED";
    case Code::kInternal:
      return "INTERNAL";
    case Code::kUnavailable:
      return "UNAVAILABLE";
    case Code::kDataLoss:
      return "DATA_LOSS";
    case Code::kUnauthenticated:
      return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

void check_failed(const char* file, int line, const char* condition, std::string_view note) {
  std::fprintf(stderr, "bennu: broken invariant at %s:%d: %s (%.*s)\n", file, line, condition,
               static_cast<int>(note.size()), note.data());
  std::abort();
}

}  // namespace bennu
