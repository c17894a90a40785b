#pragma once
// What   The first fetch into a repository that has no refs: a clone beside it whose objects are
//        then moved in.
// Why    `git fetch` walks every object to see that nothing is missing; `git clone` checks the same
//        while it indexes the pack, which for a million files saves seconds of a restore.
// Use    Called by `fetch` only.
// Errors As `fetch`. What an interrupted call leaves is swept when the owner opens the repository.
// Threads As `fetch`.
// Source git-clone(1), and of git 2.39 connected.c (check_self_contained_and_connected).

#include <optional>
#include <string>

#include "git/remote.hpp"

namespace bennu::git {

[[nodiscard]] Result<FetchResult> first_fetch(Repository& repository, const std::string& address,
                                              const std::string& shown,
                                              const RemoteOptions& options);

/// Fills `default_branch` where the remote did not name one that exists. `head`: the commit of the
/// remote's HEAD, if known.
void choose_default_branch(FetchResult& result, const std::optional<ObjectId>& head);

}  // namespace bennu::git
