#pragma once
// What   A published state of the store: one revision, with everything a reader needs to see it.
// Why    Readers take it once and never wait for the writer; the writer replaces it whole.
// Use    `auto view = published.get();` and read with Cursor and `find_*`. Keep it only for one
//        call: it holds back RocksDB's reclaiming.
// Threads A view is immutable. PublishedView is safe for all.
// Source own design, ADR 0002.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "base/guarded.hpp"
#include "base/ids.hpp"
#include "kv/embedded/counts.hpp"
#include "kv/embedded/database.hpp"

namespace bennu::kv::embedded {

/// Stage id -> the revision it was committed at. A stage that is not here is invisible.
using StageTable = std::map<std::uint64_t, std::int64_t>;

struct View {
  Revision revision;
  Revision compacted;  ///< reads below it fail
  std::shared_ptr<const rocksdb::Snapshot> snapshot;
  std::shared_ptr<const StageTable> stages;
  std::shared_ptr<const CountIndex> counts;  ///< of `revision`

  /// Options for reading at this view, over whole ranges.
  [[nodiscard]] rocksdb::ReadOptions read_options() const {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot.get();
    options.total_order_seek = true;
    return options;
  }
};

class PublishedView {
 public:
  explicit PublishedView(std::shared_ptr<const View> first) : view_(std::move(first)) {}
  [[nodiscard]] std::shared_ptr<const View> get() { return *view_.lock(); }
  void set(std::shared_ptr<const View> view) {
    // The old view may be released here, with its snapshot: not under the lock.
    auto old = std::exchange(*view_.lock(), std::move(view));
  }

 private:
  Guarded<std::shared_ptr<const View>> view_;
};

}  // namespace bennu::kv::embedded
