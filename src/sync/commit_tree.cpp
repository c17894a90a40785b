#include "sync/commit_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sync/reasons.hpp"
#include "sync/state_tree.hpp"

namespace bennu::sync {

Result<CommitTree> open_commit(const git::Repository& repository, const git::ObjectId& commit,
                               const std::filesystem::path& identity) {
  BENNU_ASSIGN(const auto info, repository.read_commit(commit));
  auto mapping = mapping_of_tree(repository, info.tree, identity);
  if (!mapping) return naming(commit, std::move(mapping).error());
  return CommitTree{.commit = commit, .tree = info.tree, .mapping = std::move(*mapping)};
}

Result<ParseStats> read_state(const git::Repository& repository, const CommitTree& from,
                              const std::stop_token& stop, const Progress& progress,
                              const KeyValueSink& sink) {
  auto stats = read_state(repository, from.tree, from.mapping, stop, progress, sink);
  if (!stats) return naming(from.commit, std::move(stats).error());
  return stats;
}

bool is_unreadable(const Error& error) {
  constexpr std::array kReasons = {reason::kBadSchema, reason::kBadDocument, reason::kBadTree,
                                   reason::kTampered, reason::kUnknownFormat};
  return std::ranges::find(kReasons, error.reason) != kReasons.end();
}

Error naming(const git::ObjectId& commit, Error error) {
  if (commit.is_null() || !is_unreadable(error)) return error;
  return std::move(error).with_context("commit " + commit.short_hex());
}

Error with_ways_on(Error error) {
  if (is_unreadable(error)) {
    error.message +=
        "; push a commit that mends it, or `bennu adopt --take kv` makes this store's state the "
        "newest commit";
  }
  return error;
}

}  // namespace bennu::sync
