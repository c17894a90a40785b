#pragma once
// What   The bytes of the family `lease`: what a lease is granted, and which keys it has.
// Why    At open the leases must be found without a look at every key; at a revocation the keys of
//        one lease without a look at every other.
// Use    Records: lease_record_key -> encode_lease. Index: lease_index_key -> nothing; an entry may
//        be stale, the key's own record decides.
// Units  Seconds as varints; ids as be64, so that the keys of one lease lie together.
// Errors Decoders return nothing for malformed bytes.
// Threads Pure functions.
// Source own design, docs/formats/rocksdb.md.

#include <optional>
#include <string>
#include <string_view>

#include "kv/embedded/lease_table.hpp"

namespace bennu::kv::embedded {

/// Every record's key begins with this.
inline constexpr std::string_view kLeaseRecordPrefix = "l";

[[nodiscard]] std::string lease_record_key(LeaseId id);
[[nodiscard]] std::string encode_lease(const LeaseRecord& record);
[[nodiscard]] std::optional<LeaseRecord> decode_lease(std::string_view key, std::string_view value);

[[nodiscard]] std::string lease_index_prefix(LeaseId id);
[[nodiscard]] std::string lease_index_key(LeaseId id, std::string_view key);
/// The key of an entry of this lease.
[[nodiscard]] std::optional<std::string> decode_lease_index(LeaseId id, std::string_view entry);

}  // namespace bennu::kv::embedded
