#pragma once
// What   Which keys changed after a revision, transaction by transaction, read from a store's
//        history.
// Why    An export costs what changed, not what there is; and each audited transaction becomes its
//        own commit.
// Use    `changes_since(store, base, now)`; nothing means that history does not reach back far
//        enough.
// Units  Revisions: after `after`, up to and with `until`. At most `max_keys` changes are kept.
// Errors Those of the store.
// Threads Blocks while reading; safe for all.
// Source etcd's watch from an old revision (api_guarantees: ordered, reliable, atomic).

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kv/store.hpp"

namespace bennu::sync {

struct KeyChange {
  std::string key;
  kv::EventType type = kv::EventType::kPut;
  bool leased = false;
  std::string value;  ///< only of audit entries
};

struct RevisionChanges {
  Revision revision;
  std::vector<KeyChange> changes;
};

/// The transactions in (after, until], oldest first. Nothing if history is compacted there or there
/// are more than `max_keys` changes: then compare whole states.
[[nodiscard]] Result<std::optional<std::vector<RevisionChanges>>> changes_since(
    kv::Store& store, Revision after, Revision until, std::size_t max_keys);

}  // namespace bennu::sync
