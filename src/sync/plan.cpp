#include "sync/plan.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>

#include "base/bytes.hpp"
#include "sync/both_sides.hpp"
#include "sync/commit_tree.hpp"
#include "sync/export.hpp"
#include "sync/put_check.hpp"
#include "sync/reasons.hpp"
#include "sync/shown_key.hpp"
#include "sync/state_tree.hpp"
#include "sync/tree_keys.hpp"
#include "sync/window.hpp"

namespace bennu::sync {
namespace {

bool is_operational(const Mapping& mapping, std::string_view key) {
  return mapping.classify(key).key_class == KeyClass::kOperational;
}

// A key with a lease has no value that Git could know.
struct Found {
  std::optional<std::string> value;
  bool leased = false;
};

Result<Found> value_at(const Link& link, const std::string& key, Revision revision) {
  if (revision.value == 0) return Found{};  // before the store's first transaction
  BENNU_ASSIGN(auto found, link.store.range({.range = {.key = key}, .revision = revision}));
  if (found.kvs.empty()) return Found{};
  return Found{.value = std::move(found.kvs[0].value), .leased = found.kvs[0].lease.value != 0};
}

Result<std::optional<std::string>> value_in_tree(const Link& link, const std::string& key,
                                                 Revision revision) {
  BENNU_ASSIGN(auto found, value_at(link, key, revision));
  if (found.leased) return std::nullopt;
  return std::move(found.value);
}

void count(Plan& plan) {
  for (const PlannedChange& change : plan.changes) ++(change.after ? plan.puts : plan.deletes);
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void add(std::string_view part) {
    std::string length;
    append_be64(length, part.size());
    EVP_DigestUpdate(context_.get(), length.data(), length.size());
    EVP_DigestUpdate(context_.get(), part.data(), part.size());
  }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    return to_hex({reinterpret_cast<const char*>(digest.data()), size});
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// Not of the revision: a change that is no part of the plan must not make it stale.
std::string hash_of(const Plan& plan) {
  Sha256 sha;
  sha.add(direction_name(plan.direction));
  sha.add(plan.base_commit.hex());
  sha.add(plan.git_head.hex());
  for (const PlannedChange& change : plan.changes) {
    sha.add(change.key);
    sha.add(change.before ? "1" + *change.before : "0");
    sha.add(change.after ? "1" + *change.after : "0");
  }
  for (const std::string& path : plan.normalised) sha.add(path);
  for (const PlannedChange& change : plan.kept) {
    sha.add(change.key);
    sha.add(*change.before);
  }
  return sha.hex();
}

Status finish_plan(const Link& link, const Mapping& before, const Mapping& mapping, Plan& plan) {
  BENNU_ASSIGN(const auto keys, keys_in_tree(link.store, mapping));
  plan.total_keys = static_cast<std::uint64_t>(keys);
  count(plan);
  if (plan.direction == Direction::kToGit) plan.total_keys += plan.deletes;
  plan.over_budget = link.budget.is_over(static_cast<std::int64_t>(plan.deletes),
                                         static_cast<std::int64_t>(plan.total_keys));
  plan.steps = plan.changes.empty() ? 0 : 1;
  plan.hash = hash_of(plan);
  for (auto* changes : {&plan.changes, &plan.kept}) {
    for (PlannedChange& change : *changes) show(before, mapping, change);
  }
  return {};
}

// Where Git went on without commits of ours, both sides changed since they parted.
Sides from_fork(Sides sides) {
  if (sides.fork && sides.git_moved)
    sides.state.base = Base{.commit = *sides.fork, .revision = kNeverEqual};
  return sides;
}

Plan start_plan(const Sides& sides, Direction direction) {
  Plan plan{.direction = direction, .git_head = sides.git_head, .revision = sides.state.revision};
  if (sides.state.base) plan.base_commit = sides.state.base->commit;
  return plan;
}

}  // namespace

std::string_view direction_name(Direction direction) {
  switch (direction) {
    case Direction::kNothing:
      return "nothing";
    case Direction::kToGit:
      return "git";
    case Direction::kToKv:
      return "kv";
  }
  return "nothing";
}

void show(const Mapping& before, const Mapping& after, PlannedChange& change) {
  change.secret = before.classify(change.key).secret || after.classify(change.key).secret;
  const bool was = holds_secret_name(before, change.key) && !holds_secret_name(after, change.key);
  change.shown = shown_key(was ? before : after, change.key);
}

bool awaits_normalising(const Sides& sides) {
  return sides.state.base && !sides.git_moved && !sides.git_tree.is_null() &&
         sides.state.base->tree != sides.git_tree;
}

Result<Direction> direction_of(const Link& link, const Sides& sides) {
  BENNU_TRY(may_start(link, sides));
  BENNU_ASSIGN(const auto kv, kv_changes(link, sides));
  BENNU_ASSIGN(const auto meeting, meet(link, sides, kv));
  if (!meeting.kv && (sides.git_moved || sides.fork)) return Direction::kToKv;
  return meeting.kv || awaits_normalising(sides) ? Direction::kToGit : Direction::kNothing;
}

namespace {

// The keys of the files that Git changed since the base.
Result<ChangedKeys> changed_in_git(const Link& link, const CommitTree& before,
                                   const CommitTree& after) {
  ChangedKeys changed;
  const auto schema_id = [&](const git::ObjectId& tree) -> Result<std::optional<git::TreeEntry>> {
    if (tree.is_null()) return std::nullopt;
    return link.repository.find_path(tree, kSchemaPath);
  };
  BENNU_ASSIGN(const auto old_schema, schema_id(before.tree));
  BENNU_ASSIGN(const auto new_schema, schema_id(after.tree));
  if (old_schema == new_schema) {
    BENNU_TRY(diff_keys(link.repository, link.stop, before, after, changed));
  } else {
    // Another schema reads every file anew.
    BENNU_TRY(diff_keys(link.repository, link.stop, before, {.mapping = after.mapping}, changed));
    BENNU_TRY(diff_keys(link.repository, link.stop, {.mapping = before.mapping}, after, changed));
  }
  return changed;
}

Result<Plan> what_git_changed(const Link& link, const Sides& given) {
  const Sides sides = from_fork(given);
  Plan plan = start_plan(sides, Direction::kToKv);
  CommitTree before;
  if (sides.state.base) {
    BENNU_ASSIGN(before, open_commit(link.repository, sides.state.base->commit, link.identity));
  }
  BENNU_ASSIGN(const auto head, open_commit(link.repository, sides.git_head, link.identity));
  const Mapping& mapping = head.mapping;
  BENNU_ASSIGN(auto changed, changed_in_git(link, before, head));
  BENNU_TRY(refuse_exposed(sides.git_head, changed.exposed));
  std::set<std::string> keys;
  for (const auto& [key, value] : changed.before) keys.insert(key);
  for (const auto& [key, value] : changed.after) keys.insert(key);
  const bool locked = before.mapping.ring().empty() && mapping.ring().empty();
  SealedImport sealed(link, mapping, plan.revision);
  for (const std::string& key : keys) {
    BENNU_ASSIGN(auto now, value_at(link, key, plan.revision));
    const auto wanted = changed.after.find(key);
    std::optional<std::string> after;
    if (wanted != changed.after.end()) after = wanted->second;
    if (locked) BENNU_TRY(sealed.check(key, now.value, after));
    const auto then = changed.before.find(key);
    const bool moved = after ? then == changed.before.end() || then->second != *after
                             : then != changed.before.end();
    if (!moved) continue;  // a document that changed elsewhere
    // Git's value takes a key off its lease; what only the lease holds is none of Git's business.
    if (now.leased ? !after : now.value == after) {
      plan.same.insert(key);
      continue;
    }
    if (now.value && !now.leased && is_operational(mapping, key)) {
      plan.kept.push_back({.key = key, .before = std::move(now.value), .after = std::move(after)});
      continue;
    }
    plan.changes.push_back({.key = key, .before = std::move(now.value), .after = std::move(after)});
  }
  plan.normalised = std::move(changed.normalised);
  plan.plaintext = std::move(changed.plaintext);
  BENNU_TRY(finish_plan(link, before.mapping, mapping, plan));
  return plan;
}

// What Git has so by now is no change that it needs.
Status leave_out_same(const Link& link, const Sides& sides, Plan& plan) {
  BENNU_ASSIGN(const auto to_kv, plan_to_kv(link, sides));
  std::erase_if(plan.changes, [&](const auto& change) { return to_kv.same.contains(change.key); });
  return {};
}

}  // namespace

Result<Plan> plan_to_kv(const Link& link, const Sides& sides) {
  auto plan = what_git_changed(link, sides);
  if (!plan) return with_ways_on(std::move(plan).error());
  return plan;
}

Result<Plan> plan_to_git(const Link& link, const Sides& given) {
  const Sides sides = from_fork(given);
  Plan plan = start_plan(sides, Direction::kToGit);
  BENNU_ASSIGN(const auto mapping, mapping_of_state(link.store, plan.revision, link.identity));
  BENNU_ASSIGN(const auto window, read_window(link, sides.state, mapping));
  Mapping old_mapping = mapping;
  if (window.whole) {
    // Without usable history the keys of the base's commit stand for the state at the base.
    KeyValues before;
    if (!plan.base_commit.is_null()) {
      BENNU_ASSIGN(const auto base, open_commit(link.repository, plan.base_commit, link.identity));
      old_mapping = base.mapping;
      BENNU_TRY(read_state(link.repository, base, link.stop, link.progress,
                           [&](std::string_view key, std::string_view value) -> Status {
                             before.emplace(key, value);
                             return {};
                           }));
    }
    BENNU_TRY(link.store.scan(kv::all_keys(), plan.revision, [&](kv::KeyValue& kv) -> Status {
      if (kv.lease.value != 0 || !Mapping::is_in_tree(mapping.classify(kv.key).key_class))
        return {};
      const auto old = before.find(kv.key);
      std::optional<std::string> was;
      if (old != before.end()) was = std::move(old->second);
      if (old != before.end()) before.erase(old);
      if (was != kv.value)
        plan.changes.push_back({.key = kv.key, .before = std::move(was), .after = kv.value});
      return {};
    }));
    for (auto& [key, value] : before) plan.changes.push_back({.key = key, .before = value});
    std::ranges::sort(plan.changes, {}, &PlannedChange::key);
  } else {
    for (const auto& [key, span] : window.touched) {
      BENNU_ASSIGN(auto before, value_in_tree(link, key, span.before));
      BENNU_ASSIGN(auto after, value_in_tree(link, key, span.after));
      if (before != after)
        plan.changes.push_back(
            {.key = key, .before = std::move(before), .after = std::move(after)});
    }
  }
  if (sides.git_moved) BENNU_TRY(leave_out_same(link, sides, plan));
  BENNU_TRY(finish_plan(link, old_mapping, mapping, plan));
  return plan;
}

Status check_budget(const DeleteBudget& budget, std::int64_t deleted, std::int64_t total,
                    std::string_view side, bool confirmed) {
  if (confirmed || !budget.is_over(deleted, total)) return {};
  return make_error(Code::kFailedPrecondition,
                    fmt::format("this would delete {} of {} keys from {}, more than the budget ({} "
                                "and {} %, never all); look at "
                                "`bennu plan --out FILE`, then `bennu apply FILE` if it is right",
                                deleted, total, side, budget.keys, budget.percent),
                    reason::kDeleteBudget);
}

}  // namespace bennu::sync
