#pragma once
// What   kv::WatchStream over WatchCore: the watches of one client, each with a cursor.
// Why    All that one watcher costs is here, and it works only when its client asks.
// Use    Made by WatchHub::open. Watches that are up to date share the cursor `next_` and are in
//        the core's index; those that read older history lag behind with a cursor of their own. A
//        step reads one run of changes for either group and notes which watches they concern; the
//        responses are put together one by one as they are taken. Between two calls a step holds
//        no changes: when they are gone, the watches that wait for them lag behind.
// Units  See watch_hub.hpp.
// Errors As kv::WatchStream; kUnavailable once the store is closed; kResourceExhausted: too many
//        watches or responses that nobody takes.
// Threads As kv::WatchStream. The mutex is never held over a read of the source or a wait.
// Source etcd v3.5, server/storage/mvcc/watcher.go and api/v3rpc/watch.go; own design.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "env/clock.hpp"
#include "kv/embedded/watch_core.hpp"
#include "kv/store.hpp"

namespace bennu::kv::embedded {

class PullStream final : public WatchStream {
 public:
  PullStream(std::shared_ptr<WatchCore> core, const env::Clock& clock);
  ~PullStream() override;
  PullStream(const PullStream&) = delete;
  PullStream& operator=(const PullStream&) = delete;

  Result<WatchId> create(const WatchRequest& request) override;
  Status cancel(WatchId id) override;
  Status request_progress() override;
  Result<std::optional<WatchResponse>> next(std::chrono::milliseconds wait) override;

 private:
  struct Watch : std::enable_shared_from_this<Watch> {
    WatchRequest request;
    WatchId id = 0;
    ChangeCursor at;         ///< wants no change before this
    bool joined = false;     ///< up to date: shares next_
    bool in_group = false;   ///< of the lagging ones, those that the step is about
    bool cancelled = false;  ///< no response but its last one may follow
    Revision fragment;       ///< the last response was a fragment of this; 0: it was not
    bool quiet = true;       ///< no events since progress was last due
  };
  using WatchPtr = std::shared_ptr<Watch>;
  using Index = WatchIndex<Watch*>;
  /// Changes [begin, end) of a block of the step.
  struct Run {
    std::uint32_t block = 0;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  /// A response to be put together; without runs it only closes a fragment.
  struct Output {
    WatchPtr watch;
    ChangeCursor from;  ///< where to read it again
    std::vector<Run> runs;
  };
  /// A run of changes up to `end`, and whom they concern.
  struct Step {
    std::vector<std::weak_ptr<const ChangeBlock>> blocks;
    std::deque<Output> outputs;
    ChangeCursor end;
  };
  using Lock = std::unique_lock<std::mutex>;

  // All with the mutex held; those that take the lock release it while they read.
  std::optional<WatchResponse> take_control();
  std::optional<WatchResponse> take_output();
  std::optional<WatchResponse> take_progress();
  std::optional<WatchResponse> assemble(const Output& output);
  Result<bool> work(Lock& lock);          // whether there was any
  Result<bool> step_joined(Lock& lock);   // as work
  Result<bool> step_lagging(Lock& lock);  // as work
  Result<ChangeCursor> read(Lock& lock, ChangeCursor begin, Revision to,
                            const ChangeFilter& filter);
  void match(ChangeCursor begin, ChangeCursor end, const Index& index, bool joined);
  void note(Watch& watch, const Run& run, ChangeCursor begin,
            std::unordered_map<Watch*, std::size_t>& places);
  static bool wants(const Watch& watch, Revision revision, EventType type);
  static Want want(const Index& index, Revision revision, EventType type, std::string_view key);

  bool try_join(Watch& watch);
  void detach(Watch& watch);
  void lag_behind(Watch& watch, ChangeCursor from);
  void end_watch(Watch& watch, Revision compacted, std::string reason);
  Status cancel_compacted(ChangeCursor begin, bool joined, const Error& error);
  [[nodiscard]] std::chrono::nanoseconds until_progress() const;

  const std::shared_ptr<WatchCore> core_;
  const env::Clock& clock_;
  const std::shared_ptr<Parking> parking_ = std::make_shared<Parking>();

  std::mutex mutex_;
  std::map<WatchId, WatchPtr> watches_;
  WatchId next_id_ = 0;
  std::deque<WatchResponse> controls_;

  Index joined_;
  std::size_t joined_count_ = 0;
  bool reading_joined_ = false;
  std::size_t joined_prev_ = 0;  // of them, those that want previous values
  ChangeCursor next_;
  Revision scan_to_;  // go through the changes from next_ to here; below next_: idle

  std::set<std::pair<ChangeCursor, WatchId>> lagging_;
  bool lagging_turn_ = false;

  Step step_;
  std::vector<BlockPtr> fresh_;   // the step's blocks, only within one call of next
  std::set<WatchPtr> fragments_;  // those whose last response was one

  std::optional<Revision> progress_target_;
  std::deque<WatchId> progress_ids_;
  std::size_t progress_watches_ = 0;
  std::chrono::nanoseconds progress_due_;
};

}  // namespace bennu::kv::embedded
