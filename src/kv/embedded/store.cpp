#include "kv/embedded/store.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "kv/embedded/hash.hpp"
#include "kv/embedded/recovery.hpp"
#include "kv/embedded/stage_commit.hpp"
#include "kv/embedded/sweep.hpp"
#include "kv/errors.hpp"
#include "kv/reasons.hpp"
#include "kv/txn_rules.hpp"

namespace bennu::kv {

Result<std::unique_ptr<Store>> open_embedded(const EngineOptions& options) {
  BENNU_ASSIGN(auto store, embedded::EmbeddedStore::open(options));
  return std::unique_ptr<Store>(std::move(store));
}

namespace embedded {
namespace {

const env::Clock& clock_of(const EngineOptions& options) {
  return options.clock != nullptr ? *options.clock : env::system_clock();
}

env::Random& random_of(const EngineOptions& options) {
  return options.random != nullptr ? *options.random : env::system_random();
}

// Whether a request reads at a revision of its own choice, which may still be pending.
bool reads_old_revision(const TxnRequest& request) {
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const Op& op : *branch) {
      const auto* range = std::get_if<RangeRequest>(&op.request);
      if (range != nullptr && range->revision.value > 0) return true;
      const auto* nested = std::get_if<TxnRequest>(&op.request);
      if (nested != nullptr && reads_old_revision(*nested)) return true;
    }
  }
  return false;
}

// Whether a transaction is so large that others would have to wait for it, and only puts: then it
// is staged.
bool fits_a_stage(const TxnRequest& request, std::size_t spill_changes) {
  if (!request.failure.empty()) return false;
  std::size_t bytes = 0;
  for (const Op& op : request.success) {
    const auto* put = std::get_if<PutRequest>(&op.request);
    if (put == nullptr || put->lease.value != 0 || put->prev_kv || put->ignore_value ||
        put->ignore_lease) {
      return false;
    }
    bytes += put->key.size() + put->value.size();
  }
  return request.success.size() > spill_changes || bytes > Stage::kSpillBytes;
}

}  // namespace

Result<std::unique_ptr<EmbeddedStore>> EmbeddedStore::open(const EngineOptions& options) {
  const auto open_as = [&](bool read_only) {
    return open_database({.path = options.path,
                          .create_if_missing = options.create_if_missing,
                          .read_only = read_only,
                          .memory_budget_bytes = options.memory_budget_bytes});
  };
  auto opened = open_as(options.read_only);
  std::optional<Error> full;
  if (!opened && opened.error().reason == reason::kNoSpace) {
    // What is there can be read all the same.
    full = opened.error();
    opened = open_as(true);
  }
  if (!opened) return full ? *full : opened.error();
  auto database = std::move(*opened);
  const bool read_only = options.read_only || full;
  if (!read_only) BENNU_TRY(initialise(*database, options.initial_revision));
  BENNU_ASSIGN(auto recovered, recover(*database));
  std::unique_ptr<EmbeddedStore> store(
      new EmbeddedStore(options, std::move(database), std::move(recovered)));
  store->read_only_ = read_only;
  store->full_ = std::move(full);
  BENNU_TRY(Leases::restore(*store->database_, store->lease_table_));
  if (!read_only) {
    std::error_code ignored;  // what cannot be removed is only in the way of nobody
    std::filesystem::remove_all(staging_folder(*store->database_), ignored);
    store->leases_.start();
    store->background_.start(store->writer_);
  }
  return store;
}

EmbeddedStore::EmbeddedStore(const EngineOptions& options, std::unique_ptr<Database> database,
                             Recovered recovered)
    : database_(std::move(database)),
      published_(recovered.view),
      test_hooks_(options.test_hooks),
      source_(*database_, published_),
      watches_(source_, clock_of(options), {}),
      lease_table_(clock_of(options), random_of(options),
                   {.max_tick_gap = options.lease_stall_limit}),
      stages_(recovered.next_stage),
      background_(*database_, published_, stages_, recovered.counts_saved, test_hooks_.fail_point),
      writer_(*database_, published_,
              {.lease_exists = [this](LeaseId id) { return lease_table_.contains(id); },
               .watches = &watches_,
               .background = [this] { background_.wake(); },
               .fail_point = test_hooks_.fail_point}),
      leases_(*database_, published_, writer_, lease_table_, clock_of(options), stage_context()) {
  for (const std::uint64_t id : recovered.unclean_stages) stages_.add_unclean(id);
  for (const std::uint64_t id : recovered.dead_stages) stages_.add_dead(id);
}

EmbeddedStore::~EmbeddedStore() {
  watches_.close();
  leases_.stop();
  background_.stop();
}

Status EmbeddedStore::check_writable() const {
  if (full_) return *full_;
  if (!read_only_) return {};
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("the store in {} is open for reading only", database_->path().string()));
}

Capabilities EmbeddedStore::capabilities() const {
  return {.max_txn_ops = 0, .atomic_staging = true, .nested_compare_ranges = true};
}

Result<RangeResponse> EmbeddedStore::range(const RangeRequest& request) {
  BENNU_TRY(validate(request));
  const auto view = published_.get();
  Evaluation evaluation(reading(*database_, *view));
  return evaluation.range(request);
}

Result<Revision> EmbeddedStore::scan(const KeyRange& range, Revision revision,
                                     const std::function<Status(KeyValue&)>& visit) {
  BENNU_TRY(validate(RangeRequest{.range = range}));
  const auto view = published_.get();
  if (revision > view->revision) return errors::future_revision();
  if (revision.value > 0 && revision < view->compacted) return errors::compacted();
  const Revision at = revision.value > 0 ? revision : view->revision;
  Cursor cursor(*database_, *view, {}, range, at);
  for (; cursor.valid(); cursor.next()) {
    KeyValue kv = to_key_value(cursor.key(), cursor.record());
    BENNU_TRY(visit(kv));
  }
  BENNU_TRY(cursor.status());
  return at;
}

Result<PutResponse> EmbeddedStore::put(const PutRequest& request) {
  BENNU_TRY(check_writable());
  BENNU_TRY(validate(request));
  PutResponse response;
  BENNU_TRY(writer_.execute([&](Evaluation& evaluation) -> Status {
    BENNU_ASSIGN(response, evaluation.put(request));
    return {};
  }));
  return response;
}

Result<DeleteRangeResponse> EmbeddedStore::delete_range(const DeleteRangeRequest& request) {
  BENNU_TRY(check_writable());
  BENNU_TRY(validate(request));
  BENNU_ASSIGN(auto done, run({.compares = {}, .success = {Op{request}}, .failure = {}}));
  return std::get<DeleteRangeResponse>(std::move(done.responses[0].response));
}

Result<TxnResponse> EmbeddedStore::txn(const TxnRequest& request) {
  BENNU_TRY(validate(request));
  if (is_read_only(request)) {
    const auto view = published_.get();
    Evaluation evaluation(reading(*database_, *view));
    return evaluation.txn(request);
  }
  BENNU_TRY(check_writable());
  if (fits_a_stage(request, test_hooks_.stage_spill_changes)) return txn_by_stage(request);
  return run(request);
}

// Deletes of very much become a stage; others may overtake that a few times.
Result<TxnResponse> EmbeddedStore::run(const TxnRequest& request) {
  const std::size_t spill_changes = test_hooks_.stage_spill_changes;
  int sweeps_left = fits_a_sweep(request, spill_changes) ? kSweepAttempts : 0;
  for (;; --sweeps_left) {
    TxnResponse response;
    const auto evaluate = [&](Evaluation& evaluation) -> Status {
      if (sweeps_left > 0) evaluation.limit_deletes(spill_changes, Stage::kSpillBytes);
      BENNU_ASSIGN(response, evaluation.txn(request));
      return {};
    };
    const Status done = writer_.execute(evaluate, reads_old_revision(request));
    if (done) return response;
    if (done.error().reason != kNeedsStage) return done.error();
    auto swept = sweep(stage_context(), request);
    if (swept || swept.error().reason != kStageOutdated) return swept;
  }
}

Result<TxnResponse> EmbeddedStore::txn_by_stage(const TxnRequest& request) {
  const auto stage = std::make_unique<Stage>(stage_context());
  for (const Op& op : request.success) {
    const auto& put_request = std::get<PutRequest>(op.request);
    BENNU_TRY(stage->put(put_request.key, put_request.value));
  }
  const auto done = stage->commit(request.compares, {});
  if (!done) {
    if (done.error().reason != reason::kStageConflict) return done.error();
    return TxnResponse{.revision = published_.get()->revision, .succeeded = false, .responses = {}};
  }
  TxnResponse response{.revision = *done, .succeeded = true, .responses = {}};
  response.responses.assign(request.success.size(),
                            OpResponse{PutResponse{.revision = *done, .prev_kv = {}}});
  return response;
}

StageContext EmbeddedStore::stage_context() {
  return {.database = database_.get(),
          .published = &published_,
          .writer = &writer_,
          .registry = &stages_,
          .background = [this] { background_.wake(); },
          .spill_changes = test_hooks_.stage_spill_changes,
          .fail_point = test_hooks_.fail_point};
}

Result<std::unique_ptr<StagedTxn>> EmbeddedStore::stage() {
  BENNU_TRY(check_writable());
  return std::make_unique<Stage>(stage_context());
}

Result<Revision> EmbeddedStore::compact(Revision revision, bool physical) {
  BENNU_TRY(check_writable());
  Revision newest;
  BENNU_TRY(writer_.execute([&](Evaluation& evaluation) -> Status {
    const Base& base = evaluation.base();
    if (revision <= base.compacted) return errors::compacted();
    if (revision > base.newest) return errors::future_revision();
    evaluation.side().compacted = revision;
    newest = base.newest;
    return {};
  }));
  if (physical) BENNU_TRY(background_.wait_for_all());
  return newest;
}

Result<HashResponse> EmbeddedStore::hash(Revision revision) {
  const auto view = published_.get();
  if (revision > view->revision) return errors::future_revision();
  if (revision.value > 0 && revision < view->compacted) return errors::compacted();
  const Revision at = revision.value > 0 ? revision : view->revision;
  BENNU_ASSIGN(const std::uint64_t hash, hash_state(*database_, *view, at));
  return HashResponse{.revision = view->revision,
                      .hash_revision = at,
                      .compact_revision = view->compacted,
                      .hash = hash};
}

Result<std::unique_ptr<WatchStream>> EmbeddedStore::watch() { return watches_.open(); }

Result<LeaseGrantResponse> EmbeddedStore::lease_grant(const LeaseGrantRequest& request) {
  BENNU_TRY(check_writable());
  return leases_.grant(request);
}

Result<Revision> EmbeddedStore::lease_revoke(LeaseId id) {
  BENNU_TRY(check_writable());
  return leases_.revoke(id);
}

Result<LeaseKeepAliveResponse> EmbeddedStore::lease_keep_alive(LeaseId id) {
  BENNU_TRY(check_writable());
  return leases_.keep_alive(id);
}

Result<LeaseTimeToLiveResponse> EmbeddedStore::lease_time_to_live(LeaseId id, bool with_keys) {
  return leases_.time_to_live(id, with_keys);
}

Result<LeasesResponse> EmbeddedStore::leases() { return leases_.list(); }

}  // namespace embedded
}  // namespace bennu::kv
