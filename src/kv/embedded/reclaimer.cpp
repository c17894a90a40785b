#include "kv/embedded/reclaimer.hpp"

#include "kv/embedded/log_reader.hpp"
#include "kv/embedded/recovery.hpp"

namespace bennu::kv::embedded {
namespace {

Error stopped() { return make_error(Code::kCancelled, "the store is being closed"); }

// Deletes in batches. Each is synced: every record of the write-ahead log is, so that a damaged one
// in its middle can be told from a torn end.
class Deleter {
 public:
  explicit Deleter(const Database& database) : database_(database) {}

  Status add(Family family, const std::string& key) {
    batch_.Delete(database_.family(family), key).PermitUncheckedError();
    return batch_.Count() >= static_cast<int>(Reclaimer::kBatch) ? flush() : Status{};
  }
  rocksdb::WriteBatch& batch() { return batch_; }
  Status flush() {
    if (batch_.Count() == 0) return {};
    rocksdb::WriteOptions options;
    options.sync = true;
    options.low_pri = true;
    const auto status = database_.db().Write(options, &batch_);
    batch_.Clear();
    return status.ok() ? Status{} : to_error(status, "cannot reclaim space");
  }

 private:
  const Database& database_;
  rocksdb::WriteBatch batch_;
};

// Removes what one change made unreachable for reads at `to` and later: the version before it, and
// the tombstone it left if it is older than that. Revision `to` itself stays whole for watches.
Status drop_superseded(Deleter& out, const ChangeView& change, std::int64_t revision, Revision to) {
  if (change.previous_mod != 0 && change.previous_mod != revision) {
    BENNU_TRY(out.add(Family::kHist, history_key(change.key, change.previous_mod)));
  }
  if (change.type == EventType::kDelete && !change.superseded && revision < to.value) {
    BENNU_TRY(out.add(Family::kHist, history_key(change.key, revision)));
  }
  return {};
}

}  // namespace

void Reclaimer::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void Reclaimer::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  changed_.notify_all();
  thread_.join();
}

void Reclaimer::wake() {
  {
    const std::lock_guard lock(mutex_);
    progress_.woken = true;
  }
  changed_.notify_all();
}

Status Reclaimer::wait_until(Revision compacted, bool with_shrink) {
  {
    std::unique_lock lock(mutex_);
    const std::uint64_t round = progress_.rounds;
    changed_.wait(lock, [&] {
      return progress_.reclaimed >= compacted ||
             (progress_.rounds > round + 1 && !progress_.last) ||
             (progress_.rounds > round && !progress_.woken && !progress_.last);
    });
    if (progress_.reclaimed < compacted) return progress_.last;
  }
  return with_shrink ? shrink() : Status{};
}

void Reclaimer::run(const std::stop_token& stop) {
  const auto start = read_meta(database_, meta::kReclaimed);
  std::unique_lock lock(mutex_);
  if (start) progress_.reclaimed = {start->value_or(0)};
  while (!stop.stop_requested()) {
    if (!changed_.wait(lock, stop, [&] { return progress_.woken; })) break;
    progress_.woken = false;
    const Revision from = progress_.reclaimed;
    const Revision to = published_.get()->compacted;
    lock.unlock();
    const Status done = from < to ? reclaim(from, to, stop) : Status{};
    lock.lock();
    if (done) progress_.reclaimed = to;
    progress_.last = done;
    ++progress_.rounds;
    changed_.notify_all();
  }
  progress_.last = stopped();
  progress_.rounds += 2;
  changed_.notify_all();
}

Status Reclaimer::reclaim(Revision from, Revision to, const std::stop_token& stop) {
  const auto view = published_.get();
  Deleter out(database_);
  LogCursor log(database_, *view, from);
  for (; log.valid() && log.entry().revision <= to.value; log.next()) {
    if (stop.stop_requested()) return stopped();
    const LogEntryView& entry = log.entry();
    if (entry.stage != 0) {
      StageListCursor list(database_, *view, entry.stage, 0);
      for (; list.valid(); list.next()) {
        BENNU_TRY(drop_superseded(out, list.change(), entry.revision, to));
      }
      BENNU_TRY(list.status());
      if (entry.revision < to.value) {
        out.batch()
            .DeleteRange(database_.family(Family::kStageLog), be64_key(entry.stage),
                         be64_key(entry.stage + 1))
            .PermitUncheckedError();
      }
    }
    for (const ChangeView& change : entry.changes) {
      BENNU_TRY(drop_superseded(out, change, entry.revision, to));
    }
  }
  BENNU_TRY(log.status());
  // A log record stays while any of its revisions is needed; it is kept under its last one.
  out.batch()
      .DeleteRange(database_.family(Family::kLog), be64_key(0),
                   be64_key(static_cast<std::uint64_t>(to.value)))
      .PermitUncheckedError();
  out.batch()
      .Put(database_.family(Family::kMeta), rocksdb::Slice(meta::kReclaimed),
           be64_key(static_cast<std::uint64_t>(to.value)))
      .PermitUncheckedError();
  return out.flush();
}

Status Reclaimer::shrink() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.exclusive_manual_compaction = false;
  for (const Family family : {Family::kHist, Family::kLog, Family::kStageLog}) {
    const auto status =
        database_.db().CompactRange(options, database_.family(family), nullptr, nullptr);
    if (!status.ok()) return to_error(status, "cannot give space back");
  }
  return {};
}

}  // namespace bennu::kv::embedded
