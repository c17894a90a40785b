#include "kv/embedded/group.hpp"

#include <map>

#include "kv/embedded/recovery.hpp"

namespace bennu::kv::embedded {

namespace {

Event to_event(const Change& change, Revision revision, bool with_prev) {
  Event event{
      .type = change.type, .kv = {.key = change.key, .mod_revision = revision}, .prev_kv = {}};
  if (change.type == EventType::kPut) event.kv = to_key_value(change.key, change.after.view());
  // A version of this same revision was never to be seen from outside.
  if (with_prev && change.before && change.before->mod != revision.value) {
    event.prev_kv.push_back(to_key_value(change.key, change.before->view()));
  }
  return event;
}

}  // namespace

Group::Group(const Database& database, std::shared_ptr<const View> view,
             std::shared_ptr<Group> previous)
    : database_(database),
      view_(std::move(view)),
      previous_(std::move(previous)),
      newest_(previous_ ? previous_->newest_ : view_->revision),
      compacted_(previous_ ? previous_->compacted_ : view_->compacted) {}

Base Group::base() const {
  return Base{.database = &database_,
              .view = view_.get(),
              .in_flight = previous_ ? &previous_->overlay_ : nullptr,
              .open = &overlay_,
              .newest = newest_,
              .compacted = compacted_,
              .lease_exists = {}};
}

bool Group::pending(std::string_view key) const {
  return overlay_.find(key) != nullptr || (previous_ && previous_->overlay_.find(key) != nullptr);
}

// Moves what the view still has of the key to hist. A key that is pending was moved when it became
// so.
Status Group::move_to_history(rocksdb::WriteBatch& batch, const Change& first, bool& in_cur) {
  const auto put_history = [&](const RecordView& record) {
    return batch.Put(database_.family(Family::kHist), history_key(first.key, record.mod),
                     encode(record));
  };
  in_cur = first.before.has_value();
  if (pending(first.key) || view_->stages->empty()) {
    if (!first.before) return {};
    const auto status = put_history(first.before->view());
    return status.ok() ? Status{} : to_error(status, "cannot build a batch");
  }
  in_cur = false;
  BENNU_ASSIGN(const auto located, locate(database_, *view_, first.key));
  for (const auto& one : located) {
    auto status = put_history(one->record);
    if (one->stage == 0) in_cur = true;
    if (status.ok() && one->stage != 0) {
      status = batch.Delete(database_.family(Family::kStaged), staged_key(first.key, one->stage));
    }
    if (!status.ok()) return to_error(status, "cannot build a batch");
  }
  return {};
}

Status Group::add_key(rocksdb::WriteBatch& batch, const Change& first, const Change& last) {
  bool in_cur = false;
  BENNU_TRY(move_to_history(batch, first, in_cur));
  BENNU_TRY(add_lease_keys(batch, first, last));
  auto* const cur = database_.family(Family::kCur);
  rocksdb::Status status;
  if (last.type == EventType::kPut) {
    status = batch.Put(cur, encode_key(first.key), encode(last.after.view()));
  } else {
    if (in_cur) status = batch.Delete(cur, encode_key(first.key));
    const RecordView tombstone{.tombstone = true, .mod = newest_.value + 1};
    if (status.ok() && first.before) {
      status = batch.Put(database_.family(Family::kHist), history_key(first.key, tombstone.mod),
                         encode(tombstone));
    }
  }
  return status.ok() ? Status{} : to_error(status, "cannot build a batch");
}

Status Group::add_lease_keys(rocksdb::WriteBatch& batch, const Change& first, const Change& last) {
  const std::int64_t before = first.before ? first.before->lease : 0;
  const std::int64_t after = last.type == EventType::kPut ? last.after.lease : 0;
  if (before == after) return {};
  auto* const family = database_.family(Family::kLease);
  rocksdb::Status status;
  if (before != 0) status = batch.Delete(family, lease_key_key(before, first.key));
  if (status.ok() && after != 0) status = batch.Put(family, lease_key_key(after, first.key), {});
  return status.ok() ? Status{} : to_error(status, "cannot build a batch");
}

void Group::add_side_effects(const SideEffects& side) {
  for (const auto& lease : side.leases) {
    const std::string key = lease_record_key(lease.id.value);
    auto* const family = database_.family(Family::kLease);
    if (lease.times) {
      batch_.Put(family, key, encode(*lease.times)).PermitUncheckedError();
    } else {
      batch_.Delete(family, key).PermitUncheckedError();
    }
  }
  if (side.compacted) {
    compacted_ = *side.compacted;
    const auto value = be64_key(static_cast<std::uint64_t>(compacted_.value));
    batch_.Put(database_.family(Family::kMeta), rocksdb::Slice(meta::kCompacted), value)
        .PermitUncheckedError();
  }
}

Status Group::absorb(Evaluation& evaluation, WatchHub::Wants wants) {
  auto& changes = evaluation.changes();
  if (changes.empty()) {
    add_side_effects(evaluation.side());
    return {};
  }
  // The first and last change of each key. Most requests change one key once.
  std::map<std::string_view, std::pair<std::size_t, std::size_t>> keys;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto [at, added] = keys.try_emplace(changes[i].key, i, i);
    if (!added) at->second.second = i;
  }
  rocksdb::WriteBatch& batch = batch_;
  batch.SetSavePoint();
  for (const auto& [key, range] : keys) {
    const Status added = add_key(batch, changes[range.first], changes[range.second]);
    if (!added) {
      batch.RollbackToSavePoint().PermitUncheckedError();
      return added;
    }
  }
  batch.PopSavePoint().PermitUncheckedError();
  std::string listed;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    ChangeView view{.type = change.type,
                    .key = change.key,
                    .previous_mod = change.before ? change.before->mod : 0,
                    .superseded = keys.find(change.key)->second.second != i,
                    .record = change.after.view()};
    append_change(listed, view);
  }
  newest_ = newest_.next();
  append_log_entry(log_, newest_.value, {}, changes.size(), listed);
  overlay_.absorb(std::move(evaluation.overlay()));
  add_side_effects(evaluation.side());
  if (!wants.changes) {
    recent_.clear();
    return {};
  }
  ChangeBlock block{.revision = newest_, .changes = {}, .last = true, .with_prev = wants.prev};
  for (const Change& change : changes)
    block.changes.push_back(to_event(change, newest_, wants.prev));
  recent_.push_back(std::move(block));
  return {};
}

void Group::seal() {
  if (log_.empty()) return;
  const auto key = be64_key(static_cast<std::uint64_t>(newest_.value));
  batch_.Put(database_.family(Family::kLog), key, log_).PermitUncheckedError();
}

void Group::finish(Status outcome) {
  outcome_ = std::move(outcome);
  done_.store(1, std::memory_order_release);
  done_.notify_all();
}

const Status& Group::wait() const {
  done_.wait(0, std::memory_order_acquire);
  return outcome_;
}

}  // namespace bennu::kv::embedded
