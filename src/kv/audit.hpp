#pragma once
// What   Who changes something, why and from where, as a record that is put in the same transaction
//        as the change.
// Why    etcd keeps no actor. The record is what makes the actor the author of the commit, and it
//        must neither be lost nor be there without its change: hence one transaction.
// Use    Add `audit_op(...)` to the `success` list of the TxnRequest that makes the change. The
//        exporter reads the records under kAuditPrefix with `parse_audit` and removes those it has
//        committed.
// Units  Record keys are kAuditPrefix + 20 digits of wall microseconds + '-' + 16 hex digits, so
//        they sort by time. Times inside are RFC 3339, UTC, whole seconds.
// Errors parse_actor and parse_audit: kInvalidArgument.
// Threads Pure functions, apart from the clock and the random source that are passed in.
// Source own design; decision 11 of ARCHITECTURE.md (the actor and the time are known).

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "env/clock.hpp"
#include "env/random.hpp"
#include "kv/types.hpp"

namespace bennu::kv {

/// Records wait here for the exporter; never in Git (the commit is their form there).
inline constexpr std::string_view kAuditPrefix = "/_bennu/local/audit/";

/// A person or a program that changes something; becomes the author of the commit.
struct Actor {
  std::string name;
  std::string email;
  friend bool operator==(const Actor&, const Actor&) = default;
};

/// Parses `Name <email>` as git writes it; a bare `name` has an empty email.
/// Errors: kInvalidArgument (nothing left of the name, a control character, an unmatched `<` or
/// `>`).
[[nodiscard]] Result<Actor> parse_actor(std::string_view text);

/// What a caller knows about a change before it makes it.
struct AuditContext {
  Actor actor;
  std::string reason;      ///< why, in the actor's words; may be empty
  std::string request_id;  ///< joins the change with a request elsewhere; may be empty
  std::string node;        ///< the machine that made the change
};

/// One record. `summary` becomes the commit's subject: it must never hold a secret.
struct AuditEntry {
  Actor actor;
  std::string time;
  std::string node;
  std::string reason;
  std::string request_id;
  std::string op;       ///< `user.add`, `kv.put`: for programs
  std::string summary;  ///< `user add anna`: for people
  friend bool operator==(const AuditEntry&, const AuditEntry&) = default;
};

/// The put that records this change; every call makes a new key.
[[nodiscard]] Op audit_op(const AuditContext& context, std::string_view op,
                          std::string_view summary, const env::Clock& clock, env::Random& random);

/// The value of a record: a JSON object with sorted keys and no spaces. Bytes that are not UTF-8
/// are replaced.
[[nodiscard]] std::string to_json(const AuditEntry& entry);

/// Reads a record's value back; fields that it lacks are empty, fields that it does not know are
/// ignored. Errors: kInvalidArgument (not a JSON object, or a field is not a string).
[[nodiscard]] Result<AuditEntry> parse_audit(std::string_view value);

}  // namespace bennu::kv
