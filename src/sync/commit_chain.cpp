#include "sync/commit_chain.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "git/commit.hpp"
#include "sync/base_record.hpp"

namespace bennu::sync {
namespace {

std::int64_t seconds(env::WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

git::Signature author_of(const CommitChain::Origin& origin, const git::Signature& committer) {
  if (origin.audit) {
    const auto time = env::parse_rfc3339(origin.audit->time);
    return {.name = origin.audit->actor.name,
            .email = origin.audit->actor.email,
            .time_s = time ? seconds(*time) : committer.time_s};
  }
  if (origin.by_bennu) return committer;
  return {.name = "unknown (direct write)", .email = "unknown", .time_s = committer.time_s};
}

}  // namespace

CommitChain::CommitChain(const Link& link, git::ObjectSink& sink, std::string lineage,
                         std::string sync_id, const git::ObjectId& parent,
                         const git::ObjectId& tree)
    : link_(link),
      sink_(sink),
      lineage_(std::move(lineage)),
      sync_id_(std::move(sync_id)),
      head_(parent),
      tree_(tree) {}

Status CommitChain::add(const git::ObjectId& tree, const Origin& origin) {
  if (tree == tree_) return {};
  const git::Signature committer{.name = "Bennu on " + link_.node_name,
                                 .email = "bennu@" + link_.node_name,
                                 .time_s = std::max(seconds(link_.clock.wall()), not_before_s_)};
  std::vector<git::Trailer> trailers = {
      {std::string(kTrailerLineage), lineage_},
      {std::string(kTrailerRevision), fmt::format("{}..{}", origin.from.value, origin.to.value)},
      {std::string(kTrailerSyncId), sync_id_},
      {std::string(kTrailerExceptions), "0"}};
  std::string subject = origin.subject;
  if (origin.audit) {
    subject = origin.audit->summary;
    trailers.push_back({std::string(kTrailerNode), origin.audit->node});
    if (!origin.audit->reason.empty())
      trailers.push_back({std::string(kTrailerReason), origin.audit->reason});
    if (!origin.audit->request_id.empty()) {
      trailers.push_back({std::string(kTrailerRequestId), origin.audit->request_id});
    }
  }
  git::CommitInfo commit{.tree = tree,
                         .author = author_of(origin, committer),
                         .committer = committer,
                         .message = git::with_trailers(subject, trailers)};
  if (!head_.is_null()) commit.parents.push_back(head_);
  BENNU_ASSIGN(const auto bytes, git::format_commit(commit));
  BENNU_ASSIGN(head_, sink_.add(git::ObjectKind::kCommit, bytes));
  tree_ = tree;
  commits_.push_back(head_);
  return {};
}

}  // namespace bennu::sync
