#pragma once
// What   The thread that does what nobody waits for: keeps blocks of counts small and saves them,
//        tidies up after stages, gives compacted space back.
// Why    One owned thread for all of it, so that none of it competes with another.
// Use    `start` at open, `wake` when there is something, `stop` before writer and database go.
//        Everything it does goes on where it stood after a stop or crash, but for the rewriting of
//        history's files: that the next compaction does.
// Errors wait_for_all passes on what stopped the work; it is tried again at the next wake.
// Threads Safe for all.
// Source own design, ADR 0002.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>

#include "base/result.hpp"
#include "kv/embedded/stage_registry.hpp"
#include "kv/embedded/view.hpp"
#include "kv/embedded/writer.hpp"

namespace bennu::kv::embedded {

class Background {
 public:
  /// All must outlive it. `counts_saved`: the revision of the counts on disk.
  Background(const Database& database, PublishedView& published, StageRegistry& registry,
             Revision counts_saved, std::function<void(std::string_view)> fail_point)
      : database_(database),
        published_(published),
        registry_(registry),
        fail_point_(std::move(fail_point)),
        counts_saved_(counts_saved) {}
  ~Background() { stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void start(Writer& writer);
  /// Ends the thread, and saves the counts if replaying them would take time.
  void stop();
  void wake();
  /// Returns when everything compacted before this call is gone from the tables (as far as no open
  /// stage needs it) and from their files, or could not be removed.
  [[nodiscard]] Status wait_for_all();

 private:
  void run(Writer& writer, const std::stop_token& stop);
  [[nodiscard]] Status work(Writer& writer, const std::stop_token& stop);
  [[nodiscard]] Status tidy_stages(Writer& writer, const std::stop_token& stop);
  [[nodiscard]] Status save_counts_if(std::int64_t revisions);

  const Database& database_;
  PublishedView& published_;
  StageRegistry& registry_;
  const std::function<void(std::string_view)> fail_point_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool woken_ = true;
  bool stopped_ = false;
  std::uint64_t rounds_ = 0;  // begun
  std::uint64_t ended_ = 0;
  Status last_;

  // Of the thread alone.
  bool merged_ = false;  // the small files of earlier opens
  Revision reclaimed_;
  bool shrunk_ = true;  // the files do not hold what is reclaimed
  Revision counts_saved_;
  std::jthread thread_;
};

}  // namespace bennu::kv::embedded
