#include "kv/embedded/watch_stream.hpp"

#include <algorithm>

#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

// Of one stream. Responses that nobody takes count as long as nobody calls next.
constexpr std::size_t kMaxWatches = 1UL << 20;
constexpr std::chrono::milliseconds kLongestWait = std::chrono::hours{24};
// Watches that read older history together.
constexpr std::size_t kMaxGroup = 1024;
// Between two calls a step holds this many runs, or a few for each watch, and one block's more.
constexpr std::size_t kMinRuns = 1024;

constexpr std::string_view kCompactedText =
    "etcdserver: mvcc: required revision has been compacted";

Error closed_error() {
  return make_error(Code::kUnavailable, "the store is closed; open it and watch again");
}

Status check(const WatchRequest& request) {
  const KeyRange& range = request.range;
  if (range.key.empty()) {
    return make_error(Code::kInvalidArgument, "etcdserver: key is not provided", reason::kEmptyKey);
  }
  const bool bounded = !range.end.empty() && range.end != std::string_view("\0", 1);
  if (bounded && range.end <= range.key) {
    return make_error(Code::kInvalidArgument, "mvcc: watcher range is empty");
  }
  if (request.id < 0) return make_error(Code::kInvalidArgument, "a watch id must not be negative");
  if (request.start_revision.value < 0) {
    return make_error(Code::kOutOfRange, std::string(kCompactedText), reason::kCompacted);
  }
  return {};
}

}  // namespace

PullStream::PullStream(std::shared_ptr<WatchCore> core, const env::Clock& clock)
    : core_(std::move(core)),
      clock_(clock),
      progress_due_(clock.monotonic() + core_->options().progress_interval) {}

PullStream::~PullStream() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, watch] : watches_) detach(*watch);
  core_->forget(*parking_);
}

// ---- what the client asks ----

Result<WatchId> PullStream::create(const WatchRequest& request) {
  BENNU_TRY(check(request));
  BENNU_ASSIGN(const WatchCore::Span span, core_->span());
  const auto watch = std::make_shared<Watch>();
  watch->request = request;
  {
    const std::lock_guard lock(mutex_);
    if (watches_.size() >= kMaxWatches || controls_.size() >= kMaxWatches) {
      return make_error(Code::kResourceExhausted,
                        "too many watches on one stream; open another or take its responses");
    }
    watch->id = request.id;
    if (watch->id == 0) {
      while (watches_.contains(next_id_)) ++next_id_;
      watch->id = next_id_++;
    } else if (watches_.contains(watch->id)) {
      return make_error(Code::kInvalidArgument,
                        "mvcc: duplicate watch ID provided on the WatchStream");
    }
    controls_.push_back(
        {.kind = WatchResponse::Kind::kCreated, .id = watch->id, .revision = span.current});
    watches_.emplace(watch->id, watch);
    if (request.progress_notify) ++progress_watches_;
    const Revision start = request.start_revision;
    watch->at = {start.value == 0 ? span.current.next() : start};
    if (watch->at.revision < span.compacted) {
      end_watch(*watch, span.compacted, std::string(kCompactedText));
    } else if (!try_join(*watch)) {
      lagging_.emplace(watch->at, watch->id);
    }
  }
  core_->kick(*parking_);
  return watch->id;
}

Status PullStream::cancel(WatchId id) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = watches_.find(id);
    if (found == watches_.end()) return {};
    const WatchPtr watch = found->second;
    end_watch(*watch, {}, {});
  }
  core_->kick(*parking_);
  return {};
}

Status PullStream::request_progress() {
  BENNU_ASSIGN(const WatchCore::Span span, core_->span());
  {
    const std::lock_guard lock(mutex_);
    progress_target_ = span.current;
  }
  core_->kick(*parking_);
  return {};
}

// ---- where watches are ----

bool PullStream::try_join(Watch& watch) {
  if (watch.at.index != 0) return false;
  // While changes are read for those that have joined, the place of these stays what it is.
  const bool first = joined_count_ == 0 && !reading_joined_;
  if (!first && (watch.at < next_ || watch.at.revision <= scan_to_)) return false;
  const bool prev = watch.request.prev_kv;
  if (!core_->join(*parking_, watch.request.range, prev, watch.at.revision)) return false;
  if (first) {
    // Not watch.at, which may be far in the future: others may join before that.
    next_ = {Revision{1}};
    scan_to_ = {};
  }
  watch.joined = true;
  joined_.add(watch.request.range, &watch);
  ++joined_count_;
  if (prev) ++joined_prev_;
  return true;
}

void PullStream::detach(Watch& watch) {
  if (!watch.joined) {
    lagging_.erase({watch.at, watch.id});
    return;
  }
  watch.joined = false;
  joined_.remove(watch.request.range, &watch);
  --joined_count_;
  if (watch.request.prev_kv) --joined_prev_;
  core_->leave(*parking_, watch.request.range, watch.request.prev_kv);
}

void PullStream::lag_behind(Watch& watch, ChangeCursor from) {
  detach(watch);
  watch.at = from;
  lagging_.emplace(from, watch.id);
}

void PullStream::end_watch(Watch& watch, Revision compacted, std::string reason) {
  const WatchPtr alive = watch.shared_from_this();
  // What it has seen: the cursor of its group, or its own.
  const ChangeCursor seen = watch.joined ? std::max(next_, watch.at) : watch.at;
  detach(watch);
  watch.cancelled = true;
  watches_.erase(watch.id);
  fragments_.erase(alive);
  if (watch.request.progress_notify) --progress_watches_;
  controls_.push_back({.kind = WatchResponse::Kind::kCanceled,
                       .id = watch.id,
                       .revision = seen.revision.previous(),
                       .compact_revision = compacted,
                       .cancel_reason = std::move(reason)});
}

// History is gone that watches of this group have not seen.
Status PullStream::cancel_compacted(ChangeCursor begin, bool joined, const Error& error) {
  BENNU_ASSIGN(const WatchCore::Span span, core_->span());
  const ChangeCursor kept{span.compacted};
  if (begin >= kept) return error;  // the source contradicts itself
  std::vector<WatchPtr> lost;
  for (const auto& [id, watch] : watches_) {
    const ChangeCursor at = watch->joined ? std::max(watch->at, next_) : watch->at;
    if (watch->joined == joined && at < kept) lost.push_back(watch);
  }
  for (const WatchPtr& watch : lost) {
    end_watch(*watch, span.compacted, std::string(kCompactedText));
  }
  if (joined) next_ = std::max(next_, kept);
  return {};
}

// ---- reading ----

bool PullStream::wants(const Watch& watch, Revision revision, EventType type) {
  if (revision < watch.at.revision) return false;
  return type == EventType::kPut ? !watch.request.no_put : !watch.request.no_delete;
}

Want PullStream::want(const Index& index, Revision revision, EventType type, std::string_view key) {
  Want most = Want::kSkip;
  index.match(key, [&](const Watch* watch) {
    if (!wants(*watch, revision, type)) return;
    most = std::max(most, watch->request.prev_kv ? Want::kChangeAndPrev : Want::kChange);
  });
  return most;
}

// Fills fresh_ and returns how far it got.
Result<ChangeCursor> PullStream::read(Lock& lock, ChangeCursor begin, Revision to,
                                      const ChangeFilter& filter) {
  lock.unlock();
  auto done = core_->read(begin, to, filter);
  lock.lock();
  if (!done) return std::move(done).error();
  for (ChangeBlock& block : done->blocks) {
    fresh_.push_back(std::make_shared<const ChangeBlock>(std::move(block)));
  }
  return done->next;
}

void PullStream::note(Watch& watch, const Run& run, ChangeCursor begin,
                      std::unordered_map<Watch*, std::size_t>& places) {
  const auto [place, added] = places.try_emplace(&watch, step_.outputs.size());
  if (added) {
    step_.outputs.push_back(
        {.watch = watch.shared_from_this(), .from = std::max(begin, watch.at), .runs = {}});
  }
  std::vector<Run>& runs = step_.outputs[place->second].runs;
  if (!runs.empty() && runs.back().block == run.block && runs.back().end == run.begin) {
    runs.back().end = run.end;
  } else {
    runs.push_back(run);
  }
}

// Makes a step of fresh_, which reaches from `begin` to `end`; it may stop at an earlier revision.
void PullStream::match(ChangeCursor begin, ChangeCursor end, const Index& index, bool joined) {
  step_ = Step{.blocks = {}, .outputs = {}, .end = end};
  std::unordered_map<Watch*, std::size_t> places;
  const std::size_t max_runs = std::max(kMinRuns, 4 * watches_.size());
  std::size_t runs = 0;
  for (const BlockPtr& block : fresh_) {
    const auto at = static_cast<std::uint32_t>(step_.blocks.size());
    step_.blocks.emplace_back(block);
    for (std::uint32_t i = 0; i < block->changes.size(); ++i) {
      const Event& change = block->changes[i];
      index.match(change.kv.key, [&](Watch* watch) {
        if (watch->cancelled || !wants(*watch, block->revision, change.type)) return;
        note(*watch, {.block = at, .begin = i, .end = i + 1}, begin, places);
        ++runs;
      });
    }
    if (runs >= max_runs && block->last) {
      step_.end = {block->revision.next()};
      break;
    }
  }
  for (const WatchPtr& watch : fragments_) {
    const bool here = joined ? watch->joined : watch->in_group;
    if (!here || step_.end.revision <= watch->fragment || places.contains(watch.get())) continue;
    step_.outputs.push_back({.watch = watch, .from = begin, .runs = {}});
  }
}

Result<bool> PullStream::step_joined(Lock& lock) {
  if (joined_count_ == 0) return false;
  if (next_.revision > scan_to_) {
    const auto look = core_->look(*parking_, next_, progress_target_.value_or(Revision{}));
    next_ = look.next;
    scan_to_ = look.scan_to;
    if (next_.revision > scan_to_) return false;
  }
  const ChangeCursor begin = next_;
  const Revision to = scan_to_;
  if (begin.index == 0) {
    fresh_ = core_->recent(begin.revision, to, joined_prev_ > 0, core_->options().response_bytes);
  }
  ChangeCursor end;
  const bool from_ring = !fresh_.empty();
  if (from_ring) {
    end = {fresh_.back()->revision.next()};
  } else {
    const ChangeFilter filter = [&](Revision revision, EventType type, std::string_view key) {
      const std::lock_guard again(mutex_);
      return want(joined_, revision, type, key);
    };
    reading_joined_ = true;
    const auto done = read(lock, begin, to, filter);
    reading_joined_ = false;
    if (!done && done.error().reason == reason::kCompacted) {
      BENNU_TRY(cancel_compacted(begin, true, done.error()));
      return true;
    }
    if (!done) return done.error();
    end = *done;
  }
  match(begin, end, joined_, true);
  next_ = step_.end;
  if (!from_ring && step_.outputs.size() > 1) core_->keep(fresh_);
  return true;
}

Result<bool> PullStream::step_lagging(Lock& lock) {
  if (lagging_.empty()) return false;
  BENNU_ASSIGN(const WatchCore::Span span, core_->span());
  const ChangeCursor begin = lagging_.begin()->first;
  std::vector<WatchPtr> group;
  Index index;
  for (const auto& [at, id] : lagging_) {
    if (group.size() >= kMaxGroup) break;
    if (at.index != 0 && at != begin) continue;  // in the middle of a revision, but not of this one
    group.push_back(watches_.at(id));
    group.back()->in_group = true;
    index.add(group.back()->request.range, group.back().get());
  }
  ChangeCursor end = begin;
  if (begin.revision <= span.current) {
    const ChangeFilter filter = [&](Revision revision, EventType type, std::string_view key) {
      return want(index, revision, type, key);
    };
    const auto done = read(lock, begin, span.current, filter);
    if (!done) {
      for (const WatchPtr& watch : group) watch->in_group = false;
    }
    if (!done && done.error().reason == reason::kCompacted) {
      BENNU_TRY(cancel_compacted(begin, false, done.error()));
      return true;
    }
    if (!done) return done.error();
    end = *done;
  }
  match(begin, end, index, false);
  for (const WatchPtr& watch : group) {
    watch->in_group = false;
    if (watch->cancelled) continue;
    lagging_.erase({watch->at, watch->id});
    watch->at = std::max(watch->at, step_.end);
    if (!try_join(*watch)) lagging_.emplace(watch->at, watch->id);
  }
  if (step_.outputs.size() > 1) core_->keep(fresh_);
  return true;
}

Result<bool> PullStream::work(Lock& lock) {
  // In turns, so that a long catching up does not hold up the others, nor they it.
  lagging_turn_ = !lagging_turn_;
  BENNU_ASSIGN(const bool first, lagging_turn_ ? step_lagging(lock) : step_joined(lock));
  if (first) return true;
  return lagging_turn_ ? step_joined(lock) : step_lagging(lock);
}

// ---- responses ----

std::optional<WatchResponse> PullStream::take_control() {
  if (controls_.empty()) return std::nullopt;
  std::optional response = std::move(controls_.front());
  controls_.pop_front();
  return response;
}

std::optional<WatchResponse> PullStream::assemble(const Output& output) {
  Watch& watch = *output.watch;
  WatchResponse response{.id = watch.id, .revision = step_.end.revision.previous()};
  for (const Run& run : output.runs) {
    const BlockPtr block = step_.blocks[run.block].lock();
    if (!block) return std::nullopt;
    for (std::uint32_t i = run.begin; i < run.end; ++i) {
      const Event& change = block->changes[i];
      Event& event = response.events.emplace_back(change.type, change.kv);
      if (watch.request.prev_kv) event.prev_kv = change.prev_kv;
    }
    if (!block->last) {
      response.fragment = true;
      response.revision = block->revision;
    }
  }
  watch.quiet = false;
  watch.fragment = response.fragment ? response.revision : Revision{};
  if (response.fragment) {
    fragments_.insert(output.watch);
  } else {
    fragments_.erase(output.watch);
  }
  return response;
}

std::optional<WatchResponse> PullStream::take_output() {
  while (!step_.outputs.empty()) {
    const Output output = std::move(step_.outputs.front());
    step_.outputs.pop_front();
    if (output.watch->cancelled) continue;
    if (auto response = assemble(output)) return response;
    // The client took so long that the changes are no longer in memory.
    lag_behind(*output.watch, output.from);
  }
  return std::nullopt;
}

std::chrono::nanoseconds PullStream::until_progress() const {
  if (progress_watches_ == 0) return std::chrono::nanoseconds::max();
  return std::max(progress_due_ - clock_.monotonic(), std::chrono::nanoseconds{0});
}

// Only called when the watches that are not lagging have seen everything before next_.
std::optional<WatchResponse> PullStream::take_progress() {
  if (until_progress() == std::chrono::nanoseconds{0}) {
    progress_due_ = clock_.monotonic() + core_->options().progress_interval;
    for (const auto& [id, watch] : watches_) {
      if (!watch->request.progress_notify || !watch->joined) continue;
      if (watch->quiet) progress_ids_.push_back(id);
      watch->quiet = true;
    }
  }
  WatchResponse response{.kind = WatchResponse::Kind::kProgress};
  while (!progress_ids_.empty()) {
    response.id = progress_ids_.front();
    progress_ids_.pop_front();
    const auto found = watches_.find(response.id);
    if (found == watches_.end() || !found->second->joined) continue;
    response.revision = next_.revision.previous();
    return response;
  }
  if (!progress_target_ || !lagging_.empty()) return std::nullopt;
  response.id = -1;
  response.revision = *progress_target_;
  if (joined_count_ > 0) {
    if (next_.revision <= *progress_target_) return std::nullopt;
    response.revision = next_.revision.previous();
  }
  progress_target_.reset();
  return response;
}

Result<std::optional<WatchResponse>> PullStream::next(std::chrono::milliseconds wait) {
  const env::Clock& real = env::system_clock();
  const std::chrono::nanoseconds deadline = real.monotonic() + std::min(wait, kLongestWait);
  while (true) {
    std::chrono::nanoseconds until{};
    {
      Lock lock(mutex_);
      if (core_->closed()) return closed_error();
      if (auto response = take_control()) return response;
      if (auto response = take_output()) return response;
      const auto worked = work(lock);
      // Taken before anything else, while fresh_ still has the changes.
      auto response = take_output();
      fresh_.clear();
      if (response) return response;
      if (!worked) return worked.error();
      if (!*worked) {
        if ((response = take_progress())) return response;
        until = until_progress();
      }
    }
    const std::chrono::nanoseconds left = deadline - real.monotonic();
    if (left <= std::chrono::nanoseconds{0}) return std::optional<WatchResponse>{};
    if (until > std::chrono::nanoseconds{0}) core_->wait(*parking_, std::min(left, until));
  }
}

}  // namespace bennu::kv::embedded
