#pragma once
// What   What a store remembers of its repository: lineage, base, intents; and their forms in KV
//        and in trailers.
// Why    "Changed since when?" has one answer, written in the same transaction as the change that
//        makes it true.
// Use    `read_sync_state` once per operation, at one revision; put the ops into the transaction
//        that moves the base.
// Units  Revisions of this store's lineage; commits as 40 hex digits.
// Errors kDataLoss: a record that is there does not parse (the message names its key).
// Threads Pure functions of a kv::Reader.
// Source own design: decisions 3 and 7 of ARCHITECTURE.md; docs/formats/sync.md.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "git/object.hpp"
#include "kv/store.hpp"
#include "sync/mapping.hpp"

namespace bennu::sync {

inline constexpr std::string_view kLineageKey = "/_bennu/local/lineage";
inline constexpr std::string_view kBaseKey = "/_bennu/local/sync/base";
inline constexpr std::string_view kIntentPrefix = "/_bennu/local/sync/intent/";

inline constexpr std::string_view kTrailerLineage = "Bennu-Lineage";
inline constexpr std::string_view kTrailerRevision = "Bennu-Revision";
inline constexpr std::string_view kTrailerSyncId = "Bennu-Sync-Id";
inline constexpr std::string_view kTrailerNode = "Bennu-Node";
inline constexpr std::string_view kTrailerReason = "Bennu-Reason";
inline constexpr std::string_view kTrailerRequestId = "Bennu-Request-Id";
inline constexpr std::string_view kTrailerExceptions = "Bennu-Exceptions";

/// A key that was held back from being equal: its value ids at the base, in Git and in KV (empty:
/// absent).
struct Exception {
  std::string key;
  std::string base_id;
  std::string git_id;
  std::string kv_id;
  friend bool operator==(const Exception&, const Exception&) = default;
};

inline constexpr Revision kNeverEqual{-1};

/// Both sides were equal here, but for the exceptions.
struct Base {
  git::ObjectId commit;
  /// canonical(state at `revision`). Differs from the commit's own tree only where documents await
  /// normalising.
  git::ObjectId tree;
  /// 0 in the record means the revision of the transaction that wrote it (filled in by reading);
  /// kNeverEqual: the two sides are yet to be made equal, go over everything.
  Revision revision;
  std::vector<Exception> exceptions;
  /// Transactions after `revision` that changed nothing that Git lacks. 0 in the record means the
  /// transaction that wrote it (filled in by reading). `applied`: an import's or adoption's, which
  /// made KV what the commit is and has no key that changed between `revision` and itself.
  std::vector<Revision> applied;
  std::vector<Revision> unsealed;  ///< an unsealing's: the tree was the same before and after it.
};

/// Written durably before a commit becomes visible: a commit found later is ours only if it matches
/// one of these.
struct Intent {
  std::string sync_id;
  git::ObjectId parent;  ///< zero: the first commit
  git::ObjectId commit;
  git::ObjectId tree;
  Revision revision;  ///< the commit's tree is canonical(state at this revision)
};

struct SyncState {
  std::string lineage;
  std::optional<Base> base;
  Revision
      base_mod_revision;  ///< 0: no base record; compare it in the transaction that moves the base
  std::vector<Intent> intents;
  Revision revision;  ///< the store's newest when this was read
};

[[nodiscard]] Result<SyncState> read_sync_state(kv::Reader& store);

/// The put that records a base. `revision` 0: the base is at the very transaction that carries this
/// put.
[[nodiscard]] kv::Op base_put(const Base& base);
[[nodiscard]] kv::Op lineage_put(const std::string& lineage);
[[nodiscard]] kv::Op intent_put(const Intent& intent);
[[nodiscard]] kv::Op intent_delete(const Intent& intent);
/// Holds while nobody else has moved the base since `state` was read.
[[nodiscard]] kv::Compare base_unmoved(const SyncState& state);
/// These puts and deletes in one transaction, if nobody else has moved the base. Errors: kAborted:
/// somebody has.
[[nodiscard]] Result<Revision> write_unmoved(kv::Store& store, const SyncState& state,
                                             std::vector<kv::Op> ops);

}  // namespace bennu::sync
