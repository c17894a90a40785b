#pragma once
// What   A kv::Store in memory for this module's tests: range, scan and txn of etcd, with every old
//        revision.
// Why    A test must be able to change something between the reads and the commit of an operation,
//        exactly there; `before_txn` is that place. Everything that runs on it runs on the embedded
//        engine, too.
// Use    In tests only. `MemoryStore store; store.before_txn = [&] { ... };`
// Errors kUnimplemented for what the inventory does not call.
// Threads Safe for all, but for before_txn, which is set before the threads start.
// Source own design; semantics as in kv/store.hpp.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.hpp"
#include "kv/store.hpp"

namespace bennu::inventory {

class MemoryStore final : public kv::Store {
 public:
  /// Called, without a lock, before each transaction is evaluated.
  std::function<void()> before_txn;

  MemoryStore() { state_.lock()->history.push_back(std::make_shared<const Keys>()); }

  /// Every key and value as it is now.
  [[nodiscard]] std::map<std::string, std::string> dump() {
    std::map<std::string, std::string> out;
    for (const auto& [key, kv] : *state_.lock()->history.back()) out.emplace(key, kv.value);
    return out;
  }

  Result<kv::RangeResponse> range(const kv::RangeRequest& request) override {
    auto state = state_.lock();
    return read(state->history, request);
  }

  Result<Revision> scan(const kv::KeyRange& range, Revision revision,
                        const std::function<Status(kv::KeyValue&)>& visit) override {
    BENNU_ASSIGN(auto answer, this->range({.range = range, .revision = revision}));
    for (kv::KeyValue& kv : answer.kvs) BENNU_TRY(visit(kv));
    return revision.value == 0 ? answer.revision : revision;
  }

  Result<kv::TxnResponse> txn(const kv::TxnRequest& request) override {
    // A copy, because it may replace itself.
    if (const auto hook = before_txn) hook();
    auto state = state_.lock();
    auto keys = std::make_shared<Keys>(*state->history.back());
    const Revision next{static_cast<std::int64_t>(state->history.size()) + 1};
    for (const kv::Compare& compare : request.compares) {
      if (!holds(*keys, compare)) return kv::TxnResponse{.revision = next.previous()};
    }
    for (const kv::Op& op : request.success) BENNU_TRY(apply(*keys, op, next));
    state->history.push_back(std::move(keys));
    return kv::TxnResponse{.revision = next, .succeeded = true};
  }

  Result<kv::PutResponse> put(const kv::PutRequest& request) override {
    BENNU_ASSIGN(const auto done, direct({request}));
    return kv::PutResponse{.revision = done};
  }
  Result<kv::DeleteRangeResponse> delete_range(const kv::DeleteRangeRequest& request) override {
    BENNU_ASSIGN(const auto done, direct({request}));
    return kv::DeleteRangeResponse{.revision = done};
  }

  [[nodiscard]] kv::Capabilities capabilities() const override { return {}; }
  Result<std::unique_ptr<kv::StagedTxn>> stage() override { return missing(); }
  Result<Revision> compact(Revision, bool) override { return missing(); }
  Result<kv::HashResponse> hash(Revision) override { return missing(); }
  Result<std::unique_ptr<kv::WatchStream>> watch() override { return missing(); }
  Result<kv::LeaseGrantResponse> lease_grant(const kv::LeaseGrantRequest&) override {
    return missing();
  }
  Result<Revision> lease_revoke(LeaseId) override { return missing(); }
  Result<kv::LeaseKeepAliveResponse> lease_keep_alive(LeaseId) override { return missing(); }
  Result<kv::LeaseTimeToLiveResponse> lease_time_to_live(LeaseId, bool) override {
    return missing();
  }
  Result<kv::LeasesResponse> leases() override { return missing(); }

 private:
  using Keys = std::map<std::string, kv::KeyValue>;
  using History = std::vector<std::shared_ptr<const Keys>>;  // [revision - 1]
  struct State {
    History history;
  };

  static Error missing() { return make_error(Code::kUnimplemented, "not in this store"); }

  static Result<kv::RangeResponse> read(const History& history, const kv::RangeRequest& request) {
    const Revision newest{static_cast<std::int64_t>(history.size())};
    const Revision at = request.revision.value == 0 ? newest : request.revision;
    if (at > newest) return make_error(Code::kOutOfRange, "future revision");
    kv::RangeResponse answer{.revision = newest};
    for (const auto& [key, kv] : *history[static_cast<std::size_t>(at.value - 1)]) {
      if (!kv::contains(request.range, key)) continue;
      ++answer.count;
      if (!request.count_only) answer.kvs.push_back(kv);
    }
    return answer;
  }

  static bool holds(const Keys& keys, const kv::Compare& compare) {
    const auto good = [&](std::int64_t mod) {
      return compare.result == kv::CompareResult::kLess ? mod < compare.number
                                                        : mod == compare.number;
    };
    bool found = false;
    for (const auto& [key, kv] : keys) {
      if (!kv::contains(compare.range, key)) continue;
      found = true;
      if (!good(kv.mod_revision.value)) return false;
    }
    return found || good(0);
  }

  static Status apply(Keys& keys, const kv::Op& op, Revision at) {
    if (const auto* put = std::get_if<kv::PutRequest>(&op.request)) {
      kv::KeyValue& kv = keys[put->key];
      if (kv.mod_revision == at) return make_error(Code::kInvalidArgument, "duplicate key");
      if (kv.version == 0) kv.create_revision = at;
      kv.key = put->key;
      kv.value = put->value;
      kv.mod_revision = at;
      ++kv.version;
    } else if (const auto* erase = std::get_if<kv::DeleteRangeRequest>(&op.request)) {
      std::erase_if(keys, [&](const auto& kv) { return kv::contains(erase->range, kv.first); });
    } else {
      return missing();
    }
    return {};
  }

  Result<Revision> direct(kv::Op op) {
    auto state = state_.lock();
    auto keys = std::make_shared<Keys>(*state->history.back());
    const Revision next{static_cast<std::int64_t>(state->history.size()) + 1};
    BENNU_TRY(apply(*keys, op, next));
    state->history.push_back(std::move(keys));
    return next;
  }

  Guarded<State> state_;
};

}  // namespace bennu::inventory
