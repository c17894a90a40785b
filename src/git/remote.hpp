#pragma once
// What   Fetch from and push to another repository, by running the `git` program.
// Why    ssh agents, credential helpers, proxies and every transport work as the user set them up.
//        Nothing is ever forced.
// Use    `fetch(repo, url, {})` fills `refs/remotes/origin/*`; `push(repo, url, "main", commit,
//        {})` adds commits to a branch there. A URL is anything git takes: https, ssh, a path, a
//        bundle file.
// Errors One line each. kUnavailable `git.remote_unreachable`; kUnauthenticated `git.auth`;
//        kNotFound `git.not_a_repository`, `git.no_git`; kDataLoss `git.truncated` (cut or
//        incomplete bundle, shallow remote); kAborted `git.not_fast_forward`; kPermissionDenied
//        `git.push_declined`; kFailedPrecondition `git.checked_out`; kCancelled, kDeadlineExceeded.
//        A push that was cut off may have happened (effect kUnknown); every other error has no
//        effect.
// Threads Safe for all, one at a time per repository; blocks until git ends.
// Source git-fetch(1), git-push(1) --porcelain, git-ls-remote(1), git-bundle(1); git 2.39.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "git/repository.hpp"

namespace bennu::git {

struct RemoteOptions {
  /// One line of git's progress at a time ("Receiving objects:  42% (420/1000)").
  std::function<void(std::string_view line)> on_progress = {};
  /// Let git and ssh ask on the terminal.
  bool may_ask = false;
  std::chrono::milliseconds timeout = std::chrono::minutes{30};
  std::stop_token stop = {};
};

struct FetchResult {
  /// The remote's branches by short name, all of them now at `refs/remotes/origin/<name>`. Empty
  /// for an empty repository.
  std::map<std::string, ObjectId> branches;
  /// The branch its HEAD names; for a bundle without one, the only branch, else main or master.
  /// Nothing if it can't be told.
  std::optional<std::string> default_branch;
};

/// A URL for messages and commits: without a password or token.
[[nodiscard]] std::string shown_url(std::string_view url);

/// Fetches every branch (or only `branch`) durably. Refs of branches that are gone there are
/// removed here; refs under `refs/remotes/origin/` follow the remote even if its history was
/// rewritten: that guard is the caller's.
[[nodiscard]] Result<FetchResult> fetch(Repository& repository, std::string_view url,
                                        const RemoteOptions& options, std::string_view branch = "");

/// The commit that a revision means in what was fetched: HEAD is that repository's own branch.
/// Errors: kNotFound.
[[nodiscard]] Result<ObjectId> find_fetched(const Repository& repository, std::string_view url,
                                            const FetchResult& fetched, std::string_view revision);

/// The branches and HEAD of a remote, without fetching.
[[nodiscard]] Result<FetchResult> list_remote(std::string_view url, const RemoteOptions& options);

/// Moves `branch` of the remote to `commit`, if that only adds commits to what is there (a
/// compare-and-swap whose expected value is any ancestor of `commit`). Creates the branch if it is
/// missing. On success `refs/remotes/origin/<branch>` is moved too.
[[nodiscard]] Status push(Repository& repository, std::string_view url, std::string_view branch,
                          const ObjectId& commit, const RemoteOptions& options);

}  // namespace bennu::git
