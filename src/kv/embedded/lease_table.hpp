#pragma once
// What   The leases of one store in memory: who has how long to live, what is due, what must be on
//        disk first.
// Why    The rules of lease time are pure and need a test for each; the engine only writes what
//        this says.
// Use    restore() at open. In the write role: grant / take, write the record, put_back / erase if
//        that failed. A thread of the engine's calls tick() when it says so, then revokes expired()
//        and, in the write role, writes checkpoints(). Which keys a lease has is not known here but
//        in the engine's lease index.
// Units  TTLs in whole seconds. Time is lease time: monotonic, without the time the machine or the
//        store was down, and without stalls: between two ticks at most `max_tick_gap` passes, so
//        that a process that was stopped (SIGSTOP, a disk that hangs) gives its clients the time to
//        renew that they had before, instead of revoking all at once.
// Errors kFailedPrecondition (kLeaseExists), kOutOfRange (kLeaseTtlTooLarge), kNotFound
//        (kLeaseNotFound).
// Threads Safe for all; never blocks.
// Source etcd v3.5 server/lease/lessor.go (minimum and maximum TTL, checkpoints); own design for
//        stalls and ordering.

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/guarded.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "env/clock.hpp"
#include "env/random.hpp"

namespace bennu::kv::embedded {

/// What is on disk of a lease.
struct LeaseRecord {
  LeaseId id;
  std::int64_t ttl_s = 0;        ///< granted
  std::int64_t remaining_s = 0;  ///< the checkpoint, rounded up; 0: none, the whole TTL counts
  friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};

struct LeaseOptions {
  /// Shorter TTLs, and those of 0 and below, are raised to this. etcd's: one and a half election
  /// timeouts, rounded up.
  std::int64_t min_ttl_s = 2;
  std::chrono::seconds checkpoint_interval{60};
  std::chrono::nanoseconds max_tick_gap = std::chrono::seconds{1};
};

class LeaseTable {
 public:
  static constexpr std::int64_t kMaxTtlSeconds = 9'000'000'000;

  struct KeepAlive {
    std::int64_t ttl_s = 0;
    /// If set, this record (without checkpoint) must be durable before the client is answered; then
    /// call cleared().
    std::optional<LeaseRecord> write_first;
    std::uint64_t token = 0;  ///< for cleared()
  };
  struct Life {
    std::int64_t granted_ttl_s = 0;
    std::int64_t remaining_s =
        0;  ///< rounded down as in etcd; 0 while an expired lease waits for its revocation
  };
  /// A lease taken out, as put_back needs it.
  struct Taken {
    LeaseRecord record;
    std::chrono::nanoseconds left{};
  };

  /// `clock` and `random` must outlive the table.
  LeaseTable(const env::Clock& clock, env::Random& random, LeaseOptions options = {});

  /// Adds what was on disk; each lease has what its checkpoint says, else its whole TTL, from now
  /// on.
  void restore(std::span<const LeaseRecord> records);

  /// Adds a lease and returns the record to write. Id 0 picks a random positive one.
  [[nodiscard]] Result<LeaseRecord> grant(LeaseId id, std::int64_t ttl_s);
  /// Removes a lease for a revocation (or a grant that could not be written); its record is to be
  /// deleted together with its keys.
  [[nodiscard]] Result<Taken> take(LeaseId id);
  /// As take, but a lease that has time left is kNotFound, too.
  [[nodiscard]] Result<Taken> take_expired(LeaseId id);
  /// Undoes take.
  void put_back(const Taken& taken);

  [[nodiscard]] bool contains(LeaseId id) const;
  /// Starts the lease's time anew; a lease that is expired but not yet revoked is kNotFound. See
  /// KeepAlive.
  [[nodiscard]] Result<KeepAlive> keep_alive(LeaseId id);
  /// The record of KeepAlive::write_first is durable.
  void cleared(LeaseId id, std::uint64_t token);
  /// Nothing if there is no such lease.
  [[nodiscard]] std::optional<Life> life(LeaseId id) const;
  /// Every lease, soonest to expire first.
  [[nodiscard]] std::vector<LeaseId> ids() const;

  /// Lets lease time pass. Returns how long nothing will be due (never more than `max_tick_gap /
  /// 2`).
  std::chrono::nanoseconds tick();
  /// Up to `limit` leases whose time is over, the longest overdue first. They stay until taken.
  [[nodiscard]] std::vector<LeaseId> expired(std::size_t limit) const;
  [[nodiscard]] bool checkpoint_due() const;
  /// Records to write: of up to `limit` leases whose last checkpoint is `checkpoint_interval` ago.
  /// Call it and write the records in one turn of the write role: a keep_alive from now on counts
  /// them as written.
  [[nodiscard]] std::vector<LeaseRecord> checkpoints(std::size_t limit);
  /// Records to write at stop: of every lease that has less than its checkpoint or TTL says.
  [[nodiscard]] std::vector<LeaseRecord> final_checkpoints();

 private:
  struct Lease {
    std::int64_t ttl_s = 0;
    std::int64_t checkpoint_s = 0;  ///< what may be on disk; 0: none
    std::uint64_t generation =
        0;  ///< counts checkpoints, so that an older clearing does not hide a newer one
    std::chrono::nanoseconds expiry{};
    std::chrono::nanoseconds next_checkpoint{};
  };
  using Queue = std::set<std::pair<std::chrono::nanoseconds, LeaseId>>;
  struct State {
    std::unordered_map<LeaseId, Lease> leases;
    Queue by_expiry;
    Queue by_checkpoint;                   ///< only leases longer than the interval
    std::chrono::nanoseconds time{};       ///< lease time at the last tick
    std::chrono::nanoseconds last_tick{};  ///< clock time of it
  };

  [[nodiscard]] Result<Taken> take(LeaseId id, bool only_expired);
  void pass_time(State& state) const;
  [[nodiscard]] std::chrono::nanoseconds now(const State& state) const;
  void insert(State& state, const LeaseRecord& record, std::chrono::nanoseconds left) const;
  static void remove(State& state, LeaseId id);
  static void set_expiry(State& state, LeaseId id, Lease& lease, std::chrono::nanoseconds expiry);
  static LeaseRecord checkpoint(LeaseId id, Lease& lease, std::chrono::nanoseconds now);

  const env::Clock& clock_;
  env::Random& random_;
  const LeaseOptions options_;
  mutable Guarded<State> state_;
};

}  // namespace bennu::kv::embedded
