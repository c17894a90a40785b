#pragma once
// What   The leases of an open store: the table's rules, made durable by the writer.
// Why    The table writes nothing and the writer knows no time; here the two meet, and the thread
//        that revokes what has expired.
// Use    Made after the writer, which asks the same table what exists. start() once; stop() before
//        the writer goes: it writes what each lease has left.
// Units  Seconds, revisions.
// Errors As kv::Store's lease calls, and those of the writer.
// Threads Safe for all. One thread of its own.
// Source etcd v3.5 server/lease/lessor.go; own design, see lease_table.hpp.

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/result.hpp"
#include "env/clock.hpp"
#include "kv/embedded/lease_table.hpp"
#include "kv/embedded/view.hpp"
#include "kv/embedded/writer.hpp"
#include "kv/types.hpp"

namespace bennu::kv::embedded {

/// Every lease on disk. Errors: kDataLoss (kCorrupt), and what reading reports.
[[nodiscard]] Result<std::vector<LeaseRecord>> read_leases(const Database& database);

class LeaseKeeper {
 public:
  LeaseKeeper(LeaseTable& table, Writer& writer, const Database& database, PublishedView& published,
              const env::Clock& clock);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  void start();
  void stop();

  [[nodiscard]] Result<LeaseGrantResponse> grant(const LeaseGrantRequest& request);
  [[nodiscard]] Result<Revision> revoke(LeaseId id);
  [[nodiscard]] Result<LeaseKeepAliveResponse> keep_alive(LeaseId id);
  [[nodiscard]] Result<LeaseTimeToLiveResponse> time_to_live(LeaseId id, bool with_keys);
  [[nodiscard]] LeasesResponse list();

 private:
  [[nodiscard]] Result<Revision> revoke(LeaseId id, bool only_expired);
  [[nodiscard]] Status write(const std::vector<LeaseRecord>& records);
  [[nodiscard]] Status write_checkpoints(bool final);
  void run(const std::stop_token& stop);
  [[nodiscard]] Status work();

  LeaseTable& table_;
  Writer& writer_;
  const Database& database_;
  PublishedView& published_;
  const bool real_time_;
  std::mutex mutex_;
  std::condition_variable granted_;
  bool look_ = false;  // there is a lease that the thread may not know of
  std::jthread thread_;
};

}  // namespace bennu::kv::embedded
