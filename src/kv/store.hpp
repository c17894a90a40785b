#pragma once
// What   The key-value contract: etcd v3's KV, Watch, Lease and the parts of Maintenance that Bennu
//        relies on.
// Why    Everything above (sync, inventory, api) is written once, against this; an engine is chosen
//        by `node` only.
// Use    Open an engine, keep it for the process's life; WatchStream and StagedTxn must end before
//        their store.
// Units  See types.hpp. `deadline` is a duration from the call; zero means the engine's default.
// Errors Reasons in reasons.hpp with etcd's codes and texts. A write that fails with
//        Effect::kUnknown may be in the store; every other failure left it unchanged.
// Threads Safe for all. Writes block until durable. Reads never wait for a writer.
// Source etcd v3 API guarantees (https://etcd.io/docs/latest/learning/api_guarantees/); decision 1
//        and 8 of ARCHITECTURE.md.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "base/result.hpp"
#include "kv/types.hpp"

namespace bennu::kv {

/// What an engine can do beyond the common contract. A gap is data, not an `if` above the engine.
struct Capabilities {
  std::size_t max_txn_ops = 0;  ///< of one txn(); 0: no bound
  bool atomic_staging = false;  ///< stage() ends in one revision, whatever its size
  bool nested_compare_ranges = true;
};

/// Reading at a revision. The smaller half of Store: what a plain clone of the repository offers,
/// too.
class Reader {
 public:
  virtual ~Reader() = default;

  /// Keys, values or counts of a range, all at one revision, in key order unless sorted.
  /// Errors: kOutOfRange (kCompacted, kFutureRevision); kInvalidArgument (kEmptyKey).
  [[nodiscard]] virtual Result<RangeResponse> range(const RangeRequest& request) = 0;

  /// Calls `visit` for each key of the range in key order, all at one revision, without holding
  /// them all in memory. Returns the revision read. An error of `visit` ends the scan and is
  /// returned. The KeyValue is only valid during the call; visit may move from it.
  [[nodiscard]] virtual Result<Revision> scan(const KeyRange& range, Revision revision,
                                              const std::function<Status(KeyValue&)>& visit) = 0;
};

/// Watches of one client, delivered in order on one stream (etcd's Watch call).
/// Threads: create, cancel and request_progress are safe for all; next is for one thread at a time.
class WatchStream {
 public:
  virtual ~WatchStream() = default;
  /// Starts a watch; its first response is kCreated. Errors: kInvalidArgument (empty key, id in
  /// use).
  [[nodiscard]] virtual Result<WatchId> create(const WatchRequest& request) = 0;
  /// Ends a watch; its last response is kCanceled with an empty reason. Unknown ids are ignored, as
  /// in etcd.
  [[nodiscard]] virtual Status cancel(WatchId id) = 0;
  /// Asks for one kProgress response with id -1 once every watch of the stream is up to date.
  [[nodiscard]] virtual Status request_progress() = 0;
  /// The next response, or nothing after `wait`. A slow reader costs nobody else anything: what it
  /// has not taken is read again from history; if that is compacted meanwhile, the watch is
  /// cancelled with compact_revision.
  [[nodiscard]] virtual Result<std::optional<WatchResponse>> next(
      std::chrono::milliseconds wait) = 0;
};

/// One large transaction, filled piece by piece and invisible until `commit`. Destroying it without
/// commit aborts. Puts and deletes only; each key at most once. Others' writes go on meanwhile;
/// where they touch the same key, this transaction's change comes after theirs, unless a compare
/// forbids it. A put or erase that fails ends it, for what was not taken must not be missing in a
/// commit. Threads: one thread. put and erase may block on disk.
class StagedTxn {
 public:
  virtual ~StagedTxn() = default;
  /// The commit fails with kStageConflict if any staged key (not those of `extra`) was changed
  /// after this revision, or if that can no longer be told (compacted). Call before the first put.
  virtual void require_unchanged_since(Revision revision) = 0;
  [[nodiscard]] virtual Status put(std::string_view key, std::string_view value) = 0;
  /// Deletes the key if it exists at commit.
  [[nodiscard]] virtual Status erase(std::string_view key) = 0;
  /// Makes all of it visible in one revision if every compare holds, together with `extra` (puts
  /// and deletes; keys not staged above). Returns that revision. Errors: kAborted (kStageConflict:
  /// a compare failed, effect kNone, nothing is left behind).
  [[nodiscard]] virtual Result<Revision> commit(const std::vector<Compare>& compares,
                                                std::vector<Op> extra) = 0;
};

class Store : public Reader {
 public:
  [[nodiscard]] virtual Capabilities capabilities() const = 0;

  /// Errors: kInvalidArgument (kEmptyKey, kTooLarge, kKeyNotFound, kValueProvided, kLeaseProvided);
  /// kNotFound (kLeaseNotFound).
  [[nodiscard]] virtual Result<PutResponse> put(const PutRequest& request) = 0;
  [[nodiscard]] virtual Result<DeleteRangeResponse> delete_range(
      const DeleteRangeRequest& request) = 0;
  /// Compares, then one branch; all of it one revision (none if nothing was written). Reads in it
  /// see its own writes. Errors: as put; kInvalidArgument (kDuplicateKey).
  [[nodiscard]] virtual Result<TxnResponse> txn(const TxnRequest& request) = 0;
  /// A transaction of any size, see StagedTxn. Errors: kUnimplemented where `atomic_staging` is
  /// false.
  [[nodiscard]] virtual Result<std::unique_ptr<StagedTxn>> stage() = 0;

  /// Gives up history below `revision`: reads and watches there fail with kCompacted from now on;
  /// the space comes back in the background (before returning, if `physical`). Returns the newest
  /// revision. Errors: kOutOfRange (kCompacted: already; kFutureRevision).
  [[nodiscard]] virtual Result<Revision> compact(Revision revision, bool physical) = 0;
  /// A hash of the state at a revision (0: newest). Reads everything. Errors: kCompacted,
  /// kFutureRevision.
  [[nodiscard]] virtual Result<HashResponse> hash(Revision revision) = 0;

  [[nodiscard]] virtual Result<std::unique_ptr<WatchStream>> watch() = 0;

  /// Errors: kFailedPrecondition (kLeaseExists); kOutOfRange (kLeaseTtlTooLarge: above
  /// 9,000,000,000 s).
  [[nodiscard]] virtual Result<LeaseGrantResponse> lease_grant(
      const LeaseGrantRequest& request) = 0;
  /// Deletes the lease and its keys, in one revision. Errors: kNotFound (kLeaseNotFound).
  [[nodiscard]] virtual Result<Revision> lease_revoke(LeaseId id) = 0;
  /// Starts the lease's time anew. Errors: kNotFound (kLeaseNotFound).
  [[nodiscard]] virtual Result<LeaseKeepAliveResponse> lease_keep_alive(LeaseId id) = 0;
  /// An unknown lease is an answer (ttl -1), not an error, as in etcd.
  [[nodiscard]] virtual Result<LeaseTimeToLiveResponse> lease_time_to_live(LeaseId id,
                                                                           bool with_keys) = 0;
  [[nodiscard]] virtual Result<LeasesResponse> leases() = 0;
};

}  // namespace bennu::kv
