#pragma once
// What   What makes a request valid, and whether a compare holds: etcd v3's rules as pure
//        functions.
// Why    Every engine and the wire must refuse the same requests with the same errors.
// Use    `validate` before anything else; `compare_holds` with the keys that the compare's range
//        has.
// Errors kInvalidArgument (kEmptyKey, kTooLarge, kValueProvided, kLeaseProvided, kDuplicateKey).
// Threads Pure functions.
// Source etcd v3.5 server/etcdserver/api/v3rpc/key.go (checkTxnRequest, checkIntervals) and
//        server/etcdserver/apply.go (applyCompare).

#include <span>

#include "base/result.hpp"
#include "kv/types.hpp"

namespace bennu::kv {

[[nodiscard]] Status validate(const RangeRequest& request);
[[nodiscard]] Status validate(const PutRequest& request);
[[nodiscard]] Status validate(const DeleteRangeRequest& request);
/// The whole tree of a transaction: each request, and the overlaps that etcd forbids. A key may be
/// put once in a branch (counting nested ones), and not be both put and in a deleted range; etcd
/// looks at deletes of its own level and of nested transactions before the put, so a nested put
/// followed by a nested delete passes, and so does a delete "to the end" ("\0") beside a put.
[[nodiscard]] Status validate(const TxnRequest& request);

/// Whether no branch can write.
[[nodiscard]] bool is_read_only(const TxnRequest& request);

/// Whether the compare holds for `found`, the keys in its range. Without any key it is compared
/// with the zero key, and a value compare never holds then.
[[nodiscard]] bool compare_holds(const Compare& compare, std::span<const KeyValue> found);
/// The same for one key of the range.
[[nodiscard]] bool compare_holds_for(const Compare& compare, const KeyValue& kv);

}  // namespace bennu::kv
