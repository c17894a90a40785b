#pragma once
// What   The leases of a store: the table's decisions made durable, and expiry as a thread.
// Why    The table knows time and rules but no disk; the writer knows disk but no time.
// Use    `restore` at open, then `start`; `stop` before the writer goes.
// Errors As kv::Store's lease calls.
// Threads Safe for all. One thread of its own: expires and checkpoints.
// Source etcd v3.5 server/lease/lessor.go; ADR 0002.

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "env/clock.hpp"
#include "kv/embedded/lease_table.hpp"
#include "kv/embedded/stage.hpp"
#include "kv/embedded/view.hpp"
#include "kv/embedded/writer.hpp"
#include "kv/types.hpp"

namespace bennu::kv::embedded {

class Leases {
 public:
  /// All must outlive it.
  Leases(const Database& database, PublishedView& published, Writer& writer, LeaseTable& table,
         const env::Clock& clock, StageContext stages)
      : database_(database),
        published_(published),
        writer_(writer),
        table_(table),
        real_time_(&clock == &env::system_clock()),
        stages_(std::move(stages)) {}
  ~Leases() { stop(); }
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  /// Reads what is on disk into the table.
  [[nodiscard]] static Status restore(const Database& database, LeaseTable& table);

  void start();
  /// Ends the thread and checkpoints what is left of each lease.
  void stop();

  [[nodiscard]] Result<LeaseGrantResponse> grant(const LeaseGrantRequest& request);
  [[nodiscard]] Result<Revision> revoke(LeaseId id);
  [[nodiscard]] Result<LeaseKeepAliveResponse> keep_alive(LeaseId id);
  [[nodiscard]] Result<LeaseTimeToLiveResponse> time_to_live(LeaseId id, bool with_keys);
  [[nodiscard]] Result<LeasesResponse> list();

 private:
  [[nodiscard]] Result<Revision> revoke(LeaseId id, bool only_expired);
  void run(const std::stop_token& stop);
  [[nodiscard]] Status work();
  [[nodiscard]] Status write(const std::function<std::vector<LeaseRecord>()>& records);

  const Database& database_;
  PublishedView& published_;
  Writer& writer_;
  LeaseTable& table_;
  const bool real_time_;
  const StageContext stages_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool granted_ = false;  // a lease that the thread may not know of
  std::jthread thread_;
};

}  // namespace bennu::kv::embedded
