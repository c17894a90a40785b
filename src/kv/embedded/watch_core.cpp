#include "kv/embedded/watch_core.hpp"

#include <algorithm>
#include <utility>

namespace bennu::kv::embedded {
namespace {

// How many changes one turn of the thread may hold the mutex for.
constexpr std::size_t kChangesPerTurn = 256;
// A revision that takes more than this part of the ring would empty it for everybody.
constexpr std::size_t kRingShare = 4;

Error closed_error() {
  return make_error(Code::kUnavailable, "the store is closed; open it and watch again");
}

}  // namespace

// Counts a use of the source, so that close can wait for its end.
class WatchCore::SourceUse {
 public:
  explicit SourceUse(WatchCore& core) : core_(core) {
    const std::lock_guard lock(core.mutex_);
    allowed_ = !core.closed_;
    if (allowed_) ++core.uses_;
  }
  SourceUse(const SourceUse&) = delete;
  SourceUse& operator=(const SourceUse&) = delete;
  ~SourceUse() {
    if (!allowed_) return;
    const std::lock_guard lock(core_.mutex_);
    if (--core_.uses_ == 0) core_.unused_.notify_all();
  }
  [[nodiscard]] bool allowed() const { return allowed_; }

 private:
  WatchCore& core_;
  bool allowed_ = false;
};

WatchCore::WatchCore(const ChangeSource& source, WatchOptions options)
    : source_(source), options_(options), published_(source.current_revision()) {
  claimed_ = judged_ = published_;
  ring_first_ = published_.next();
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

WatchCore::~WatchCore() { close(); }

WatchHub::Wants WatchCore::wants() const {
  return {.changes = watches_ > 0, .prev = prev_watches_ > 0};
}

void WatchCore::drop_ring(Revision first) {
  ring_.clear();
  ring_bytes_ = 0;
  ring_first_ = first;
}

void WatchCore::publish(Revision newest, std::vector<ChangeBlock> recent) {
  std::vector<std::pair<BlockPtr, std::size_t>> blocks;
  blocks.reserve(recent.size());
  for (ChangeBlock& block : recent) {
    const std::size_t bytes = size_bytes(block);
    blocks.emplace_back(std::make_shared<const ChangeBlock>(std::move(block)), bytes);
  }
  std::deque<BlockPtr> old;  // freed without the mutex
  const std::lock_guard lock(mutex_);
  if (closed_ || newest <= published_) return;
  if (index_.empty()) {
    old.swap(ring_);
    drop_ring(newest.next());
    published_ = claimed_ = judged_ = newest;
    return;
  }
  for (auto& [block, bytes] : blocks) {
    if (block->revision <= published_) continue;
    if (bytes > options_.ring_bytes / kRingShare) {
      drop_ring(block->revision.next());
      continue;
    }
    const auto end = ring_first_.value + static_cast<std::int64_t>(ring_.size());
    if (block->revision.value != end) drop_ring(block->revision);
    ring_.push_back(std::move(block));
    ring_bytes_ += bytes;
  }
  published_ = newest;
  if (ring_first_.value + static_cast<std::int64_t>(ring_.size()) != newest.value + 1) {
    drop_ring(newest.next());
  }
  while (ring_bytes_ > options_.ring_bytes) {
    ring_bytes_ -= size_bytes(*ring_.front());
    old.push_back(std::move(ring_.front()));
    ring_.pop_front();
    ring_first_ = ring_first_.next();
  }
  work_.notify_one();
}

void WatchCore::close() {
  thread_.request_stop();
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    work_.notify_all();
    for (Parking* parking : parked_) parking->wake.notify_all();
    unused_.wait(lock, [&] { return uses_ == 0; });
    drop_ring(published_.next());
    kept_.clear();
  }
  if (thread_.joinable()) thread_.join();
}

bool WatchCore::join(Parking& parking, const KeyRange& range, bool prev, Revision from) {
  const std::lock_guard lock(mutex_);
  if (from <= claimed_) return false;
  // A mark that was left for watches since cancelled says nothing about this one.
  if (parking.watches++ == 0) parking.match = parking.seen = {};
  index_.add(range, &parking);
  ++watches_;
  if (prev) ++prev_watches_;
  return true;
}

void WatchCore::leave(Parking& parking, const KeyRange& range, bool prev) {
  const std::lock_guard lock(mutex_);
  if (--parking.watches == 0) parking.match = {};
  index_.remove(range, &parking);
  --watches_;
  if (prev) --prev_watches_;
}

void WatchCore::forget(Parking& parking) {
  const std::lock_guard lock(mutex_);
  wanting_.erase(&parking);
}

WatchCore::Look WatchCore::look(Parking& parking, ChangeCursor next, Revision wanted) {
  const std::lock_guard lock(mutex_);
  Look look{.next = next};
  if (const Revision match = std::exchange(parking.match, {}); match.value != 0) {
    look = {.next = std::max(next, ChangeCursor{match}), .scan_to = published_};
  } else {
    if (judged_ >= next.revision) look.next = {judged_.next()};
    // Not judged yet, but at hand: no need to wait for the thread.
    if (ring_first_ <= look.next.revision) look.scan_to = published_;
  }
  parking.seen = std::max({parking.seen, look.scan_to, look.next.revision.previous()});
  parking.wanted = wanted > judged_ ? wanted : Revision{};
  if (parking.wanted.value != 0) wanting_.insert(&parking);
  return look;
}

void WatchCore::kick(Parking& parking) {
  const std::lock_guard lock(mutex_);
  parking.kicked = true;
  parking.wake.notify_one();
}

void WatchCore::wait(Parking& parking, std::chrono::nanoseconds time) {
  std::unique_lock lock(mutex_);
  const auto called = [&] { return parking.kicked || parking.match.value != 0 || closed_; };
  parking.waiting = true;
  parked_.insert(&parking);
  parking.wake.wait_for(lock, time, called);
  parked_.erase(&parking);
  parking.waiting = parking.kicked = false;
}

std::vector<BlockPtr> WatchCore::recent(Revision from, Revision to, bool prev,
                                        std::size_t max_bytes) {
  std::vector<BlockPtr> blocks;
  const std::lock_guard lock(mutex_);
  if (from < ring_first_) return blocks;
  std::size_t bytes = 0;
  auto at = static_cast<std::size_t>(from.value - ring_first_.value);
  for (; at < ring_.size() && ring_[at]->revision <= to; ++at) {
    const BlockPtr& block = ring_[at];
    if (prev && !block->with_prev) break;
    bytes += size_bytes(*block);
    if (!blocks.empty() && bytes > max_bytes) break;
    blocks.push_back(block);
  }
  return blocks;
}

void WatchCore::keep(const std::vector<BlockPtr>& blocks) {
  std::deque<std::pair<BlockPtr, std::size_t>> old;
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  for (const BlockPtr& block : blocks) {
    kept_.emplace_back(block, size_bytes(*block));
    kept_bytes_ += kept_.back().second;
  }
  while (kept_bytes_ > options_.ring_bytes) {
    kept_bytes_ -= kept_.front().second;
    old.push_back(std::move(kept_.front()));
    kept_.pop_front();
  }
}

Result<WatchCore::Span> WatchCore::span() {
  const SourceUse use(*this);
  if (!use.allowed()) return closed_error();
  return Span{.current = source_.current_revision(), .compacted = source_.compacted_revision()};
}

Result<ChangeRead> WatchCore::read(ChangeCursor from, Revision to, const ChangeFilter& filter) {
  const SourceUse use(*this);
  if (!use.allowed()) return closed_error();
  return source_.read(from, to, options_.response_bytes, filter);
}

// ---- the thread ----

void WatchCore::wake(Parking& parking) {
  if (parking.waiting) waking_.push_back(parking.shared_from_this());
}

void WatchCore::send_wakes(std::unique_lock<std::mutex>& lock) {
  const auto waking = std::exchange(waking_, {});
  lock.unlock();
  for (const auto& parking : waking) parking->wake.notify_one();
  lock.lock();
}

void WatchCore::mark(Parking& parking, Revision revision) {
  if (parking.match.value != 0 || revision <= parking.seen) return;
  parking.match = revision;
  wake(parking);
}

void WatchCore::mark_wanted() {
  std::erase_if(wanting_, [&](Parking* parking) {
    if (parking->wanted > judged_) return false;
    parking->wanted = {};
    parking->kicked = true;
    wake(*parking);
    return true;
  });
}

void WatchCore::judge_recent() {
  std::size_t changes = 0;
  while (judged_ < published_ && changes < kChangesPerTurn) {
    const ChangeBlock& block =
        *ring_[static_cast<std::size_t>(judged_.value + 1 - ring_first_.value)];
    for (const Event& change : block.changes) {
      index_.match(change.kv.key, [&](Parking* parking) { mark(*parking, block.revision); });
    }
    changes += block.changes.size();
    judged_ = claimed_ = block.revision;
  }
}

// What   is not in the ring is read once for all streams, without values.
void WatchCore::judge_source(std::unique_lock<std::mutex>& lock) {
  const Revision to = ring_first_.previous();
  ChangeCursor from{judged_.next()};
  claimed_ = to;
  lock.unlock();
  const ChangeFilter filter = [&](Revision revision, EventType, std::string_view key) {
    const std::lock_guard again(mutex_);
    index_.match(key, [&](Parking* parking) { mark(*parking, revision); });
    return Want::kSkip;
  };
  bool failed = false;
  while (from.revision <= to && !failed) {
    const auto done = read(from, to, filter);
    if (done) from = done->next;
    failed = !done;
    lock.lock();
    send_wakes(lock);
    lock.unlock();
  }
  lock.lock();
  // Compacted or broken: the streams read for themselves and find out.
  if (failed) {
    index_.each([&](Parking* parking) {
      const Revision first = std::max(judged_.next(), parking->seen.next());
      if (first <= to) mark(*parking, first);
    });
  }
  judged_ = std::max(judged_, to);  // a publish that concerned nobody may have gone further
}

void WatchCore::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stop.stop_requested() || judged_ < published_; });
    if (stop.stop_requested()) return;
    if (ring_first_ <= judged_.next()) {
      judge_recent();
    } else {
      judge_source(lock);
    }
    mark_wanted();
    send_wakes(lock);
  }
}

}  // namespace bennu::kv::embedded
