#include "kv/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.hpp"

namespace bennu::kv {
namespace {

using Member = std::string AuditEntry::*;

constexpr std::array<std::pair<std::string_view, Member>, 6> kMembers = {{
    {"time", &AuditEntry::time},
    {"node", &AuditEntry::node},
    {"reason", &AuditEntry::reason},
    {"request_id", &AuditEntry::request_id},
    {"op", &AuditEntry::op},
    {"summary", &AuditEntry::summary},
}};

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Error bad_actor(std::string_view text) {
  return make_error(
      Code::kInvalidArgument,
      fmt::format("the actor \"{}\" is not of the form `Name <email>`", printable(text)));
}

Status take_string(const nlohmann::json& object, std::string_view name, std::string& into) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (!found->is_string()) {
    return make_error(Code::kInvalidArgument,
                      fmt::format("audit record: \"{}\" is not a string", name));
  }
  into = found->get<std::string>();
  return {};
}

}  // namespace

Result<Actor> parse_actor(std::string_view text) {
  const bool control = std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control || !is_utf8(text)) return bad_actor(text);
  Actor actor;
  const std::size_t open = text.find('<');
  actor.name = trim(text.substr(0, open));
  if (open != std::string_view::npos) {
    const std::string_view rest = trim(text.substr(open + 1));
    if (rest.empty() || rest.back() != '>') return bad_actor(text);
    actor.email = trim(rest.substr(0, rest.size() - 1));
  }
  // Git has no way to write these inside a name or an address.
  if (actor.name.empty() || actor.name.find('>') != std::string::npos ||
      actor.email.find_first_of("<>") != std::string::npos) {
    return bad_actor(text);
  }
  return actor;
}

Op audit_op(const AuditContext& context, std::string_view op, std::string_view summary,
            const env::Clock& clock, env::Random& random) {
  const env::WallTime now = clock.wall();
  const AuditEntry entry{.actor = context.actor,
                         .time = env::to_rfc3339(now),
                         .node = context.node,
                         .reason = context.reason,
                         .request_id = context.request_id,
                         .op = std::string(op),
                         .summary = std::string(summary)};
  std::string key = fmt::format("{}{:020}-{}", kAuditPrefix, now.time_since_epoch().count(),
                                to_hex(random.bytes(8)));
  return Op{PutRequest{.key = std::move(key), .value = to_json(entry)}};
}

std::string to_json(const AuditEntry& entry) {
  nlohmann::json object = {{"actor_name", entry.actor.name}, {"actor_email", entry.actor.email}};
  for (const auto& [name, member] : kMembers) object[name] = entry.*member;
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<AuditEntry> parse_audit(std::string_view value) {
  const nlohmann::json object = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object())
    return make_error(Code::kInvalidArgument, "audit record: not a JSON object");
  AuditEntry entry;
  BENNU_TRY(take_string(object, "actor_name", entry.actor.name));
  BENNU_TRY(take_string(object, "actor_email", entry.actor.email));
  for (const auto& [name, member] : kMembers) BENNU_TRY(take_string(object, name, entry.*member));
  return entry;
}

}  // namespace bennu::kv
