#pragma once
// What   Requests that become durable together: their changes as one RocksDB batch, and who waits
//        for it.
// Why    One sync for all that waits is what makes many writers fast.
// Use    `absorb` each evaluated request under the writer's lock, `seal` once, write `batch()`,
//        then `finish`; everyone else calls `wait`.
// Threads absorb and seal under the writer's lock; finish once; wait safe for all.
// Source own design, ADR 0002.

#include <rocksdb/write_batch.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/evaluation.hpp"
#include "kv/embedded/gate.hpp"
#include "kv/embedded/view.hpp"
#include "kv/embedded/watch_hub.hpp"

namespace bennu::kv::embedded {

class Group {
 public:
  /// `previous`: the group that is in flight, or null.
  Group(const Database& database, std::shared_ptr<const View> view,
        std::shared_ptr<Group> previous);

  /// What the next request of this group sees.
  [[nodiscard]] Base base() const;
  /// Takes over what a request decided; keeps the events for watchers if `wants` says so. Errors:
  /// what reading reports; the request then fails alone.
  /// With a stage, its changes are part of the revision, before those of the evaluation.
  [[nodiscard]] Status absorb(Evaluation& evaluation, WatchHub::Wants wants, StageRef stage = {});
  /// Adds the log record. Nothing may be absorbed afterwards.
  void seal();

  [[nodiscard]] bool empty() const { return batch_.Count() == 0; }
  [[nodiscard]] std::size_t size_bytes() const { return batch_.GetDataSize() + log_.size(); }
  [[nodiscard]] rocksdb::WriteBatch& batch() { return batch_; }
  [[nodiscard]] Revision newest() const { return newest_; }
  [[nodiscard]] Revision compacted() const { return compacted_; }
  /// Keys that came and went.
  [[nodiscard]] const std::vector<CountDelta>& deltas() const { return deltas_; }
  /// What the published view takes over instead of the old one's, if set.
  std::shared_ptr<const StageTable> stages;
  std::shared_ptr<const CountIndex> counts;  ///< already with `deltas`

  /// The changes kept for watchers: whole revisions that end at the newest.
  [[nodiscard]] std::vector<ChangeBlock> take_recent() { return std::move(recent_); }
  /// Lets go of the view and the group before this one: nothing is evaluated here any more.
  void release() {
    previous_.reset();
    view_.reset();
  }

  /// Wakes everyone with the outcome of the write.
  void finish(Status outcome);
  /// The outcome, once there is one.
  [[nodiscard]] const Status& wait() const;
  /// Returns when the next group may be written. Its leader is woken before everyone else.
  void wait_for_turn() const;

 private:
  class Undo;
  void add_recent(const std::vector<Change>& changes, bool with_prev);
  [[nodiscard]] Status add_side_effects(const SideEffects& side);
  [[nodiscard]] Status clean(std::string_view key);
  [[nodiscard]] Status add_changes(const std::vector<Change>& changes, StageRef stage);
  [[nodiscard]] Status add_key(const Change& first, const Change& last);
  [[nodiscard]] Status add_lease_keys(const Change& first, const Change& last);
  [[nodiscard]] Status move_to_history(const Change& first, bool& in_cur);
  [[nodiscard]] Status move_out(std::string_view key, const Located& one);
  [[nodiscard]] bool pending(std::string_view key) const;

  const Database& database_;
  std::shared_ptr<const View> view_;
  std::shared_ptr<Group> previous_;
  Revision newest_;
  Revision compacted_;
  Overlay overlay_;
  std::vector<ChangeBlock> recent_;
  std::vector<CountDelta> deltas_;
  rocksdb::WriteBatch batch_;
  std::string log_;
  Status outcome_;
  Gate done_;
  Gate turn_;
};

}  // namespace bennu::kv::embedded
