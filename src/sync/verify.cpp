#include "sync/verify.hpp"

#include <algorithm>
#include <iterator>

#include "sync/plan.hpp"
#include "sync/state_tree.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kMaxKeys = 20;

std::vector<std::string> keys_of(const Plan& plan) {
  std::vector<std::string> keys;
  for (const auto* changes : {&plan.changes, &plan.kept}) {
    for (const PlannedChange& change : *changes) keys.push_back(change.shown);
  }
  std::ranges::sort(keys);
  return keys;
}

// Names what differs as far as the base tells it; a difference that it does not explain stays
// without a name.
Status name_differences(const Link& link, const Sides& sides, VerifyReport& report) {
  if (!sides.state.base) {
    const Status started = may_start(link, sides);
    report.never_equal =
        started ? "nothing was exported yet (`bennu export`)" : started.error().message;
    return {};
  }
  BENNU_ASSIGN(const auto differences, drift(link, Fetch::kNo));
  for (const auto* group : {&differences.both, &differences.kv, &differences.git}) {
    report.different += group->size();
    for (const std::string& key : *group) {
      if (report.keys.size() < kMaxKeys) report.keys.push_back(key);
    }
  }
  BENNU_ASSIGN(const auto base_commit, link.repository.read_commit(sides.state.base->commit));
  report.awaits_normalising = base_commit.tree != sides.state.base->tree;
  const bool kv_changed = !differences.kv.empty() || !differences.both.empty();
  const bool git_changed = !differences.git.empty() || !differences.both.empty();
  report.both_changed = kv_changed && git_changed;
  if (sides.git_moved && !kv_changed && report.kv_tree == sides.state.base->tree) {
    report.base = sides.state.base->commit;
    report.beyond_base = sides.beyond_base;
  }
  return {};
}

}  // namespace

Result<VerifyReport> verify(const Link& link) {
  BENNU_ASSIGN(const auto sides, examine(link, Fetch::kNo));
  VerifyReport report{
      .git_tree = sides.git_tree, .commit = sides.git_head, .revision = sides.state.revision};
  if (sides.state.base) report.exceptions = sides.state.base->exceptions;
  BENNU_ASSIGN(const auto mapping, mapping_of_state(link.store, report.revision, link.identity));
  BENNU_ASSIGN(const auto state, prove_state(link, mapping, report.revision));
  report.kv_tree = state.tree;
  const git::ObjectId expected = report.git_tree.is_null() ? git::empty_tree_id() : report.git_tree;
  report.in_sync = report.kv_tree == expected;
  BENNU_ASSIGN(report.unpushed, count_unpushed(link, sides));
  if (!report.in_sync) BENNU_TRY(name_differences(link, sides, report));
  return report;
}

Result<DriftReport> drift(const Link& link, Fetch fetch) {
  BENNU_ASSIGN(const auto sides, examine(link, fetch));
  BENNU_TRY(may_start(link, sides));
  DriftReport report{.beyond_base = sides.beyond_base, .remote_problem = sides.remote_problem};
  BENNU_ASSIGN(report.unpushed, count_unpushed(link, sides));
  BENNU_ASSIGN(const auto to_git, plan_to_git(link, sides));
  std::vector<std::string> kv = keys_of(to_git);
  std::vector<std::string> git;
  if (sides.git_moved) {
    BENNU_ASSIGN(const auto to_kv, plan_to_kv(link, sides));
    git = keys_of(to_kv);
    for (const PlannedChange& change : to_kv.kept) report.kept.push_back(change.shown);
    // A key that only KV changed is no change of Git's, even though the two differ.
    std::ranges::set_intersection(kv, git, std::back_inserter(report.both));
  }
  std::ranges::set_difference(kv, report.both, std::back_inserter(report.kv));
  std::ranges::set_difference(git, report.both, std::back_inserter(report.git));
  return report;
}

}  // namespace bennu::sync
