#pragma once
// What   kv::Store on a real etcd (3.4 or later), through gRPC.
// Why    The judge of the conformance suite: what etcd itself answers is what the contract means.
// Use    `connect({.target = "127.0.0.1:2379"})`; streams made by watch() must end before the
//        store.
// Units  `call_timeout` bounds each call; a compaction with `physical` and a scan are bound per
//        request they make.
// Errors etcd's own code and text, with the reason of kv/reasons.hpp where it has one. A write that
//        ends without etcd's word on it (kUnavailable, kDeadlineExceeded, kCancelled, kUnknown,
//        kInternal) has effect kUnknown.
// Threads Safe for all; every call blocks on the network, for `call_timeout` at most.
// Source etcd v3 API; reasons: api/v3rpc/rpctypes/error.go of etcd.

#include <chrono>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "kv/store.hpp"

namespace bennu::kv::etcd {

struct Options {
  std::string target;  ///< as gRPC names it: `host:port`, `unix:/path`
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds call_timeout{20'000};
};

/// Connects and waits for the first answer. Errors: kUnavailable (nobody answers within
/// `connect_timeout`). Capabilities: 128 operations in a transaction; stage() answers
/// kUnimplemented.
[[nodiscard]] Result<std::unique_ptr<Store>> connect(const Options& options);

}  // namespace bennu::kv::etcd
