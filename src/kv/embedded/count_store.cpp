#include "kv/embedded/count_store.hpp"

#include "kv/embedded/log_reader.hpp"
#include "kv/embedded/reader.hpp"
#include "kv/embedded/recovery.hpp"

namespace bennu::kv::embedded {
namespace {

constexpr std::size_t kReplayAtOnce = 4096;

void note(const ChangeView& change, std::vector<CountDelta>& deltas) {
  if (change.type == EventType::kPut && change.previous_mod == 0) {
    deltas.push_back({.key = std::string(change.key), .delta = 1});
  } else if (change.type == EventType::kDelete && change.previous_mod != 0) {
    deltas.push_back({.key = std::string(change.key), .delta = -1});
  }
}

Result<std::shared_ptr<const CountIndex>> replay(const Database& database, const View& view,
                                                 CountIndex::Saved saved) {
  std::vector<CountDelta> deltas;
  const auto flush = [&](std::size_t limit) {
    if (deltas.size() < limit) return;
    saved.index = saved.index->apply(deltas);
    deltas.clear();
  };
  LogCursor log(database, view, saved.revision.next());
  for (; log.valid(); log.next()) {
    const LogEntryView& entry = log.entry();
    if (entry.stage != 0) {
      StageListCursor list(database, view, entry.stage, 0);
      for (; list.valid(); list.next()) {
        note(list.change(), deltas);
        flush(kReplayAtOnce);
      }
      BENNU_TRY(list.status());
    }
    for (const ChangeView& change : entry.changes) note(change, deltas);
    flush(kReplayAtOnce);
  }
  BENNU_TRY(log.status());
  flush(1);
  return saved.index;
}

}  // namespace

Result<Revision> save_counts(const Database& database, const View& view) {
  rocksdb::WriteOptions options;
  options.sync = true;
  const auto status =
      database.db().Put(options, database.family(Family::kMeta), rocksdb::Slice(meta::kCounts),
                        view.counts->save(view.revision));
  if (!status.ok()) return to_error(status, "cannot save the counts");
  return view.revision;
}

Result<RecoveredCounts> recover_counts(const Database& database, const View& view) {
  std::string bytes;
  const auto status = database.db().Get(view.read_options(), database.family(Family::kMeta),
                                        rocksdb::Slice(meta::kCounts), &bytes);
  if (!status.ok() && !status.IsNotFound()) return to_error(status, "cannot read the counts");
  if (status.ok()) {
    auto saved = CountIndex::load(bytes);
    // What was reclaimed from the log cannot be replayed.
    if (saved && saved->revision <= view.revision && saved->revision.next() >= view.compacted) {
      const Revision revision = saved->revision;
      BENNU_ASSIGN(auto index, replay(database, view, std::move(*saved)));
      return RecoveredCounts{.index = std::move(index), .saved = revision};
    }
  }
  BENNU_ASSIGN(auto index, count_by_scan(database, view));
  return RecoveredCounts{.index = std::move(index), .saved = {}};
}

Result<std::shared_ptr<const CountIndex>> count_by_scan(const Database& database,
                                                        const View& view) {
  std::vector<CountIndex::Block> blocks(1);
  Cursor cursor(database, view, {}, all_keys(), view.revision);
  for (; cursor.valid(); cursor.next()) {
    if (blocks.back().count >= CountIndex::kBlockKeys / 2) {
      blocks.push_back({.start = std::string(cursor.key()), .end = {}, .count = 0});
    }
    ++blocks.back().count;
  }
  BENNU_TRY(cursor.status());
  return std::shared_ptr<const CountIndex>(std::make_shared<const CountIndex>(blocks));
}

}  // namespace bennu::kv::embedded
