#include "kv/embedded/stage_clean.hpp"

#include "kv/embedded/log_reader.hpp"
#include "kv/embedded/reclaim.hpp"
#include "kv/embedded/recovery.hpp"

namespace bennu::kv::embedded {
namespace {

Error stopped() { return make_error(Code::kCancelled, "the store is being closed"); }

}  // namespace

Result<bool> clean_stage(const Database& database, PublishedView& published, Writer& writer,
                         std::uint64_t stage, const std::stop_token& stop,
                         const std::function<void(std::string_view)>& fail_point) {
  const auto view = published.get();
  const auto known = view->stages->find(stage);
  if (known == view->stages->end()) return false;
  std::vector<std::string> keys;
  const auto flush = [&](std::size_t limit) -> Status {
    if (keys.size() < limit) return {};
    if (stop.stop_requested()) return stopped();
    if (fail_point) fail_point("stage.clean");
    return writer.execute([&](Evaluation& evaluation) -> Status {
      evaluation.side().clean = std::exchange(keys, {});
      return {};
    });
  };
  StageListCursor list(database, *view, stage, 0);
  for (; list.valid(); list.next()) {
    const ChangeView& change = list.change();
    if (change.type == EventType::kPut && change.previous_mod == 0) continue;
    keys.emplace_back(change.key);
    BENNU_TRY(flush(kCleanAtOnce));
  }
  BENNU_TRY(list.status());
  BENNU_TRY(flush(1));
  rocksdb::WriteOptions options;
  options.sync = true;
  const auto status = database.db().Put(options, database.family(Family::kMeta),
                                        stage_meta_key(meta::kStagePrefix, stage),
                                        stage_meta_value({known->second}, false));
  if (!status.ok()) return to_error(status, "cannot note that a stage is clean");
  return true;
}

Status remove_dead_stage(const Database& database, PublishedView& published, std::uint64_t stage,
                         const std::stop_token& stop) {
  const auto view = published.get();
  // Its records may be newer than the view: nothing was published with them.
  View latest = *view;
  latest.snapshot = database.snapshot();
  Deleter out(database);
  StageListCursor list(database, latest, stage, 0);
  for (; list.valid(); list.next()) {
    if (stop.stop_requested()) return stopped();
    BENNU_TRY(out.add(Family::kStaged, staged_key(list.change().key, stage)));
  }
  BENNU_TRY(list.status());
  out.batch()
      .DeleteRange(database.family(Family::kStageLog), be64_key(stage), be64_key(stage + 1))
      .PermitUncheckedError();
  out.batch()
      .Delete(database.family(Family::kMeta), stage_meta_key(meta::kOpenStagePrefix, stage))
      .PermitUncheckedError();
  return out.flush();
}

}  // namespace bennu::kv::embedded
