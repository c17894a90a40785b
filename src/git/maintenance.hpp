#pragma once
// What   Keeps the repository fit: few packs, an index of the history.
// Why    One pack per export would be thousands in a month, and every read looks through all of
//        them.
// Use    `maintain(repo, {})` after an export, in the background.
//        Every object stays, also unreachable ones: an intent may name them.
// Errors kNotFound `git.no_git`; kCancelled; kInternal with git's own line. Effect kNone: the old
//        packs go only when the new one is durable.
// Threads One at a time per repository, not while a pack of this process is being written. Readers
//         go on.
// Source git-repack(1) --geometric, git-commit-graph(1) --changed-paths; git 2.39.

#include <cstddef>
#include <stop_token>

#include "base/result.hpp"
#include "git/repository.hpp"

namespace bennu::git {

struct MaintenanceOptions {
  /// Merge when there are more packs than this.
  std::size_t max_packs = 20;
  std::stop_token stop = {};
};

struct MaintenanceResult {
  std::size_t packs_before = 0;
  std::size_t packs_after = 0;
};

[[nodiscard]] std::size_t count_packs(const Repository& repository);
/// Merges packs geometrically (each at least twice all smaller ones together) if there are too
/// many, and writes the commit-graph. Where git cannot do it, `merge_packs` does.
[[nodiscard]] Result<MaintenanceResult> maintain(Repository& repository,
                                                 const MaintenanceOptions& options);

/// The same merge without the `git` program; the merged objects are whole, not deltas.
[[nodiscard]] Status merge_packs(Repository& repository, const MaintenanceOptions& options);

}  // namespace bennu::git
