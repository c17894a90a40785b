#pragma once
// What   Runs the `git` program on a repository, and turns what it says into one Error.
// Why    Fetch, push and repack are git's; its many sentences must become a few conditions in one
//        place.
// Use    Sources of this module only: `run_git(path, {"fetch", ...}, options)`, then `git_error`.
// Errors kNotFound `git.no_git`; kCancelled, kDeadlineExceeded. A non-zero exit is not an error
//        here.
// Threads Safe for all; blocks until git ends.
// Source git 2.39's messages with LC_ALL=C; curl's and OpenSSH's as git passes them on.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/process.hpp"
#include "git/remote.hpp"

namespace bennu::git {

/// `git` with automatic gc off, everything synced, C messages and none of the caller's GIT_
/// variables that would name another repository. `directory` is the Git directory, or empty.
[[nodiscard]] Result<env::ProcessResult> run_git(const std::filesystem::path& directory,
                                                 std::vector<std::string> arguments,
                                                 const RemoteOptions& options);

/// The text with every URL in it as `shown_url` shows it.
[[nodiscard]] std::string without_credentials(std::string_view text);

/// The Error for what git wrote to stderr. `context`: what was tried and where ("cannot fetch from
/// `URL`").
[[nodiscard]] Error git_error(std::string_view context, std::string_view said);

}  // namespace bennu::git
