#include "kv/embedded/stage_commit.hpp"

#include "base/bytes.hpp"
#include "kv/embedded/log_reader.hpp"
#include "kv/embedded/recovery.hpp"
#include "kv/errors.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

// So much may be left to mend while everyone waits, in revisions and in changes. One revision may
// be a stage: such a turn is given back, but not for ever.
constexpr std::int64_t kLastMended = 128;
constexpr std::uint64_t kLastChanges = 4096;
constexpr int kTurns = 4;
constexpr int kMendAtOnce = 512;
constexpr int kIngestAttempts = 20;

Status write_synced(const Database& database, rocksdb::WriteBatch& batch) {
  if (batch.Count() == 0) return {};
  rocksdb::WriteOptions options;
  options.sync = true;
  const auto status = database.db().Write(options, &batch);
  batch.Clear();
  return status.ok() ? Status{} : to_error(status, "cannot write staged changes");
}

}  // namespace

Error stage_conflict() {
  return make_error(Code::kAborted,
                    "the store changed meanwhile: a compare of the staged transaction failed; "
                    "nothing was changed, plan again",
                    reason::kStageConflict);
}

StageCommit::StageCommit(const StageContext& context, const View& base,
                         const StageRegistry::Ticket& ticket, const StageBuilder::Built& built,
                         const StageRule* rule)
    : context_(context),
      database_(*context.database),
      ticket_(ticket),
      built_(built),
      rule_(rule),
      mended_to_(base.revision),
      effective_(built.sum(&StageFiles::Written::effective)),
      unclean_(built.sum(&StageFiles::Written::replaced) > 0) {}

void StageCommit::hit(std::string_view point) const {
  if (context_.fail_point) context_.fail_point(point);
}

Status StageCommit::check(const std::vector<Compare>& compares, const View& view) const {
  Evaluation evaluation(reading(database_, view));
  BENNU_ASSIGN(const bool holds, evaluation.holds(compares));
  return holds ? Status{} : stage_conflict();
}

Result<Revision> StageCommit::run(const TxnRequest& request) {
  // Before anything is in the tables: what fails now needs no clean-up.
  BENNU_TRY(check(request.compares, *context_.published->get()));
  BENNU_TRY(ingest());
  hit("stage.ingested");
  Status done;
  for (int turn = 1; turn <= kTurns; ++turn) {
    bool again = false;
    done = catch_up();
    if (!done) break;
    hit("stage.caught_up");
    done = context_.writer->exclusive(
        [&](Group& group, Evaluation& evaluation, const View& view) -> Status {
          // Another stage may have been committed while this one waited.
          BENNU_ASSIGN(const bool many, much_to_mend(view));
          again = many && turn < kTurns;
          return again ? Status{} : commit(request, group, evaluation, view);
        });
    if (!again) break;
  }
  if (!done) {
    context_.registry->forget_unclean(ticket_.id);
    // After an unknown effect nobody may remove anything: opening again tells which it was.
    if (done.error().effect == Effect::kNone) context_.registry->add_dead(ticket_.id);
    context_.background();
    return done.error();
  }
  hit("stage.committed");
  context_.background();
  return committed_;
}

Status StageCommit::ingest() {
  // From here on a crash leaves records that nobody sees; this says whose they are.
  rocksdb::WriteBatch open;
  open.Put(database_.family(Family::kMeta), stage_meta_key(meta::kOpenStagePrefix, ticket_.id), {})
      .PermitUncheckedError();
  BENNU_TRY(write_synced(database_, open));
  hit("stage.opened");
  std::vector<rocksdb::IngestExternalFileArg> args(2);
  args[0].column_family = database_.family(Family::kStaged);
  args[1].column_family = database_.family(Family::kStageLog);
  for (auto& arg : args) {
    arg.options.move_files = true;
    arg.options.write_global_seqno = false;
  }
  for (const auto& part : built_.parts) {
    args[0].external_files.insert(args[0].external_files.end(), part.staged.begin(),
                                  part.staged.end());
    args[1].external_files.insert(args[1].external_files.end(), part.list.begin(), part.list.end());
  }
  // Memtables that overlap the files must be written out first. RocksDB would do it while it holds
  // up all writers, and may then find, for a moment, the old memtable still in place: it says
  // TryAgain.
  rocksdb::Status status;
  for (int i = 0; i < kIngestAttempts; ++i) {
    status = database_.db().Flush({}, {args[0].column_family, args[1].column_family});
    if (status.ok()) status = database_.db().IngestExternalFiles(args);
    if (!status.IsTryAgain()) break;
  }
  return status.ok() ? Status{} : to_error(status, "cannot take in staged changes");
}

// Mends most of what others changed without holding anyone up.
Status StageCommit::catch_up() {
  auto view = context_.published->get();
  do {
    rocksdb::WriteBatch batch;
    BENNU_TRY(mend_since(mended_to_, *view, batch, true));
    mended_to_ = view->revision;
    view = context_.published->get();
  } while (view->revision.value - mended_to_.value > kLastMended);
  return {};
}

Result<bool> StageCommit::much_to_mend(const View& view) const {
  std::uint64_t changes = 0;
  LogCursor log(database_, view, mended_to_.next());
  for (; log.valid() && changes <= kLastChanges; log.next()) {
    changes += log.entry().stage_changes + log.entry().changes.size();
  }
  BENNU_TRY(log.status());
  return changes > kLastChanges;
}

// A key is mended once per batch: mending reads what the tables say.
Status StageCommit::mend_since(Revision from, const View& view, rocksdb::WriteBatch& batch,
                               bool write_through) {
  std::set<std::string, std::less<>> keys;
  const auto flush = [&](std::size_t limit) -> Status {
    if (keys.size() < limit || (limit > 1 && !write_through)) return {};
    for (const std::string& key : keys) BENNU_TRY(mend(key, view, batch));
    keys.clear();
    return write_through ? write_synced(database_, batch) : Status{};
  };
  LogCursor log(database_, view, from.next());
  for (; log.valid(); log.next()) {
    const LogEntryView& entry = log.entry();
    if (entry.stage != 0) {
      StageListCursor list(database_, view, entry.stage, 0);
      for (; list.valid(); list.next()) {
        keys.emplace(list.change().key);
        BENNU_TRY(flush(kMendAtOnce));
      }
      BENNU_TRY(list.status());
    }
    for (const ChangeView& change : entry.changes) keys.emplace(change.key);
    BENNU_TRY(flush(kMendAtOnce));
  }
  BENNU_TRY(log.status());
  return flush(1);
}

// Someone else changed a key since the stage looked it up: if it is staged, its record follows
// theirs.
Status StageCommit::mend(std::string_view key, const View& view, rocksdb::WriteBatch& batch) {
  const std::string record_key = staged_key(key, ticket_.id);
  std::string bytes;
  auto status = database_.db().Get({}, database_.family(Family::kStaged), record_key, &bytes);
  if (status.IsNotFound()) {
    if (rule_ == nullptr) return {};
    BENNU_ASSIGN(const auto now, find_key(database_, view, key, view.revision));
    if (now && rule_->takes(key, *now)) late_.emplace(key);
    return {};
  }
  if (!status.ok()) return to_error(status, "cannot read staged changes");
  if (conditional_) return stage_conflict();
  const auto old = decode_record(bytes);
  if (!old) return corrupt_record("staged", record_key);
  BENNU_ASSIGN(const auto now, find_key(database_, view, key, view.revision));
  if (rule_ != nullptr && now && !rule_->takes(key, *now)) {
    return make_error(Code::kAborted, "a key is not to be deleted any more", kStageOutdated);
  }
  const auto existing = now ? std::optional(now->view()) : std::nullopt;
  const std::string record =
      staged_record(existing, old->tombstone ? std::nullopt : std::optional(old->value));
  BENNU_ASSIGN(const std::uint64_t index, find_in_list(key));
  std::string change;
  append_change(change, {.type = old->tombstone ? EventType::kDelete : EventType::kPut,
                         .key = key,
                         .previous_mod = now ? now->mod : 0,
                         .superseded = false,
                         .record = {}});
  status = batch.Put(database_.family(Family::kStaged), record_key, record);
  if (status.ok()) {
    status = batch.Put(database_.family(Family::kStageLog), be64_key(ticket_.id) + be64_key(index),
                       change);
  }
  if (!status.ok()) return to_error(status, "cannot build a batch");
  const bool existed = old->create != 0;
  const bool exists = existing.has_value();
  if (existed != exists) {
    corrections_.push_back({.key = std::string(key), .delta = existed ? 1 : -1});
    if (old->tombstone) effective_ += exists ? 1 : std::uint64_t(-1);
  }
  unclean_ = unclean_ || exists;
  return {};
}

Result<std::uint64_t> StageCommit::find_in_list(std::string_view key) const {
  std::uint64_t first = 0;
  for (const auto& part : built_.parts) {
    std::uint64_t low = first;
    std::uint64_t high = first + part.changes;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      std::string bytes;
      const auto status = database_.db().Get({}, database_.family(Family::kStageLog),
                                             be64_key(ticket_.id) + be64_key(middle), &bytes);
      if (!status.ok()) return to_error(status, "cannot read a stage's list");
      std::string_view view = bytes;
      const auto change = take_change(view);
      if (!change) return corrupt_record("stagelog", be64_key(ticket_.id));
      if (change->key == key) return middle;
      if (change->key < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    first += part.changes;
  }
  return corrupt_record("stagelog", key);
}

// Deletes what came to be under the rule after the stage was built.
Status StageCommit::erase_late(Evaluation& evaluation, const View& view) const {
  for (const std::string& key : late_) {
    BENNU_ASSIGN(const auto now, find_key(database_, view, key, view.revision));
    if (!now || !rule_->takes(key, *now)) continue;
    BENNU_TRY(evaluation.erase({.range = {.key = key, .end = {}}}));
  }
  return {};
}

// Runs while nothing else is pending.
Status StageCommit::commit(const TxnRequest& request, Group& group, Evaluation& evaluation,
                           const View& view) {
  BENNU_ASSIGN(response_, evaluation.txn(request));
  if (!response_.succeeded) return stage_conflict();
  for (const Change& change : evaluation.changes()) {
    std::string ignored;
    const auto status = database_.db().Get({}, database_.family(Family::kStaged),
                                           staged_key(change.key, ticket_.id), &ignored);
    if (status.ok()) return errors::duplicate_key();
    if (!status.IsNotFound()) return to_error(status, "cannot read staged changes");
  }
  BENNU_TRY(mend_since(mended_to_, view, group.batch(), false));
  if (rule_ != nullptr) {
    BENNU_TRY(erase_late(evaluation, view));
    BENNU_TRY(rule_->last(evaluation));
  }
  if (effective_ == 0 && evaluation.changes().empty()) {
    // Deletes of what is not there: no revision.
    group.batch().Clear();
    context_.registry->add_dead(ticket_.id);
    committed_ = view.revision;
    unclean_ = false;
    return group.absorb(evaluation, {});  // a lease may go all the same
  }
  const StageRef stage{.id = ticket_.id, .changes = built_.sum(&StageFiles::Written::changes)};
  BENNU_TRY(group.absorb(evaluation, {}, stage));
  committed_ = group.newest();
  return add_commit_record(group, view);
}

Status StageCommit::add_commit_record(Group& group, const View& view) {
  Status looked;
  const auto keys_in = [&](const KeyRange& range) {
    return keys_of(database_, view, range, looked);
  };
  auto blocks = view.counts->blocks();
  for (const auto& part : built_.parts) {
    if (!part.intervals.empty()) blocks = merge_intervals(blocks, part.intervals, keys_in);
  }
  BENNU_TRY(looked);
  auto counts =
      std::make_shared<const CountIndex>(blocks)->apply(corrections_)->apply(group.deltas());
  auto stages = std::make_shared<StageTable>(*view.stages);
  stages->emplace(ticket_.id, committed_.value);

  if (unclean_) context_.registry->add_unclean(ticket_.id);
  auto& batch = group.batch();
  auto* const family = database_.family(Family::kMeta);
  auto status = batch.Put(family, stage_meta_key(meta::kStagePrefix, ticket_.id),
                          stage_meta_value(committed_, unclean_));
  if (status.ok()) {
    status = batch.Delete(family, stage_meta_key(meta::kOpenStagePrefix, ticket_.id));
  }
  // Replaying a large stage at open would take too long.
  if (status.ok()) {
    status = batch.Put(family, rocksdb::Slice(meta::kCounts), counts->save(committed_));
  }
  group.counts = std::move(counts);
  group.stages = std::move(stages);
  return status.ok() ? Status{} : to_error(status, "cannot build a batch");
}

}  // namespace bennu::kv::embedded
