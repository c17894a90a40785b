#include "kv/embedded/background.hpp"

#include <algorithm>
#include <utility>

#include "kv/embedded/count_store.hpp"
#include "kv/embedded/reclaim.hpp"
#include "kv/embedded/recovery.hpp"
#include "kv/embedded/stage_clean.hpp"

namespace bennu::kv::embedded {
namespace {

// So many revisions are replayed at open in no time.
constexpr std::int64_t kNotWorthSaving = 1000;

}  // namespace

void Background::start(Writer& writer) {
  const auto reclaimed = read_meta(database_, meta::kReclaimed);
  if (reclaimed) reclaimed_ = {reclaimed->value_or(0)};
  thread_ = std::jthread([this, &writer](const std::stop_token& stop) { run(writer, stop); });
}

void Background::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  changed_.notify_all();
  thread_.join();
  // Without it, opening counts from the log, or from the keys themselves.
  (void)save_counts_if(kNotWorthSaving);
}

void Background::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

Status Background::wait_for_all() {
  std::unique_lock lock(mutex_);
  woken_ = true;
  const std::uint64_t round = rounds_ + 1;  // the first that begins after this call
  changed_.notify_all();
  changed_.wait(lock, [&] { return ended_ >= round || stopped_; });
  if (ended_ < round) return make_error(Code::kCancelled, "the store is being closed");
  return last_;
}

void Background::run(Writer& writer, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&] { return woken_; })) {
    woken_ = false;
    const std::uint64_t round = ++rounds_;
    lock.unlock();
    const Status done = work(writer, stop);
    lock.lock();
    last_ = done;
    ended_ = round;
    changed_.notify_all();
    if (stop.stop_requested()) break;
  }
  stopped_ = true;
  changed_.notify_all();
}

Status Background::work(Writer& writer, const std::stop_token& stop) {
  // What could not be merged is, at another open.
  if (!std::exchange(merged_, true)) (void)merge_small_files(database_);
  while (!stop.stop_requested() && writer.split_oversized()) {
  }
  // What is compacted at this view may only go once every stage in it is clean: before, older
  // versions are still in cur.
  auto view = published_.get();
  BENNU_TRY(tidy_stages(writer, stop));
  BENNU_TRY(save_counts_if(kSaveEvery));
  const Revision to = registry_.log_floor(view->compacted);
  if (to > reclaimed_) {
    // The log below goes, so the counts must not need it any more.
    if (counts_saved_ < to) BENNU_TRY(save_counts_if(0));
    BENNU_TRY(reclaim(database_, *view, reclaimed_, to, stop, fail_point_));
    reclaimed_ = to;
    shrunk_ = false;
  }
  if (shrunk_) return {};
  view.reset();
  writer.renew_snapshot();
  BENNU_TRY(shrink(database_, stop));
  shrunk_ = true;
  if (fail_point_) fail_point_("reclaim.shrunk");
  return {};
}

Status Background::tidy_stages(Writer& writer, const std::stop_token& stop) {
  Status first;
  for (const std::uint64_t stage : registry_.take_dead()) {
    const Status done = remove_dead_stage(database_, published_, stage, stop);
    if (done) continue;
    registry_.add_dead(stage);
    if (first) first = done;
  }
  for (const std::uint64_t stage : registry_.take_unclean()) {
    const auto cleaned = clean_stage(database_, published_, writer, stage, stop, fail_point_);
    if (cleaned && *cleaned) continue;
    registry_.add_unclean(stage);
    if (!cleaned && first) first = cleaned.error();
  }
  return first;
}

Status Background::save_counts_if(std::int64_t revisions) {
  const auto view = published_.get();
  if (view->revision.value - counts_saved_.value < revisions) return {};
  if (fail_point_) fail_point_("counts.save");
  BENNU_ASSIGN(counts_saved_, save_counts(database_, *view));
  return {};
}

}  // namespace bennu::kv::embedded
