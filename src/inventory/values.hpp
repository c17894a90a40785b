#pragma once
// What   Field values: checking what a person typed and bringing it to the one canonical form that
//        is stored.
// Why    Equal things must be equal bytes (addresses, sets, times), or unique indexes and Git diffs
//        lie.
// Use    `canonical_value(*find_field(Kind::kUser, "email"), text)` before anything is put.
// Units  Values at most kMaxFieldBytes.
// Errors kInvalidArgument (kBadValue): says what is wrong and what a good value looks like.
// Threads Pure functions.
// Source RFC 3339, RFC 4291 and inet_ntop(3), RFC 1123 (host names), RFC 9562 (UUID).

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "inventory/fields.hpp"

namespace bennu::inventory {

inline constexpr std::size_t kMaxFieldBytes = 4096;
inline constexpr std::size_t kMaxUsernameBytes = 64;
inline constexpr std::int64_t kLastCount = std::numeric_limits<std::int64_t>::max();

inline constexpr std::string_view kActive = "active";
inline constexpr std::string_view kInactive = "inactive";
inline constexpr std::string_view kArchived = "archived";

inline constexpr std::string_view kRoleCore = "core";
inline constexpr std::string_view kRoleEntry = "entry";
inline constexpr std::string_view kRoleMgmt = "mgmt";

/// How a value and a name look that were restored without the identity that opens them.
inline constexpr std::string_view kSealedValue = "bennu-sealed:";
inline constexpr std::string_view kSealedName = "~sealed~";

/// The stored form of `text` as a value of this field. A set may be typed as a JSON array or
/// separated by commas.
[[nodiscard]] Result<std::string> canonical_value(const Field& field, std::string_view text);

/// `::1`, `2001:db8::1`, `192.0.2.1`: the one text form of an address, or nothing.
[[nodiscard]] std::optional<std::string> canonical_ip(std::string_view text);
/// A host name of two labels or more in lower case, or nothing.
[[nodiscard]] std::optional<std::string> canonical_domain(std::string_view text);
/// A UUID in lower case, or nothing.
[[nodiscard]] std::optional<std::string> canonical_uuid(std::string_view text);
/// Whether somebody may mean a UUID by it, which is a credential: 32 hex digits, with or without
/// dashes and braces.
[[nodiscard]] bool looks_like_uuid(std::string_view text);
/// An id or counter: decimal digits without sign or leading zeros, up to 2^63-1; or nothing.
[[nodiscard]] std::optional<std::int64_t> parse_count(std::string_view text);

/// The members of a stored set. Nothing if the text is not a JSON array of strings.
[[nodiscard]] std::optional<std::vector<std::string>> parse_set(std::string_view value);
/// The stored form of a set: sorted, each member once, no spaces.
[[nodiscard]] std::string format_set(std::vector<std::string> members);

[[nodiscard]] bool is_sealed_value(std::string_view value);
[[nodiscard]] bool is_sealed_name(std::string_view name);

}  // namespace bennu::inventory
