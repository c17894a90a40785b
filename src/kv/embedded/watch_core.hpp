#pragma once
// What   What the watch streams of one store share: the ring of recent changes, the index of all
//        watches that are up to date, and the thread that tells streams of changes that concern
//        them.
// Why    A publish must not ask each stream, and an idle stream must not look at each publish.
// Use    Internal to watch_hub and watch_stream. A stream has one Parking; it adds its watches that
//        are up to date with join and asks look what there is for it. The promise: a change after
//        join either is in what look says, or leaves a mark that makes look say it later.
// Units  Revisions: `published` >= `claimed` >= `judged`. Up to `judged` every change has left its
//        marks; up to `claimed` it has or is about to, so a watch may only join behind that.
// Errors kUnavailable once closed; else those of the source.
// Threads Safe for all. The mutex is never held over a read of the source.
// Source own design.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/change_source.hpp"
#include "kv/embedded/watch_hub.hpp"
#include "kv/embedded/watch_index.hpp"

namespace bennu::kv::embedded {

/// Where one stream waits. All of it belongs to WatchCore and its mutex.
struct Parking : std::enable_shared_from_this<Parking> {
  std::condition_variable wake;
  bool kicked = false;
  bool waiting = false;
  Revision seen;    ///< the stream looks at changes up to here by itself
  Revision match;   ///< the oldest change after `seen` that concerns the stream; 0: none
  Revision wanted;  ///< wake when this is judged; 0: not wanted
  std::size_t watches = 0;
};

using BlockPtr = std::shared_ptr<const ChangeBlock>;

class WatchCore {
 public:
  /// What there is for the watches of a stream that are up to date.
  struct Look {
    ChangeCursor next;  ///< nothing before this concerns them any more
    Revision scan_to;   ///< go through the changes from `next` to here; below `next`: nothing to do
  };
  struct Span {
    Revision current;
    Revision compacted;
  };

  WatchCore(const ChangeSource& source, WatchOptions options);
  ~WatchCore();
  WatchCore(const WatchCore&) = delete;
  WatchCore& operator=(const WatchCore&) = delete;

  [[nodiscard]] const WatchOptions& options() const { return options_; }
  [[nodiscard]] WatchHub::Wants wants() const;
  void publish(Revision newest, std::vector<ChangeBlock> recent);
  void close();
  [[nodiscard]] bool closed() const { return closed_; }

  /// Whether the range now takes part from `from` on. If not, changes from there may have been
  /// missed already.
  [[nodiscard]] bool join(Parking& parking, const KeyRange& range, bool prev, Revision from);
  void leave(Parking& parking, const KeyRange& range, bool prev);
  /// The stream ends: no mark or wake-up comes any more. Its watches must have left.
  void forget(Parking& parking);

  /// Takes the mark. `next` is where the stream is. If `wanted` is not 0, wakes it when that is
  /// judged.
  [[nodiscard]] Look look(Parking& parking, ChangeCursor next, Revision wanted);
  /// Makes the next wait return at once.
  void kick(Parking& parking);
  /// Returns after a kick, a mark, the time or close.
  void wait(Parking& parking, std::chrono::nanoseconds time);

  /// Recent revisions from `from` on, whole, up to `to` and about `max_bytes`; empty if the ring
  /// does not have the first.
  [[nodiscard]] std::vector<BlockPtr> recent(Revision from, Revision to, bool prev,
                                             std::size_t max_bytes);
  /// Keeps blocks read from the source for a moment, for the other watches of the stream that they
  /// concern.
  void keep(const std::vector<BlockPtr>& blocks);

  [[nodiscard]] Result<Span> span();
  [[nodiscard]] Result<ChangeRead> read(ChangeCursor from, Revision to, const ChangeFilter& filter);

 private:
  class SourceUse;

  void run(const std::stop_token& stop);
  void judge_recent();
  void judge_source(std::unique_lock<std::mutex>& lock);
  void mark(Parking& parking, Revision revision);
  void mark_wanted();
  void wake(Parking& parking);
  void send_wakes(std::unique_lock<std::mutex>& lock);
  void drop_ring(Revision first);

  const ChangeSource& source_;
  const WatchOptions options_;
  std::atomic<bool> closed_ = false;
  std::atomic<std::size_t> watches_ = 0;
  std::atomic<std::size_t> prev_watches_ = 0;

  std::mutex mutex_;
  std::condition_variable work_;    // for the thread
  std::condition_variable unused_;  // for close
  std::size_t uses_ = 0;            // of the source
  WatchIndex<Parking*> index_;
  std::set<Parking*> parked_;
  std::set<Parking*> wanting_;
  std::vector<std::shared_ptr<Parking>> waking_;  // to be notified when the mutex is free
  Revision published_;
  Revision claimed_;
  Revision judged_;
  std::deque<BlockPtr> ring_;  // revisions ring_first_, ring_first_ + 1, ... published_
  Revision ring_first_;
  std::size_t ring_bytes_ = 0;
  std::deque<std::pair<BlockPtr, std::size_t>> kept_;
  std::size_t kept_bytes_ = 0;
  std::jthread thread_;
};

}  // namespace bennu::kv::embedded
