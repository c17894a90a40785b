#include "kv/errors.hpp"

#include <fmt/format.h>

#include "base/limits.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::errors {

Error compacted() {
  return make_error(Code::kOutOfRange, "etcdserver: mvcc: required revision has been compacted",
                    reason::kCompacted);
}

Error future_revision() {
  return make_error(Code::kOutOfRange, "etcdserver: mvcc: required revision is a future revision",
                    reason::kFutureRevision);
}

Error empty_key() {
  return make_error(Code::kInvalidArgument, "etcdserver: key is not provided", reason::kEmptyKey);
}

Error value_provided() {
  return make_error(Code::kInvalidArgument, "etcdserver: value is provided",
                    reason::kValueProvided);
}

Error lease_provided() {
  return make_error(Code::kInvalidArgument, "etcdserver: lease is provided",
                    reason::kLeaseProvided);
}

Error key_not_found() {
  return make_error(Code::kInvalidArgument, "etcdserver: key not found", reason::kKeyNotFound);
}

Error duplicate_key() {
  return make_error(Code::kInvalidArgument, "etcdserver: duplicate key given in txn request",
                    reason::kDuplicateKey);
}

Error lease_not_found() {
  return make_error(Code::kNotFound, "etcdserver: requested lease not found",
                    reason::kLeaseNotFound);
}

Error lease_exists() {
  return make_error(Code::kFailedPrecondition, "etcdserver: lease already exists",
                    reason::kLeaseExists);
}

Error lease_ttl_too_large() {
  return make_error(Code::kOutOfRange, "etcdserver: too large lease TTL",
                    reason::kLeaseTtlTooLarge);
}

Error key_too_large(std::size_t size_bytes) {
  return make_error(Code::kInvalidArgument,
                    fmt::format("etcdserver: request is too large: the key has {} bytes, at most "
                                "{} are allowed",
                                size_bytes, limits::kMaxKeyBytes),
                    reason::kTooLarge);
}

Error value_too_large(std::size_t size_bytes) {
  return make_error(Code::kInvalidArgument,
                    fmt::format("etcdserver: request is too large: the value has {} bytes, at "
                                "most {} are allowed",
                                size_bytes, limits::kMaxValueBytes),
                    reason::kTooLarge);
}

}  // namespace bennu::kv::errors
