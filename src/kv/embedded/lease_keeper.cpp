#include "kv/embedded/lease_keeper.hpp"

#include <algorithm>

#include "kv/embedded/lease_codec.hpp"

namespace bennu::kv::embedded {
namespace {

using std::chrono::nanoseconds;

// Of one turn of the thread; more are for the next.
constexpr std::size_t kMostExpired = 1000;
constexpr std::size_t kMostCheckpoints = 1000;
// How long to leave a store alone that cannot be written.
constexpr nanoseconds kAfterFailure = std::chrono::seconds{1};
// A clock that tests move does not say when it will.
constexpr nanoseconds kOtherClock = std::chrono::milliseconds{10};

}  // namespace

Result<std::vector<LeaseRecord>> read_leases(const Database& database) {
  std::vector<LeaseRecord> records;
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db().NewIterator({}, database.family(Family::kLease)));
  for (it->Seek(rocksdb::Slice(kLeaseRecordPrefix)); it->Valid(); it->Next()) {
    const std::string_view key = it->key().ToStringView();
    if (!key.starts_with(kLeaseRecordPrefix)) break;
    const auto record = decode_lease(key, it->value().ToStringView());
    if (!record) return corrupt_record("lease", key);
    records.push_back(*record);
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot read the leases");
  return records;
}

LeaseKeeper::LeaseKeeper(LeaseTable& table, Writer& writer, const Database& database,
                         PublishedView& published, const env::Clock& clock)
    : table_(table),
      writer_(writer),
      database_(database),
      published_(published),
      real_time_(&clock == &env::system_clock()) {}

LeaseKeeper::~LeaseKeeper() { stop(); }

void LeaseKeeper::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void LeaseKeeper::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    granted_.notify_all();
  }
  thread_.join();
  // If this fails, a lease only gets more time than it had.
  (void)write_checkpoints(true);
}

Result<LeaseGrantResponse> LeaseKeeper::grant(const LeaseGrantRequest& request) {
  LeaseGrantResponse response;
  const Status done = writer_.execute([&](Evaluation& evaluation) -> Status {
    BENNU_ASSIGN(const LeaseRecord record, table_.grant(request.id, request.ttl_s));
    response = {.revision = evaluation.revision(), .id = record.id, .ttl_s = record.ttl_s};
    evaluation.write_lease(record);
    return {};
  });
  if (!done) {
    if (response.id.value != 0) (void)table_.take(response.id);
    return done.error();
  }
  const std::lock_guard lock(mutex_);
  look_ = true;
  granted_.notify_one();
  return response;
}

Result<Revision> LeaseKeeper::revoke(LeaseId id) { return revoke(id, false); }

Result<Revision> LeaseKeeper::revoke(LeaseId id, bool only_expired) {
  std::optional<LeaseTable::Taken> taken;
  Revision revision;
  const Status done = writer_.execute([&](Evaluation& evaluation) -> Status {
    BENNU_ASSIGN(taken, only_expired ? table_.take_expired(id) : table_.take(id));
    BENNU_TRY(evaluation.revoke(id));
    revision = evaluation.revision();
    return {};
  });
  if (done) return revision;
  if (taken) table_.put_back(*taken);
  return done.error();
}

Result<LeaseKeepAliveResponse> LeaseKeeper::keep_alive(LeaseId id) {
  BENNU_ASSIGN(const auto kept, table_.keep_alive(id));
  if (kept.write_first) {
    BENNU_TRY(write({*kept.write_first}));
    table_.cleared(id, kept.token);
  }
  return LeaseKeepAliveResponse{.revision = published_.get()->revision, .ttl_s = kept.ttl_s};
}

Result<LeaseTimeToLiveResponse> LeaseKeeper::time_to_live(LeaseId id, bool with_keys) {
  const auto view = published_.get();
  const auto life = table_.life(id);
  if (!life) return LeaseTimeToLiveResponse{.revision = view->revision, .ttl_s = -1, .keys = {}};
  LeaseTimeToLiveResponse response{.revision = view->revision,
                                   .granted_ttl_s = life->granted_ttl_s,
                                   .ttl_s = life->remaining_s,
                                   .keys = {}};
  if (with_keys) {
    Evaluation evaluation(
        Base{.database = &database_, .view = view.get(), .newest = view->revision});
    BENNU_ASSIGN(response.keys, evaluation.lease_keys(id));
  }
  return response;
}

LeasesResponse LeaseKeeper::list() {
  return {.revision = published_.get()->revision, .leases = table_.ids()};
}

Status LeaseKeeper::write(const std::vector<LeaseRecord>& records) {
  return writer_.execute([&](Evaluation& evaluation) -> Status {
    for (const LeaseRecord& record : records) {
      // Revoked in the meantime: its record must not come back.
      if (table_.contains(record.id)) evaluation.write_lease(record);
    }
    return {};
  });
}

Status LeaseKeeper::write_checkpoints(bool final) {
  return writer_.execute([&](Evaluation& evaluation) -> Status {
    // Asked for here, at their place in the order of writes: see LeaseTable::checkpoints.
    const auto records = final ? table_.final_checkpoints() : table_.checkpoints(kMostCheckpoints);
    for (const LeaseRecord& record : records) evaluation.write_lease(record);
    return {};
  });
}

Status LeaseKeeper::work() {
  for (const LeaseId id : table_.expired(kMostExpired)) {
    const auto revoked = revoke(id, true);
    // Someone else may have revoked it, or kept it alive.
    if (!revoked && revoked.error().code != Code::kNotFound) return revoked.error();
  }
  if (table_.checkpoint_due()) BENNU_TRY(write_checkpoints(false));
  return {};
}

void LeaseKeeper::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    nanoseconds wait = table_.tick();
    if (!work()) wait = kAfterFailure;
    const bool some = wait != nanoseconds::max();
    if (some && !real_time_) wait = kOtherClock;
    std::unique_lock lock(mutex_);
    const auto called = [&] { return look_ || stop.stop_requested(); };
    if (some) {
      granted_.wait_for(lock, wait, called);
    } else {
      granted_.wait(lock, called);
    }
    look_ = false;
  }
}

}  // namespace bennu::kv::embedded
