#include "kv/embedded/lease_codec.hpp"

#include "base/bytes.hpp"
#include "kv/embedded/codec.hpp"

namespace bennu::kv::embedded {
namespace {

constexpr char kIndexPrefix = 'k';

std::string prefixed(std::string_view prefix, LeaseId id) {
  std::string out(prefix);
  append_be64(out, static_cast<std::uint64_t>(id.value));
  return out;
}

}  // namespace

std::string lease_record_key(LeaseId id) { return prefixed(kLeaseRecordPrefix, id); }

std::string encode_lease(const LeaseRecord& record) {
  std::string out;
  append_varint(out, static_cast<std::uint64_t>(record.ttl_s));
  append_varint(out, static_cast<std::uint64_t>(record.remaining_s));
  return out;
}

std::optional<LeaseRecord> decode_lease(std::string_view key, std::string_view value) {
  if (key.size() != 9 || !key.starts_with(kLeaseRecordPrefix)) return std::nullopt;
  const auto ttl = take_varint(value);
  const auto remaining = take_varint(value);
  constexpr std::uint64_t kMax = LeaseTable::kMaxTtlSeconds;
  if (!ttl || !remaining || !value.empty() || *ttl > kMax || *remaining > *ttl) return std::nullopt;
  return LeaseRecord{.id = {static_cast<std::int64_t>(read_be64(key.substr(1)))},
                     .ttl_s = static_cast<std::int64_t>(*ttl),
                     .remaining_s = static_cast<std::int64_t>(*remaining)};
}

std::string lease_index_prefix(LeaseId id) { return prefixed({&kIndexPrefix, 1}, id); }

std::string lease_index_key(LeaseId id, std::string_view key) {
  std::string out = lease_index_prefix(id);
  out += key;
  return out;
}

std::optional<std::string> decode_lease_index(LeaseId id, std::string_view entry) {
  const std::string prefix = lease_index_prefix(id);
  if (!entry.starts_with(prefix)) return std::nullopt;
  return std::string(entry.substr(prefix.size()));
}

}  // namespace bennu::kv::embedded
