#pragma once
// What   How a range answer is filtered, sorted, cut and stripped: etcd v3's rules as pure
//        functions.
// Why    The order of these steps is part of the contract (a filter comes before the limit, the
//        count before both); engines must not differ in it.
// Use    Read `fetch_limit` keys of the range in key order, then `finish_range` on the answer.
// Threads Pure functions.
// Source etcd v3.5 server/etcdserver/apply.go (applierV3backend.Range).

#include <cstdint>

#include "kv/types.hpp"

namespace bennu::kv {

/// How many keys must be read for this request: 0 means all of them. One more than the limit, to
/// know whether there are more; all if they must be sorted or filtered first.
[[nodiscard]] std::int64_t fetch_limit(const RangeRequest& request);

/// Applies filters, order, limit and keys_only to `response.kvs`, and sets `more`.
/// `response.count` is the caller's.
void finish_range(const RangeRequest& request, RangeResponse& response);

}  // namespace bennu::kv
