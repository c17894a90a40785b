#include "sync/unseal.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>
#include <vector>

#include "sync/age_keys.hpp"
#include "sync/base_record.hpp"
#include "sync/reasons.hpp"
#include "sync/staged_changes.hpp"
#include "sync/state_tree.hpp"

namespace bennu::sync {
namespace {

using KeyValues = std::map<std::string, std::string, std::less<>>;

bool may_be_sealed(const Mapping& mapping, const TreeFile& file) {
  const PathOf what = mapping.parse_path(file.path);
  if (what.kind == PathOf::Kind::kDocument) return true;
  return what.kind == PathOf::Kind::kRawKey && mapping.classify(what.key).secret;
}

// The keys of one file as `mapping` reads them.
Status read_file(const Mapping& mapping, TreeFile file, KeyValues& keys) {
  TreeParser parser(mapping, [&](std::string_view key, std::string_view value) -> Status {
    keys.insert_or_assign(std::string(key), std::string(value));
    return {};
  });
  file.has_siblings = true;
  BENNU_TRY(parser.add(file));
  BENNU_TRY(parser.finish());
  return {};
}

}  // namespace

Result<UnsealReport> unseal(const Link& link) {
  BENNU_ASSIGN(const auto state, read_sync_state(link.store));
  BENNU_ASSIGN(const auto open, mapping_of_state(link.store, state.revision, link.identity));
  if (open.ring().empty()) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("{}; name the identity with `--identity FILE`", why_locked(link.identity)),
        reason::kNoKey);
  }
  BENNU_ASSIGN(const auto locked, mapping_of_state(link.store, state.revision, {}));
  // The tree of the state as it is, read once as it was written and once with the key: what differs
  // was sealed.
  KeyValues before;
  KeyValues after;
  BENNU_TRY(each_file(link, open, state.revision, [&](const TreeFile& file) -> Status {
    BENNU_TRY(go_on(link));
    if (!may_be_sealed(open, file) || !file.id.empty()) return {};
    BENNU_TRY(read_file(locked, file, before));
    return read_file(open, file, after);
  }));
  BENNU_ASSIGN(auto staged, StagedChanges::begin(link, state.revision));
  UnsealReport report;
  for (const auto& [key, value] : before) {
    BENNU_TRY(go_on(link));
    BENNU_ASSIGN(
        const auto there,
        link.store.range({.range = {.key = key}, .revision = state.revision, .count_only = true}));
    if (there.count == 0 || after.contains(key)) continue;
    BENNU_TRY(staged.erase(key));
    ++report.deletes;
  }
  for (const auto& [key, value] : after) {
    BENNU_TRY(go_on(link));
    BENNU_ASSIGN(const auto now,
                 link.store.range({.range = {.key = key}, .revision = state.revision}));
    if (!now.kvs.empty() && now.kvs[0].value == value) continue;
    BENNU_TRY(staged.put(key, value));
    ++report.puts;
  }
  if (report.puts + report.deletes == 0) return report;
  std::vector<kv::Op> extra{derived_put()};
  if (state.base) {
    // The tree stays what it is, so this transaction is no change since the base.
    Base base = *state.base;
    base.unsealed.emplace_back();
    extra.push_back(base_put(base));
  }
  BENNU_ASSIGN(report.revision, staged.commit({base_unmoved(state)}, std::move(extra)));
  return report;
}

}  // namespace bennu::sync
