#include "cli/changes.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

json change_json(const sync::PlannedChange& change) {
  const auto value = [&](const std::optional<std::string>& text) -> json {
    if (!text) return nullptr;
    if (change.secret) return "(secret)";
    if (is_utf8(*text)) return *text;
    return {{"hex", to_hex(*text)}};
  };
  return {{"op", change.after ? (change.before ? "change" : "add") : "delete"},
          {"key", change.shown},
          {"before", value(change.before)},
          {"after", value(change.after)},
          {"secret", change.secret}};
}

}  // namespace

std::string change_text(const Output& out, const sync::PlannedChange& change) {
  const auto shown = [&](const std::optional<std::string>& value) {
    return change.secret ? std::string("(secret)") : printable(*value, 120);
  };
  const std::string& key = change.shown;
  if (!change.before)
    return out.styled(Style::kGreen, fmt::format("+ {} = {}", key, shown(change.after))) + "\n";
  if (!change.after)
    return out.styled(Style::kRed, fmt::format("- {} = {}", key, shown(change.before))) + "\n";
  return out.styled(Style::kYellow, fmt::format("~ {} = {} -> {}", key, shown(change.before),
                                                shown(change.after))) +
         "\n";
}

nlohmann::json changes_json(const std::vector<sync::PlannedChange>& changes) {
  json items = json::array();
  for (const auto& change : changes) items.push_back(change_json(change));
  return items;
}

}  // namespace bennu::cli
