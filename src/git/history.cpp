#include "git/history.hpp"

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

namespace bennu::git {
namespace {

struct Waiting {
  std::int64_t time_s = 0;
  std::uint64_t order = 0;
  ObjectId id;
  CommitInfo commit;
  // Newest first; of equal times, the one that was met first.
  friend bool operator<(const Waiting& a, const Waiting& b) {
    return a.time_s != b.time_s ? a.time_s < b.time_s : a.order > b.order;
  }
};

class Logger {
 public:
  Logger(const Repository& repository, const LogOptions& options)
      : repository_(repository), options_(options) {}

  Status run(const ObjectId& from, const LogVisitor& visitor) {
    if (options_.until) BENNU_TRY(hide(from));
    BENNU_TRY(push(from));
    std::size_t reported = 0;
    while (!waiting_.empty()) {
      Waiting at = waiting_.top();
      waiting_.pop();
      std::vector<ObjectId> follow = at.commit.parents;
      if (options_.first_parent && follow.size() > 1) follow.resize(1);
      BENNU_ASSIGN(const bool shown, changed(at.commit, follow));
      if (shown) {
        BENNU_ASSIGN(const Walk walk, visitor({.id = at.id, .commit = std::move(at.commit)}));
        if (walk == Walk::kStop || ++reported == options_.limit) return {};
      }
      for (const auto& parent : follow) BENNU_TRY(push(parent));
    }
    return {};
  }

 private:
  // Marks everything that `until` reaches. Cheap where `until` is an ancestor near `from`, which is
  // the usual case.
  Status hide(const ObjectId& from) {
    if (*options_.until == from) {
      seen_.insert(from);
      return {};
    }
    LogOptions all;
    Logger reached(repository_, all);
    return reached.run(*options_.until, [&](const LogEntry& entry) -> Result<Walk> {
      seen_.insert(entry.id);
      return Walk::kContinue;
    });
  }

  Status push(const ObjectId& id) {
    if (!seen_.insert(id).second) return {};
    BENNU_ASSIGN(CommitInfo commit, repository_.read_commit(id));
    const std::int64_t time_s = commit.committer.time_s;
    waiting_.push(
        {.time_s = time_s, .order = next_order_++, .id = id, .commit = std::move(commit)});
    return {};
  }

  // Whether the commit changed the path; narrows `follow` to the parent that a merge took the path
  // from.
  Result<bool> changed(const CommitInfo& commit, std::vector<ObjectId>& follow) {
    if (options_.path.empty()) return true;
    BENNU_ASSIGN(const auto here, path_state(commit.tree));
    if (follow.empty()) return here.has_value();
    for (const auto& parent : follow) {
      BENNU_ASSIGN(const CommitInfo info, repository_.read_commit(parent));
      BENNU_ASSIGN(const auto there, path_state(info.tree));
      if (there == here) {
        follow = {parent};
        return false;
      }
    }
    return true;
  }

  Result<std::optional<TreeEntry>> path_state(const ObjectId& tree) {
    const auto known = states_.find(tree);
    if (known != states_.end()) return known->second;
    BENNU_ASSIGN(auto entry, repository_.find_path(tree, options_.path));
    if (states_.size() > kMaxStates) states_.clear();
    states_.emplace(tree, entry);
    return entry;
  }

  static constexpr std::size_t kMaxStates = 10'000;
  const Repository& repository_;
  const LogOptions& options_;
  std::priority_queue<Waiting> waiting_;
  std::unordered_set<ObjectId> seen_;
  std::unordered_map<ObjectId, std::optional<TreeEntry>> states_;
  std::uint64_t next_order_ = 0;
};

}  // namespace

Status log(const Repository& repository, const ObjectId& from, const LogOptions& options,
           const LogVisitor& visitor) {
  return Logger(repository, options).run(from, visitor);
}

}  // namespace bennu::git
