#include "sync/window.hpp"

#include <algorithm>
#include <utility>

#include "sync/changes_since.hpp"

namespace bennu::sync {
namespace {

bool changes_mapping(std::string_view key) {
  return key.starts_with(kFileRecordPrefix) &&
         key.substr(kFileRecordPrefix.size()).starts_with(".bennu/");
}

// The group that a transaction belongs to: its own if somebody signed it, else that of its unsigned
// neighbours after `from`. Beyond an unsealing a sealed name is not there any more to be read.
Group& group_for(std::vector<Group>& groups, Revision from, Revision revision,
                 std::optional<kv::AuditEntry> audit) {
  const bool neighbour = !groups.empty() && groups.back().from > from;
  if (!neighbour || audit || groups.back().audit)
    groups.push_back({.from = revision, .audit = std::move(audit)});
  groups.back().to = revision;
  groups.back().read_at = revision;
  return groups.back();
}

// `ordinary`: whether the tree has had files that another mapping would place otherwise.
void take_revision(const Mapping& mapping, Revision from, const RevisionChanges& transaction,
                   Window& window, bool& ordinary, std::set<std::string>& touched) {
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
  touched.insert(keys.begin(), keys.end());
  group_for(window.groups, from, transaction.revision, std::move(audit)).keys.merge(keys);
}

void join_neighbours(std::vector<Group>& groups, const std::vector<Revision>& unsealed) {
  std::vector<Group> joined;
  for (Group& group : groups) {
    const bool same = !joined.empty() && joined.back().audit && group.audit &&
                      joined.back().audit->actor == group.audit->actor &&
                      std::ranges::none_of(unsealed, [&](Revision at) {
                        return joined.back().to < at && at < group.from;
                      });
    if (!same) {
      joined.push_back(std::move(group));
      continue;
    }
    joined.back().to = group.to;
    joined.back().read_at = group.read_at;
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
  Revision newest;
  for (const kv::KeyValue& kv : entries.kvs) {
    window.audit_keys.push_back(kv.key);
    if (kv.mod_revision <= window.from) continue;
    auto entry = kv::parse_audit(kv.value);
    if (!entry) continue;
    if (!first) first = entry->actor;
    window.one_actor = window.one_actor && *first == entry->actor;
    // By revision: the keys are in the order of a clock that may have been set back.
    if (kv.mod_revision <= newest) continue;
    newest = kv.mod_revision;
    window.newest_audit = std::move(*entry);
  }
  return {};
}

// The changes after `from` up to `to`, between two transactions that count as none.
Result<bool> read_stretch(const Link& link, const Mapping& mapping, Revision from, Revision to,
                          std::size_t& room, bool& ordinary, Window& window) {
  BENNU_ASSIGN(const auto changes, changes_since(link.store, from, to, room));
  if (!changes) return false;
  std::set<std::string> keys;
  for (const RevisionChanges& transaction : *changes) {
    room -= std::min(room, transaction.changes.size());
    take_revision(mapping, from, transaction, window, ordinary, keys);
  }
  for (const std::string& key : keys)
    window.touched.try_emplace(key, Span{.before = from, .after = to}).first->second.after = to;
  return true;
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
  bool ordinary = state.base.has_value();
  std::size_t room = kMaxWindowKeys;
  const Base base = state.base.value_or(Base{});
  std::vector<Revision> ends = base.applied;
  ends.insert(ends.end(), base.unsealed.begin(), base.unsealed.end());
  std::ranges::sort(ends);
  ends.push_back(window.to.next());
  Revision from = window.from;
  for (const Revision end : ends) {
    BENNU_ASSIGN(const bool known,
                 read_stretch(link, mapping, from, end.previous(), room, ordinary, window));
    if (!known) {
      window.whole = true;
      window.groups.clear();
      window.touched.clear();
      return window;
    }
    if (std::ranges::count(base.applied, end) > 0) {
      for (Group& group : window.groups) group.read_at = end;
    }
    from = end;
  }
  if (window.groups.size() > kMaxWindowGroups) join_neighbours(window.groups, base.unsealed);
  return window;
}

}  // namespace bennu::sync
