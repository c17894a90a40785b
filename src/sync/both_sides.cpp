#include "sync/both_sides.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "sync/plan.hpp"
#include "sync/reasons.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kNamesInMessage = 10;

using Names = std::vector<std::string>;

std::string listed(const Names& all) {
  std::string text;
  for (std::size_t i = 0; i < std::min(all.size(), kNamesInMessage); ++i) {
    text += (i == 0 ? "" : ", ") + printable(all[i], 100);
  }
  if (all.size() > kNamesInMessage)
    text += fmt::format(" and {} more", all.size() - kNamesInMessage);
  return text.empty() ? std::string("nothing that the other lacks") : text;
}

Error both_changed(const Link& link, const Names& kv, const Names& git) {
  return make_error(
      Code::kFailedPrecondition,
      fmt::format(
          "both sides changed since the base: in KV {}; in Git (branch {}) {}. Nothing was "
          "written. "
          "Merging is not part of this release: take one side back (`bennu diff`, `bennu adopt "
          "--take git|kv`) and run it again",
          listed(kv), link.branch, listed(git)),
      reason::kBothChanged);
}

}  // namespace

Result<Meeting> meet(const Link& link, const Sides& sides, const KvChanges& kv) {
  const bool both = sides.fork || (sides.git_moved && kv.changed);
  if (!both) return Meeting{.kv = kv.changed, .git = sides.git_moved};
  if (kv.tree == sides.git_tree) return Meeting{};
  BENNU_ASSIGN(const auto to_git, plan_to_git(link, sides));
  BENNU_ASSIGN(const auto to_kv, plan_to_kv(link, sides));
  Names ours;
  Names theirs;
  for (const PlannedChange& change : to_git.changes) ours.push_back(change.shown);
  for (const PlannedChange& change : to_kv.changes) theirs.push_back(change.shown);
  for (const PlannedChange& change : to_kv.kept) theirs.push_back(change.shown);
  // Commits of ours that never reached the remote are not made anew on another head.
  const bool apart = sides.fork && sides.git_moved;
  if (!ours.empty() && (apart || !theirs.empty())) return both_changed(link, ours, theirs);
  return Meeting{.kv = !ours.empty(), .git = !theirs.empty()};
}

}  // namespace bennu::sync
