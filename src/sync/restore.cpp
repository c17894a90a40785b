#include "sync/restore.hpp"

#include <fmt/format.h>

#include "git/remote.hpp"
#include "sync/base_record.hpp"
#include "sync/reasons.hpp"
#include "sync/state_tree.hpp"

namespace bennu::sync {
namespace {

Status check_empty(const Link& link) {
  BENNU_ASSIGN(const auto found, link.store.range({.range = kv::all_keys(), .count_only = true}));
  if (found.count == 0) return {};
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("the store already holds {} keys; restore into a new folder", found.count));
}

// The commit that was asked for, and the branch that exports will go to.
Result<git::ObjectId> fetch_commit(Link& link, const std::string& revision) {
  git::RemoteOptions options{.stop = link.stop};
  options.on_progress = [&link](std::string_view line) { link.progress(line, 0, 0); };
  BENNU_ASSIGN(const auto fetched, git::fetch(link.repository, link.remote_url, options));
  if (fetched.branches.empty()) {
    return make_error(Code::kNotFound,
                      fmt::format("{} holds no commit yet; start with `bennu init`",
                                  git::shown_url(link.remote_url)));
  }
  if (link.branch.empty()) link.branch = fetched.default_branch.value_or("");
  if (fetched.branches.contains(revision)) link.branch = revision;
  const auto head = fetched.branches.find(link.branch);
  if (!revision.empty()) {
    BENNU_ASSIGN(const auto commit,
                 git::find_fetched(link.repository, link.remote_url, fetched, revision));
    if (link.branch.empty()) link.branch = "main";
    return commit;
  }
  if (head == fetched.branches.end()) {
    return make_error(
        Code::kNotFound,
        link.branch.empty()
            ? fmt::format("{} does not say which branch is its own; name one: URL@BRANCH",
                          git::shown_url(link.remote_url))
            : fmt::format("{} has no branch {}", git::shown_url(link.remote_url), link.branch));
  }
  return head->second;
}

// Every key of the tree in one transaction with the base. Unique indexes are derived: their first
// user makes them.
Result<ParseStats> load(Link& link, const Mapping& mapping, const git::ObjectId& tree,
                        const Base& base, Revision& at) {
  BENNU_ASSIGN(auto staged, link.store.stage());
  BENNU_ASSIGN(auto stats, read_state(link.repository, tree, mapping, link.stop, link.progress,
                                      [&](std::string_view key, std::string_view value) -> Status {
                                        return staged->put(key, value);
                                      }));
  std::vector<kv::Op> extra;
  extra.push_back(base_put(base));
  extra.push_back(kv::Op{
      kv::PutRequest{.key = std::string(kLineageKey), .value = env::random_uuid(link.random)}});
  BENNU_ASSIGN(at, staged->commit({}, std::move(extra)));
  return stats;
}

Result<Verified> compare(const Link& link, const Mapping& mapping, const RestoreReport& report) {
  if (report.tree == report.commit_tree) return Verified::kExact;
  git::HashSink sink(&link.repository);
  BENNU_ASSIGN(const auto canonical,
               canonical_tree(link.repository, report.commit_tree, mapping, sink));
  return canonical == report.tree ? Verified::kNormalised : Verified::kNo;
}

// Fills in what the proof says, and moves the base to what the state maps to.
Status prove(const Link& link, const Mapping& mapping, Revision at, RestoreReport& report) {
  const auto proof = prove_state(link, mapping, at);
  Base base{.commit = report.commit, .revision = at};
  if (proof) {
    report.tree = proof->tree;
    report.keys = proof->stats.keys;
    BENNU_ASSIGN(report.verified, compare(link, mapping, report));
    if (report.tree == report.commit_tree) return {};
    base.tree = report.tree;  // the next export brings the documents into their canonical form
  } else {
    if (proof.error().reason != reason::kNoKey || report.plaintext.empty()) return proof.error();
    report.no_proof = proof.error().message;
    base.tree = report.commit_tree;
    base.revision = kNeverEqual;
  }
  BENNU_TRY(link.store.txn({.success = {base_put(base)}}));
  return {};
}

}  // namespace

std::string_view verified_name(Verified verified) {
  switch (verified) {
    case Verified::kExact:
      return "exact";
    case Verified::kNormalised:
      return "normalised";
    case Verified::kNo:
      return "no";
  }
  return "no";
}

Result<RestoreReport> restore(Link& link, const std::string& revision) {
  BENNU_TRY(check_empty(link));
  RestoreReport report;
  BENNU_ASSIGN(report.commit, fetch_commit(link, revision));
  BENNU_ASSIGN(const auto commit, link.repository.read_commit(report.commit));
  report.commit_tree = commit.tree;
  report.branch = link.branch;
  BENNU_ASSIGN(const auto mapping, mapping_of_tree(link.repository, commit.tree, link.identity));

  Revision at;
  BENNU_ASSIGN(auto stats, load(link, mapping, commit.tree,
                                {.commit = report.commit, .tree = commit.tree}, at));
  report.files = stats.files;
  report.keys = stats.keys;
  report.sealed = stats.sealed;
  BENNU_ASSIGN(report.no_key, missing_key_files(link.repository, commit.tree, stats.epochs));
  report.normalised = std::move(stats.examples);
  report.plaintext = std::move(stats.plaintext);
  report.exposed = std::move(stats.exposed);

  BENNU_TRY(prove(link, mapping, at, report));
  const std::string ref = "refs/heads/" + link.branch;
  BENNU_ASSIGN(const auto current, link.repository.find_ref(ref));
  BENNU_TRY(link.repository.update_ref(ref, report.commit, current));
  BENNU_TRY(link.repository.set_head_branch(link.branch));
  return report;
}

}  // namespace bennu::sync
