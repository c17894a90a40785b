#pragma once
// What   What commands that sync say alike: ids in JSON, a refusal because both sides changed, a
//        push that did not happen.
// Why    A script reads the same statuses and fields from each of them.
// Use    `return push_status(context, session, report.pushed, report.push_problem);` at the end.
// Threads One thread.
// Source own design: README.md (exit statuses).

#include <optional>
#include <string>
#include <vector>

#include "cli/app.hpp"
#include "git/object.hpp"

namespace bennu::cli {

[[nodiscard]] nlohmann::json id_or_null(const git::ObjectId& id);
[[nodiscard]] nlohmann::json id_or_null(const std::optional<git::ObjectId>& id);

/// A refusal because both sides changed is "there are differences", not an error of the call.
[[nodiscard]] Result<int> different_if_both_changed(const Context& context, const Error& error);

/// Says of a remote that did not answer that this is about what was last fetched from it.
void remote_status(const Context& context, const std::string& problem);

/// Names the files of Git with a secret in clear.
void warn_of_plaintext(const Context& context, const std::vector<std::string>& paths);

/// A remote that could not be reached is "there are differences" too: it may lack what is here.
/// Says so and gives the status; `problem` empty: kExitDone.
[[nodiscard]] int push_status(const Context& context, const std::string& problem);

}  // namespace bennu::cli
