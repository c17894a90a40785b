#include "kv/embedded/codec.hpp"

#include "base/bytes.hpp"

namespace bennu::kv::embedded {
namespace {

constexpr char kEscape = '\0';
constexpr char kEscapedNul = '\xff';
constexpr char kEndMark = '\x01';

constexpr unsigned char kTombstone = 0x01;
constexpr unsigned char kKnownFlags = kTombstone;

constexpr unsigned char kPutChange = 0;
constexpr unsigned char kDeleteChange = 1;
constexpr unsigned char kSuperseded = 2;  // flag

std::optional<std::string_view> take_sized(std::string_view& bytes) {
  const auto size = take_varint(bytes);
  if (!size || *size > bytes.size()) return std::nullopt;
  const std::string_view out = bytes.substr(0, *size);
  bytes.remove_prefix(*size);
  return out;
}

std::optional<std::int64_t> take_number(std::string_view& bytes) {
  const auto value = take_varint(bytes);
  if (!value) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

void append_number(std::string& out, std::int64_t value) {
  append_varint(out, static_cast<std::uint64_t>(value));
}

}  // namespace

void append_encoded_key(std::string& out, std::string_view key) {
  for (std::size_t nul = key.find(kEscape); nul != std::string_view::npos;
       nul = key.find(kEscape)) {
    out.append(key.substr(0, nul + 1));
    out.push_back(kEscapedNul);
    key.remove_prefix(nul + 1);
  }
  out.append(key);
  out.push_back(kEscape);
  out.push_back(kEndMark);
}

std::string encode_key(std::string_view key) {
  std::string out;
  out.reserve(key.size() + 2);
  append_encoded_key(out, key);
  return out;
}

std::optional<std::string_view> take_encoded_key(std::string_view& bytes, std::string& buffer) {
  const std::string_view whole = bytes;
  bool escaped = false;
  for (std::size_t from = 0;;) {
    const std::size_t nul = whole.find(kEscape, from);
    if (nul == std::string_view::npos || nul + 1 >= whole.size()) return std::nullopt;
    const char mark = whole[nul + 1];
    if (mark != kEndMark && mark != kEscapedNul) return std::nullopt;
    if (mark == kEscapedNul) {
      if (!escaped) buffer.clear();
      escaped = true;
      buffer.append(whole.substr(from, nul + 1 - from));
      from = nul + 2;
      continue;
    }
    bytes.remove_prefix(nul + 2);
    if (!escaped) return whole.substr(0, nul);
    buffer.append(whole.substr(from, nul - from));
    return buffer;
  }
}

std::string history_key(std::string_view key, std::int64_t mod) {
  std::string out;
  out.reserve(key.size() + 10);
  append_encoded_key(out, key);
  append_be64(out, ~static_cast<std::uint64_t>(mod));
  return out;
}

std::string staged_key(std::string_view key, std::uint64_t stage) {
  std::string out;
  out.reserve(key.size() + 10);
  append_encoded_key(out, key);
  append_be64(out, stage);
  return out;
}

std::string be64_key(std::uint64_t number) {
  std::string out;
  append_be64(out, number);
  return out;
}

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

void append_record(std::string& out, const RecordView& record) {
  out.push_back(static_cast<char>(record.tombstone ? kTombstone : 0));
  append_number(out, record.create);
  append_number(out, record.mod);
  append_number(out, record.version);
  append_number(out, record.lease);
  out.append(record.value);
}

std::string encode(const RecordView& record) {
  std::string out;
  out.reserve(record.value.size() + 24);
  append_record(out, record);
  return out;
}

std::optional<RecordView> decode_record(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto flags = static_cast<unsigned char>(bytes.front());
  bytes.remove_prefix(1);
  if ((flags & ~kKnownFlags) != 0) return std::nullopt;
  const auto create = take_number(bytes);
  const auto mod = take_number(bytes);
  const auto version = take_number(bytes);
  const auto lease = take_number(bytes);
  if (!create || !mod || !version || !lease) return std::nullopt;
  return RecordView{.tombstone = (flags & kTombstone) != 0,
                    .create = *create,
                    .mod = *mod,
                    .version = *version,
                    .lease = *lease,
                    .value = bytes};
}

std::string lease_record_key(std::int64_t lease) {
  std::string out(1, kLeaseRecordMark);
  append_be64(out, static_cast<std::uint64_t>(lease));
  return out;
}

std::string lease_key_key(std::int64_t lease, std::string_view key) {
  std::string out(1, kLeaseKeyMark);
  append_be64(out, static_cast<std::uint64_t>(lease));
  out.append(key);
  return out;
}

std::string encode(const LeaseTimes& times) {
  std::string out;
  append_number(out, times.ttl_s);
  append_number(out, times.remaining_s);
  return out;
}

std::optional<LeaseTimes> decode_lease(std::string_view bytes) {
  const auto ttl = take_number(bytes);
  const auto remaining = take_number(bytes);
  if (!ttl || !remaining || !bytes.empty()) return std::nullopt;
  return LeaseTimes{.ttl_s = *ttl, .remaining_s = *remaining};
}

void append_change(std::string& out, const ChangeView& change) {
  const unsigned char type = change.type == EventType::kPut ? kPutChange : kDeleteChange;
  out.push_back(static_cast<char>(type | (change.superseded ? kSuperseded : 0)));
  append_number(out, change.previous_mod);
  append_varint(out, change.key.size());
  out.append(change.key);
  if (type != kPutChange || !change.superseded) return;
  const std::string record = encode(change.record);
  append_varint(out, record.size());
  out.append(record);
}

std::optional<ChangeView> take_change(std::string_view& bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto kind = static_cast<unsigned char>(bytes.front());
  bytes.remove_prefix(1);
  if (kind > (kDeleteChange | kSuperseded)) return std::nullopt;
  const auto previous = take_number(bytes);
  const auto key = take_sized(bytes);
  if (!previous || !key) return std::nullopt;
  ChangeView change{.type = (kind & kDeleteChange) != 0 ? EventType::kDelete : EventType::kPut,
                    .key = *key,
                    .previous_mod = *previous,
                    .superseded = (kind & kSuperseded) != 0,
                    .record = {}};
  if (change.type == EventType::kPut && change.superseded) {
    const auto bytes_of_record = take_sized(bytes);
    if (!bytes_of_record) return std::nullopt;
    const auto record = decode_record(*bytes_of_record);
    if (!record) return std::nullopt;
    change.record = *record;
  }
  return change;
}

void append_log_entry(std::string& out, std::int64_t revision, StageRef stage, std::size_t count,
                      std::string_view changes) {
  append_number(out, revision);
  append_varint(out, stage.id);
  if (stage.id != 0) append_varint(out, stage.changes);
  append_varint(out, count);
  out.append(changes);
}

std::optional<LogEntryView> take_log_entry(std::string_view& bytes) {
  const auto revision = take_number(bytes);
  const auto stage = take_varint(bytes);
  const auto stage_changes =
      stage && *stage != 0 ? take_varint(bytes) : std::optional<std::uint64_t>(0);
  const auto count = take_varint(bytes);
  if (!revision || !stage || !stage_changes || !count || *count > bytes.size()) {
    return std::nullopt;
  }
  LogEntryView entry{
      .revision = *revision, .stage = *stage, .stage_changes = *stage_changes, .changes = {}};
  entry.changes.reserve(*count);
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto change = take_change(bytes);
    if (!change) return std::nullopt;
    entry.changes.push_back(*change);
  }
  return entry;
}

KeyValue to_key_value(std::string_view key, const RecordView& record) {
  return KeyValue{.key = std::string(key),
                  .create_revision = {record.create},
                  .mod_revision = {record.mod},
                  .version = record.version,
                  .value = std::string(record.value),
                  .lease = {record.lease}};
}

}  // namespace bennu::kv::embedded
