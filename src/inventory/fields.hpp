#pragma once
// What   The table of entity kinds and their fields: name, type, class, who sets it, whether it
//        must be there.
// Why    Validation, the JSON form, the options of the command line and the schema file must never
//        disagree, so all of them come from this one table.
// Use    `kind_info(Kind::kUser).fields`; `find_field(Kind::kUser, "email")`.
// Threads Constants.
// Source The design's inventory, "Entities". Paths are below the layout's prefix.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace bennu::inventory {

enum class Kind : std::uint8_t { kUser, kDevice, kNode, kCell, kLink };

enum class FieldType : std::uint8_t {
  kText,         ///< UTF-8 without control characters
  kName,         ///< kText, not empty, nothing that looks like a UUID
  kUsername,     ///< kName of at most 64 bytes without spaces and `/`, not digits only (that would
                 ///< read as an id)
  kStatus,       ///< active, inactive or archived
  kTime,         ///< RFC 3339, stored in UTC with whole seconds
  kEmail,        ///< one `@`, a dot after it
  kTelegram,     ///< starts with `@`
  kHash,         ///< hex, letters, digits and `-_=+` (a keyed hash made elsewhere)
  kRole,         ///< core, entry or mgmt
  kIp,           ///< IPv4 or IPv6, stored in the canonical form of inet_ntop
  kIpSet,        ///< a sorted JSON array of kIp
  kDomain,       ///< a host name of at least two labels, stored in lower case
  kCount,        ///< a decimal integer from 0
  kUuid,         ///< RFC 9562, stored in lower case
  kServiceName,  ///< kName without spaces
};

/// How a key travels between the store and Git (decision 3 of ARCHITECTURE.md). Secrecy is a mark
/// of its own.
enum class KeyClass : std::uint8_t { kDesired, kOperational, kDerived, kEphemeral };

/// Who gives a field its value.
enum class SetBy : std::uint8_t {
  kOperator,  ///< an option of `add` and `set`
  kStatus,    ///< the verbs activate, deactivate and archive
  kBennu,     ///< nobody but Bennu: times, counters, assigned numbers
};

struct Field {
  std::string_view name;  ///< the last segment of the key, and the name in JSON
  FieldType type = FieldType::kText;
  std::string_view help;
  SetBy set_by = SetBy::kOperator;
  bool required = false;  ///< there in every whole entity; required and kOperator: `add` must name
                          ///< it or has a default
  bool secret = false;    ///< encrypted in Git
  bool unique = false;    ///< no two users (of whatever status) share it
  KeyClass key_class = KeyClass::kDesired;
};

struct KindInfo {
  Kind kind = Kind::kUser;
  std::string_view name;    ///< of the command: `user`
  std::string_view plural;  ///< first path segment of the top entity: `users`
  std::string_view path;    ///< `users/<id>/devices/<uuid>`
  std::array<std::string_view, 2>
      primary_key;                ///< names in JSON, parent first; the second may be empty
  std::span<const Field> fields;  ///< in the order of JSON and help
  bool secret_name = false;       ///< the last part of the primary key is a credential
};

/// Every kind, parents before what refers to them.
[[nodiscard]] std::span<const KindInfo> all_kinds();
[[nodiscard]] const KindInfo& kind_info(Kind kind);
/// The kind of this command name (`user`), or nothing.
[[nodiscard]] std::optional<Kind> find_kind(std::string_view name);
/// The field of this name, or null. Lives as long as the program.
[[nodiscard]] const Field* find_field(Kind kind, std::string_view name);
/// `desired`, `operational`, `derived` or `ephemeral`, as the schema file writes it.
[[nodiscard]] std::string_view class_name(KeyClass key_class);

/// Where the number of the newest user stands, below the layout's prefix.
inline constexpr std::string_view kUserCounterPath = "counters/user_id";

}  // namespace bennu::inventory
