#include "sync/diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "kv/reasons.hpp"
#include "sync/commit_tree.hpp"
#include "sync/state_tree.hpp"
#include "sync/tree_keys.hpp"

namespace bennu::sync {
namespace {

struct Side {
  std::optional<git::ObjectId> commit;  // nothing: KV
  Revision revision;
};

Result<Side> parse_side(const git::Repository& repository, std::string_view text) {
  if (text == "live") return Side{};
  if (text.starts_with("@")) {
    std::int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 1, end, number);
    if (error == std::errc{} && stop == end && number > 0)
      return Side{.revision = Revision{number}};
    return make_error(Code::kInvalidArgument,
                      fmt::format("{}: a revision is written @NUMBER, like @42", text));
  }
  BENNU_ASSIGN(const auto commit, repository.resolve_commit(text));
  return Side{.commit = commit};
}

// HEAD of a store is the branch of its settings; repo.git's own is what it was made with.
std::string on_branch(const Link& link, std::string_view text) {
  constexpr std::string_view kHead = "HEAD";
  if (!text.starts_with(kHead)) return std::string(text);
  const std::string_view rest = text.substr(kHead.size());
  if (!rest.empty() && rest[0] != '~' && rest[0] != '^') return std::string(text);
  return link.branch + std::string(rest);
}

using Prefixes = std::vector<std::string>;

// A prefix without a leading slash may be meant as below the schema's root: `users/7` is
// `/net/users/7`.
Prefixes prefixes_of(const Mapping& mapping, std::string_view prefix) {
  Prefixes prefixes{std::string(prefix)};
  if (!prefix.empty() && prefix.front() != '/')
    prefixes.push_back(mapping.schema().root + std::string(prefix));
  return prefixes;
}

// The keys of one side, and what its schema says of them.
struct State {
  Mapping mapping;
  KeyValues keys;
};

// Secret is what either side says is.
std::vector<PlannedChange> changes_of(const State& before, const State& after,
                                      const Prefixes& prefixes) {
  std::set<std::string_view> keys;
  for (const KeyValues* side : {&before.keys, &after.keys}) {
    for (const std::string& prefix : prefixes) {
      for (auto at = side->lower_bound(prefix); at != side->end() && at->first.starts_with(prefix);
           ++at) {
        keys.insert(at->first);
      }
    }
  }
  std::vector<PlannedChange> changes;
  for (const std::string_view key : keys) {
    const auto old_value = before.keys.find(key);
    const auto new_value = after.keys.find(key);
    PlannedChange change{.key = std::string(key)};
    if (old_value != before.keys.end()) change.before = old_value->second;
    if (new_value != after.keys.end()) change.after = new_value->second;
    if (change.before == change.after) continue;
    show(before.mapping, after.mapping, change);
    changes.push_back(std::move(change));
  }
  return changes;
}

// What a revision that cannot be read means to a person.
Error explain(const Link& link, Revision revision, Error error) {
  const auto now = link.store.range({.range = kv::prefix_range(kLocalPrefix), .count_only = true});
  if (now && error.reason == kv::reason::kFutureRevision) {
    error.message = fmt::format("there is no revision @{} yet: the newest is @{}", revision.value,
                                now->revision.value);
  } else if (error.reason == kv::reason::kCompacted) {
    error.message = fmt::format("revision @{} is compacted; name a commit (`bennu log`) instead",
                                revision.value);
  }
  return error;
}

Result<State> read_side(const Link& link, const Side& side, const Prefixes& prefixes) {
  KeyValues keys;
  if (side.commit) {
    BENNU_ASSIGN(auto commit, open_commit(link.repository, *side.commit, link.identity));
    BENNU_TRY(read_state(link.repository, commit, link.stop, link.progress,
                         [&](std::string_view key, std::string_view value) -> Status {
                           if (std::ranges::any_of(prefixes, [&](const std::string& prefix) {
                                 return key.starts_with(prefix);
                               })) {
                             keys.emplace(key, value);
                           }
                           return {};
                         }));
    return State{.mapping = std::move(commit.mapping), .keys = std::move(keys)};
  }
  auto then = mapping_of_state(link.store, side.revision, link.identity);
  if (!then) return explain(link, side.revision, std::move(then).error());
  Mapping& mapping = *then;
  for (const std::string& prefix : prefixes) {
    BENNU_TRY(
        link.store.scan(kv::prefix_range(prefix), side.revision, [&](kv::KeyValue& kv) -> Status {
          if (kv.lease.value == 0 && Mapping::is_in_tree(mapping.classify(kv.key).key_class)) {
            keys.emplace(std::move(kv.key), std::move(kv.value));
          }
          return {};
        }));
  }
  return State{.mapping = std::move(mapping), .keys = std::move(keys)};
}

}  // namespace

Result<std::vector<PlannedChange>> diff_commits(const git::Repository& repository,
                                                const std::filesystem::path& identity,
                                                std::string_view before, std::string_view after,
                                                std::string_view prefix) {
  BENNU_ASSIGN(const auto after_commit, repository.resolve_commit(after));
  CommitTree old_side;
  if (!before.empty()) {
    BENNU_ASSIGN(const auto before_commit, repository.resolve_commit(before));
    BENNU_ASSIGN(old_side, open_commit(repository, before_commit, identity));
  }
  BENNU_ASSIGN(auto new_side, open_commit(repository, after_commit, identity));
  ChangedKeys changed;
  BENNU_TRY(diff_keys(repository, {}, old_side, new_side, changed));
  const Prefixes prefixes = prefixes_of(new_side.mapping, prefix);
  return changes_of({.mapping = std::move(old_side.mapping), .keys = std::move(changed.before)},
                    {.mapping = std::move(new_side.mapping), .keys = std::move(changed.after)},
                    prefixes);
}

Result<std::vector<PlannedChange>> diff(const Link& link, std::string_view before,
                                        std::string_view after, std::string_view prefix) {
  const std::string from = on_branch(link, before);
  const std::string to = on_branch(link, after);
  BENNU_ASSIGN(const auto old_side, parse_side(link.repository, from));
  BENNU_ASSIGN(const auto new_side, parse_side(link.repository, to));
  if (old_side.commit && new_side.commit)
    return diff_commits(link.repository, link.identity, from, to, prefix);
  BENNU_ASSIGN(const auto mapping, mapping_of_state(link.store, {}, link.identity));
  const Prefixes prefixes = prefixes_of(mapping, prefix);
  BENNU_ASSIGN(const auto old_state, read_side(link, old_side, prefixes));
  BENNU_ASSIGN(const auto new_state, read_side(link, new_side, prefixes));
  return changes_of(old_state, new_state, prefixes);
}

}  // namespace bennu::sync
