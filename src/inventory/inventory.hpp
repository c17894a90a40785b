#pragma once
// What   The operations on the inventory: add, set, change of status, remove; each one transaction
//        with its rules, its cascades and its audit record.
// Why    Whoever changes users and nodes (command line, API) goes through here, so that no rule is
//        ever skipped.
// Use    `Inventory inventory(store, clock, random);` then `inventory.add(...)`. Reading is in
//        read.hpp. The store, the clock and the random source must outlive it.
// Units  Changes are field -> text as typed (values.hpp makes it canonical), or nothing to unset an
//        optional field.
// Errors Reasons in reasons.hpp: kNotFound (kNoEntity); kAlreadyExists (kExists, kTaken);
//        kInvalidArgument (kBadValue); kFailedPrecondition (kRule, kInUse); kAborted (kContended,
//        effect kNone) after kMaxAttempts lost races; and what the guard and the store return.
//        Without Effect::kUnknown nothing has changed.
// Threads Safe for all. Writes block until durable.
// Source The design's inventory.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.hpp"
#include "env/random.hpp"
#include "inventory/attempt.hpp"
#include "inventory/check.hpp"
#include "kv/audit.hpp"
#include "kv/store.hpp"

namespace bennu::inventory {

/// How often an operation begins anew because others changed what it relied on.
inline constexpr int kMaxAttempts = 256;

/// Asked before each transaction; an error is the operation's, and nothing is written.
using Guard = std::function<Status(const kv::TxnRequest&)>;

using Changes = std::map<std::string, std::optional<std::string>, std::less<>>;

struct Outcome {
  Entity entity;             ///< as it is now; as it was, if it is removed
  std::vector<Entity> also;  ///< others that changed, or went, in the same transaction
  Revision revision;         ///< of the transaction; 0 if nothing had to change
  [[nodiscard]] bool changed() const { return revision.value != 0; }
};

class Inventory {
 public:
  Inventory(kv::Store& store, const env::Clock& clock, env::Random& random,
            Layout layout = Layout(), Guard guard = {});

  [[nodiscard]] const Layout& layout() const { return layout_; }

  /// Adds an entity, active. The id of a user is empty (the counter gives it); an empty uuid of a
  /// device is made up.
  [[nodiscard]] Result<Outcome> add(EntityId id, const Changes& fields,
                                    const kv::AuditContext& context);
  /// Changes fields, `status` among them; what is already so is no change, and no change is no
  /// transaction.
  [[nodiscard]] Result<Outcome> set(const EntityId& id, const Changes& changes,
                                    const kv::AuditContext& context);
  /// `kActive`, `kInactive` or `kArchived` (values.hpp). A user that is not active has no active
  /// devices.
  [[nodiscard]] Result<Outcome> set_status(const EntityId& id, std::string_view status,
                                           const kv::AuditContext& context);
  /// Removes an entity; a user with all its devices. Refused while others refer to it.
  [[nodiscard]] Result<Outcome> remove(const EntityId& id, const kv::AuditContext& context);
  /// What remove would answer now, without removing anything.
  [[nodiscard]] Result<Outcome> what_goes(const EntityId& id);

  /// To be called after a transaction at `at` that wrote these keys past the operations: which
  /// rules the entities that it touched break now, and those that refer to them. Moves the derived
  /// keys if they were complete before. Costs what changed, unless a node or cell went that others
  /// may refer to, or the derived keys were not complete.
  [[nodiscard]] Result<std::vector<Violation>> follow(Revision at,
                                                      const std::vector<std::string>& keys);

  /// Makes the unique indexes and the routes anew from the entities, if they are not complete. Each
  /// operation does this by itself; after a restore or an import it is done at once for the
  /// readers.
  [[nodiscard]] Status ensure_derived();

 private:
  using Body = std::function<Result<Outcome>(Attempt&)>;
  [[nodiscard]] Result<Outcome> run(const Body& body, const kv::AuditContext& context,
                                    std::string_view verb, std::string_view details = {});

  kv::Store* store_;
  const env::Clock* clock_;
  env::Random* random_;
  Layout layout_;
  Guard guard_;
};

}  // namespace bennu::inventory
