#include "kv/embedded/leases.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "kv/embedded/reader.hpp"
#include "kv/embedded/stage_commit.hpp"
#include "kv/embedded/sweep.hpp"

namespace bennu::kv::embedded {
namespace {

using std::chrono::nanoseconds;

constexpr std::size_t kExpiredAtOnce = 64;
constexpr std::size_t kCheckpointsAtOnce = 1000;
// How long to leave a store alone that cannot be written.
constexpr nanoseconds kAfterFailure = std::chrono::seconds{1};
// A clock that tests move does not say when it will.
constexpr nanoseconds kOtherClock = std::chrono::milliseconds{10};

SideEffects::LeaseWrite to_write(const LeaseRecord& record) {
  return {.id = record.id,
          .times = LeaseTimes{.ttl_s = record.ttl_s, .remaining_s = record.remaining_s}};
}

}  // namespace

Status Leases::restore(const Database& database, LeaseTable& table) {
  std::vector<LeaseRecord> records;
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db().NewIterator({}, database.family(Family::kLease)));
  for (it->Seek(std::string(1, kLeaseRecordMark)); it->Valid(); it->Next()) {
    const std::string_view key = it->key().ToStringView();
    if (!key.starts_with(kLeaseRecordMark)) break;
    const auto times = decode_lease(it->value().ToStringView());
    if (key.size() != 9 || !times) return corrupt_record("lease", key);
    records.push_back({.id = {static_cast<std::int64_t>(read_be64(key.substr(1)))},
                       .ttl_s = times->ttl_s,
                       .remaining_s = times->remaining_s});
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot read the leases");
  table.restore(records);
  return {};
}

void Leases::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void Leases::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  wake_.notify_all();
  thread_.join();
  // If this fails, each lease has more time after the restart than it had left, never less.
  (void)write([this] { return table_.final_checkpoints(); });
}

Status Leases::work() {
  for (const LeaseId id : table_.expired(kExpiredAtOnce)) {
    const auto revoked = revoke(id, true);
    // Someone else may have revoked it, or kept it alive.
    if (!revoked && revoked.error().code != Code::kNotFound) return revoked.error();
  }
  if (!table_.checkpoint_due()) return {};
  return write([this] { return table_.checkpoints(kCheckpointsAtOnce); });
}

void Leases::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    nanoseconds pause = table_.tick();
    // Whoever fails stays expired and is tried again.
    if (!work()) pause = kAfterFailure;
    const bool some = pause != nanoseconds::max();
    if (some && !real_time_) pause = kOtherClock;
    std::unique_lock lock(mutex_);
    if (some) {
      wake_.wait_for(lock, stop, pause, [this] { return granted_; });
    } else {
      wake_.wait(lock, stop, [this] { return granted_; });
    }
    granted_ = false;
  }
}

Status Leases::write(const std::function<std::vector<LeaseRecord>()>& records) {
  return writer_.execute([&](Evaluation& evaluation) -> Status {
    for (const LeaseRecord& record : records()) {
      // Revoked in the meantime: its record must not come back.
      if (table_.contains(record.id)) evaluation.side().leases.push_back(to_write(record));
    }
    return {};
  });
}

Result<LeaseGrantResponse> Leases::grant(const LeaseGrantRequest& request) {
  std::optional<LeaseRecord> granted;
  const Status written = writer_.execute([&](Evaluation& evaluation) -> Status {
    BENNU_ASSIGN(granted, table_.grant(request.id, request.ttl_s));
    evaluation.side().leases.push_back(to_write(*granted));
    return {};
  });
  if (!written) {
    if (granted) (void)table_.take(granted->id);
    return written.error();
  }
  {
    const std::lock_guard lock(mutex_);
    granted_ = true;
  }
  wake_.notify_all();
  return LeaseGrantResponse{
      .revision = published_.get()->revision, .id = granted->id, .ttl_s = granted->ttl_s};
}

Result<Revision> Leases::revoke(LeaseId id) { return revoke(id, false); }

Result<Revision> Leases::revoke(LeaseId id, bool only_expired) {
  for (int sweeps_left = kSweepAttempts;; --sweeps_left) {
    std::optional<LeaseTable::Taken> taken;
    const auto take = [&](Evaluation& evaluation) -> Status {
      BENNU_ASSIGN(taken, only_expired ? table_.take_expired(id) : table_.take(id));
      evaluation.side().leases.push_back({.id = id, .times = std::nullopt});
      return {};
    };
    Revision revision;
    const Status written = writer_.execute([&](Evaluation& evaluation) -> Status {
      if (sweeps_left > 0) evaluation.limit_deletes(stages_.spill_changes, Stage::kSpillBytes);
      BENNU_TRY(evaluation.erase_lease_keys(id));
      revision = evaluation.revision();
      return take(evaluation);
    });
    if (written) return revision;
    if (written.error().reason != kNeedsStage) {
      if (taken) table_.put_back(*taken);
      return written.error();
    }
    const auto swept = sweep_lease(stages_, id, take);
    if (swept) return swept;
    if (taken) table_.put_back(*taken);
    if (swept.error().reason != kStageOutdated) return swept;
  }
}

Result<LeaseKeepAliveResponse> Leases::keep_alive(LeaseId id) {
  BENNU_ASSIGN(const auto renewed, table_.keep_alive(id));
  if (renewed.write_first) {
    BENNU_TRY(write([&] { return std::vector{*renewed.write_first}; }));
    table_.cleared(id, renewed.token);
  }
  return LeaseKeepAliveResponse{.revision = published_.get()->revision, .ttl_s = renewed.ttl_s};
}

Result<LeaseTimeToLiveResponse> Leases::time_to_live(LeaseId id, bool with_keys) {
  const auto view = published_.get();
  const auto life = table_.life(id);
  if (!life) return LeaseTimeToLiveResponse{.revision = view->revision, .ttl_s = -1, .keys = {}};
  LeaseTimeToLiveResponse response{.revision = view->revision,
                                   .granted_ttl_s = life->granted_ttl_s,
                                   .ttl_s = life->remaining_s,
                                   .keys = {}};
  if (!with_keys) return response;
  const std::string prefix = lease_key_key(id.value, {});
  const std::unique_ptr<rocksdb::Iterator> it(
      database_.db().NewIterator(view->read_options(), database_.family(Family::kLease)));
  for (it->Seek(prefix); it->Valid() && it->key().ToStringView().starts_with(prefix); it->Next()) {
    std::string key(it->key().ToStringView().substr(prefix.size()));
    BENNU_ASSIGN(const auto record, find_key(database_, *view, key, view->revision));
    if (record && record->lease == id.value) response.keys.push_back(std::move(key));
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot read the keys of a lease");
  return response;
}

Result<LeasesResponse> Leases::list() {
  return LeasesResponse{.revision = published_.get()->revision, .leases = table_.ids()};
}

}  // namespace bennu::kv::embedded
