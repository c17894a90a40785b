#pragma once
// What   The count index on disk: saved now and then, brought up to date from the log at open.
// Why    Counting every key at each open would take longer than the open may.
// Use    `save` whenever enough has changed; the log from the last save on must be kept. `recover`
//        at open.
// Units  kSaveEvery revisions are replayed in a few hundredths of a second.
// Errors kDataLoss (kCorrupt) from the log; a saved index that cannot be read is made anew by a
//        scan.
// Threads Safe for all.
// Source own design, docs/formats/rocksdb.md.

#include <memory>

#include "base/result.hpp"
#include "kv/embedded/counts.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

inline constexpr std::int64_t kSaveEvery = 50'000;

/// Writes the view's counts, synced. Returns the revision that is saved now.
[[nodiscard]] Result<Revision> save_counts(const Database& database, const View& view);

struct RecoveredCounts {
  std::shared_ptr<const CountIndex> index;  ///< of the view's revision
  Revision saved;                           ///< what is on disk; 0: nothing
};
/// `view` needs no counts yet.
[[nodiscard]] Result<RecoveredCounts> recover_counts(const Database& database, const View& view);

/// The counts by a scan of everything.
[[nodiscard]] Result<std::shared_ptr<const CountIndex>> count_by_scan(const Database& database,
                                                                      const View& view);

}  // namespace bennu::kv::embedded
