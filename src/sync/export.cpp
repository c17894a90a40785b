#include "sync/export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.hpp"
#include "git/maintenance.hpp"
#include "git/pack_writer.hpp"
#include "git/reasons.hpp"
#include "git/remote.hpp"
#include "sync/both_sides.hpp"
#include "sync/commit_chain.hpp"
#include "sync/plan.hpp"
#include "sync/reasons.hpp"
#include "sync/shown_key.hpp"
#include "sync/state_tree.hpp"
#include "sync/tree_keys.hpp"
#include "sync/window.hpp"

namespace bennu::sync {
namespace {

// A base is moved without a commit once so much of nothing has happened, so that the next export
// need not read it again.
constexpr std::int64_t kQuietRevisions = 1000;

// Rewrites the files of the group's keys.
Result<git::ObjectId> edit_tree(const Link& link, const Mapping& mapping, const Group& group,
                                const git::ObjectId& tree, git::ObjectSink& sink) {
  std::map<std::string, FileOf> files;
  for (const std::string& key : group.keys) {
    BENNU_ASSIGN(auto file, mapping.file_of(key));
    if (file.kind != FileKind::kNone) files.try_emplace(file.path, std::move(file));
  }
  const git::ObjectId start = tree == git::empty_tree_id() ? git::ObjectId{} : tree;
  git::TreeEditor editor(sink, start, tree_rules(link.store, group.read_at));
  for (const auto& [path, file] : files) {
    std::vector<kv::KeyValue> keys;
    for (const kv::KeyRange& range : file.reads) {
      BENNU_ASSIGN(auto read, link.store.range({.range = range, .revision = group.read_at}));
      std::ranges::move(read.kvs, std::back_inserter(keys));
    }
    BENNU_ASSIGN(const auto built, mapping.build(file, keys));
    if (!built) {
      BENNU_TRY(editor.remove(path));
      continue;
    }
    git::ObjectId id;
    if (built->mode == FileMode::kEmptyTree) {
      id = git::empty_tree_id();
    } else if (!built->id.empty()) {
      const auto named = git::ObjectId::from_hex(built->id);
      if (!named)
        return make_error(Code::kDataLoss, fmt::format("{}: its record names no object", path));
      id = *named;
    } else {
      BENNU_ASSIGN(id, sink.add(git::ObjectKind::kBlob, built->bytes));
    }
    BENNU_TRY(editor.set(path, static_cast<std::uint32_t>(built->mode), id));
  }
  return editor.finish();
}

std::string group_subject(const Mapping& mapping, const Group& group) {
  if (group.keys.size() == 1) {
    return fmt::format("Change {}", shown_key(mapping, *group.keys.begin()));
  }
  return fmt::format("Change {} keys", group.keys.size());
}

// Everything an export is computed from and with.
struct Job {
  const Link& link;
  const Sides& sides;
  const Mapping& mapping;
  Window window;
  git::ObjectId parent_tree;                    // of the commit that ours go on
  std::optional<kv::AuditEntry> adoption = {};  // the sides' base and lineage are to be, then
  bool meets_git = false;  // Git moved, too, and has nothing of its own that this state lacks
};

Result<Job> prepare(const Link& link, const Sides& sides, const Mapping& mapping) {
  Job job{.link = link, .sides = sides, .mapping = mapping};
  BENNU_ASSIGN(job.window, read_window(link, sides.state, mapping));
  job.parent_tree = git::empty_tree_id();
  if (sides.state.base && !sides.state.base->commit.is_null()) {
    BENNU_ASSIGN(const auto commit, link.repository.read_commit(sides.state.base->commit));
    job.parent_tree = commit.tree;
  }
  return job;
}

// What a later change may have mended: a secret without a key, a document that grew too large.
bool is_only_for_now(const Error& error) {
  return error.reason == reason::kNoKey || error.reason == reason::kTooLargeForGit;
}

// Calls `on_tree` for the tree after each group that becomes a commit, in order.
using OnTree = std::function<Status(const git::ObjectId& tree, const CommitChain::Origin& origin)>;

Status incremental_trees(const Job& job, git::ObjectSink& sink, const OnTree& on_tree) {
  git::ObjectId tree = job.parent_tree;
  if (job.sides.state.base && job.sides.state.base->tree != tree) {
    BENNU_ASSIGN(tree, canonical_tree(job.link.repository, tree, job.mapping, sink));
    const Revision at = job.window.from;
    BENNU_TRY(on_tree(tree, {.subject = "Bring documents into their canonical form",
                             .by_bennu = true,
                             .from = at,
                             .to = at}));
  }
  std::set<std::string> held;  // keys of groups that could not be sealed as they were then
  for (std::size_t i = 0; i < job.window.groups.size(); ++i) {
    Group group = job.window.groups[i];
    group.keys.merge(held);
    auto edited = edit_tree(job.link, job.mapping, group, tree, sink);
    const bool last = i + 1 == job.window.groups.size();
    if (!edited && is_only_for_now(edited.error()) && !last) {
      held = std::move(group.keys);
      continue;
    }
    BENNU_TRY(edited);
    tree = *edited;
    held.clear();
    BENNU_TRY(on_tree(tree, {.audit = group.audit,
                             .subject = group_subject(job.mapping, group),
                             .from = group.from,
                             .to = group.to}));
  }
  return {};
}

CommitChain::Origin whole_origin(const Job& job, std::uint64_t keys) {
  CommitChain::Origin origin{.subject = fmt::format("Export {} keys", keys),
                             .from = job.window.from.next(),
                             .to = job.window.to};
  // What it takes back of others is nobody's pending change.
  if (job.adoption) origin.audit = job.adoption;
  if (job.adoption || !job.window.one_actor || !job.window.newest_audit) return origin;
  origin.audit = job.window.newest_audit;
  if (job.window.audit_keys.size() > 1) origin.audit->summary = origin.subject;
  return origin;
}

// What an export would take away.
struct Deletions {
  std::int64_t deleted = 0;
  std::int64_t total = 0;
};

Result<bool> is_in_git(const Link& link, const std::string& key, Revision revision) {
  if (revision.value == 0) return false;  // before the store's first transaction
  BENNU_ASSIGN(const auto found, link.store.range({.range = {.key = key}, .revision = revision}));
  return !found.kvs.empty() && found.kvs[0].lease.value == 0;
}

// `pack`: where the new tree is, not yet in the repository.
Result<Deletions> count_deletions(const Job& job, const git::ObjectId& tree,
                                  git::ObjectSink& pack) {
  Deletions count;
  if (!job.window.whole && !job.meets_git) {
    for (const auto& [key, span] : job.window.touched) {
      BENNU_ASSIGN(const bool there, is_in_git(job.link, key, span.after));
      if (there) continue;
      BENNU_ASSIGN(const bool was_there, is_in_git(job.link, key, span.before));
      if (was_there) ++count.deleted;
    }
  } else if (job.sides.state.base) {
    BENNU_ASSIGN(auto mapping,
                 mapping_of_tree(job.link.repository, job.parent_tree, job.link.identity));
    const CommitTree before{.tree = job.parent_tree, .mapping = std::move(mapping)};
    ChangedKeys changed;
    BENNU_TRY(diff_keys(job.link.repository, job.link.stop, before,
                        {.tree = tree, .mapping = job.mapping}, changed, &pack));
    count.deleted = std::ranges::count_if(
        changed.before, [&](const auto& entry) { return !changed.after.contains(entry.first); });
  }
  BENNU_ASSIGN(count.total, keys_in_tree(job.link.store, job.mapping));
  count.total += count.deleted;
  return count;
}

// The commits in a pack that nobody sees yet.
struct Built {
  std::vector<git::ObjectId> commits;
  git::ObjectId tree;
};

Result<Built> build_commits(const Job& job, git::PackWriter& pack, const std::string& sync_id) {
  const git::ObjectId parent = job.sides.state.base ? job.sides.git_head : git::ObjectId{};
  CommitChain chain(job.link, pack, job.sides.state.lineage, sync_id, parent, job.parent_tree);
  if (parent.is_null() && job.parent_tree != git::empty_tree_id()) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("branch {} is nowhere, and the base {} that it would begin with "
                                  "is not here: `bennu adopt --take kv`, or set remote.branch back",
                                  job.link.branch, job.sides.state.base->commit.short_hex()),
                      reason::kNoBase);
  }
  if (!parent.is_null()) {
    BENNU_ASSIGN(const auto commit, job.link.repository.read_commit(parent));
    // On another tree than its parent's, a commit would undo what it does not mention.
    if (commit.tree != job.parent_tree)
      return make_error(Code::kInternal,
                        "an export must go on from its parent's tree; nothing was "
                        "written, please report this");
    chain.not_before(commit.committer.time_s);
  }
  if (job.window.whole) {
    BENNU_ASSIGN(const auto state, write_state(job.link, job.mapping, job.window.to, pack));
    BENNU_TRY(chain.add(state.tree, whole_origin(job, state.stats.keys)));
  } else {
    BENNU_TRY(incremental_trees(job, pack,
                                [&](const git::ObjectId& tree, const CommitChain::Origin& origin) {
                                  return chain.add(tree, origin);
                                }));
  }
  return Built{.commits = chain.commits(), .tree = chain.tree()};
}

// The transaction that makes the commits the base. Audit entries that are committed now go with it.
Status move_base(const Job& job, const Base& base, const std::optional<Intent>& done) {
  std::vector<kv::Op> ops{base_put(base)};
  for (const std::string& key : job.window.audit_keys) {
    ops.push_back(kv::Op{kv::DeleteRangeRequest{.range = {.key = key}}});
  }
  if (done && job.link.remote_url.empty()) ops.push_back(intent_delete(*done));
  if (job.adoption) {
    ops.push_back(lineage_put(job.sides.state.lineage));
    for (const Intent& intent : job.sides.state.intents) ops.push_back(intent_delete(intent));
  }
  BENNU_TRY(write_unmoved(job.link.store, job.sides.state, std::move(ops)));
  return {};
}

Status publish(const Job& job, const Built& built, const std::string& sync_id) {
  const git::ObjectId& head = built.commits.back();
  const Intent intent{.sync_id = sync_id,
                      .parent = job.sides.local_head,
                      .commit = head,
                      .tree = built.tree,
                      .revision = job.window.to};
  std::vector<kv::Op> ops{intent_put(intent)};
  // With the intent: settle ends what a crash cuts off, but it knows no lineage.
  if (job.adoption) ops.push_back(lineage_put(job.sides.state.lineage));
  BENNU_TRY(write_unmoved(job.link.store, job.sides.state, std::move(ops)));
  BENNU_TRY(move_branch(job.link, job.sides.local_head, head));
  return move_base(job, {.commit = head, .tree = built.tree, .revision = job.window.to}, intent);
}

// Sends what the remote lacks; the intents of what it has then have done their work.
Status push_head(const Link& link) {
  BENNU_ASSIGN(const auto head, link.repository.find_ref(local_ref(link)));
  if (!head) return {};
  BENNU_TRY(git::push(link.repository, link.remote_url, link.branch, *head, {.stop = link.stop}));
  BENNU_ASSIGN(const auto state, read_sync_state(link.store));
  kv::TxnRequest request;
  for (const Intent& intent : state.intents) {
    if (!link.repository.contains(intent.commit)) continue;
    BENNU_ASSIGN(const bool sent, link.repository.is_ancestor(intent.commit, *head));
    if (sent) request.success.push_back(intent_delete(intent));
  }
  if (!request.success.empty()) BENNU_TRY(link.store.txn(request));
  return {};
}

// The base follows where nothing is to be committed: the head moved without a change, or much
// happened that is no change.
Status follow(const Job& job, const git::ObjectId& tree) {
  if (!job.sides.state.base || job.sides.git_moved) return {};
  const bool head_moved = job.sides.git_head != job.sides.state.base->commit;
  const bool compared = job.sides.state.base->revision == kNeverEqual;
  const bool quiet = compared || job.window.to.value - job.window.from.value > kQuietRevisions ||
                     !job.window.audit_keys.empty();
  if (!head_moved && !quiet && !job.adoption) return {};
  BENNU_TRY(move_base(job, {.commit = job.sides.git_head, .tree = tree, .revision = job.window.to},
                      std::nullopt));
  return move_branch(job.link, job.sides.local_head, job.sides.git_head);
}

Result<ExportReport> export_job(Job& job, const ExportOptions& options) {
  const Link& link = job.link;
  const Sides& sides = job.sides;
  ExportReport report;
  report.push_problem = sides.remote_problem;
  const std::string sync_id = env::random_uuid(link.random);
  BENNU_ASSIGN(const auto pack, git::PackWriter::begin(
                                    link.repository, {.skip_existing = !sides.git_head.is_null()}));
  BENNU_ASSIGN(Built built, build_commits(job, *pack, sync_id));
  report.tree = built.tree;
  report.commits = built.commits;
  report.changed = !built.commits.empty();
  report.git_has_changes = sides.git_moved;
  if (report.changed) {
    // Before the pack is finished: what is refused leaves nothing behind.
    if (!options.deletes_confirmed) {
      BENNU_ASSIGN(const auto count, count_deletions(job, built.tree, *pack));
      BENNU_TRY(check_budget(link.budget, count.deleted, count.total, "Git", false));
    }
    BENNU_TRY(pack->finish());  // durable, and nobody's until the ref moves
    report.commit = built.commits.back();
    BENNU_TRY(publish(job, built, sync_id));
  } else {
    BENNU_TRY(follow(job, built.tree));
  }
  const bool behind = report.changed || sides.unpushed;
  if (!link.remote_url.empty() && options.push && sides.remote_problem.empty() && behind) {
    BENNU_ASSIGN(const std::size_t waiting, count_unpushed(link, sides));
    link.progress("pushing", 0, 0);
    const Status pushed = push_head(link);
    report.pushed = bool(pushed);
    if (pushed) report.sent = waiting + report.commits.size();
    if (!pushed && pushed.error().reason == git::reason::kCorrupt) return pushed.error();
    if (!pushed) report.push_problem = pushed.error().message;
  }
  if (!behind && sides.remote_problem.empty()) report.pushed = !link.remote_url.empty();
  // Upkeep never fails an export that is done; the next one tries again.
  const auto kept_fit = git::maintain(link.repository, {.stop = link.stop});
  if (!kept_fit) report.upkeep_problem = kept_fit.error().message;
  return report;
}

// KV has all that Git changed: its own changes go on Git's head.
Status go_on_from_head(const Link& link, Sides& sides) {
  BENNU_ASSIGN(const auto mapping, mapping_of_tree(link.repository, sides.git_tree, link.identity));
  git::HashSink sink(&link.repository);
  sides.state.base->commit = sides.git_head;
  BENNU_ASSIGN(sides.state.base->tree,
               canonical_tree(link.repository, sides.git_tree, mapping, sink));
  sides.git_moved = false;
  return {};
}

// Both sides came to the same: Git's head is the base, and then there is little left to do.
Result<ExportReport> export_from_head(const Link& link, Sides& sides,
                                      const ExportOptions& options) {
  BENNU_TRY(go_on_from_head(link, sides));
  const Base base{.commit = sides.state.base->commit,
                  .tree = sides.state.base->tree,
                  .revision = sides.state.revision};
  BENNU_TRY(write_unmoved(link.store, sides.state, {base_put(base)}));
  BENNU_TRY(move_branch(link, sides.local_head, sides.git_head));
  ExportOptions rest = options;
  rest.fetch = Fetch::kNo;
  BENNU_ASSIGN(ExportReport report, export_state(link, rest));
  if (report.push_problem.empty()) report.push_problem = sides.remote_problem;
  return report;
}

}  // namespace

Result<ExportReport> export_state(const Link& link, const ExportOptions& options) {
  BENNU_ASSIGN(auto sides, examine(link, options.fetch));
  BENNU_TRY(may_start(link, sides));
  const bool moved = sides.fork || sides.git_moved;
  if (moved) {
    BENNU_ASSIGN(const auto kv, kv_changes(link, sides));
    BENNU_ASSIGN(const auto meeting, meet(link, sides, kv));
    if (meeting.git) {
      return ExportReport{
          .tree = kv.tree, .git_has_changes = true, .push_problem = sides.remote_problem};
    }
    if (!meeting.kv) return export_from_head(link, sides, options);
    BENNU_TRY(go_on_from_head(link, sides));
  }
  BENNU_ASSIGN(const auto mapping,
               mapping_of_state(link.store, sides.state.revision, link.identity));
  BENNU_ASSIGN(Job job, prepare(link, sides, mapping));
  job.meets_git = moved;
  // A sealed name is there to be read only before its unsealing.
  if (moved && !sides.state.base->unsealed.empty()) job.window.whole = true;
  // What a file was between would undo what Git's head has of it.
  for (Group& group : job.window.groups) {
    if (moved) group.read_at = job.window.to;
  }
  return export_job(job, options);
}

Result<ExportReport> export_onto(const Link& link, const Sides& sides,
                                 const ExportOptions& options) {
  BENNU_ASSIGN(const auto mapping,
               mapping_of_state(link.store, sides.state.revision, link.identity));
  BENNU_ASSIGN(Job job, prepare(link, sides, mapping));
  job.adoption = options.adoption;
  return export_job(job, options);
}

Result<KvChanges> kv_changes(const Link& link, const Sides& sides) {
  BENNU_ASSIGN(const auto mapping,
               mapping_of_state(link.store, sides.state.revision, link.identity));
  BENNU_ASSIGN(const Job job, prepare(link, sides, mapping));
  KvChanges changes;
  if (job.window.whole) {
    BENNU_ASSIGN(const auto state, prove_state(link, mapping, job.window.to));
    changes.tree = state.tree;
  } else {
    git::HashSink sink(&link.repository);
    changes.tree = job.parent_tree;
    BENNU_TRY(incremental_trees(
        job, sink, [&](const git::ObjectId& tree, const CommitChain::Origin&) -> Status {
          changes.tree = tree;
          return {};
        }));
  }
  const git::ObjectId before = sides.state.base ? sides.state.base->tree : git::empty_tree_id();
  changes.changed = changes.tree != before;
  return changes;
}

}  // namespace bennu::sync
