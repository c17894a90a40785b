#pragma once
// What   Requests and answers of the key-value contract: etcd v3's messages as plain C++ values.
// Why    The contract must not carry protobuf or RocksDB into every module.
// Use    Designated initialisers: `RangeRequest{.key = "/a/", .range_end = prefix_end("/a/")}`.
// Units  Revisions count from 1; TTLs in seconds; limits in keys, 0 means none. Ranges are [key,
//        range_end): empty `range_end` is the single key; "\0" (one NUL byte) is "to the end".
// Threads Plain values.
// Source etcd v3 API (api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto), semantics of 3.4 and later.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.hpp"

namespace bennu::kv {

/// One key at one revision.
struct KeyValue {
  std::string key;
  Revision create_revision;  ///< of the put that made the key exist
  Revision mod_revision;     ///< of the newest put
  std::int64_t version = 0;  ///< puts since creation, from 1; 0 only in a delete event
  std::string value;
  LeaseId lease;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

/// [key, end): empty `end` means the one key; "\0" means every key from `key` on.
struct KeyRange {
  std::string key;
  std::string end;
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

/// Every key with this prefix; an empty prefix is every key.
[[nodiscard]] KeyRange prefix_range(std::string_view prefix);
/// Every key.
[[nodiscard]] KeyRange all_keys();
/// Whether the range holds the key.
[[nodiscard]] bool contains(const KeyRange& range, std::string_view key);

enum class SortOrder : std::uint8_t { kNone, kAscend, kDescend };
enum class SortTarget : std::uint8_t { kKey, kVersion, kCreateRevision, kModRevision, kValue };

struct RangeRequest {
  KeyRange range;
  std::int64_t limit = 0;
  Revision revision;  ///< 0: the newest
  SortOrder sort_order = SortOrder::kNone;
  SortTarget sort_target = SortTarget::kKey;
  /// may be answered by one member alone; no difference on the embedded engine
  bool serializable = false;
  bool keys_only = false;
  bool count_only = false;
  Revision min_mod_revision;  ///< 0: no bound, as the three below
  Revision max_mod_revision;
  Revision min_create_revision;
  Revision max_create_revision;
};

struct RangeResponse {
  Revision revision;  ///< the store's newest, also for a read at an old one
  std::vector<KeyValue> kvs;
  bool more = false;       ///< keys were left out because of `limit`
  std::int64_t count = 0;  ///< keys in the range, whatever limit and filters (etcd's rule)
};

struct PutRequest {
  std::string key;
  std::string value;
  LeaseId lease;
  bool prev_kv = false;
  bool ignore_value = false;  ///< keep the value, change only the lease; the key must exist
  bool ignore_lease = false;
};

struct PutResponse {
  Revision revision;
  std::vector<KeyValue> prev_kv;  ///< at most one
};

struct DeleteRangeRequest {
  KeyRange range;
  bool prev_kv = false;
};

struct DeleteRangeResponse {
  Revision revision;
  std::int64_t deleted = 0;
  std::vector<KeyValue> prev_kvs;
};

enum class CompareResult : std::uint8_t { kEqual, kGreater, kLess, kNotEqual };
enum class CompareTarget : std::uint8_t { kVersion, kCreateRevision, kModRevision, kValue, kLease };

/// Holds if it holds for every key in the range. A single key that is absent, and a range without
/// keys, compare as version, revisions and lease 0, and never hold for a value.
struct Compare {
  KeyRange range;
  CompareTarget target = CompareTarget::kVersion;
  CompareResult result = CompareResult::kEqual;
  std::int64_t number = 0;  ///< for version, revisions and lease
  std::string value;        ///< for kValue
};

struct TxnRequest;
/// A request inside a transaction; TxnRequest nests.
struct Op;

struct TxnRequest {
  std::vector<Compare> compares;
  std::vector<Op> success;
  std::vector<Op> failure;
};

struct Op {
  std::variant<RangeRequest, PutRequest, DeleteRangeRequest, TxnRequest> request;
};

struct OpResponse;

struct TxnResponse {
  Revision revision;
  bool succeeded = false;
  std::vector<OpResponse> responses;  ///< one per op of the branch taken
};

struct OpResponse {
  std::variant<RangeResponse, PutResponse, DeleteRangeResponse, TxnResponse> response;
};

enum class EventType : std::uint8_t { kPut, kDelete };

struct Event {
  EventType type = EventType::kPut;
  KeyValue kv;                    ///< of a delete: key and mod_revision only
  std::vector<KeyValue> prev_kv;  ///< at most one, if asked for and not compacted
  friend bool operator==(const Event&, const Event&) = default;
};

using WatchId = std::int64_t;

struct WatchRequest {
  KeyRange range;
  Revision start_revision;  ///< 0: changes after the watch is created
  bool prev_kv = false;
  bool progress_notify = false;  ///< empty responses now and then while nothing happens
  bool no_put = false;           ///< filters
  bool no_delete = false;
  WatchId id = 0;  ///< 0: the stream picks the next free one, from 0 on
};

struct WatchResponse {
  enum class Kind : std::uint8_t { kCreated, kEvents, kProgress, kCanceled };
  Kind kind = Kind::kEvents;
  WatchId id = 0;  ///< -1 for the progress of the whole stream
  /// the newest revision that this watch has seen; events up to it have been delivered
  Revision revision;
  /// of kCanceled because `start_revision` was compacted: resume from here
  Revision compact_revision;
  std::string cancel_reason;
  std::vector<Event> events;  ///< whole revisions, in order; of a fragment, a part of one revision
  /// More changes of `revision`, which is too large for one response, follow in the next response
  /// of this watch (the last of them may be empty). Only when this is false may a client resume
  /// after `revision`.
  bool fragment = false;
};

struct LeaseGrantRequest {
  LeaseId id;  ///< 0: the store picks one
  std::int64_t ttl_s = 0;
};

struct LeaseGrantResponse {
  Revision revision;
  LeaseId id;
  std::int64_t ttl_s = 0;  ///< what was granted; the engine may raise a TTL below its minimum
};

struct LeaseKeepAliveResponse {
  Revision revision;
  std::int64_t ttl_s = 0;
};

struct LeaseTimeToLiveResponse {
  Revision revision;
  std::int64_t granted_ttl_s = 0;
  std::int64_t ttl_s = 0;         ///< remaining; -1: no such lease
  std::vector<std::string> keys;  ///< attached, in key order; if asked for
};

struct LeasesResponse {
  Revision revision;
  std::vector<LeaseId> leases;
};

/// Equal for two reads of the same state of one store; not comparable between engines.
struct HashResponse {
  Revision revision;          ///< the store's newest
  Revision hash_revision;     ///< the revision that the hash is of
  Revision compact_revision;  ///< below this, history did not count
  std::uint64_t hash = 0;
};

}  // namespace bennu::kv
