#include "kv/embedded/lease_table.hpp"

#include <algorithm>
#include <limits>

#include "base/bytes.hpp"
#include "kv/errors.hpp"

namespace bennu::kv::embedded {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

// Lease time counts from 0 at open, so the longest TTL (285 years) can be added to it for 7 years.
static_assert(LeaseTable::kMaxTtlSeconds <
              (std::numeric_limits<std::int64_t>::max() / 1'000'000'000) - (7LL * 365 * 86400));

std::int64_t round_up(nanoseconds left) { return std::chrono::ceil<seconds>(left).count(); }

}  // namespace

LeaseTable::LeaseTable(const env::Clock& clock, env::Random& random, LeaseOptions options)
    : clock_(clock), random_(random), options_(options) {
  state_.lock()->last_tick = clock_.monotonic();
}

nanoseconds LeaseTable::now(const State& state) const {
  return state.time +
         std::clamp(clock_.monotonic() - state.last_tick, nanoseconds{0}, options_.max_tick_gap);
}

void LeaseTable::pass_time(State& state) const {
  state.time = now(state);
  state.last_tick = clock_.monotonic();
}

void LeaseTable::insert(State& state, const LeaseRecord& record, nanoseconds left) const {
  // While there is no lease nobody need tick.
  if (state.leases.empty()) pass_time(state);
  Lease lease{.ttl_s = record.ttl_s, .checkpoint_s = record.remaining_s};
  const nanoseconds time = now(state);
  lease.expiry = time + left;
  lease.next_checkpoint = time + options_.checkpoint_interval;
  state.by_expiry.emplace(lease.expiry, record.id);
  if (lease.ttl_s > options_.checkpoint_interval.count()) {
    state.by_checkpoint.emplace(lease.next_checkpoint, record.id);
  }
  state.leases.insert_or_assign(record.id, lease);
}

void LeaseTable::remove(State& state, LeaseId id) {
  const auto found = state.leases.find(id);
  if (found == state.leases.end()) return;
  state.by_expiry.erase({found->second.expiry, id});
  state.by_checkpoint.erase({found->second.next_checkpoint, id});
  state.leases.erase(found);
}

void LeaseTable::set_expiry(State& state, LeaseId id, Lease& lease, nanoseconds expiry) {
  state.by_expiry.erase({lease.expiry, id});
  lease.expiry = expiry;
  state.by_expiry.emplace(expiry, id);
}

void LeaseTable::restore(std::span<const LeaseRecord> records) {
  auto state = state_.lock();
  for (const LeaseRecord& record : records) {
    remove(*state, record.id);
    const std::int64_t left_s = record.remaining_s > 0 ? record.remaining_s : record.ttl_s;
    insert(*state, record, seconds{std::clamp<std::int64_t>(left_s, 0, kMaxTtlSeconds)});
  }
}

Result<LeaseRecord> LeaseTable::grant(LeaseId id, std::int64_t ttl_s) {
  if (ttl_s > kMaxTtlSeconds) {
    return errors::lease_ttl_too_large();
  }
  auto state = state_.lock();
  while (id.value == 0) {
    const std::uint64_t bits =
        read_be64(random_.bytes(8)) & std::numeric_limits<std::int64_t>::max();
    if (!state->leases.contains(LeaseId{static_cast<std::int64_t>(bits)})) {
      id.value = static_cast<std::int64_t>(bits);
    }
  }
  if (state->leases.contains(id)) {
    return errors::lease_exists();
  }
  const LeaseRecord record{.id = id, .ttl_s = std::max(ttl_s, options_.min_ttl_s)};
  insert(*state, record, seconds{record.ttl_s});
  return record;
}

Result<LeaseTable::Taken> LeaseTable::take(LeaseId id) { return take(id, false); }
Result<LeaseTable::Taken> LeaseTable::take_expired(LeaseId id) { return take(id, true); }

Result<LeaseTable::Taken> LeaseTable::take(LeaseId id, bool only_expired) {
  auto state = state_.lock();
  const auto found = state->leases.find(id);
  if (found == state->leases.end()) return errors::lease_not_found();
  const Lease& lease = found->second;
  if (only_expired && lease.expiry > now(*state)) return errors::lease_not_found();
  const Taken taken{.record = {.id = id, .ttl_s = lease.ttl_s, .remaining_s = lease.checkpoint_s},
                    .left = lease.expiry - now(*state)};
  remove(*state, id);
  return taken;
}

void LeaseTable::put_back(const Taken& taken) {
  auto state = state_.lock();
  if (!state->leases.contains(taken.record.id)) insert(*state, taken.record, taken.left);
}

bool LeaseTable::contains(LeaseId id) const { return state_.lock()->leases.contains(id); }

Result<LeaseTable::KeepAlive> LeaseTable::keep_alive(LeaseId id) {
  auto state = state_.lock();
  const auto found = state->leases.find(id);
  if (found == state->leases.end()) return errors::lease_not_found();
  Lease& lease = found->second;
  const nanoseconds time = now(*state);
  if (lease.expiry <= time) return errors::lease_not_found();
  // Renewed before the checkpoint is cleared on disk, not after: a checkpoint made between the two
  // must already be of the renewed lease.
  set_expiry(*state, id, lease, time + seconds{lease.ttl_s});
  KeepAlive answer{.ttl_s = lease.ttl_s, .token = lease.generation};
  if (lease.checkpoint_s > 0) answer.write_first = LeaseRecord{.id = id, .ttl_s = lease.ttl_s};
  return answer;
}

void LeaseTable::cleared(LeaseId id, std::uint64_t token) {
  auto state = state_.lock();
  const auto found = state->leases.find(id);
  if (found != state->leases.end() && found->second.generation == token)
    found->second.checkpoint_s = 0;
}

std::optional<LeaseTable::Life> LeaseTable::life(LeaseId id) const {
  auto state = state_.lock();
  const auto found = state->leases.find(id);
  if (found == state->leases.end()) return std::nullopt;
  const nanoseconds left = std::max(found->second.expiry - now(*state), nanoseconds{0});
  return Life{.granted_ttl_s = found->second.ttl_s,
              .remaining_s = std::chrono::floor<seconds>(left).count()};
}

std::vector<LeaseId> LeaseTable::ids() const {
  auto state = state_.lock();
  std::vector<LeaseId> ids;
  ids.reserve(state->by_expiry.size());
  for (const auto& [expiry, id] : state->by_expiry) ids.push_back(id);
  return ids;
}

nanoseconds LeaseTable::tick() {
  auto state = state_.lock();
  pass_time(*state);
  if (state->leases.empty()) return nanoseconds::max();
  nanoseconds wait = options_.max_tick_gap / 2;
  for (const Queue* queue : {&state->by_expiry, &state->by_checkpoint}) {
    if (!queue->empty()) wait = std::min(wait, queue->begin()->first - state->time);
  }
  return std::max(wait, nanoseconds{0});
}

std::vector<LeaseId> LeaseTable::expired(std::size_t limit) const {
  auto state = state_.lock();
  const nanoseconds time = now(*state);
  std::vector<LeaseId> ids;
  for (auto it = state->by_expiry.begin(); it != state->by_expiry.end() && ids.size() < limit;
       ++it) {
    if (it->first > time) break;
    ids.push_back(it->second);
  }
  return ids;
}

LeaseRecord LeaseTable::checkpoint(LeaseId id, Lease& lease, nanoseconds now) {
  // At least one second: 0 would mean the whole TTL again.
  const std::int64_t left_s =
      std::clamp<std::int64_t>(round_up(lease.expiry - now), 1, lease.ttl_s);
  // A lease that has (rounded up) its whole TTL needs no checkpoint.
  const std::int64_t checkpoint_s = left_s == lease.ttl_s ? 0 : left_s;
  // Counted as written from now on. If this only removes a checkpoint, what is on disk stays
  // shorter until the write is durable, so the old mark stays for keep_alive to see.
  if (checkpoint_s > 0) lease.checkpoint_s = checkpoint_s;
  ++lease.generation;
  return LeaseRecord{.id = id, .ttl_s = lease.ttl_s, .remaining_s = checkpoint_s};
}

bool LeaseTable::checkpoint_due() const {
  auto state = state_.lock();
  return !state->by_checkpoint.empty() && state->by_checkpoint.begin()->first <= now(*state);
}

std::vector<LeaseRecord> LeaseTable::checkpoints(std::size_t limit) {
  auto state = state_.lock();
  const nanoseconds time = now(*state);
  std::vector<LeaseRecord> records;
  while (!state->by_checkpoint.empty() && records.size() < limit) {
    const auto [due, id] = *state->by_checkpoint.begin();
    if (due > time) break;
    Lease& lease = state->leases.at(id);
    state->by_checkpoint.erase(state->by_checkpoint.begin());
    lease.next_checkpoint = time + options_.checkpoint_interval;
    state->by_checkpoint.emplace(lease.next_checkpoint, id);
    // An expired lease is about to be revoked.
    if (lease.expiry <= time) continue;
    const LeaseRecord record = checkpoint(id, lease, time);
    if (record.remaining_s > 0 || lease.checkpoint_s > 0) records.push_back(record);
  }
  return records;
}

std::vector<LeaseRecord> LeaseTable::final_checkpoints() {
  auto state = state_.lock();
  const nanoseconds time = now(*state);
  std::vector<LeaseRecord> records;
  for (auto& [id, lease] : state->leases) {
    const std::int64_t on_disk_s = lease.checkpoint_s > 0 ? lease.checkpoint_s : lease.ttl_s;
    if (std::max<std::int64_t>(round_up(lease.expiry - time), 1) == on_disk_s) continue;
    records.push_back(checkpoint(id, lease, time));
  }
  return records;
}

}  // namespace bennu::kv::embedded
