#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "base/bytes.hpp"
#include "kv/reasons.hpp"

namespace bennu::conformance {
namespace {

constexpr std::chrono::seconds kPatience{30};
/// The watch that sees everything: it tells how many events each of the others must have.
constexpr kv::WatchId kControl = 1'000'000;
constexpr kv::WatchId kProbe = 2'000'000;

/// A call that the session itself needs and that must not fail.
template <class T>
T needed(Result<T> result) {
  if (!result) throw std::runtime_error("the session cannot go on: " + result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class Session {
 public:
  Session(const Engine& engine, bool sort_events) : engine_(engine), sort_events_(sort_events) {}

  std::vector<std::string> run(const Script& script) {
    begin();
    std::vector<std::string> lines;
    for (const auto& step : script) {
      lines.push_back(std::visit([&](const auto& action) { return perform(action); }, step));
    }
    stage_.reset();
    drain();
    for (const auto& [id, watch] : watches_) {
      lines.push_back("watch " + std::to_string(id) + ": " + show(watch.seen));
    }
    return lines;
  }

 private:
  struct Watch {
    kv::WatchRequest request;  // as the engine got it
    bool live = true;
    bool doomed = false;  // its start was compacted already: it will be cancelled
    std::vector<kv::Event> seen;
  };

  void begin() {
    for (const LeaseId lease : needed(store().leases()).leases) needed(store().lease_revoke(lease));
    needed(store().delete_range({.range = kv::all_keys()}));
    // A revision of our own to begin at, and nothing readable before it.
    needed(store().put({.key = "begin", .value = ""}));
    base_ = needed(store().delete_range({.range = kv::all_keys()})).revision;
    needed(store().compact(base_, false));
    compacted_ = base_;
    stream_ = needed(store().watch());
    perform(WatchStep{.request = {.range = kv::all_keys(), .prev_kv = true, .id = kControl}});
  }

  Revision newest() {
    return needed(store().range({.range = {.key = "x"}, .count_only = true})).revision;
  }

  // Revisions: 0 is none; 1 in the script is the revision that the session began at.
  Revision outward(Revision revision) const {
    if (revision == Revision{}) return revision;
    return {base_.value + revision.value - 1};
  }
  std::int64_t inward(Revision revision) const {
    return revision == Revision{} ? 0 : revision.value - base_.value + 1;
  }
  std::string at(Revision revision) const { return "at " + std::to_string(inward(revision)); }

  kv::RangeRequest outward(kv::RangeRequest request) const {
    for (Revision* revision :
         {&request.revision, &request.min_mod_revision, &request.max_mod_revision,
          &request.min_create_revision, &request.max_create_revision}) {
      *revision = outward(*revision);
    }
    return request;
  }
  kv::Compare outward(kv::Compare compare) const {
    if (compare.target == kv::CompareTarget::kCreateRevision ||
        compare.target == kv::CompareTarget::kModRevision) {
      compare.number = outward(Revision{compare.number}).value;
    }
    return compare;
  }
  kv::TxnRequest outward(kv::TxnRequest request) const {
    for (auto& compare : request.compares) compare = outward(compare);
    for (auto* branch : {&request.success, &request.failure}) {
      for (auto& op : *branch) {
        if (auto* range = std::get_if<kv::RangeRequest>(&op.request)) *range = outward(*range);
        if (auto* txn = std::get_if<kv::TxnRequest>(&op.request)) *txn = outward(*txn);
      }
    }
    return request;
  }

  // Answers as text.

  template <class T, class Show>
  std::string answer(const Result<T>& result, Show&& show_value) {
    if (result) return show_value(*result);
    return "error " + std::string(code_name(result.error().code)) + " " +
           std::string(result.error().reason) +
           (result.error().effect == Effect::kNone ? "" : " (effect unknown)");
  }

  std::string show(kv::KeyValue kv) const {
    kv.create_revision.value = inward(kv.create_revision);
    kv.mod_revision.value = inward(kv.mod_revision);
    return print(kv);
  }
  std::string show(const std::vector<kv::KeyValue>& kvs) const {
    std::string out;
    for (const auto& kv : kvs) out += (out.empty() ? "" : ", ") + show(kv);
    return "[" + out + "]";
  }
  std::string show(const kv::RangeResponse& response) const {
    return at(response.revision) + " count " + std::to_string(response.count) +
           (response.more ? " more " : " ") + show(response.kvs);
  }
  std::string show(const kv::PutResponse& response) const {
    return at(response.revision) + " was " + show(response.prev_kv);
  }
  std::string show(const kv::DeleteRangeResponse& response) const {
    return at(response.revision) + " deleted " + std::to_string(response.deleted) + " " +
           show(response.prev_kvs);
  }
  /// Without its revision, which the contract leaves open for a nested answer.
  std::string show(const kv::TxnResponse& response) const {
    std::string out = response.succeeded ? "succeeded {" : "failed {";
    for (const auto& op : response.responses) {
      out += std::visit([&](const auto& inner) { return show(inner); }, op.response) + "; ";
    }
    return out + "}";
  }
  std::string show(const std::vector<kv::Event>& events) const {
    std::string out;
    for (const auto& event : events) {
      out += (event.type == kv::EventType::kPut ? "\n    PUT " : "\n    DELETE ") + show(event.kv);
      if (!event.prev_kv.empty()) out += " was " + show(event.prev_kv);
    }
    return out.empty() ? "nothing" : out;
  }

  // Steps.

  std::string perform(const kv::RangeRequest& request) {
    return answer(store().range(outward(request)), [&](const auto& r) { return show(r); });
  }
  std::string perform(const kv::PutRequest& request) {
    return answer(store().put(request), [&](const auto& r) { return show(r); });
  }
  std::string perform(const kv::DeleteRangeRequest& request) {
    return answer(store().delete_range(request), [&](const auto& r) { return show(r); });
  }
  std::string perform(const kv::TxnRequest& request) {
    return answer(store().txn(outward(request)),
                  [&](const auto& r) { return at(r.revision) + " " + show(r); });
  }
  std::string perform(const CompactStep& step) {
    drain();  // what a watch has not been sent yet may lose its previous value
    const Revision revision = outward(step.revision);
    const auto result = store().compact(revision, step.physical);
    if (result) compacted_ = revision;
    return answer(result, [&](Revision r) { return at(r); });
  }
  std::string perform(const HashStep& step) {
    Revision revision = outward(step.revision);
    // Old versions of etcd refuse exactly the compacted revision.
    if (revision == compacted_) revision = revision.next();
    return answer(store().hash(revision), [&](const kv::HashResponse& r) {
      return at(r.revision) + " of " + std::to_string(inward(r.hash_revision));
    });
  }
  std::string perform(const GrantStep& step) {
    return answer(store().lease_grant({.id = step.id, .ttl_s = step.ttl_s}),
                  [&](const kv::LeaseGrantResponse& r) {
                    return at(r.revision) + " lease " + std::to_string(r.id.value) + " for " +
                           std::to_string(r.ttl_s);
                  });
  }
  std::string perform(const RevokeStep& step) {
    return answer(store().lease_revoke(step.id), [&](Revision r) { return at(r); });
  }
  std::string perform(const KeepAliveStep& step) {
    return answer(store().lease_keep_alive(step.id), [&](const kv::LeaseKeepAliveResponse& r) {
      return at(r.revision) + " for " + std::to_string(r.ttl_s);
    });
  }
  std::string perform(const TimeToLiveStep& step) {
    return answer(
        store().lease_time_to_live(step.id, true), [&](const kv::LeaseTimeToLiveResponse& r) {
          std::string out = at(r.revision) + " granted " + std::to_string(r.granted_ttl_s) +
                            (r.ttl_s < 0 ? " gone:" : " alive:");
          for (const auto& key : r.keys) out += " '" + printable(key) + "'";
          return out;
        });
  }
  std::string perform(const LeasesStep&) {
    return answer(store().leases(), [&](kv::LeasesResponse r) {
      std::ranges::sort(r.leases);
      std::string out = at(r.revision);
      for (const LeaseId id : r.leases) out += " " + std::to_string(id.value);
      return out;
    });
  }

  std::string perform(const WatchStep& step) {
    kv::WatchRequest request = step.request;
    request.start_revision = outward(request.start_revision);
    // Old versions of etcd lose a delete at exactly the compacted revision.
    if (request.start_revision == compacted_) request.start_revision = compacted_.next();
    const auto created = stream_->create(request);
    if (created) {
      const Revision now = newest();
      if (request.start_revision == Revision{}) request.start_revision = now.next();
      watches_[*created] = {.request = request, .doomed = request.start_revision < compacted_};
      // Up to date at once, so that no later compaction can meet it half-way.
      if (request.start_revision > compacted_ && request.start_revision <= now) {
        probe(request.start_revision);
      }
      drain();
    }
    return answer(created, [&](kv::WatchId id) { return "watch " + std::to_string(id); });
  }
  std::string perform(const CancelStep& step) {
    const auto found = watches_.find(step.id);
    if (found == watches_.end() || !found->second.live) return "no such watch";
    drain();
    needed(stream_->cancel(step.id));
    while (found->second.live) take();
    return "cancelled";
  }

  std::string perform(const StageStep& step) {
    staged_ = step.ops;
    stage_.reset();
    if (!store().capabilities().atomic_staging) return "staged";
    stage_ = needed(store().stage());
    for (const auto& op : step.ops) {
      if (const auto* put = std::get_if<kv::PutRequest>(&op.request)) {
        needed(stage_->put(put->key, put->value));
      } else {
        needed(stage_->erase(std::get<kv::DeleteRangeRequest>(op.request).range.key));
      }
    }
    return "staged";
  }
  std::string perform(const CommitStep& step) {
    if (staged_.empty()) return "no stage";
    const kv::TxnRequest request =
        outward({.compares = step.compares, .success = std::exchange(staged_, {}), .failure = {}});
    std::optional<Revision> committed;
    if (stage_ != nullptr) {
      const auto result = std::exchange(stage_, nullptr)->commit(request.compares, {});
      if (!result && result.error().reason != kv::reason::kStageConflict) {
        return answer(result, [&](Revision r) { return at(r); });
      }
      if (result) committed = *result;
    } else {
      const auto response = needed(store().txn(request));
      if (response.succeeded) committed = response.revision;
    }
    if (!committed) return "conflict";
    stages_.insert(*committed);
    return at(*committed);
  }
  std::string perform(const AbandonStep&) {
    staged_.clear();
    stage_.reset();
    return "abandoned";
  }

  /// The watches go on in a new stream from where they were.
  std::string perform(const ReopenStep&) {
    drain();
    staged_.clear();
    stage_.reset();
    stream_.reset();
    const Revision before = newest();
    engine_.reopen();
    stream_ = needed(store().watch());
    for (auto& [id, watch] : watches_) {
      if (!watch.live) continue;
      kv::WatchRequest request = watch.request;
      if (request.start_revision <= before) request.start_revision = before.next();
      request.id = id;
      needed(stream_->create(request));
    }
    return at(newest());
  }

  // Watches.

  /// Waits until the watches made so far have read their history: a watch of everything from the
  /// same revision on has something to say once it has, and they are served together.
  void probe(Revision from) {
    const kv::WatchId id =
        needed(stream_->create({.range = kv::all_keys(), .start_revision = from, .id = kProbe}));
    auto& watch = watches_[id];
    while (watch.seen.empty()) take();
    needed(stream_->cancel(id));
    while (watch.live) take();
    watches_.erase(id);
  }

  /// Takes one response and gives it to its watch.
  void take() {
    auto response = needed(stream_->next(kPatience));
    if (!response) throw std::runtime_error("a watch misses events:\n" + missing());
    auto& watch = watches_[response->id];
    if (response->kind == kv::WatchResponse::Kind::kCanceled) {
      watch.live = false;
      // What a cancelled watch says is part of the answer.
      if (response->compact_revision != Revision{}) {
        watch.seen.push_back(
            {.type = kv::EventType::kDelete,
             .kv = {.key = "cancelled: compacted", .mod_revision = response->compact_revision}});
      }
    }
    for (auto& event : response->events) {
      if (!watch.seen.empty() && event.kv.mod_revision < watch.seen.back().kv.mod_revision) {
        throw std::runtime_error("events out of order");
      }
      watch.seen.push_back(std::move(event));
    }
    sort_stages(watch.seen);
  }

  /// Within one staged commit the order of events is the engine's own.
  void sort_stages(std::vector<kv::Event>& events) const {
    std::ranges::stable_sort(events, [&](const kv::Event& a, const kv::Event& b) {
      if (a.kv.mod_revision != b.kv.mod_revision) return a.kv.mod_revision < b.kv.mod_revision;
      const bool any_order = sort_events_ || stages_.contains(a.kv.mod_revision);
      return any_order && a.kv.key < b.kv.key;
    });
  }

  /// Takes responses until every live watch has what the control watch says it must have.
  void drain() {
    const Revision now = newest();
    auto& control = watches_[kControl];
    while (now > base_ && (control.seen.empty() || control.seen.back().kv.mod_revision < now)) {
      take();
    }
    while (std::ranges::any_of(watches_, [&](const auto& w) { return lacks(w.second); })) take();
  }

  bool lacks(const Watch& watch) const {
    return watch.live && (watch.doomed || watch.seen.size() < expected(watch));
  }

  std::size_t expected(const Watch& watch) const {
    const auto& request = watch.request;
    const auto& all = watches_.at(kControl).seen;
    return static_cast<std::size_t>(std::ranges::count_if(all, [&](const kv::Event& event) {
      const bool is_put = event.type == kv::EventType::kPut;
      return event.kv.mod_revision >= request.start_revision &&
             kv::contains(request.range, event.kv.key) && !(is_put && request.no_put) &&
             !(!is_put && request.no_delete);
    }));
  }

  std::string missing() const {
    std::string out;
    for (const auto& [id, watch] : watches_) {
      if (lacks(watch)) {
        out += "    watch " + std::to_string(id) + " has " + std::to_string(watch.seen.size()) +
               " of " + std::to_string(expected(watch)) + "\n";
      }
    }
    return out;
  }

  kv::Store& store() const { return engine_.store(); }

  const Engine& engine_;
  const bool sort_events_;
  Revision base_;
  Revision compacted_;
  std::unique_ptr<kv::WatchStream> stream_;
  std::map<kv::WatchId, Watch> watches_;
  std::vector<kv::Op> staged_;
  std::unique_ptr<kv::StagedTxn> stage_;
  std::set<Revision> stages_;
};

}  // namespace

std::vector<std::string> transcript(const Engine& engine, const Script& script, bool sort_events) {
  try {
    return Session(engine, sort_events).run(script);
  } catch (const std::exception& error) {
    return {error.what()};
  }
}

}  // namespace bennu::conformance
