#pragma once
// What   The bounds that more than one module must agree on.
// Why    Every input, queue and loop has a bound; the shared ones stand here, the others beside
//        their only user.
// Units  Bytes unless the name says otherwise. All inclusive.
// Source etcd's defaults (server/embed/config.go: 1.5 MiB requests); path limits: git and Linux
//        file systems.

#include <cstddef>

namespace bennu::limits {

/// The largest value: etcd's default request limit.
inline constexpr std::size_t kMaxValueBytes = 1536UL * 1024;
/// The longest key. Longer than any path a file system takes; etcd itself only bounds the whole
/// request.
inline constexpr std::size_t kMaxKeyBytes = 8UL * 1024;
/// Operations in one transaction over the wire (etcd's --max-txn-ops). The embedded engine in
/// process has no such bound.
inline constexpr std::size_t kEtcdTxnOps = 128;

}  // namespace bennu::limits
