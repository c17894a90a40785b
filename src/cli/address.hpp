#pragma once
// What   Addresses of repositories as people type them.
// Why    `URL@REVISION`, paths and `user@host` look alike; a path must mean the same tomorrow.
// Use    `const auto [url, revision] = split_revision(text);`
// Threads Pure, but for a look at the file system.
// Source own design; git-clone(1), "Git URLs".

#include <string>
#include <string_view>
#include <utility>

namespace bennu::cli {

/// `PLACE@REVISION` in two; an `@` that belongs to an address is told by what follows it.
[[nodiscard]] std::pair<std::string, std::string> split_revision(const std::string& text);

/// A path made absolute, so that it stays right when the working directory changes.
[[nodiscard]] std::string stable_url(const std::string& url);

/// Why a push of this branch to there can't succeed, however often it is tried: a bundle, or a
/// clone with that branch checked out. Empty: nothing is known to be against it.
[[nodiscard]] std::string_view refuses_pushes(const std::string& url, const std::string& branch);

}  // namespace bennu::cli
