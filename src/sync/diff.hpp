#pragma once
// What   What differs between any two of: a commit, a revision, the live state; key by key.
// Why    "What changed since Tuesday?" is asked in keys and fields, whichever side remembers
//        Tuesday.
// Use    `diff(link, "main~3", "live", "/net/users/7/")`.
// Units  Sides: `live`, `@REVISION`, or anything that Git resolves to a commit.
// Errors kNotFound: no such commit; kOutOfRange (kCompacted): the revision is gone, use a commit;
//        those of parsing.
// Threads As Link. Two commits cost what differs; a revision against a commit costs the states.
// Source own design.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sync/link.hpp"
#include "sync/plan.hpp"

namespace bennu::sync {

/// In key order, only keys of the tree that begin with `prefix`.
[[nodiscard]] Result<std::vector<PlannedChange>> diff(const Link& link, std::string_view before,
                                                      std::string_view after,
                                                      std::string_view prefix);

/// Two commits of a plain clone, with no store. An empty `before` is the state before the first
/// commit.
[[nodiscard]] Result<std::vector<PlannedChange>> diff_commits(const git::Repository& repository,
                                                              const std::filesystem::path& identity,
                                                              std::string_view before,
                                                              std::string_view after,
                                                              std::string_view prefix);

}  // namespace bennu::sync
