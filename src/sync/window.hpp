#pragma once
// What   What happened in KV since the base, as groups that each become one commit.
// Why    Each command's change becomes a commit whose author is the actor; what nobody recorded is
//        said to be unknown.
// Use    `read_window(link, state, mapping)`; the exporter builds the groups in order.
// Errors Those of the store.
// Threads As Link.
// Source decision 11 of ARCHITECTURE.md.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kv/audit.hpp"
#include "sync/base_record.hpp"
#include "sync/link.hpp"
#include "sync/mapping.hpp"

namespace bennu::sync {

/// Consecutive transactions that go into one commit.
struct Group {
  Revision from;
  Revision to;
  /// Where its files are read: at `to`; of what came while an import or adoption was at work, at
  /// that transaction. A file of it may hold what they changed beside what the group did, and
  /// before them it had still the values that Git's commits had replaced.
  Revision read_at;
  std::optional<kv::AuditEntry> audit;  ///< nothing: written past Bennu
  std::set<std::string> keys;           ///< of the tree
};

/// Where a key that changed has its values: at the base, and now. Not simply the window's ends:
/// between them may lie an import or an unsealing, which changed nothing that Git lacks.
struct Span {
  Revision before;
  Revision after;
};

struct Window {
  Revision from;  ///< the base's revision; changes after it
  Revision to;
  std::vector<Group> groups;
  std::map<std::string, Span> touched;  ///< every key of `groups`
  /// Whole states must be compared: no base, history compacted, too many changes, or the mapping
  /// itself changed.
  bool whole = false;
  /// Every audit entry up to `to`, oldest first; the ones to remove once they are committed.
  std::vector<std::string> audit_keys;
  /// With `whole`: the entry that was put last, and whether all entries have the same actor.
  std::optional<kv::AuditEntry> newest_audit;
  bool one_actor = false;
};

/// More changed keys than this are cheaper to export by going over everything.
inline constexpr std::size_t kMaxWindowKeys = 50'000;
/// More groups than this are joined where neighbours have the same actor.
inline constexpr std::size_t kMaxWindowGroups = 1000;

[[nodiscard]] Result<Window> read_window(const Link& link, const SyncState& state,
                                         const Mapping& mapping);

}  // namespace bennu::sync
