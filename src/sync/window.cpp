#include "sync/window.hpp"

#include <utility>

#include "sync/changes_since.hpp"

namespace bennu::sync {
namespace {

bool changes_mapping(std::string_view key) {
  return key.starts_with(kFileRecordPrefix) &&
         key.substr(kFileRecordPrefix.size()).starts_with(".bennu/");
}

// The group that a transaction belongs to: its own if somebody signed it, else that of its unsigned
// neighbours.
Group& group_for(std::vector<Group>& groups, Revision revision,
                 std::optional<kv::AuditEntry> audit) {
  if (!audit && !groups.empty() && !groups.back().audit) {
    groups.back().to = revision;
    return groups.back();
  }
  groups.push_back({.from = revision, .to = revision, .audit = std::move(audit)});
  return groups.back();
}

// `ordinary`: whether the tree has had files that another mapping would place otherwise.
void take_revision(const Mapping& mapping, const RevisionChanges& transaction, Window& window,
                   bool& ordinary) {
  std::optional<kv::AuditEntry> audit;
  std::set<std::string> keys;
  bool others = false;
  for (const KeyChange& change : transaction.changes) {
    if (change.key.starts_with(kv::kAuditPrefix)) {
      if (change.type != kv::EventType::kPut) continue;
      if (auto entry = kv::parse_audit(change.value)) audit = std::move(*entry);
      continue;
    }
    if (!Mapping::is_in_tree(mapping.classify(change.key).key_class)) continue;
    const bool mapping_changes = changes_mapping(change.key);
    if (mapping_changes && ordinary) window.whole = true;
    if (!mapping_changes) others = true;
    keys.insert(change.key);
  }
  ordinary = ordinary || others;
  if (keys.empty()) return;
  group_for(window.groups, transaction.revision, std::move(audit)).keys.merge(keys);
}

void join_neighbours(std::vector<Group>& groups) {
  std::vector<Group> joined;
  for (Group& group : groups) {
    const bool same = !joined.empty() && joined.back().audit && group.audit &&
                      joined.back().audit->actor == group.audit->actor;
    if (!same) {
      joined.push_back(std::move(group));
      continue;
    }
    joined.back().to = group.to;
    joined.back().keys.merge(group.keys);
    joined.back().audit->summary = "several changes";
  }
  groups = std::move(joined);
}

Status read_audit(const Link& link, Window& window) {
  BENNU_ASSIGN(const auto entries, link.store.range({.range = kv::prefix_range(kv::kAuditPrefix),
                                                     .revision = window.to}));
  window.one_actor = !entries.kvs.empty();
  std::optional<kv::Actor> first;
  for (const kv::KeyValue& kv : entries.kvs) {
    window.audit_keys.push_back(kv.key);
    if (kv.mod_revision <= window.from) continue;
    auto entry = kv::parse_audit(kv.value);
    if (!entry) continue;
    if (!first) first = entry->actor;
    window.one_actor = window.one_actor && *first == entry->actor;
    window.newest_audit = std::move(*entry);
  }
  return {};
}

}  // namespace

Result<Window> read_window(const Link& link, const SyncState& state, const Mapping& mapping) {
  Window window{.to = state.revision};
  if (state.base) window.from = state.base->revision;
  BENNU_TRY(read_audit(link, window));
  if (state.base && state.base->revision == kNeverEqual) {
    window.whole = true;
    return window;
  }
  BENNU_ASSIGN(const auto changes,
               changes_since(link.store, window.from, window.to, kMaxWindowKeys));
  if (!changes) {
    window.whole = true;
    return window;
  }
  bool ordinary = state.base.has_value();
  for (const RevisionChanges& transaction : *changes) {
    take_revision(mapping, transaction, window, ordinary);
  }
  if (window.groups.size() > kMaxWindowGroups) join_neighbours(window.groups);
  return window;
}

}  // namespace bennu::sync
