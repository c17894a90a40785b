#pragma once
// What   Works out what one request answers and changes, against a view and what is pending on it.
// Why    Deciding is apart from writing: many requests are decided while one batch is synced.
// Use    One Evaluation per request: call put, erase, range or txn, then the writer takes
//        `changes`. After an error, throw it away: nothing has happened.
// Errors Those of the contract (store.hpp), and what reading reports.
// Threads One thread; for writes under the writer's lock.
// Source etcd v3.5 server/etcdserver/apply.go; ADR 0002.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/overlay.hpp"
#include "kv/embedded/reader.hpp"
#include "kv/types.hpp"

namespace bennu::kv::embedded {

/// What a request sees. Nothing pending for a request that only reads.
struct Base {
  const Database* database = nullptr;
  const View* view = nullptr;
  const Overlay* in_flight = nullptr;  ///< of the group that is being synced; may be null
  const Overlay* open = nullptr;       ///< of the group that this request joins; may be null
  Revision newest;                     ///< of the view and everything pending
  Revision compacted;
  /// Whether a lease can be attached to; may be empty for a request that only reads.
  std::function<bool(LeaseId)> lease_exists;
};

/// What a request that only reads sees.
[[nodiscard]] inline Base reading(const Database& database, const View& view) {
  return Base{.database = &database,
              .view = &view,
              .newest = view.revision,
              .compacted = view.compacted,
              .lease_exists = {}};
}

/// One change, in the order of the request.
struct Change {
  EventType type = EventType::kPut;
  std::string key;
  std::optional<Record> before;  ///< as the next older change left it
  Record after;                  ///< of a put
};

/// What a request writes beside keys; none of it is a revision.
struct SideEffects {
  struct LeaseWrite {
    LeaseId id;
    std::optional<LeaseTimes> times;  ///< nothing: the lease is gone
  };
  std::vector<LeaseWrite> leases;
  std::optional<Revision> compacted;
  /// Keys of which all but the newest version are to be moved to hist, after a stage.
  std::vector<std::string> clean;
};

/// A delete was refused because of limit_deletes: it is to be staged. Seen by nobody outside.
inline constexpr Reason kNeedsStage = "kv.embedded.needs_stage";

class Evaluation {
 public:
  explicit Evaluation(Base base) : base_(std::move(base)) {}

  [[nodiscard]] Result<PutResponse> put(const PutRequest& request);
  [[nodiscard]] Result<DeleteRangeResponse> erase(const DeleteRangeRequest& request);
  [[nodiscard]] Result<RangeResponse> range(const RangeRequest& request);
  [[nodiscard]] Result<TxnResponse> txn(const TxnRequest& request);
  /// From now on a delete of a range, or of a lease's keys, that finds more than this in all is
  /// refused (kNeedsStage): others wait meanwhile, and everything found is held in memory.
  void limit_deletes(std::size_t keys, std::size_t bytes) { room_ = Room{keys, bytes}; }
  /// Deletes the keys of a lease.
  [[nodiscard]] Status erase_lease_keys(LeaseId lease);
  /// Whether every compare holds.
  [[nodiscard]] Result<bool> holds(const std::vector<Compare>& compares);

  /// The revision of the request's changes, or the newest if there are none.
  [[nodiscard]] Revision revision() const {
    return changes_.empty() ? base_.newest : base_.newest.next();
  }
  [[nodiscard]] std::vector<Change>& changes() { return changes_; }
  [[nodiscard]] Overlay& overlay() { return overlay_; }
  [[nodiscard]] SideEffects& side() { return side_; }
  [[nodiscard]] const Base& base() const { return base_; }

 private:
  [[nodiscard]] Result<std::optional<Record>> find(std::string_view key);
  [[nodiscard]] std::vector<const Overlay*> overlays() const;
  [[nodiscard]] Result<bool> holds(const Compare& compare);
  [[nodiscard]] Status choose_branches(const TxnRequest& request, std::vector<bool>& path);
  [[nodiscard]] Result<TxnResponse> run(const TxnRequest& request, const std::vector<bool>& path,
                                        std::size_t& at);
  [[nodiscard]] Status read_range(const RangeRequest& request, RangeResponse& response);
  void record_change(Change change);
  [[nodiscard]] Status take_room(std::size_t bytes);

  struct Room {
    std::size_t keys;
    std::size_t bytes;
  };

  Base base_;
  std::optional<Room> room_;
  Overlay overlay_;
  std::vector<Change> changes_;
  SideEffects side_;
};

}  // namespace bennu::kv::embedded
