#pragma once
// What   Gives space back in the background: history below the compacted revision.
// Why    Compaction answers at once; what it gave up goes away without stopping anyone.
// Use    `start` at open, `wake` after each compaction, `stop` before the database goes. It goes on
//        where it stood at the last stop or crash.
// Units  Works in batches of kBatch deletes; its cost grows with what is compacted, not with the
// store.
// Errors wait_until passes on what stopped the work; it is tried again at the next wake.
// Threads Safe for all. One thread of its own.
// Source own design, ADR 0002.

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

class Reclaimer {
 public:
  static constexpr std::size_t kBatch = 1000;

  /// Both must outlive it.
  Reclaimer(const Database& database, PublishedView& published)
      : database_(database), published_(published) {}
  ~Reclaimer() { stop(); }
  Reclaimer(const Reclaimer&) = delete;
  Reclaimer& operator=(const Reclaimer&) = delete;

  void start();
  void stop();
  void wake();
  /// Returns when everything below `compacted` is gone from the tables, or could not be removed.
  /// With `shrink`, the files are rewritten without it, too.
  [[nodiscard]] Status wait_until(Revision compacted, bool shrink);

 private:
  struct Progress {
    bool woken = true;
    Revision reclaimed;
    std::uint64_t rounds = 0;
    Status last;
  };
  void run(const std::stop_token& stop);
  [[nodiscard]] Status reclaim(Revision from, Revision to, const std::stop_token& stop);
  [[nodiscard]] Status shrink();

  const Database& database_;
  PublishedView& published_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Progress progress_;
  std::jthread thread_;
};

}  // namespace bennu::kv::embedded
