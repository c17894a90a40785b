#pragma once
// What   How key changes are printed: by plan and diff alike.
// Why    One form for people (+ - ~) and one for programs, with secrets masked in both.
// Threads Pure functions.
// Source own design.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/output.hpp"
#include "sync/plan.hpp"

namespace bennu::cli {

/// One line, coloured on a terminal.
[[nodiscard]] std::string change_text(const Output& out, const sync::PlannedChange& change);
/// [{"op","key","before","after","secret"}].
[[nodiscard]] nlohmann::json changes_json(const std::vector<sync::PlannedChange>& changes);

}  // namespace bennu::cli
