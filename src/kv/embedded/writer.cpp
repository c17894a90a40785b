#include "kv/embedded/writer.hpp"

#include <fmt/format.h>

#include <exception>

#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

// What throws here is the library, for want of memory mostly. Whoever leads a group must come back
// to write it, so nothing passes.
template <class Work>
Status without_throwing(const Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    return make_error(Code::kInternal,
                      fmt::format("the request could not be carried out ({}): ask for less at once",
                                  error.what()));
  }
}

}  // namespace

Writer::Writer(const Database& database, PublishedView& published, Hooks hooks)
    : database_(database), published_(published), hooks_(std::move(hooks)) {}

Result<Writer::Joined> Writer::join(const std::function<Status(Evaluation&)>& evaluate,
                                    bool alone) {
  std::unique_lock lock(mutex_);
  group_left_.wait(lock, [&] {
    if (exclusive_ || (exclusive_waiting_ > 0 && !open_)) return false;
    if (alone) return !open_ && !in_flight_;
    return !open_ || (!closed_to_joins_ && open_requests_ < kMaxGroupRequests &&
                      open_->size_bytes() < kMaxGroupBytes);
  });
  if (failed_ && !recover()) return *failed_;
  Joined joined;
  if (!open_) {
    open_ = std::make_shared<Group>(database_, published_.get(), in_flight_);
    open_requests_ = 0;
    closed_to_joins_ = alone;
    joined.leads = true;
  }
  ++open_requests_;
  joined.group = open_;
  joined.evaluated = without_throwing([&]() -> Status {
    Base base = open_->base();
    base.lease_exists = hooks_.lease_exists;
    Evaluation evaluation(std::move(base));
    hit("write.evaluate");
    BENNU_TRY(evaluate(evaluation));
    return open_->absorb(evaluation,
                         hooks_.watches != nullptr ? hooks_.watches->wants() : WatchHub::Wants{});
  });
  return joined;
}

Status Writer::execute(const std::function<Status(Evaluation&)>& evaluate, bool alone) {
  BENNU_ASSIGN(const Joined joined, join(evaluate, alone));
  if (joined.leads) lead(joined.group);
  // Even a refusal waits: it may be due to a change that is not durable yet.
  const Status& outcome = joined.group->wait();
  if (!outcome) return outcome;
  return joined.evaluated;
}

// An exception from here on ends the process: nobody could say what is on disk.
void Writer::lead(const std::shared_ptr<Group>& group) noexcept {
  std::unique_lock lock(mutex_);
  if (in_flight_) {
    const auto previous = in_flight_;
    lock.unlock();
    // Its outcome is ours, too: what we evaluated builds on it.
    previous->wait_for_turn();
    lock.lock();
  }
  open_.reset();
  const auto failed = failed_;
  if (!failed) in_flight_ = group;
  group->seal();
  lock.unlock();

  Status outcome = failed ? Status(*failed) : write(*group);

  lock.lock();
  if (!failed) {  // else somebody may have recovered meanwhile, and be in flight
    conclude(*group, outcome);
    in_flight_.reset();
  }
  group->release();
  lock.unlock();
  group_left_.notify_all();
  group->finish(std::move(outcome));
}

Status Writer::exclusive(const std::function<Status(Group&, Evaluation&, const View&)>& work) {
  std::unique_lock lock(mutex_);
  ++exclusive_waiting_;
  group_left_.wait(lock, [&] { return !open_ && !in_flight_ && !exclusive_; });
  --exclusive_waiting_;
  if (failed_ && !recover()) return *failed_;
  exclusive_ = true;
  const auto view = published_.get();
  lock.unlock();

  Group group(database_, view, nullptr);
  const Status worked = without_throwing([&]() -> Status {
    Base base = group.base();
    base.lease_exists = hooks_.lease_exists;
    Evaluation evaluation(std::move(base));
    hit("write.evaluate");
    return work(group, evaluation, *view);
  });
  return end_exclusive(group, worked);
}

Status Writer::end_exclusive(Group& group, const Status& worked) noexcept {
  Status outcome = worked;
  if (worked) {
    group.seal();
    outcome = write(group);
  }
  std::unique_lock lock(mutex_);
  if (worked) conclude(group, outcome);
  exclusive_ = false;
  lock.unlock();
  group_left_.notify_all();
  return outcome;
}

void Writer::conclude(Group& group, const Status& outcome) {
  if (outcome) {
    publish(group);
  } else if (!failed_) {
    const bool full = outcome.error().reason == reason::kNoSpace;
    failed_ = make_error(
        outcome.error().code,
        std::string(full ? "the store takes no writes until the disk has room"
                         : "the store takes no writes until it is opened again, because what an "
                           "earlier one left is unknown") +
            ": " + outcome.error().message,
        outcome.error().reason);
  }
}

// After a full disk RocksDB goes on by itself within seconds of there being room: it writes what it
// holds in memory to tables and starts a new log, so that the failed write is known not to have
// happened. Until then Resume says Busy. Any other failure needs a reopening.
bool Writer::recover() {
  if (failed_->reason != reason::kNoSpace || open_ || in_flight_ || exclusive_) return false;
  const auto status = database_.db().Resume();
  if (!status.ok()) return false;
  failed_.reset();
  return true;
}

Status Writer::write(Group& group) {
  if (group.empty()) return {};
  hit("write.before");
  rocksdb::WriteOptions options;
  options.sync = true;
  const auto status = database_.db().Write(options, &group.batch());
  hit("write.after");
  if (status.ok()) return {};
  Error error = to_error(status, "cannot write to the store");
  error.effect = Effect::kUnknown;
  return error;
}

void Writer::publish(Group& group) {
  if (group.empty()) return;
  const auto old = published_.get();
  bool background = group.compacted() != old->compacted;
  auto view = std::make_shared<View>(*old);
  view->revision = group.newest();
  view->compacted = group.compacted();
  view->snapshot = database_.snapshot();
  if (group.stages) view->stages = group.stages;
  if (group.counts) {
    view->counts = group.counts;
    background = true;
  } else if (!group.deltas().empty()) {
    view->counts = old->counts->apply(group.deltas(), &background);
  }
  if (splitting_) note_split_deltas(group);
  constexpr std::int64_t kMany = 1 << 14;
  if (old->revision.value / kMany != view->revision.value / kMany) background = true;
  published_.set(std::move(view));
  if (group.newest() != old->revision && hooks_.watches != nullptr) {
    hooks_.watches->publish(group.newest(), group.take_recent());
  }
  if (background && hooks_.background) hooks_.background();
}

void Writer::note_split_deltas(const Group& group) {
  // A whole new index may have other blocks.
  if (group.counts) {
    splitting_.reset();
    return;
  }
  for (const CountDelta& delta : group.deltas()) {
    const bool inside =
        delta.key >= splitting_->start && (splitting_->end.empty() || delta.key < splitting_->end);
    if (inside) split_deltas_.push_back(delta);
  }
}

void Writer::renew_snapshot() {
  const auto old = published_.get();
  std::unique_lock lock(mutex_);
  // What is in flight may be in the database and not published yet: no snapshot may be taken for
  // the old revision then. But a new one comes with it.
  group_left_.wait(lock, [&] { return (!in_flight_ && !exclusive_) || published_.get() != old; });
  if (failed_ || published_.get() != old) return;
  auto next = std::make_shared<View>(*old);
  next->snapshot = database_.snapshot();
  published_.set(std::move(next));
}

bool Writer::split_oversized() {
  std::unique_lock lock(mutex_);
  const auto view = published_.get();
  const auto block = view->counts->oversized();
  if (!block) return false;
  splitting_ = block;
  split_deltas_.clear();
  lock.unlock();

  // Half a block's keys from its start on: an ordinary block is halved, a huge one is worked off.
  const std::string nul(1, '\0');
  const KeyRange range{.key = block->start.empty() ? nul : block->start,
                       .end = block->end.empty() ? nul : block->end};
  Cursor cursor(database_, *view, {}, range, view->revision);
  std::int64_t left = 0;
  for (; cursor.valid() && left < CountIndex::kBlockKeys / 2; cursor.next()) ++left;
  const bool found = cursor.valid();
  const std::string middle = found ? std::string(cursor.key()) : std::string();

  lock.lock();
  if (!splitting_) return true;  // try again on the new index
  splitting_.reset();
  if (!found) return false;
  for (const CountDelta& delta : split_deltas_) {
    if (delta.key < middle) left += delta.delta;
  }
  auto next = std::make_shared<View>(*published_.get());
  next->counts = next->counts->split(*block, middle, left);
  if (!next->counts) return false;
  published_.set(std::move(next));
  return true;
}

void Writer::hit(std::string_view point) const {
  if (hooks_.fail_point) hooks_.fail_point(point);
}

}  // namespace bennu::kv::embedded
