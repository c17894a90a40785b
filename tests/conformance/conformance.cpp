#include "conformance.hpp"

#include <ostream>

#include "base/bytes.hpp"
#include "env/clock.hpp"

namespace bennu::conformance {
namespace {

class CloseStores final : public testing::Environment {
  void TearDown() override { close_shared_stores(); }
};
[[maybe_unused]] const auto* const kCloseStores =
    testing::AddGlobalTestEnvironment(new CloseStores);  // gtest owns it

}  // namespace

kv::Compare compare(const std::string& key, kv::CompareTarget target, kv::CompareResult result,
                    std::int64_t number) {
  return {.range = {.key = key}, .target = target, .result = result, .number = number, .value = ""};
}

kv::Compare compare_value(const std::string& key, kv::CompareResult result,
                          const std::string& value) {
  return {.range = {.key = key},
          .target = kv::CompareTarget::kValue,
          .result = result,
          .number = 0,
          .value = value};
}

kv::Compare exists(const std::string& key) {
  return compare(key, kv::CompareTarget::kCreateRevision, kv::CompareResult::kGreater, 0);
}

kv::Compare absent(const std::string& key) {
  return compare(key, kv::CompareTarget::kCreateRevision, kv::CompareResult::kEqual, 0);
}

kv::Op op_put(const std::string& key, const std::string& value) {
  return {kv::PutRequest{.key = key, .value = value}};
}

kv::Op op_get(const std::string& key) { return {kv::RangeRequest{.range = {.key = key}}}; }

kv::Op op_range(const std::string& key, const std::string& end) {
  return {kv::RangeRequest{.range = {.key = key, .end = end}}};
}

kv::Op op_delete(const std::string& key, const std::string& end) {
  return {kv::DeleteRangeRequest{.range = {.key = key, .end = end}}};
}

kv::Op op_txn(kv::TxnRequest request) { return {std::move(request)}; }

std::vector<std::string> keys_of(const std::vector<kv::KeyValue>& kvs) {
  std::vector<std::string> keys;
  keys.reserve(kvs.size());
  for (const auto& kv : kvs) keys.push_back(kv.key);
  return keys;
}

std::vector<std::string> describe(const std::vector<kv::Event>& events) {
  std::vector<std::string> lines;
  lines.reserve(events.size());
  for (const auto& event : events) {
    const bool is_put = event.type == kv::EventType::kPut;
    lines.push_back(is_put ? "PUT " + event.kv.key + "=" + event.kv.value
                           : "DELETE " + event.kv.key);
  }
  return lines;
}

void Conformance::SetUp() {
  auto opened = GetParam().shared();
  if (!opened)
    GTEST_SKIP() << "backend " << GetParam().name << " cannot run: " << opened.error().message;
  open_ = *opened;
  for (const LeaseId lease : value_of(store().leases()).leases) {
    // One that expires meanwhile is as good as revoked.
    if (auto revoked = store().lease_revoke(lease); !revoked) {
      ASSERT_EQ(revoked.error().reason, kv::reason::kLeaseNotFound);
    }
  }
  value_of(store().delete_range({.range = kv::all_keys()}));
}

Revision Conformance::revision() {
  return value_of(store().range({.range = {.key = "x"}, .count_only = true})).revision;
}

Revision Conformance::put(const std::string& key, const std::string& value, LeaseId lease) {
  return value_of(store().put({.key = key, .value = value, .lease = lease})).revision;
}

Revision Conformance::put_all(std::initializer_list<std::string> keys) {
  Revision last;
  for (const auto& key : keys) last = put(key, key);
  return last;
}

std::optional<kv::KeyValue> Conformance::get(const std::string& key, Revision at) {
  auto response = value_of(store().range({.range = {.key = key}, .revision = at}));
  if (response.kvs.empty()) return std::nullopt;
  return response.kvs.front();
}

Revision Conformance::erase(const std::string& key, const std::string& end) {
  return value_of(store().delete_range({.range = {.key = key, .end = end}})).revision;
}

kv::RangeResponse Conformance::range(kv::RangeRequest request) {
  return value_of(store().range(request));
}

std::vector<std::string> Conformance::keys(const std::string& key, const std::string& end) {
  return keys_of(range({.range = {.key = key, .end = end}}).kvs);
}

LeaseId Conformance::grant(std::int64_t ttl_s) {
  return value_of(store().lease_grant({.ttl_s = ttl_s})).id;
}

std::unique_ptr<kv::WatchStream> Conformance::watch_stream() { return value_of(store().watch()); }

kv::WatchId Conformance::watch(kv::WatchStream& stream, const kv::WatchRequest& request) {
  const kv::WatchId id = value_of(stream.create(request));
  const auto created = next(stream);
  EXPECT_EQ(created.kind, kv::WatchResponse::Kind::kCreated);
  EXPECT_EQ(created.id, id);
  EXPECT_TRUE(created.events.empty());
  return id;
}

kv::WatchResponse Conformance::next(kv::WatchStream& stream) {
  auto response = value_of(stream.next(kPatience));
  if (!response) throw std::runtime_error("no response from the watch stream");
  return std::move(*response);
}

std::vector<kv::Event> Conformance::events(kv::WatchStream& stream, std::size_t count) {
  std::vector<kv::Event> all;
  while (all.size() < count) {
    auto response = next(stream);
    if (response.kind != kv::WatchResponse::Kind::kEvents) {
      throw std::runtime_error("expected events, the watch answered otherwise: " +
                               response.cancel_reason);
    }
    EXPECT_FALSE(response.events.empty());
    for (auto& event : response.events) {
      if (!all.empty()) {
        EXPECT_LE(all.back().kv.mod_revision, event.kv.mod_revision);
      }
      EXPECT_LE(event.kv.mod_revision, response.revision);
      all.push_back(std::move(event));
    }
  }
  EXPECT_EQ(all.size(), count);
  return all;
}

void Conformance::eventually(const std::function<bool()>& done) {
  auto& clock = env::system_clock();
  const auto until = clock.monotonic() + kPatience;
  while (!done()) {
    if (clock.monotonic() > until) throw std::runtime_error("it did not happen in time");
  }
}

void PrintTo(const Backend& backend, std::ostream* out) { *out << backend.name; }

}  // namespace bennu::conformance

namespace bennu::kv {

void PrintTo(const KeyValue& kv, std::ostream* out) {
  *out << "{" << printable(kv.key) << "=" << printable(kv.value, 40) << " create "
       << kv.create_revision.value << " mod " << kv.mod_revision.value << " version " << kv.version
       << " lease " << kv.lease.value << "}";
}

void PrintTo(const Event& event, std::ostream* out) {
  *out << (event.type == EventType::kPut ? "PUT " : "DELETE ");
  PrintTo(event.kv, out);
  for (const auto& previous : event.prev_kv) {
    *out << " was ";
    PrintTo(previous, out);
  }
}

}  // namespace bennu::kv

namespace bennu {

void PrintTo(const Revision& revision, std::ostream* out) { *out << "revision " << revision.value; }
void PrintTo(const LeaseId& lease, std::ostream* out) { *out << "lease " << lease.value; }

}  // namespace bennu
