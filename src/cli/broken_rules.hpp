#pragma once
// What   Warns of the inventory's rules that a change past its operations broke: a plain put, an
//        import, a restore.
// Why    Such a change is taken as it is (another store, or a person, made it), but never silently.
// Use    `broken_rules(context, store, at)` after the transaction at `at`; the result is for the
//        JSON answer. It also brings the derived keys after the change.
// Errors None: what was changed is done, so that a check that fails is a warning.
// Threads One thread.
// Source own design: docs/operations/inventory.md.

#include <nlohmann/json.hpp>

#include "cli/app.hpp"
#include "kv/store.hpp"

namespace bennu::cli {

/// Warns on stderr, and returns all lines; null where the check failed. Nothing where the schema
/// has no inventory. `at` 0: of everything that is there.
[[nodiscard]] nlohmann::json broken_rules(const Context& context, kv::Store& store, Revision at);

}  // namespace bennu::cli
