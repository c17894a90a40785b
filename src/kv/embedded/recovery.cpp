#include "kv/embedded/recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/bytes.hpp"
#include "kv/embedded/codec.hpp"
#include "kv/embedded/count_store.hpp"
#include "kv/embedded/log_reader.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

Result<std::int64_t> last_logged(const Database& database) {
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db().NewIterator({}, database.family(Family::kLog)));
  it->SeekToLast();
  if (!it->status().ok()) return to_error(it->status(), "cannot read the log");
  if (!it->Valid()) return 0;
  if (it->key().size() != 8) return corrupt_record("log", it->key().ToStringView());
  return static_cast<std::int64_t>(read_be64(it->key().ToStringView()));
}

// Whether every revision is in the log that may have been read from RocksDB's own logs: those after
// the last one in a table. A log that is gone leaves a gap.
Status check_history(const Database& database, const View& view, std::int64_t first) {
  rocksdb::ColumnFamilyMetaData about;
  database.db().GetColumnFamilyMetaData(database.family(Family::kLog), &about);
  std::int64_t last = std::max(first, view.compacted.value);
  for (const auto& level : about.levels) {
    for (const auto& file : level.files) {
      if (file.largestkey.size() != 8) return corrupt_record("log", file.largestkey);
      last = std::max(last, static_cast<std::int64_t>(read_be64(file.largestkey)));
    }
  }
  LogCursor log(database, view, {last + 1});
  for (; log.valid(); log.next(), ++last) {
    if (log.entry().revision == last + 1) continue;
    return make_error(Code::kDataLoss,
                      fmt::format("revisions {} to {} are missing in {}, though later ones are "
                                  "there: restore the store from Git or a backup",
                                  last + 1, log.entry().revision - 1, database.path().string()),
                      reason::kCorrupt);
  }
  return log.status();
}

// Calls `take` with each id under a prefix and its value.
template <class Take>
Status for_each_stage(const Database& database, std::string_view prefix, const Take& take) {
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db().NewIterator({}, database.family(Family::kMeta)));
  for (it->Seek(rocksdb::Slice(prefix)); it->Valid(); it->Next()) {
    std::string_view key = it->key().ToStringView();
    if (!key.starts_with(prefix)) break;
    key.remove_prefix(prefix.size());
    if (key.size() != 8 || !take(read_be64(key), it->value().ToStringView())) {
      return corrupt_record("meta", it->key().ToStringView());
    }
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot read the store's state");
  return {};
}

Result<StageTable> read_stages(const Database& database, Recovered& out) {
  StageTable stages;
  BENNU_TRY(
      for_each_stage(database, meta::kStagePrefix, [&](std::uint64_t id, std::string_view value) {
        if (value.size() != 9) return false;
        stages.emplace(id, static_cast<std::int64_t>(read_be64(value)));
        if (value[8] != 0) out.unclean_stages.push_back(id);
        out.next_stage = std::max(out.next_stage, id + 1);
        return true;
      }));
  BENNU_TRY(
      for_each_stage(database, meta::kOpenStagePrefix, [&](std::uint64_t id, std::string_view) {
        out.dead_stages.push_back(id);
        out.next_stage = std::max(out.next_stage, id + 1);
        return true;
      }));
  return stages;
}

}  // namespace

Result<std::optional<std::int64_t>> read_meta(const Database& database, std::string_view key) {
  std::string value;
  const auto status =
      database.db().Get({}, database.family(Family::kMeta), rocksdb::Slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::int64_t>{};
  if (!status.ok()) return to_error(status, "cannot read the store's state");
  if (value.size() != 8) return corrupt_record("meta", key);
  return std::optional(static_cast<std::int64_t>(read_be64(value)));
}

Status initialise(Database& database, Revision initial) {
  BENNU_ASSIGN(const auto existing, read_meta(database, meta::kInitial));
  if (existing) return {};
  rocksdb::WriteBatch batch;
  auto* const family = database.family(Family::kMeta);
  const std::string revision = be64_key(static_cast<std::uint64_t>(initial.value));
  batch.Put(family, rocksdb::Slice(meta::kInitial), revision).PermitUncheckedError();
  // Whoever remembers an older revision of a store that this one replaces must not get silence for
  // an answer.
  if (initial.value > 1) {
    batch.Put(family, rocksdb::Slice(meta::kCompacted), revision).PermitUncheckedError();
  }
  rocksdb::WriteOptions options;
  options.sync = true;
  const auto status = database.db().Write(options, &batch);
  return status.ok() ? Status{} : to_error(status, "cannot create the store");
}

std::string stage_meta_key(std::string_view prefix, std::uint64_t stage) {
  return std::string(prefix) + be64_key(stage);
}

std::string stage_meta_value(Revision revision, bool unclean) {
  return be64_key(static_cast<std::uint64_t>(revision.value)) + (unclean ? '\1' : '\0');
}

Result<Recovered> recover(const Database& database) {
  Recovered out;
  auto view = std::make_shared<View>();
  BENNU_ASSIGN(const auto initial, read_meta(database, meta::kInitial));
  BENNU_ASSIGN(const std::int64_t logged, last_logged(database));
  BENNU_ASSIGN(const auto compacted, read_meta(database, meta::kCompacted));
  BENNU_ASSIGN(auto stages, read_stages(database, out));
  view->revision = {std::max(initial.value_or(1), logged)};
  view->compacted = {compacted.value_or(0)};
  view->stages = std::make_shared<const StageTable>(std::move(stages));
  view->snapshot = database.snapshot();
  BENNU_TRY(check_history(database, *view, initial.value_or(1)));
  if (!initial) return corrupt_record("meta", meta::kInitial);
  BENNU_ASSIGN(auto counts, recover_counts(database, *view));
  view->counts = std::move(counts.index);
  out.counts_saved = counts.saved;
  out.view = std::move(view);
  return out;
}

}  // namespace bennu::kv::embedded
