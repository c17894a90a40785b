#pragma once
// What   Opens the embedded engine: a kv::Store on RocksDB, in this process, for one machine.
// Why    Only `node` and `cli` choose an engine; they see this and kv::Store, nothing of RocksDB.
// Use    `open_embedded({.path = dir, .create_if_missing = true})`. The folder is the store's
//        alone. Destroying the store stops its threads; watch streams may outlive it, staged
//        transactions may not.
// Units  memory_budget_bytes covers block cache and memtables; a few MiB more are used beside it.
// Errors kNotFound (kNoStore); kFailedPrecondition (kLocked: open elsewhere; kUnknownFormat:
//        written by a newer Bennu, nothing was touched; the folder holds other files); kDataLoss
//        (kCorrupt); kPermissionDenied; kResourceExhausted (kNoSpace).
// Threads open_embedded: safe for all; the store: safe for all.
// Source own design, ADR 0002 and docs/formats/rocksdb.md; semantics: etcd v3.

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "env/clock.hpp"
#include "env/random.hpp"
#include "kv/store.hpp"

namespace bennu::kv {

/// For tests of crashes.
struct EngineTestHooks {
  /// Called by name at the places where a crash must be survived, in whichever thread is there.
  std::function<void(std::string_view)> fail_point;
  /// A staged transaction with more changes goes to table files.
  std::size_t stage_spill_changes = 10'000;
};

struct EngineOptions {
  std::filesystem::path path;
  bool create_if_missing = false;
  /// Changes nothing on disk; every write is refused. The store must not be open elsewhere for
  /// writing. Where the disk is too full to open it for writing, a store is opened like this by
  /// itself, and its refusals say why (kNoSpace).
  bool read_only = false;
  std::size_t memory_budget_bytes = 64UL << 20;
  /// The revision of a new store. A restored one starts far above, so that clients that remember
  /// the old one's revisions are told that those are compacted.
  Revision initial_revision{1};
  /// Lease time passes by at most this between two looks at the clock, so that clients whose
  /// store stood still (SIGSTOP, a disk that hangs) can renew before they lose their leases. Tests
  /// that jump in time with a ManualClock raise it.
  std::chrono::nanoseconds lease_stall_limit = std::chrono::seconds{1};
  env::Clock* clock = nullptr;    ///< null: the machine's
  env::Random* random = nullptr;  ///< null: the kernel's
  EngineTestHooks test_hooks = {};
};

[[nodiscard]] Result<std::unique_ptr<Store>> open_embedded(const EngineOptions& options);

}  // namespace bennu::kv
