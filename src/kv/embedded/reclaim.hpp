#pragma once
// What   Removes what compaction gave up: superseded versions, old tombstones, the log before.
// Why    Kept apart from the thread that runs it, so that it can be followed and tested alone.
// Use    `reclaim` from where the last one stopped; it can be stopped and repeated at any point.
// Units  Batches of kReclaimBatch deletes; the cost grows with what is given up, not with the
//        store.
// Errors kCancelled when stopped; what reading and writing report.
// Threads One at a time.
// Source own design; which versions stay: etcd v3.5 server/storage/mvcc/key_index.go (compact).

#include <functional>
#include <stop_token>
#include <string_view>

#include "base/result.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

inline constexpr int kReclaimBatch = 1000;

/// Everything below `to` is unreachable already; up to `from` it is gone.
[[nodiscard]] Status reclaim(const Database& database, const View& view, Revision from, Revision to,
                             const std::stop_token& stop,
                             const std::function<void(std::string_view)>& fail_point);

/// Rewrites the files of history without what is gone, as far as no snapshot is from before and the
/// disk has room for new ones beside the old. Costs as much as the history that is kept.
[[nodiscard]] Status shrink(const Database& database, const std::stop_token& stop);

/// Deletes (and a few puts) written in synced batches. Each is synced: every record of the
/// write-ahead log is, so that a damaged one in its middle can be told from a torn end.
class Deleter {
 public:
  explicit Deleter(const Database& database) : database_(database) {}
  [[nodiscard]] Status add(Family family, std::string_view key);
  [[nodiscard]] rocksdb::WriteBatch& batch() { return batch_; }
  [[nodiscard]] Status flush();

 private:
  const Database& database_;
  rocksdb::WriteBatch batch_;
};

}  // namespace bennu::kv::embedded
