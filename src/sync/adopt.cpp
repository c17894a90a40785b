#include "sync/adopt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "sync/commit_tree.hpp"
#include "sync/import.hpp"
#include "sync/plan.hpp"
#include "sync/put_check.hpp"
#include "sync/reasons.hpp"
#include "sync/staged_changes.hpp"
#include "sync/state_tree.hpp"

namespace bennu::sync {
namespace {

bool is_own(std::string_view key) { return key.starts_with("/_bennu/"); }

// What goes of Bennu's own needs the same consent, and is no key that anybody put.
std::string own_text(std::int64_t count) {
  return count == 0 ? std::string() : fmt::format(" (and {} of Bennu's own)", count);
}

kv::Op forget_intents() {
  return kv::Op{kv::DeleteRangeRequest{.range = kv::prefix_range(kIntentPrefix)}};
}

// A new lineage helps a rewound copy alone; the refusals of the other guards name a side to take.
Status check_rewound(const Link& link) {
  const auto sides = examine(link, Fetch::kYes);
  if (!sides) return sides.error().reason == reason::kRewound ? Status() : sides.error();
  if (!sides->remote_problem.empty()) return make_error(Code::kUnavailable, sides->remote_problem);
  if (!sides->state.base || sides->git_head.is_null())
    return {};  // refused below, in its own words
  return make_error(Code::kFailedPrecondition,
                    fmt::format("nothing to adopt: no guard keeps this store and branch {} apart; "
                                "--take git or --take kv takes one side as it is",
                                link.branch));
}

Result<Revision> keep_base(const Link& link, const Sides& sides, const std::string& lineage) {
  if (!sides.state.base) {
    return make_error(Code::kFailedPrecondition,
                      "this store has no base in this repository: say which side to keep with "
                      "--take git or --take kv",
                      reason::kNoBase);
  }
  return write_unmoved(link.store, sides.state, {lineage_put(lineage), forget_intents()});
}

// The state becomes Git's, whole: what is not there goes.
Status take_git(const Link& link, const Sides& sides, const AdoptOptions& options,
                AdoptReport& report) {
  const auto head = open_commit(link.repository, sides.git_head, link.identity);
  if (!head) return with_ways_on(head.error());
  const Mapping& mapping = head->mapping;
  std::map<std::string, std::string, std::less<>> wanted;
  const auto stats = read_state(link.repository, *head, link.stop, link.progress,
                                [&](std::string_view key, std::string_view value) -> Status {
                                  wanted[std::string(key)] = value;
                                  return {};
                                });
  if (!stats) return with_ways_on(stats.error());
  BENNU_TRY(refuse_exposed(sides.git_head, stats->exposed));
  Plan plan{
      .direction = Direction::kToKv, .git_head = sides.git_head, .revision = sides.state.revision};
  std::vector<std::string> gone;
  std::int64_t keys = 0;
  std::int64_t deletes = 0;
  std::int64_t own_deletes = 0;
  const std::string unique_prefix = std::string(kLocalPrefix) + "unique/";
  BENNU_TRY(link.store.scan(kv::all_keys(), plan.revision, [&](kv::KeyValue& kv) -> Status {
    BENNU_TRY(go_on(link));
    const auto same = wanted.find(kv.key);
    if (same != wanted.end()) {
      if (same->second == kv.value && kv.lease.value == 0) wanted.erase(same);
    } else if (kv.key.starts_with(unique_prefix)) {
      // Made anew by whoever needs them next.
      if (kv.key != kDerivedCompleteKey) gone.push_back(kv.key);
    } else if (kv.lease.value == 0 && Mapping::is_in_tree(mapping.classify(kv.key).key_class)) {
      gone.push_back(kv.key);
      ++(is_own(kv.key) ? own_deletes : deletes);
    }
    if (!is_own(kv.key)) ++keys;
    return {};
  }));
  if (mapping.ring().empty() && !options.deletes_confirmed) {
    SealedImport sealed(link, mapping, plan.revision);
    for (const auto& [key, value] : wanted) {
      BENNU_ASSIGN(const auto now, link.store.range({.range = {.key = key}}));
      std::optional<std::string> before;
      if (!now.kvs.empty()) before = now.kvs[0].value;
      BENNU_TRY(sealed.check(key, before, value));
    }
  }
  if (deletes + own_deletes > 0 && !options.deletes_confirmed) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("taking Git's side deletes {} of {} keys of this store{}; add "
                                  "--yes if that is right",
                                  deletes, keys, own_text(own_deletes)),
                      reason::kDeleteBudget);
  }
  // Before the transaction: a run that is cut off after it goes on with the branch alone.
  BENNU_TRY(keep_branch(link, sides.local_head, sides.git_head));
  git::HashSink sink(&link.repository);
  Base base{.commit = sides.git_head, .revision = plan.revision, .applied = {Revision{}}};
  BENNU_ASSIGN(base.tree, canonical_tree(link.repository, sides.git_tree, mapping, sink));
  BENNU_ASSIGN(auto staged, StagedChanges::begin(link, plan.revision));
  for (const auto& [key, value] : wanted) BENNU_TRY(staged.put(key, value));
  for (const std::string& key : gone) BENNU_TRY(staged.erase(key));
  BENNU_ASSIGN(report.revision, staged.commit({base_unmoved(sides.state)},
                                              {base_put(base), derived_put(),
                                               lineage_put(report.lineage), forget_intents()}));
  report.puts = static_cast<std::uint64_t>(
      std::ranges::count_if(wanted, [](const auto& entry) { return !is_own(entry.first); }));
  report.deletes = static_cast<std::uint64_t>(deletes);
  return move_branch(link, sides.local_head, sides.git_head);
}

// What Git would lose of its own.
struct Losses {
  std::int64_t deleted = 0;   // keys that this store does not have
  std::int64_t replaced = 0;  // keys that have another value here
  std::int64_t total = 0;
  std::int64_t own = 0;  // of Bennu's own, not among those: deleted
};

Result<Losses> losses_of_git(const Link& link, const Sides& sides) {
  BENNU_ASSIGN(const auto head, open_commit(link.repository, sides.git_head, link.identity));
  Losses losses;
  BENNU_TRY(read_state(link.repository, head, link.stop, link.progress,
                       [&](std::string_view key, std::string_view value) -> Status {
                         BENNU_ASSIGN(const auto found,
                                      link.store.range({.range = {.key = std::string(key)}}));
                         if (is_own(key)) {
                           if (found.kvs.empty()) ++losses.own;
                           return {};
                         }
                         ++losses.total;
                         if (found.kvs.empty()) {
                           ++losses.deleted;
                         } else if (found.kvs[0].value != value) {
                           ++losses.replaced;
                         }
                         return {};
                       }));
  return losses;
}

// What this store's side would cost Git, if that is confirmed or little: keys deleted.
Result<std::uint64_t> may_replace_git(const Link& link, const Sides& sides,
                                      const AdoptOptions& options) {
  const auto losses = losses_of_git(link, sides);
  if (!losses && is_unreadable(losses.error())) {
    if (options.deletes_confirmed) return 0;  // nobody can count them
    return make_error(Code::kFailedPrecondition,
                      fmt::format("what Git would lose cannot be read ({}); add --yes to put this "
                                  "store's state on top of it all the same",
                                  losses.error().message),
                      reason::kDeleteBudget);
  }
  BENNU_TRY(losses);
  const bool over = link.budget.is_over(losses->deleted + losses->replaced, losses->total);
  if ((losses->deleted + losses->own > 0 || over) && !options.deletes_confirmed) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("taking this store's side deletes {} and replaces {} of {} keys in Git{}; add "
                    "--yes if that is right",
                    losses->deleted, losses->replaced, losses->total, own_text(losses->own)),
        reason::kDeleteBudget);
  }
  return static_cast<std::uint64_t>(losses->deleted);
}

kv::AuditEntry adoption(const Link& link, const Sides& sides, const AdoptOptions& options) {
  kv::AuditEntry entry{
      .actor = {.name = "Bennu on " + link.node_name, .email = "bennu@" + link.node_name},
      .time = env::to_rfc3339(link.clock.wall()),
      .node = link.node_name,
      .op = "adopt",
      .summary = fmt::format("Adopt: this store's state over {}", sides.git_head.short_hex())};
  if (options.audit) {
    entry.actor = options.audit->actor;
    entry.reason = options.audit->reason;
    entry.request_id = options.audit->request_id;
  }
  return entry;
}

// This state becomes a commit on Git's head.
Status take_kv(const Link& link, const Sides& sides, const AdoptOptions& options,
               AdoptReport& report) {
  BENNU_ASSIGN(const auto mapping,
               mapping_of_state(link.store, sides.state.revision, link.identity));
  BENNU_ASSIGN(const auto keys, keys_in_tree(link.store, mapping));
  if (keys == 0) {
    return make_error(
        Code::kFailedPrecondition,
        "this store is empty: taking its side would empty the branch; nothing was done",
        reason::kNoBase);
  }
  BENNU_ASSIGN(report.deletes, may_replace_git(link, sides, options));
  BENNU_TRY(keep_branch(link, sides.local_head, sides.git_head));
  // Base and lineage go in with the commit: what cannot be exported has changed nothing.
  Sides onto = sides;
  onto.state.base = Base{.commit = sides.git_head, .tree = sides.git_tree, .revision = kNeverEqual};
  onto.state.lineage = report.lineage;
  BENNU_ASSIGN(report.exported, export_onto(link, onto,
                                            {.push = options.push,
                                             .deletes_confirmed = true,
                                             .adoption = adoption(link, sides, options)}));
  report.revision = sides.state.revision;
  return {};
}

}  // namespace

Result<AdoptReport> adopt(const Link& link, const AdoptOptions& options) {
  if (options.take == Take::kNeither) BENNU_TRY(check_rewound(link));
  BENNU_ASSIGN(auto sides, examine(link, Fetch::kYes, false));
  if (!sides.remote_problem.empty() && options.take != Take::kNeither) {
    return make_error(Code::kUnavailable, sides.remote_problem);  // never on yesterday's head
  }
  if (sides.git_head.is_null()) {
    return make_error(Code::kFailedPrecondition,
                      "there is no commit to adopt; `bennu export` makes the first one");
  }
  // What the remote has is what counts; a branch of ours that it does not contain was refused
  // before.
  if (!sides.remote_head.is_null() && options.take != Take::kNeither) {
    sides.git_head = sides.remote_head;
    BENNU_ASSIGN(const auto head, link.repository.read_commit(sides.git_head));
    sides.git_tree = head.tree;
  }
  AdoptReport report{.lineage = env::random_uuid(link.random), .base = sides.git_head};
  if (options.take == Take::kGit) {
    BENNU_TRY(take_git(link, sides, options, report));
  } else if (options.take == Take::kKv) {
    BENNU_TRY(take_kv(link, sides, options, report));
  } else {
    BENNU_ASSIGN(report.revision, keep_base(link, sides, report.lineage));
    report.base = sides.state.base->commit;
  }
  if (sides.branch_gone && !report.exported.pushed) BENNU_TRY(forget_remote_branch(link));
  return report;
}

}  // namespace bennu::sync
