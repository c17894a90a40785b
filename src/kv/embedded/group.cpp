#include "kv/embedded/group.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "kv/embedded/recovery.hpp"

namespace bennu::kv::embedded {

namespace {

// What watches see as the version before: that of an earlier revision. Of a key that changed twice
// in this one, the version in between was never to be seen from outside.
const std::optional<Record>& before_revision(const std::vector<Change>& changes, std::size_t at,
                                             Revision revision) {
  const auto& before = changes[at].before;
  if (!before || before->mod != revision.value) return before;
  const auto same_key = [&](const Change& change) { return change.key == changes[at].key; };
  return std::ranges::find_if(changes, same_key)->before;
}

Event to_event(const std::vector<Change>& changes, std::size_t at, Revision revision,
               bool with_prev) {
  const Change& change = changes[at];
  Event event{
      .type = change.type, .kv = {.key = change.key, .mod_revision = revision}, .prev_kv = {}};
  if (change.type == EventType::kPut) event.kv = to_key_value(change.key, change.after.view());
  if (!with_prev) return event;
  if (const auto& before = before_revision(changes, at, revision)) {
    event.prev_kv.push_back(to_key_value(change.key, before->view()));
  }
  return event;
}

}  // namespace

// Takes back what a request added unless it is kept: an error, or an exception, in the middle
// leaves the requests before it as they were.
class Group::Undo {
 public:
  explicit Undo(Group& group)
      : group_(group),
        newest_(group.newest_),
        compacted_(group.compacted_),
        log_size_(group.log_.size()),
        deltas_(group.deltas_.size()) {
    group.batch_.SetSavePoint();
  }
  ~Undo() {
    if (kept_) {
      group_.batch_.PopSavePoint().PermitUncheckedError();
      return;
    }
    group_.batch_.RollbackToSavePoint().PermitUncheckedError();
    group_.newest_ = newest_;
    group_.compacted_ = compacted_;
    group_.log_.resize(log_size_);
    group_.deltas_.resize(deltas_);
  }
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  void keep() { kept_ = true; }

 private:
  Group& group_;
  const Revision newest_;
  const Revision compacted_;
  const std::size_t log_size_;
  const std::size_t deltas_;
  bool kept_ = false;
};

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

// Moves one version to hist, with whatever belongs to it.
Status Group::move_out(std::string_view key, const Located& one) {
  rocksdb::Status status;
  // A tombstone of a key that did not exist says nothing.
  if (!one.record.tombstone || one.record.create != 0) {
    status = batch_.Put(database_.family(Family::kHist), history_key(key, one.record.mod),
                        encode(one.record));
  }
  if (status.ok()) {
    status = one.stage == 0
                 ? batch_.Delete(database_.family(Family::kCur), encode_key(key))
                 : batch_.Delete(database_.family(Family::kStaged), staged_key(key, one.stage));
  }
  if (status.ok() && one.record.lease != 0) {
    status = batch_.Delete(database_.family(Family::kLease), lease_key_key(one.record.lease, key));
  }
  return status.ok() ? Status{} : to_error(status, "cannot build a batch");
}

// Moves what is there of a key that changes to hist. If it is pending, that was done when it became
// so, and its newest version will be in cur.
Status Group::move_to_history(const Change& first, bool& in_cur) {
  if (pending(first.key) || view_->stages->empty()) {
    in_cur = first.before.has_value();
    if (!first.before) return {};
    const RecordView record = first.before->view();
    const auto status = batch_.Put(database_.family(Family::kHist),
                                   history_key(first.key, record.mod), encode(record));
    return status.ok() ? Status{} : to_error(status, "cannot build a batch");
  }
  in_cur = false;
  BENNU_ASSIGN(const auto located, locate(database_, *view_, first.key));
  for (const auto& one : located) BENNU_TRY(move_out(first.key, *one));
  return {};
}

Status Group::add_key(const Change& first, const Change& last) {
  bool in_cur = false;
  BENNU_TRY(move_to_history(first, in_cur));
  BENNU_TRY(add_lease_keys(first, last));
  auto* const cur = database_.family(Family::kCur);
  rocksdb::Status status;
  if (last.type == EventType::kPut) {
    status = batch_.Put(cur, encode_key(first.key), encode(last.after.view()));
  } else {
    if (in_cur) status = batch_.Delete(cur, encode_key(first.key));
    const RecordView tombstone{.tombstone = true, .mod = newest_.value + 1};
    if (status.ok() && first.before) {
      status = batch_.Put(database_.family(Family::kHist), history_key(first.key, tombstone.mod),
                          encode(tombstone));
    }
  }
  return status.ok() ? Status{} : to_error(status, "cannot build a batch");
}

Status Group::add_lease_keys(const Change& first, const Change& last) {
  const std::int64_t before = first.before ? first.before->lease : 0;
  const std::int64_t after = last.type == EventType::kPut ? last.after.lease : 0;
  // Beside stages, moving the old version out took the key off its lease.
  if (before == after && view_->stages->empty()) return {};
  auto* const family = database_.family(Family::kLease);
  rocksdb::Status status;
  if (before != 0 && before != after)
    status = batch_.Delete(family, lease_key_key(before, first.key));
  if (status.ok() && after != 0) status = batch_.Put(family, lease_key_key(after, first.key), {});
  return status.ok() ? Status{} : to_error(status, "cannot build a batch");
}

// Leaves the newest version where it is and moves the older ones to hist; a tombstone goes there,
// too.
Status Group::clean(std::string_view key) {
  if (pending(key)) return {};  // a change does the same
  BENNU_ASSIGN(const auto located, locate(database_, *view_, key));
  const bool gone = !located.empty() && located.front()->record.tombstone;
  for (std::size_t i = gone ? 0 : 1; i < located.size(); ++i) {
    BENNU_TRY(move_out(key, *located[i]));
  }
  return {};
}

Status Group::add_side_effects(const SideEffects& side) {
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
  for (const std::string& key : side.clean) BENNU_TRY(clean(key));
  return {};
}

Status Group::add_changes(const std::vector<Change>& changes, StageRef stage) {
  // The first and last change of each key. Most requests change one key once.
  std::map<std::string_view, std::pair<std::size_t, std::size_t>> keys;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto [at, added] = keys.try_emplace(changes[i].key, i, i);
    if (!added) at->second.second = i;
  }
  for (const auto& [key, range] : keys) {
    BENNU_TRY(add_key(changes[range.first], changes[range.second]));
  }
  std::string listed;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    append_change(listed, {.type = change.type,
                           .key = change.key,
                           .previous_mod = change.before ? change.before->mod : 0,
                           .superseded = keys.find(change.key)->second.second != i,
                           .record = change.after.view()});
    const bool put = change.type == EventType::kPut;
    if (put && !change.before) deltas_.push_back({.key = change.key, .delta = 1});
    if (!put) deltas_.push_back({.key = change.key, .delta = -1});
  }
  newest_ = newest_.next();
  append_log_entry(log_, newest_.value, stage, changes.size(), listed);
  return {};
}

Status Group::absorb(Evaluation& evaluation, WatchHub::Wants wants, StageRef stage) {
  Undo undo(*this);
  BENNU_TRY(add_side_effects(evaluation.side()));
  const auto& changes = evaluation.changes();
  if (!changes.empty() || stage.id != 0) {
    BENNU_TRY(add_changes(changes, stage));
    // What watchers get must be whole revisions that end at the newest; a stage is read from the
    // log.
    if (!wants.changes || stage.id != 0) {
      recent_.clear();
    } else {
      add_recent(changes, wants.prev);
    }
    overlay_.absorb(std::move(evaluation.overlay()));
  }
  undo.keep();
  return {};
}

void Group::add_recent(const std::vector<Change>& changes, bool with_prev) {
  ChangeBlock block{.revision = newest_, .changes = {}, .last = true, .with_prev = with_prev};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    block.changes.push_back(to_event(changes, i, newest_, with_prev));
  }
  recent_.push_back(std::move(block));
}

void Group::seal() {
  if (log_.empty()) return;
  const auto key = be64_key(static_cast<std::uint64_t>(newest_.value));
  batch_.Put(database_.family(Family::kLog), key, log_).PermitUncheckedError();
}

void Group::finish(Status outcome) {
  outcome_ = std::move(outcome);
  turn_.open();
  done_.open();
}

void Group::wait_for_turn() const { turn_.wait(); }

const Status& Group::wait() const {
  done_.wait();
  return outcome_;
}

}  // namespace bennu::kv::embedded
