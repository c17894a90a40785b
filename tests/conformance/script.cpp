#include "script.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <string_view>

#include "base/bytes.hpp"

namespace bennu::conformance {
namespace {

// At most twelve keys: up to there etcd's sort keeps the order of equals, beyond it does not.
constexpr std::array<std::string_view, 9> kKeys = {std::string_view("\0", 1),
                                                   "a",
                                                   std::string_view("a\0", 2),
                                                   "a/",
                                                   "a/b",
                                                   "b",
                                                   "c",
                                                   "c\xff",
                                                   "\xff"};
constexpr std::array<std::string_view, 5> kValues = {"", "1", "2", "10",
                                                     std::string_view("x\0y", 3)};
constexpr std::string_view kToTheEnd("\0", 1);

/// Whether a put of the transaction may be refused because of what the store holds.
bool may_be_refused(const kv::TxnRequest& txn) {
  for (const auto* branch : {&txn.success, &txn.failure}) {
    for (const auto& op : *branch) {
      if (const auto* put = std::get_if<kv::PutRequest>(&op.request)) {
        if (put->ignore_value || put->ignore_lease || put->lease != LeaseId{}) return true;
      }
      const auto* nested = std::get_if<kv::TxnRequest>(&op.request);
      if (nested != nullptr && may_be_refused(*nested)) return true;
    }
  }
  return false;
}

/// Where a put may be refused, two things are left out. A read at a revision: if both are wrong,
/// versions of etcd name the one or the other. A delete to the end of the keys: etcd overlooks that
/// a put overlaps with it, and if that put needs its key, etcd ends itself.
void tame(kv::TxnRequest& txn) {
  for (auto* branch : {&txn.success, &txn.failure}) {
    for (auto& op : *branch) {
      if (auto* read = std::get_if<kv::RangeRequest>(&op.request)) read->revision = {};
      if (auto* erase = std::get_if<kv::DeleteRangeRequest>(&op.request)) {
        if (erase->range.end == kToTheEnd) erase->range.end.clear();
      }
      if (auto* nested = std::get_if<kv::TxnRequest>(&op.request)) tame(*nested);
    }
  }
}

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  Script script(std::size_t steps) {
    Script script;
    // Something to meet from the start.
    for (std::int64_t id = 1; id <= 3; ++id) {
      script.emplace_back(GrantStep{.id = {id}, .ttl_s = 5'000});
    }
    while (script.size() < steps) {
      // About every second step makes one.
      revisions_ = static_cast<std::int64_t>(script.size() / 2);
      script.push_back(step());
    }
    return script;
  }

 private:
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::string key() { return std::string(kKeys[below(kKeys.size())]); }
  std::string value() { return std::string(kValues[below(kValues.size())]); }
  LeaseId lease(std::size_t highest) { return {static_cast<std::int64_t>(1 + below(highest))}; }
  /// Mostly the recent past, now and then long ago or the future.
  Revision revision() {
    if (one_in(15)) return {revisions_ + 20};
    const auto back = static_cast<std::int64_t>(below(one_in(4) ? 30 : 6));
    return {std::max<std::int64_t>(1, revisions_ - back)};
  }

  kv::KeyRange range() {
    const std::string from = key();
    switch (below(8)) {
      case 0:
        return kv::all_keys();
      case 1:
        return {.key = from, .end = std::string(kToTheEnd)};
      case 2:
        return kv::prefix_range(from);
      case 3:
      case 4:
        return {.key = from, .end = key()};  // often inverted or empty
      default:
        return {.key = from};
    }
  }

  kv::RangeRequest read() {
    kv::RangeRequest request{.range = range()};
    if (one_in(150)) request.range.key.clear();
    if (one_in(3)) request.revision = revision();
    if (one_in(3)) request.limit = static_cast<std::int64_t>(1 + below(4));
    if (one_in(2)) {
      request.sort_order = static_cast<kv::SortOrder>(below(3));
      request.sort_target = static_cast<kv::SortTarget>(below(5));
    }
    request.serializable = one_in(4);
    request.keys_only = one_in(6);
    request.count_only = one_in(6);
    if (one_in(6)) request.min_mod_revision = revision();
    if (one_in(6)) request.max_mod_revision = revision();
    if (one_in(8)) request.min_create_revision = revision();
    if (one_in(8)) request.max_create_revision = revision();
    return request;
  }

  kv::PutRequest put() {
    kv::PutRequest request{.key = key(), .value = value()};
    if (one_in(150)) request.key.clear();
    if (one_in(3)) request.lease = lease(one_in(8) ? 4 : 3);
    request.prev_kv = one_in(3);
    request.ignore_value = one_in(12);
    request.ignore_lease = one_in(12);
    if (request.ignore_value && !one_in(5)) request.value.clear();
    if (request.ignore_lease && !one_in(5)) request.lease = {};
    return request;
  }

  kv::DeleteRangeRequest erase() { return {.range = range(), .prev_kv = one_in(2)}; }

  kv::Compare compare() {
    kv::Compare out{.range = one_in(3) ? range() : kv::KeyRange{.key = key()},
                    .target = static_cast<kv::CompareTarget>(below(5)),
                    .result = static_cast<kv::CompareResult>(below(4))};
    switch (out.target) {
      case kv::CompareTarget::kVersion:
        out.number = static_cast<std::int64_t>(below(4));
        break;
      case kv::CompareTarget::kLease:
        out.number = static_cast<std::int64_t>(below(4));
        break;
      case kv::CompareTarget::kValue:
        out.value = value();
        break;
      default:
        out.number = one_in(3) ? 0 : revision().value;
    }
    return out;
  }

  std::vector<kv::Op> branch(int depth) {
    std::vector<kv::Op> ops;
    for (std::size_t count = below(4); count > 0; --count) {
      switch (below(depth < 2 ? 7 : 6)) {
        case 0:
        case 1:
          ops.push_back({read()});
          break;
        case 2:
        case 3:
        case 4:
          ops.push_back({put()});
          break;
        case 5:
          ops.push_back({erase()});
          break;
        default:
          ops.push_back({txn(depth + 1)});
      }
    }
    return ops;
  }

  kv::TxnRequest txn(int depth) {
    kv::TxnRequest request;
    for (std::size_t count = below(3); count > 0; --count) request.compares.push_back(compare());
    request.success = branch(depth);
    request.failure = branch(depth);
    if (depth == 0 && may_be_refused(request)) tame(request);
    return request;
  }

  kv::WatchRequest watch() {
    kv::WatchRequest request{.range = range(), .id = ++watches_};
    if (one_in(40)) request.range.key.clear();
    if (one_in(2)) request.start_revision = revision();
    request.prev_kv = one_in(2);
    request.no_put = one_in(6);
    request.no_delete = one_in(6);
    return request;
  }

  StageStep stage() {
    StageStep step;
    std::set<std::string> used;
    for (std::size_t count = 1 + below(5); count > 0; --count) {
      std::string name = key();
      if (!used.insert(name).second) continue;
      if (!step.ops.empty() && one_in(3)) {
        step.ops.push_back({kv::DeleteRangeRequest{.range = {.key = std::move(name)}}});
      } else {
        step.ops.push_back({kv::PutRequest{.key = std::move(name), .value = value()}});
      }
    }
    return step;
  }

  CommitStep commit() {
    CommitStep step;
    if (one_in(3)) step.compares.push_back(compare());
    return step;
  }

  Step step() {
    switch (below(42)) {
      default:
        return put();
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        return read();
      case 6:
      case 7:
      case 8:
        return erase();
      case 9:
      case 10:
      case 11:
      case 12:
      case 13:
      case 14:
        return txn(0);
      case 15:
        return CompactStep{.revision = revision(), .physical = one_in(2)};
      case 16:
        return HashStep{.revision = one_in(2) ? Revision{} : revision()};
      case 17:
        return GrantStep{.id = lease(3), .ttl_s = static_cast<std::int64_t>(5'000 + below(3))};
      case 18:
        if (one_in(2)) return GrantStep{.id = lease(3), .ttl_s = 6'000};
        return RevokeStep{.id = lease(4)};
      case 19:
        return KeepAliveStep{.id = lease(4)};
      case 20:
        return TimeToLiveStep{.id = lease(4)};
      case 21:
        return LeasesStep{};
      case 22:
      case 23:
        return WatchStep{.request = watch()};
      case 24:
        return CancelStep{
            .id = static_cast<kv::WatchId>(1 + below(static_cast<std::size_t>(watches_) + 1))};
      case 25:
        return stage();
      case 26:
      case 27:
        return commit();
      case 28:
        if (one_in(3)) return AbandonStep{};
        if (one_in(2)) return ReopenStep{};
        return put();
    }
  }

  std::mt19937_64 random_;
  std::int64_t revisions_ = 0;
  kv::WatchId watches_ = 0;
};

// Printing: one line per step, flags only where they are set.

std::string show(const std::string& bytes) { return "'" + printable(bytes) + "'"; }

std::string show(const kv::KeyRange& range) {
  if (range.end.empty()) return show(range.key);
  return "[" + show(range.key) + ", " + (range.end == kToTheEnd ? "end" : show(range.end)) + ")";
}

std::string flag(bool set, std::string_view name) { return set ? " " + std::string(name) : ""; }

std::string number(Revision revision, std::string_view name) {
  if (revision == Revision{}) return "";
  return " " + std::string(name) + " " + std::to_string(revision.value);
}

constexpr std::array<std::string_view, 3> kOrders = {"none", "ascending", "descending"};
constexpr std::array<std::string_view, 5> kSortTargets = {"key", "version", "create", "mod",
                                                          "value"};
constexpr std::array<std::string_view, 5> kTargets = {"version", "create", "mod", "value", "lease"};
constexpr std::array<std::string_view, 4> kResults = {"==", ">", "<", "!="};

std::string show(const kv::Compare& compare) {
  const auto target = static_cast<std::size_t>(compare.target);
  return std::string(kTargets[target]) + "(" + show(compare.range) + ") " +
         std::string(kResults[static_cast<std::size_t>(compare.result)]) + " " +
         (compare.target == kv::CompareTarget::kValue ? show(compare.value)
                                                      : std::to_string(compare.number));
}

std::string show(const std::vector<kv::Compare>& compares) {
  std::string out;
  for (const auto& compare : compares) out += (out.empty() ? "" : " and ") + show(compare);
  return out.empty() ? "always" : out;
}

std::string show(const kv::RangeRequest& request) {
  std::string out = "range " + show(request.range) + number(request.revision, "at");
  if (request.limit != 0) out += " limit " + std::to_string(request.limit);
  if (request.sort_order != kv::SortOrder::kNone || request.sort_target != kv::SortTarget::kKey) {
    out += " sort " + std::string(kSortTargets[static_cast<std::size_t>(request.sort_target)]) +
           " " + std::string(kOrders[static_cast<std::size_t>(request.sort_order)]);
  }
  return out + flag(request.keys_only, "keys_only") + flag(request.count_only, "count_only") +
         flag(request.serializable, "serializable") + number(request.min_mod_revision, "min_mod") +
         number(request.max_mod_revision, "max_mod") +
         number(request.min_create_revision, "min_create") +
         number(request.max_create_revision, "max_create");
}

std::string show(const kv::PutRequest& request) {
  std::string out = "put " + show(request.key) + " = " + show(request.value);
  if (request.lease != LeaseId{}) out += " lease " + std::to_string(request.lease.value);
  return out + flag(request.prev_kv, "prev_kv") + flag(request.ignore_value, "ignore_value") +
         flag(request.ignore_lease, "ignore_lease");
}

std::string show(const kv::DeleteRangeRequest& request) {
  return "delete " + show(request.range) + flag(request.prev_kv, "prev_kv");
}

std::string show(const kv::TxnRequest& request);

std::string show(const std::vector<kv::Op>& ops) {
  std::string out;
  for (const auto& op : ops) {
    out += (out.empty() ? "" : "; ") +
           std::visit([](const auto& request) { return show(request); }, op.request);
  }
  return "{" + out + "}";
}

std::string show(const kv::TxnRequest& request) {
  return "txn if " + show(request.compares) + " " + show(request.success) + " else " +
         show(request.failure);
}

std::string show(const CompactStep& step) {
  return "compact" + number(step.revision, "at") + flag(step.physical, "physical");
}
std::string show(const HashStep& step) { return "hash" + number(step.revision, "at"); }
std::string show(const GrantStep& step) {
  return "grant lease " + std::to_string(step.id.value) + " for " + std::to_string(step.ttl_s) +
         " s";
}
std::string show(const RevokeStep& step) { return "revoke lease " + std::to_string(step.id.value); }
std::string show(const KeepAliveStep& step) {
  return "keep alive lease " + std::to_string(step.id.value);
}
std::string show(const TimeToLiveStep& step) {
  return "time to live of lease " + std::to_string(step.id.value);
}
std::string show(const LeasesStep&) { return "list leases"; }
std::string show(const WatchStep& step) {
  const auto& request = step.request;
  return "watch " + std::to_string(request.id) + " " + show(request.range) +
         number(request.start_revision, "from") + flag(request.prev_kv, "prev_kv") +
         flag(request.no_put, "no_put") + flag(request.no_delete, "no_delete");
}
std::string show(const CancelStep& step) { return "cancel watch " + std::to_string(step.id); }
std::string show(const StageStep& step) { return "stage " + show(step.ops); }
std::string show(const CommitStep& step) { return "commit the stage if " + show(step.compares); }
std::string show(const AbandonStep&) { return "abandon the stage"; }
std::string show(const ReopenStep&) { return "reopen"; }

}  // namespace

Script generate(std::uint64_t seed, std::size_t steps) { return Generator(seed).script(steps); }

std::string print(const Step& step) {
  return std::visit([](const auto& action) { return show(action); }, step);
}

std::string print(const Script& script) {
  std::string out;
  for (const auto& step : script) out += "  " + print(step) + "\n";
  return out;
}

std::string print(const kv::KeyValue& kv) {
  return show(kv.key) + "=" + show(kv.value) + " create " +
         std::to_string(kv.create_revision.value) + " mod " +
         std::to_string(kv.mod_revision.value) + " version " + std::to_string(kv.version) +
         (kv.lease == LeaseId{} ? "" : " lease " + std::to_string(kv.lease.value));
}

}  // namespace bennu::conformance
