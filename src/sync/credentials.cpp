#include "sync/credentials.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace bennu::sync {
namespace {

constexpr std::size_t kMaxScannedBytes = 1024UL * 1024;
constexpr std::size_t kMaxLineBytes = 64UL * 1024;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_word(char c) { return is_digit(c) || is_upper(c) || is_lower(c) || c == '_'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
// Of base64 in both alphabets.
bool is_token(char c) { return is_word(c) || c == '-' || c == '+' || c == '/' || c == '='; }

// A token that its maker gave a fixed beginning, and at least so many more characters.
struct KnownToken {
  std::string_view prefix;
  std::size_t more;
  std::string_view kind;
};
constexpr std::array<KnownToken, 19> kKnownTokens = {{
    {"ghp_", 36, "a GitHub token"},      {"gho_", 36, "a GitHub token"},
    {"ghu_", 36, "a GitHub token"},      {"ghs_", 36, "a GitHub token"},
    {"ghr_", 36, "a GitHub token"},      {"github_pat_", 40, "a GitHub token"},
    {"glpat-", 20, "a GitLab token"},    {"AKIA", 16, "an AWS access key"},
    {"ASIA", 16, "an AWS access key"},   {"xoxb-", 20, "a Slack token"},
    {"xoxp-", 20, "a Slack token"},      {"xoxa-", 20, "a Slack token"},
    {"sk_live_", 16, "a Stripe key"},    {"rk_live_", 16, "a Stripe key"},
    {"AIza", 35, "a Google API key"},    {"npm_", 36, "an npm token"},
    {"hvs.", 24, "a Vault token"},       {"AGE-SECRET-KEY-1", 20, "an age identity"},
    {"dckr_pat_", 20, "a Docker token"},
}};

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (is_upper(c)) c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

// The UUID of version 4 (a random one) at `at`.
bool is_uuid4_at(std::string_view text, std::size_t at) {
  if (text.size() < at + 36) return false;
  for (std::size_t i = 0; i < 36; ++i) {
    const char c = text[at + i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-') return false;
    } else if (!is_hex(c)) {
      return false;
    }
  }
  return text[at + 14] == '4' && (at == 0 || !is_word(text[at - 1])) &&
         (at + 36 == text.size() || !is_word(text[at + 36]));
}

// Bits per character: random base64 has near 6, words under 4.
double entropy(std::string_view text) {
  std::array<std::size_t, 256> counts{};
  for (const char c : text) ++counts[static_cast<unsigned char>(c)];
  double bits = 0;
  for (const std::size_t count : counts) {
    if (count == 0) continue;
    const double share = static_cast<double>(count) / static_cast<double>(text.size());
    bits -= share * std::log2(share);
  }
  return bits;
}

// Random letters and digits, as a generator makes them, and no word, path or number.
bool looks_random(std::string_view value) {
  if (value.size() < 16) return false;
  const auto digits = std::ranges::count_if(value, is_digit);
  const auto uppers = std::ranges::count_if(value, is_upper);
  const auto lowers = std::ranges::count_if(value, is_lower);
  if (digits + uppers + lowers < static_cast<std::ptrdiff_t>(value.size()) * 8 / 10) return false;
  const bool hex = std::ranges::all_of(value, is_hex);
  if (hex) return value.size() >= 32 && digits > 0 && uppers + lowers > 0 && entropy(value) > 3.0;
  return digits >= 2 && uppers >= 2 && lowers >= 2 && entropy(value) > 3.6;
}

bool is_dummy(std::string_view value) {
  const std::string lower = to_lower(value);
  return value.starts_with('$') || value.starts_with('{') || value.starts_with('<') ||
         value.starts_with('*') ||
         std::ranges::any_of(
             std::array<std::string_view, 9>{"example", "changeme", "change_me", "xxxx", "password",
                                             "secret", "your", "null", "none"},
             [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

// `name: value`, `name = "value"`, `"name": "value"`.
struct Assignment {
  std::string name;  // lower case
  std::string_view value;
};

std::optional<Assignment> assignment_of(std::string_view line) {
  const std::size_t sign = line.find_first_of(":=");
  if (sign == std::string_view::npos || sign == 0) return std::nullopt;
  const auto trim = [](std::string_view text) {
    while (!text.empty() && std::string_view(" \t\r,;\"'").find(text.front()) != text.npos) {
      text.remove_prefix(1);
    }
    while (!text.empty() && std::string_view(" \t\r,;\"'").find(text.back()) != text.npos) {
      text.remove_suffix(1);
    }
    return text;
  };
  std::string_view name = trim(line.substr(0, sign));
  if (const std::size_t space = name.find_last_of(" \t{[("); space != std::string_view::npos) {
    name = trim(name.substr(space + 1));
  }
  const std::string_view value = trim(line.substr(sign + 1));
  if (name.empty() || name.size() > 64 || value.empty()) return std::nullopt;
  return Assignment{to_lower(name), value};
}

std::optional<std::string> find_known_token(std::string_view line) {
  for (const KnownToken& token : kKnownTokens) {
    for (std::size_t at = line.find(token.prefix); at != std::string_view::npos;
         at = line.find(token.prefix, at + 1)) {
      if (at > 0 && is_word(line[at - 1])) continue;
      const std::string_view rest = line.substr(at + token.prefix.size());
      const auto end = std::ranges::find_if_not(rest, is_token);
      const auto length = static_cast<std::size_t>(end - rest.begin());
      if (length >= token.more) return std::string(token.kind);
    }
  }
  return std::nullopt;
}

// `vless://<uuid>@host`, `https://user:password@host`.
std::optional<std::string> find_link(std::string_view line) {
  const std::size_t colon = line.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  std::size_t start = colon;
  while (start > 0 && (is_lower(line[start - 1]) || is_upper(line[start - 1]))) --start;
  const std::string scheme = to_lower(line.substr(start, colon - start));
  const std::string_view rest = line.substr(colon + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?# \t\"'<>"));
  const std::size_t at = authority.rfind('@');
  for (const std::string_view proxy : {"vless", "vmess", "trojan", "ss", "hysteria2", "tuic"}) {
    if (scheme == proxy && rest.size() > 8) return "a proxy link with its credential";
  }
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view user = authority.substr(0, at);
  const std::size_t password = user.find(':');
  if (password == std::string_view::npos || user.size() - password < 4) return std::nullopt;
  if (is_dummy(user.substr(password + 1))) return std::nullopt;
  return "a password in a URL";
}

std::optional<std::string> find_assigned(std::string_view line) {
  const auto assigned = assignment_of(line);
  if (!assigned) return std::nullopt;
  const std::string& name = assigned->name;
  const std::string_view value = assigned->value;
  const auto names = [&](std::string_view word) { return name.find(word) != std::string::npos; };
  if (names("uuid") && is_uuid4_at(value, 0))
    return "a random UUID, a credential in proxy networks";
  if (names("public") || names("fingerprint") || names("hash") || names("sha")) return std::nullopt;
  if (names("privatekey") || names("private_key") || names("presharedkey")) {
    if (value.size() >= 40 && std::ranges::all_of(value, is_token)) return "a private key";
  }
  const bool secret_name = names("passw") || names("secret") || names("token") || names("apikey") ||
                           names("api_key") || names("credential") || names("auth_key");
  if (!secret_name || is_dummy(value)) return std::nullopt;
  const bool one_word = std::ranges::none_of(value, [](char c) { return c == ' ' || c == '\t'; });
  if (one_word && value.size() >= 8 && names("passw") && std::ranges::any_of(value, is_digit)) {
    return "a password";
  }
  if (one_word && (looks_random(value) || is_uuid4_at(value, 0))) return "a secret";
  return std::nullopt;
}

std::optional<std::string> find_in_line(std::string_view line) {
  if (line.find("-----BEGIN") != std::string_view::npos &&
      line.find("PRIVATE KEY") != std::string_view::npos) {
    return "a private key (PEM)";
  }
  if (auto kind = find_known_token(line)) return kind;
  if (auto kind = find_link(line)) return kind;
  return find_assigned(line);
}

}  // namespace

std::vector<Finding> find_credentials(std::string_view path, std::string_view bytes) {
  std::vector<Finding> findings;
  for (std::size_t i = 0; i + 36 <= path.size(); ++i) {
    if (is_uuid4_at(path, i)) {
      findings.push_back({.kind = "a random UUID in the name, a credential in proxy networks"});
      break;
    }
  }
  bytes = bytes.substr(0, kMaxScannedBytes);
  if (bytes.substr(0, 8192).find('\0') != std::string_view::npos) return findings;
  for (std::size_t line = 1; !bytes.empty() && findings.size() < kMaxFindings; ++line) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    if (auto kind = find_in_line(bytes.substr(0, std::min(end, kMaxLineBytes)))) {
      findings.push_back({.kind = std::move(*kind), .line = line});
    }
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return findings;
}

}  // namespace bennu::sync
