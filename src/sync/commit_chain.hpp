#pragma once
// What   Commits built one on the other into one pack, each with author, committer and Bennu's
//        trailers.
// Why    A window of audited changes becomes several commits but one pack, one sync and one intent.
// Use    `add(tree, …)` per group; equal trees make no commit. `head()` is the newest.
// Errors Those of the sink.
// Threads One thread.
// Source decision 11 of ARCHITECTURE.md; trailers in docs/formats/sync.md.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "git/object_sink.hpp"
#include "kv/audit.hpp"
#include "sync/link.hpp"
#include "sync/window.hpp"

namespace bennu::sync {

class CommitChain {
 public:
  /// `parent` null: the first commit is a root. `tree`: of the parent.
  CommitChain(const Link& link, git::ObjectSink& sink, std::string lineage, std::string sync_id,
              const git::ObjectId& parent, const git::ObjectId& tree);

  /// Who and why, with the revisions that the commit covers.
  struct Origin {
    std::optional<kv::AuditEntry> audit;
    std::string subject;    ///< used where there is no audit
    bool by_bennu = false;  ///< Bennu's own doing (normalising), not an unknown writer's
    Revision from;
    Revision to;
  };
  /// A commit of this tree on the newest one, unless that already has it.
  Status add(const git::ObjectId& tree, const Origin& origin);

  /// Nothing before this moment may follow: the committer time of what the chain grows on, so that
  /// times never run backwards along Bennu's commits.
  void not_before(std::int64_t time_s) { not_before_s_ = time_s; }

  [[nodiscard]] const git::ObjectId& head() const { return head_; }
  [[nodiscard]] const git::ObjectId& tree() const { return tree_; }
  [[nodiscard]] const std::vector<git::ObjectId>& commits() const { return commits_; }

 private:
  const Link& link_;
  git::ObjectSink& sink_;
  std::string lineage_;
  std::string sync_id_;
  git::ObjectId head_;
  git::ObjectId tree_;
  std::vector<git::ObjectId> commits_;
  std::int64_t not_before_s_ = 0;
};

}  // namespace bennu::sync
