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

#include "kv/embedded/lease_table.hpp"
#include "kv/embedded/view.hpp"
#include "kv/embedded/writer.hpp"
#include "kv/types.hpp"

namespace bennu::kv::embedded {

class Leases {
 public:
  /// All must outlive it.
  Leases(const Database& database, PublishedView& published, Writer& writer, LeaseTable& table)
      : database_(database), published_(published), writer_(writer), table_(table) {}
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
  void run(const std::stop_token& stop);
  [[nodiscard]] Status write(const std::function<std::vector<LeaseRecord>()>& records);

  const Database& database_;
  PublishedView& published_;
  Writer& writer_;
  LeaseTable& table_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace bennu::kv::embedded
