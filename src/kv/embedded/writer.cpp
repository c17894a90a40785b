#include "kv/embedded/writer.hpp"

namespace bennu::kv::embedded {

Writer::Writer(const Database& database, PublishedView& published, Hooks hooks)
    : database_(database), published_(published), hooks_(std::move(hooks)) {}

Result<Writer::Joined> Writer::join(const std::function<Status(Evaluation&)>& evaluate,
                                    bool alone) {
  std::unique_lock lock(mutex_);
  group_left_.wait(lock, [&] {
    if (alone) return !open_ && !in_flight_;
    return !open_ || (!closed_to_joins_ && open_requests_ < kMaxGroupRequests &&
                      open_->size_bytes() < kMaxGroupBytes);
  });
  if (failed_) return *failed_;
  Joined joined;
  if (!open_) {
    open_ = std::make_shared<Group>(database_, published_.get(), in_flight_);
    open_requests_ = 0;
    closed_to_joins_ = alone;
    joined.leads = true;
  }
  ++open_requests_;
  joined.group = open_;
  Base base = open_->base();
  base.lease_exists = hooks_.lease_exists;
  Evaluation evaluation(std::move(base));
  joined.evaluated = evaluate(evaluation);
  if (joined.evaluated) {
    joined.evaluated = open_->absorb(
        evaluation, hooks_.watches != nullptr ? hooks_.watches->wants() : WatchHub::Wants{});
  }
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

void Writer::lead(const std::shared_ptr<Group>& group) {
  std::unique_lock lock(mutex_);
  if (in_flight_) {
    const auto previous = in_flight_;
    lock.unlock();
    // Its outcome is ours, too: what we evaluated builds on it.
    (void)previous->wait();
    lock.lock();
  }
  open_.reset();
  if (!failed_) in_flight_ = group;
  group->seal();
  const auto failed = failed_;
  lock.unlock();

  Status outcome = failed ? Status(*failed) : write(*group);

  lock.lock();
  if (outcome) {
    publish(*group);
  } else if (!failed_) {
    failed_ = outcome.error();
    failed_->effect = Effect::kNone;
  }
  in_flight_.reset();
  group->release();
  lock.unlock();
  group_left_.notify_all();
  group->finish(std::move(outcome));
}

Status Writer::write(Group& group) {
  if (group.empty()) return {};
  rocksdb::WriteOptions options;
  options.sync = true;
  const auto status = database_.db().Write(options, &group.batch());
  if (status.ok()) return {};
  Error error = to_error(status, "cannot write to the store");
  error.effect = Effect::kUnknown;
  return error;
}

void Writer::publish(Group& group) {
  const auto old = published_.get();
  if (group.empty()) return;
  auto view = std::make_shared<View>(*old);
  view->revision = group.newest();
  view->compacted = group.compacted();
  view->snapshot = database_.snapshot();
  published_.set(std::move(view));
  if (group.newest() != old->revision && hooks_.watches != nullptr) {
    hooks_.watches->publish(group.newest(), group.take_recent());
  }
  if (group.compacted() != old->compacted && hooks_.compacted) hooks_.compacted();
}

}  // namespace bennu::kv::embedded
