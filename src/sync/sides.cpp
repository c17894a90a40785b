#include "sync/sides.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "git/history.hpp"
#include "git/reasons.hpp"
#include "git/remote.hpp"
#include "sync/reasons.hpp"

namespace bennu::sync {
namespace {

// Whether the intent's commit is in a history; a commit that is not here is in none.
Result<bool> is_in(const Link& link, const git::ObjectId& commit, const git::ObjectId& head) {
  if (commit == head) return true;
  if (head.is_null() || !link.repository.contains(commit) || !link.repository.contains(head))
    return false;
  return link.repository.is_ancestor(commit, head);
}

// An export that was cut off after its commit became visible here: the base follows, as it would
// have. An intent whose commit the remote has is done, whether or not its push was answered.
Status settle(const Link& link, Sides& sides) {
  const std::vector<Intent> intents = sides.state.intents;
  for (const Intent& intent : intents) {
    bool base_is_there = false;
    if (sides.state.base) {
      BENNU_ASSIGN(base_is_there, is_in(link, intent.commit, sides.state.base->commit));
    }
    BENNU_ASSIGN(const bool pushed, is_in(link, intent.commit, sides.remote_head));
    if (base_is_there && !pushed) continue;
    BENNU_ASSIGN(const bool contained, is_in(link, intent.commit, sides.local_head));
    const bool older = contained && intent.commit != sides.local_head;
    if (!base_is_there && older) continue;  // waits to be pushed
    std::vector<kv::Op> ops{intent_delete(intent)};
    if (contained && !base_is_there) {
      ops = {base_put({.commit = intent.commit, .tree = intent.tree, .revision = intent.revision})};
    }
    BENNU_TRY(write_unmoved(link.store, sides.state, std::move(ops)));
    BENNU_ASSIGN(sides.state, read_sync_state(link.store));
  }
  return {};
}

// An import or adoption that was cut off before our branch followed its transaction.
Status follow_base(const Link& link, Sides& sides) {
  if (!sides.state.base || sides.remote_head.is_null() || sides.local_head == sides.remote_head ||
      sides.state.base->commit != sides.remote_head) {
    return {};
  }
  BENNU_ASSIGN(const bool ahead, is_in(link, sides.remote_head, sides.local_head));
  if (ahead) return {};
  BENNU_TRY(move_branch(link, sides.local_head, sides.remote_head));
  sides.local_head = sides.remote_head;
  return {};
}

// A branch that is neither here nor at the remote begins at the base, with its history.
Status begin_branch(const Link& link, Sides& sides) {
  if (!sides.state.base || !sides.local_head.is_null() || !sides.remote_head.is_null() ||
      !link.repository.contains(sides.state.base->commit)) {
    return {};
  }
  BENNU_TRY(move_branch(link, {}, sides.state.base->commit));
  sides.local_head = sides.state.base->commit;
  return {};
}

Status fetch_remote(const Link& link, Sides& sides) {
  if (link.remote_url.empty()) return {};
  git::RemoteOptions options{.stop = link.stop};
  options.on_progress = [&link](std::string_view line) { link.progress(line, 0, 0); };
  const auto fetched = git::fetch(link.repository, link.remote_url, options, link.branch);
  if (fetched) return {};
  if (fetched.error().code == Code::kCancelled) return fetched.error();
  if (fetched.error().reason == git::reason::kCorrupt) {  // ours, not the remote's
    Error error = fetched.error();
    error.message += " (the key-value store is whole)";
    return error;
  }
  if (fetched.error().reason != git::reason::kNotFound) {
    sides.remote_problem = fetched.error().message;
    return {};
  }
  BENNU_ASSIGN(const auto known, link.repository.find_ref(remote_ref(link)));
  sides.branch_gone = known.has_value();  // not there yet: an export may make it
  return {};
}

Error branch_gone(const Link& link, const git::ObjectId& last) {
  return make_error(
      Code::kFailedPrecondition,
      fmt::format(
          "branch {} is not at the remote any more (it was at {}): deleted there, or "
          "remote.url names another repository now; put it back, or `bennu adopt --take kv` "
          "makes it there, with all of this store's history",
          link.branch, last.short_hex()),
      reason::kBranchGone);
}

bool is_intended(const Sides& sides, const git::CommitInfo& commit) {
  const auto sync_id = git::find_trailer(commit.message, kTrailerSyncId);
  return sync_id && std::ranges::any_of(sides.state.intents, [&](const Intent& intent) {
           return *sync_id == intent.sync_id;
         });
}

// Commits of our own lineage beyond the base must be ones that this store meant to make. Counts
// those beyond the base.
Status check_not_rewound(const Link& link, Sides& sides) {
  if (sides.state.lineage.empty()) return {};
  const git::LogOptions options{.until = sides.state.base->commit};
  return git::log(
      link.repository, sides.git_head, options,
      [&](const git::LogEntry& entry) -> Result<git::Walk> {
        ++sides.beyond_base;
        if (git::find_trailer(entry.commit.message, kTrailerLineage) != sides.state.lineage)
          return git::Walk::kContinue;
        if (is_intended(sides, entry.commit)) return git::Walk::kContinue;
        return make_error(
            Code::kFailedPrecondition,
            fmt::format(
                "commit {} was made by this store's lineage, but this store does not know it: it "
                "is an "
                "older copy. `bennu adopt` gives it a lineage of its own and goes on from its base",
                entry.id.short_hex()),
            reason::kRewound);
      });
}

// Whether everything that the remote lacks of our branch is exports of ours that still wait to be
// pushed.
Result<std::optional<git::ObjectId>> find_fork(const Link& link, const Sides& sides) {
  BENNU_ASSIGN(const auto fork,
               link.repository.merge_base(sides.state.base->commit, sides.git_head));
  if (!fork) return std::nullopt;
  bool all_ours = true;
  BENNU_TRY(git::log(link.repository, sides.state.base->commit, {.until = *fork},
                     [&](const git::LogEntry& entry) -> Result<git::Walk> {
                       all_ours = is_intended(sides, entry.commit);
                       return all_ours ? git::Walk::kContinue : git::Walk::kStop;
                     }));
  if (!all_ours) return std::nullopt;
  return fork;
}

Error rewritten(const Link& link, const git::ObjectId& missing) {
  return make_error(Code::kFailedPrecondition,
                    fmt::format("the history of branch {} was rewritten: it no longer holds the "
                                "base {}. Put the old history back, or "
                                "`bennu adopt --take git` to follow the new one, or `bennu adopt "
                                "--take kv` to add this store's state on top",
                                link.branch, missing.short_hex()),
                    reason::kBaseRewritten);
}

// Another branch of this repository that holds a commit; empty if there is none.
Result<std::string> branch_with(const Link& link, const git::ObjectId& commit) {
  constexpr std::string_view kBranches = "refs/heads/";
  BENNU_ASSIGN(const auto refs, link.repository.list_refs(kBranches));
  for (const git::Ref& ref : refs) {
    BENNU_ASSIGN(const bool holds, is_in(link, commit, ref.id));
    if (holds && ref.name != local_ref(link)) return ref.name.substr(kBranches.size());
  }
  return std::string();
}

// The base is not in the branch's history: why, as far as it can be known here.
Error without_base(const Link& link, const Sides& sides) {
  const git::ObjectId& base = sides.state.base->commit;
  if (!link.repository.contains(base)) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("the base {} of this store is not in {}: it was never pushed and this is "
                    "another clone, or the history of branch {} was rewritten. `bennu adopt "
                    "--take kv` adds this store's state on top of the branch, `bennu adopt --take "
                    "git` follows it",
                    base.short_hex(), link.repository.path().string(), link.branch),
        reason::kBaseRewritten);
  }
  BENNU_ASSIGN(const auto other, branch_with(link, base));
  if (other.empty()) return rewritten(link, base);
  const bool absent = sides.remote_head.is_null() && !link.remote_url.empty();
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("this store's base {} is on branch {}, and not on branch {}{}. Set remote.branch "
                  "to {}, or `bennu adopt --take git` to follow {}, or `bennu adopt --take kv` to "
                  "add this store's state on top of it",
                  base.short_hex(), other, link.branch,
                  absent ? ", which the remote does not have" : "", other, link.branch),
      reason::kBaseRewritten);
}

// Commits of ours that the remote lacks must still wait to be pushed; others were there and are
// gone.
Status check_not_taken_back(const Link& link, const Sides& sides) {
  if (sides.remote_head.is_null() || !sides.unpushed || sides.git_head != sides.local_head)
    return {};
  return git::log(link.repository, sides.local_head, {.until = sides.remote_head},
                  [&](const git::LogEntry& entry) -> Result<git::Walk> {
                    if (is_intended(sides, entry.commit)) return git::Walk::kContinue;
                    return rewritten(link, entry.id);
                  });
}

Status check_base_kept(const Link& link, Sides& sides) {
  const git::ObjectId& base = sides.state.base->commit;
  if (base.is_null()) return {};
  if (link.repository.contains(base)) {
    BENNU_ASSIGN(const bool kept, link.repository.is_ancestor(base, sides.git_head));
    if (kept) return {};
    BENNU_ASSIGN(sides.fork, find_fork(link, sides));
    if (sides.fork) return {};
  }
  return without_base(link, sides);
}

Status compare_heads(const Link& link, Sides& sides) {
  sides.git_head = sides.local_head;
  if (sides.remote_head.is_null()) {
    sides.unpushed = !link.remote_url.empty() && !sides.local_head.is_null();
  } else if (sides.local_head.is_null()) {
    sides.git_head = sides.remote_head;
  } else if (sides.remote_head != sides.local_head) {
    BENNU_ASSIGN(const bool behind,
                 link.repository.is_ancestor(sides.local_head, sides.remote_head));
    BENNU_ASSIGN(sides.unpushed, link.repository.is_ancestor(sides.remote_head, sides.local_head));
    if (!sides.unpushed) sides.git_head = sides.remote_head;
    if (!behind && !sides.unpushed) sides.unpushed = true;  // both have commits of their own
  }
  if (!sides.git_head.is_null()) {
    BENNU_ASSIGN(const auto commit, link.repository.read_commit(sides.git_head));
    sides.git_tree = commit.tree;
  }
  return {};
}

}  // namespace

Status keep_branch(const Link& link, const git::ObjectId& local_head, const git::ObjectId& to) {
  if (local_head.is_null()) return {};
  BENNU_ASSIGN(const bool contained, is_in(link, local_head, to));
  if (contained) return {};
  const std::string kept = "refs/bennu/kept/" + local_head.hex();
  BENNU_ASSIGN(const auto there, link.repository.find_ref(kept));
  if (there) return {};
  return link.repository.update_ref(kept, local_head, std::nullopt);
}

Status move_branch(const Link& link, const git::ObjectId& local_head, const git::ObjectId& to) {
  if (local_head == to) return {};
  BENNU_TRY(keep_branch(link, local_head, to));
  std::optional<git::ObjectId> expected;
  if (!local_head.is_null()) expected = local_head;
  return link.repository.update_ref(local_ref(link), to, expected);
}

Status forget_remote_branch(const Link& link) {
  BENNU_ASSIGN(const auto known, link.repository.find_ref(remote_ref(link)));
  if (!known) return {};
  return link.repository.delete_ref(remote_ref(link), *known);
}

std::string local_ref(const Link& link) { return "refs/heads/" + link.branch; }
std::string remote_ref(const Link& link) { return "refs/remotes/origin/" + link.branch; }

Result<Sides> examine(const Link& link, Fetch fetch, bool guarded) {
  Sides sides;
  BENNU_ASSIGN(sides.state, read_sync_state(link.store));
  if (fetch == Fetch::kYes) BENNU_TRY(fetch_remote(link, sides));
  BENNU_ASSIGN(const auto local, link.repository.find_ref(local_ref(link)));
  std::optional<git::ObjectId> remote;  // none without a remote, whatever was fetched once
  if (!link.remote_url.empty()) {
    BENNU_ASSIGN(remote, link.repository.find_ref(remote_ref(link)));
  }
  sides.local_head = local.value_or(git::ObjectId{});
  sides.remote_head = remote.value_or(git::ObjectId{});
  if (sides.branch_gone && guarded) return branch_gone(link, sides.remote_head);
  if (sides.branch_gone) sides.remote_head = {};
  link.progress("comparing", 0, 0);
  BENNU_TRY(settle(link, sides));
  BENNU_TRY(follow_base(link, sides));
  BENNU_TRY(begin_branch(link, sides));
  BENNU_TRY(compare_heads(link, sides));
  if (!guarded || !sides.state.base || sides.git_head.is_null()) return sides;
  BENNU_TRY(check_not_taken_back(link, sides));
  if (sides.git_head != sides.state.base->commit) {
    BENNU_TRY(check_base_kept(link, sides));
    BENNU_TRY(check_not_rewound(link, sides));
    BENNU_ASSIGN(const auto base_commit, link.repository.read_commit(sides.state.base->commit));
    sides.git_moved = base_commit.tree != sides.git_tree;
  }
  return sides;
}

Result<std::size_t> count_unpushed(const Link& link, const Sides& sides) {
  std::size_t count = 0;
  if (!sides.unpushed) return count;
  git::LogOptions options;
  if (!sides.remote_head.is_null()) options.until = sides.remote_head;
  BENNU_TRY(git::log(link.repository, sides.local_head, options, [&](const git::LogEntry&) {
    ++count;
    return Result<git::Walk>(git::Walk::kContinue);
  }));
  return count;
}

Status may_start(const Link& link, const Sides& sides) {
  if (sides.state.base || sides.git_head.is_null()) return {};
  BENNU_ASSIGN(const auto head, link.repository.read_commit(sides.git_head));
  const auto lineage = git::find_trailer(head.message, kTrailerLineage);
  const std::string_view choices =
      "`bennu restore` into a new folder takes it over; `bennu adopt --take git` replaces this "
      "store's state by it; "
      "`bennu adopt --take kv` adds this store's state on top of it";
  if (lineage && *lineage != sides.state.lineage) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("branch {} was written by another store (lineage {}), and this "
                                  "store was never equal to "
                                  "it; nothing is exported. {}",
                                  link.branch, *lineage, choices),
                      reason::kForeignLineage);
  }
  return make_error(
      Code::kFailedPrecondition,
      fmt::format(
          "branch {} already holds commits, and this store was never equal to it; nothing is "
          "exported. {}",
          link.branch, choices),
      reason::kNoBase);
}

}  // namespace bennu::sync
