#include "kv/embedded/reclaim.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "kv/embedded/log_reader.hpp"
#include "kv/embedded/recovery.hpp"

namespace bennu::kv::embedded {
namespace {

constexpr std::uint64_t kSpareBytes = 1UL << 24;

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

Status drop_stage(const Database& database, const View& view, Deleter& out,
                  const LogEntryView& entry, Revision to, const std::stop_token& stop) {
  StageListCursor list(database, view, entry.stage, 0);
  for (; list.valid(); list.next()) {
    if (stop.stop_requested()) return make_error(Code::kCancelled, "the store is being closed");
    BENNU_TRY(drop_superseded(out, list.change(), entry.revision, to));
  }
  BENNU_TRY(list.status());
  if (entry.revision >= to.value) return {};
  out.batch()
      .DeleteRange(database.family(Family::kStageLog), be64_key(entry.stage),
                   be64_key(entry.stage + 1))
      .PermitUncheckedError();
  return {};
}

}  // namespace

Status Deleter::add(Family family, std::string_view key) {
  batch_.Delete(database_.family(family), rocksdb::Slice(key.data(), key.size()))
      .PermitUncheckedError();
  return batch_.Count() >= kReclaimBatch ? flush() : Status{};
}

Status Deleter::flush() {
  if (batch_.Count() == 0) return {};
  rocksdb::WriteOptions options;
  options.sync = true;
  options.low_pri = true;
  const auto status = database_.db().Write(options, &batch_);
  batch_.Clear();
  return status.ok() ? Status{} : to_error(status, "cannot reclaim space");
}

Status reclaim(const Database& database, const View& view, Revision from, Revision to,
               const std::stop_token& stop,
               const std::function<void(std::string_view)>& fail_point) {
  Deleter out(database);
  LogCursor log(database, view, from);
  for (; log.valid() && log.entry().revision <= to.value; log.next()) {
    if (stop.stop_requested()) return make_error(Code::kCancelled, "the store is being closed");
    if (fail_point) fail_point("reclaim.revision");
    const LogEntryView& entry = log.entry();
    if (entry.stage != 0) BENNU_TRY(drop_stage(database, view, out, entry, to, stop));
    for (const ChangeView& change : entry.changes) {
      BENNU_TRY(drop_superseded(out, change, entry.revision, to));
    }
  }
  BENNU_TRY(log.status());
  // A log record stays while any of its revisions is needed; it is kept under its last one.
  const auto end = be64_key(static_cast<std::uint64_t>(to.value));
  out.batch().DeleteRange(database.family(Family::kLog), be64_key(0), end).PermitUncheckedError();
  out.batch()
      .Put(database.family(Family::kMeta), rocksdb::Slice(meta::kReclaimed), end)
      .PermitUncheckedError();
  return out.flush();
}

Status shrink(const Database& database, const std::stop_token& stop) {
  std::atomic<bool> canceled = false;
  const std::stop_callback cancel(stop, [&] { canceled = true; });
  rocksdb::CompactRangeOptions options;
  options.canceled = &canceled;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.exclusive_manual_compaction = false;
  for (const Family family : {Family::kHist, Family::kLog, Family::kStageLog}) {
    // RocksDB takes no writes after it had no room for a table.
    std::uint64_t bytes = 0;
    database.db().GetIntProperty(database.family(family), "rocksdb.total-sst-files-size", &bytes);
    std::error_code error;
    const std::uint64_t room = std::filesystem::space(database.path(), error).available;
    if (error || room < bytes + kSpareBytes) continue;
    const auto status =
        database.db().CompactRange(options, database.family(family), nullptr, nullptr);
    if (canceled) return make_error(Code::kCancelled, "the store is being closed");
    if (!status.ok()) return to_error(status, "cannot give space back");
  }
  return {};
}

}  // namespace bennu::kv::embedded
