#include "inventory/values.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/bytes.hpp"
#include "env/clock.hpp"
#include "inventory/reasons.hpp"

namespace bennu::inventory {
namespace {

using MaybeText = std::optional<std::string>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_text(std::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return is_utf8(text) && std::ranges::none_of(text, control);
}

bool has_space(std::string_view text) { return text.find(' ') != std::string_view::npos; }

MaybeText keep_if(bool good, std::string_view text) {
  if (!good) return std::nullopt;
  return std::string(text);
}

bool is_username(std::string_view text) {
  return !text.empty() && text.size() <= kMaxUsernameBytes && !has_space(text) &&
         text.find('/') == std::string_view::npos && !std::ranges::all_of(text, is_digit) &&
         !looks_like_uuid(text);
}

bool is_name(std::string_view text) { return !text.empty() && !looks_like_uuid(text); }

bool is_email(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos || at == 0 || has_space(text)) return false;
  const std::string_view host = text.substr(at + 1);
  const std::size_t dot = host.find('.');
  return host.find('@') == std::string_view::npos && dot != std::string_view::npos && dot > 0 &&
         host.back() != '.';
}

bool is_hash(std::string_view text) {
  const auto allowed = [](char c) {
    return is_digit(c) || is_letter(c) || c == '-' || c == '_' || c == '=' || c == '+';
  };
  return !text.empty() && text.size() <= 256 && std::ranges::all_of(text, allowed);
}

MaybeText canonical_time(std::string_view text) {
  const auto time = env::parse_rfc3339(text);
  if (!time) return std::nullopt;
  return env::to_rfc3339(*time);
}

MaybeText canonical_count(std::string_view text) {
  return keep_if(parse_count(text).has_value(), text);
}

MaybeText canonical_ip_set(std::string_view text) {
  std::vector<std::string> members;
  if (!text.empty() && text.front() == '[') {
    auto parsed = parse_set(text);
    if (!parsed) return std::nullopt;
    members = std::move(*parsed);
  } else {
    for (bool more = !text.empty(); more;) {
      const std::size_t comma = text.find(',');
      members.emplace_back(text.substr(0, comma));
      more = comma != std::string_view::npos;
      if (more) text.remove_prefix(comma + 1);
    }
  }
  for (std::string& member : members) {
    auto ip = canonical_ip(member);
    if (!ip) return std::nullopt;
    member = std::move(*ip);
  }
  return format_set(std::move(members));
}

struct TypeRule {
  MaybeText (*canonical)(std::string_view);
  std::string_view wanted;
};

// In the order of FieldType.
constexpr std::array<TypeRule, 15> kRules = {{
    {[](std::string_view t) { return keep_if(true, t); }, "text"},
    {[](std::string_view t) { return keep_if(is_name(t), t); }, "text that is not empty"},
    {[](std::string_view t) { return keep_if(is_username(t), t); },
     "1 to 64 bytes without spaces and `/`, and not only digits"},
    {[](std::string_view t) {
       return keep_if(t == kActive || t == kInactive || t == kArchived, t);
     },
     "active, inactive or archived"},
    {canonical_time, "a time such as 2026-12-31T00:00:00Z"},
    {[](std::string_view t) { return keep_if(is_email(t), t); },
     "an address such as anna@example.org"},
    {[](std::string_view t) { return keep_if(t.size() > 1 && t[0] == '@' && !has_space(t), t); },
     "a name from @ on, such as @anna"},
    {[](std::string_view t) { return keep_if(is_hash(t), t); },
     "letters, digits, - _ = or +, at most 256"},
    {[](std::string_view t) {
       return keep_if(t == kRoleCore || t == kRoleEntry || t == kRoleMgmt, t);
     },
     "core, entry or mgmt"},
    {canonical_ip, "an address such as 203.0.113.7 or 2001:db8::7"},
    {canonical_ip_set, "addresses separated by commas, such as 203.0.113.7,203.0.113.8"},
    {canonical_domain,
     "a host name such as n1.example.org (an international one in its xn-- form)"},
    {canonical_count, "a whole number from 0"},
    {canonical_uuid, "a UUID such as 6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11"},
    {[](std::string_view t) { return keep_if(!t.empty() && !has_space(t), t); },
     "text without spaces that is not empty"},
}};

}  // namespace

Result<std::string> canonical_value(const Field& field, std::string_view text) {
  const TypeRule& rule = kRules[static_cast<std::size_t>(field.type)];
  if (text.size() <= kMaxFieldBytes && is_text(text) && !is_sealed_value(text)) {
    if (auto value = rule.canonical(text)) return std::move(*value);
  }
  const bool is_named = field.type == FieldType::kName || field.type == FieldType::kUsername;
  if (is_named && looks_like_uuid(text)) {
    return make_error(Code::kInvalidArgument,
                      fmt::format("{} is a UUID, and names stand in Git in clear: give the name "
                                  "that people use; the uuid of a new device goes after --uuid",
                                  field.name),
                      reason::kBadValue);
  }
  // A secret must not appear in a message that somebody logs.
  const std::string shown =
      field.secret ? std::string() : fmt::format(" \"{}\"", printable(text, 60));
  return make_error(Code::kInvalidArgument,
                    fmt::format("{}{} is not valid: give {}", field.name, shown, rule.wanted),
                    reason::kBadValue);
}

std::optional<std::string> canonical_ip(std::string_view text) {
  if (text.size() > INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string terminated(text);
  std::array<unsigned char, sizeof(in6_addr)> raw{};
  std::array<char, INET6_ADDRSTRLEN> out{};
  for (const int family : {AF_INET, AF_INET6}) {
    if (::inet_pton(family, terminated.c_str(), raw.data()) != 1) continue;
    if (::inet_ntop(family, raw.data(), out.data(), out.size()) == nullptr) continue;
    return std::string(out.data());
  }
  return std::nullopt;
}

std::optional<std::string> canonical_domain(std::string_view text) {
  if (text.size() > 253) return std::nullopt;
  std::string domain = lower(text);
  std::size_t labels = 0;
  for (std::string_view rest = domain;; ++labels) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    const auto allowed = [](char c) { return is_digit(c) || is_letter(c) || c == '-'; };
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-' ||
        !std::ranges::all_of(label, allowed)) {
      return std::nullopt;
    }
    if (dot == std::string_view::npos) break;
    rest = rest.substr(dot + 1);
  }
  // One label is no public name, and four numbers are an address.
  if (labels == 0 || canonical_ip(domain)) return std::nullopt;
  return domain;
}

std::optional<std::string> canonical_uuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::string uuid = lower(text);
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = is_digit(uuid[i]) || (uuid[i] >= 'a' && uuid[i] <= 'f');
    if (dash ? uuid[i] != '-' : !hex) return std::nullopt;
  }
  return uuid;
}

bool looks_like_uuid(std::string_view text) {
  std::size_t digits = 0;
  for (const char c : text) {
    const bool hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!hex && c != '-' && c != '{' && c != '}') return false;
    if (hex) ++digits;
  }
  return digits == 32;
}

std::optional<std::int64_t> parse_count(std::string_view text) {
  std::int64_t number = 0;
  if (text.empty() || !is_digit(text.front()) || (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::vector<std::string>> parse_set(std::string_view value) {
  const auto array = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (!array.is_array()) return std::nullopt;
  std::vector<std::string> members;
  for (const auto& member : array) {
    if (!member.is_string()) return std::nullopt;
    members.push_back(member.get<std::string>());
  }
  return members;
}

std::string format_set(std::vector<std::string> members) {
  std::ranges::sort(members);
  const auto repeated = std::ranges::unique(members);
  members.erase(repeated.begin(), repeated.end());
  return nlohmann::json(members).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool is_sealed_value(std::string_view value) { return value.starts_with(kSealedValue); }
bool is_sealed_name(std::string_view name) { return name.starts_with(kSealedName); }

}  // namespace bennu::inventory
