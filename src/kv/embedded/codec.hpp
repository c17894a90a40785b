#pragma once
// What   The bytes of the embedded engine's keys and records.
// Why    The format has a version and a document (docs/formats/rocksdb.md); one file must own it.
// Use    `encode_key` for what RocksDB sorts by; `encode`/`decode_*` for values. Views returned by
//        decoders point into the bytes given.
// Units  Revisions and ids as be64 in keys (byte order is number order) and varints in values.
// Errors Decoders return nothing for malformed bytes; the caller says kCorrupt and where.
// Threads Pure functions.
// Source own design, docs/formats/rocksdb.md; varints as in protobuf (LEB128).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/types.hpp"

namespace bennu::kv::embedded {

/// One version of one key.
struct RecordView {
  bool tombstone = false;
  std::int64_t create = 0;  ///< of a staged record: 0 where the stage made the key exist
  std::int64_t mod = 0;     ///< of a staged record: 0, known from the stage's id
  std::int64_t version = 0;
  std::int64_t lease = 0;
  std::string_view value;
};

/// Order-preserving and prefix-free: NUL becomes 00 ff, and 00 01 ends the key.
void append_encoded_key(std::string& out, std::string_view key);
[[nodiscard]] std::string encode_key(std::string_view key);
/// Takes an encoded key from the front of `bytes`. The result points into `bytes`, or into
/// `buffer` where the key holds NUL.
[[nodiscard]] std::optional<std::string_view> take_encoded_key(std::string_view& bytes,
                                                               std::string& buffer);

/// hist: the key, then the newest version first.
[[nodiscard]] std::string history_key(std::string_view key, std::int64_t mod);
/// staged: the key, then the stage.
[[nodiscard]] std::string staged_key(std::string_view key, std::uint64_t stage);
[[nodiscard]] std::string be64_key(std::uint64_t number);

void append_varint(std::string& out, std::uint64_t value);
[[nodiscard]] std::optional<std::uint64_t> take_varint(std::string_view& bytes);

void append_record(std::string& out, const RecordView& record);
[[nodiscard]] std::string encode(const RecordView& record);
[[nodiscard]] std::optional<RecordView> decode_record(std::string_view bytes);

/// lease: what a lease is, and which keys it may have (whether a key still has it, its record
/// says).
inline constexpr char kLeaseRecordMark = 'L';
inline constexpr char kLeaseKeyMark = 'K';
[[nodiscard]] std::string lease_record_key(std::int64_t lease);
[[nodiscard]] std::string lease_key_key(std::int64_t lease, std::string_view key);
struct LeaseTimes {
  std::int64_t ttl_s = 0;
  std::int64_t remaining_s = 0;
};
[[nodiscard]] std::string encode(const LeaseTimes& times);
[[nodiscard]] std::optional<LeaseTimes> decode_lease(std::string_view bytes);

/// One change in the log. Its record stands in cur, staged or hist, unless another change of the
/// same key in the same revision came after it: then it is kept here.
struct ChangeView {
  EventType type = EventType::kPut;
  std::string_view key;
  std::int64_t previous_mod = 0;  ///< 0: the key did not exist
  bool superseded = false;        ///< by a later change of the same key in the same revision
  RecordView record;              ///< of a superseded put: its only copy
};

/// What one revision changed: a stage's list, and then changes in their order.
struct LogEntryView {
  std::int64_t revision = 0;
  std::uint64_t stage = 0;          ///< 0: none
  std::uint64_t stage_changes = 0;  ///< how many of its changes come before the ones here
  std::vector<ChangeView> changes;
};

void append_change(std::string& out, const ChangeView& change);
[[nodiscard]] std::optional<ChangeView> take_change(std::string_view& bytes);
/// `changes` is a concatenation of `count` changes made by append_change.
struct StageRef {
  std::uint64_t id = 0;
  std::uint64_t changes = 0;
};
void append_log_entry(std::string& out, std::int64_t revision, StageRef stage, std::size_t count,
                      std::string_view changes);
/// Takes one entry from the front of a log record, which holds one or more.
[[nodiscard]] std::optional<LogEntryView> take_log_entry(std::string_view& bytes);

/// A record as the contract's value.
[[nodiscard]] KeyValue to_key_value(std::string_view key, const RecordView& record);

}  // namespace bennu::kv::embedded
