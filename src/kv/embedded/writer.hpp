#pragma once
// What   The write role: decides requests in one order, makes groups of them durable, publishes
//        views.
// Why    One order of writes is what strict consistency is; groups are what makes it fast.
// Use    `execute` with a function that evaluates the request. The caller's own thread evaluates,
//        and the first of a group also writes it: a lone writer never switches threads. While a
//        group is synced the next one is being evaluated.
// Units  A group holds at most kMaxGroupRequests requests or about kMaxGroupBytes.
// Errors Those of evaluating (effect kNone). If the write itself fails: effect kUnknown, and from
//        then on kUnavailable for everyone: what is on disk is only known after opening again.
// Threads Safe for all. Blocks until durable.
// Source own design, ADR 0002.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/evaluation.hpp"
#include "kv/embedded/group.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

class Writer {
 public:
  static constexpr std::size_t kMaxGroupRequests = 1024;
  static constexpr std::size_t kMaxGroupBytes = 8UL << 20;

  struct Hooks {
    std::function<bool(LeaseId)> lease_exists;
    WatchHub* watches = nullptr;  ///< told of every revision; may be null
    /// Called when there is work for the background: a compaction, an oversized block of counts,
    /// many revisions since the counts were saved.
    std::function<void()> background;
    /// For tests: called by name at the places where a crash must be survived; what it throws at
    /// write.evaluate is answered.
    std::function<void(std::string_view)> fail_point;
  };

  Writer(const Database& database, PublishedView& published, Hooks hooks);

  /// Runs `evaluate` at its place in the order of writes and returns when its changes (and all that
  /// it saw) are durable and published. With `alone`, nothing is pending while it runs.
  [[nodiscard]] Status execute(const std::function<Status(Evaluation&)>& evaluate,
                               bool alone = false);

  /// Runs `work` while nothing is pending and writes the group that it fills. For a stage's commit.
  [[nodiscard]] Status exclusive(
      const std::function<Status(Group&, Evaluation&, const View&)>& work);

  /// Publishes the same state with a new snapshot: RocksDB keeps what was deleted since the oldest.
  void renew_snapshot();

  /// Cuts one oversized block of the counts in two. False if there is none, or it could not.
  bool split_oversized();

 private:
  struct Joined {
    std::shared_ptr<Group> group;
    bool leads = false;
    Status evaluated;
  };
  [[nodiscard]] Result<Joined> join(const std::function<Status(Evaluation&)>& evaluate, bool alone);
  void lead(const std::shared_ptr<Group>& group) noexcept;
  [[nodiscard]] Status end_exclusive(Group& group, const Status& worked) noexcept;
  [[nodiscard]] Status write(Group& group);
  [[nodiscard]] bool recover();
  void conclude(Group& group, const Status& outcome);
  void publish(Group& group);
  void note_split_deltas(const Group& group);
  void hit(std::string_view point) const;

  const Database& database_;
  PublishedView& published_;
  const Hooks hooks_;

  std::mutex mutex_;
  std::condition_variable group_left_;
  std::shared_ptr<Group> open_;
  std::size_t open_requests_ = 0;
  bool closed_to_joins_ = false;  // the open group is for one request alone
  std::shared_ptr<Group> in_flight_;
  std::optional<Error> failed_;
  int exclusive_waiting_ = 0;
  bool exclusive_ = false;
  // A block of the counts that is being cut, and what has come to it and gone since.
  std::optional<CountIndex::Block> splitting_;
  std::vector<CountDelta> split_deltas_;
};

}  // namespace bennu::kv::embedded
