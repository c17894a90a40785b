#include "git/commit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "git/reasons.hpp"

namespace bennu::git {
namespace {

constexpr int kMaxOffsetMin = 14 * 60;

// Git's "crud": dropped at both ends of a name or address (ident.c).
bool is_crud(char c) {
  return static_cast<unsigned char>(c) <= 32 ||
         std::string_view(".,:;<>\"\\'").find(c) != std::string_view::npos;
}

std::string clean(std::string_view text) {
  while (!text.empty() && is_crud(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_crud(text.back())) text.remove_suffix(1);
  std::string out;
  for (const char c : text) {
    if (c != '\n' && c != '\0' && c != '<' && c != '>') out.push_back(c);
  }
  return out;
}

void append_signature(std::string& out, std::string_view role, const Signature& who) {
  const std::string email = clean(who.email);
  std::string name = clean(who.name);
  if (name.empty()) name = email.empty() ? "unknown" : email;
  const int offset = std::clamp(who.offset_min, -kMaxOffsetMin, kMaxOffsetMin);
  out += fmt::format("{} {} <{}> {} {}{:02}{:02}\n", role, name, email,
                     std::max<std::int64_t>(who.time_s, 0), offset < 0 ? '-' : '+',
                     std::abs(offset) / 60, std::abs(offset) % 60);
}

// "Name <mail> 1700000000 +0100", with whatever old programs wrote. Missing parts stay empty.
Signature parse_signature(std::string_view text) {
  Signature who;
  const auto open = text.find('<');
  const auto close = text.rfind('>');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    who.name = text;
    return who;
  }
  std::string_view name = text.substr(0, open);
  while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
  who.name = name;
  who.email = text.substr(open + 1, close - open - 1);
  std::string_view rest = text.substr(close + 1);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), who.time_s);
  if (error != std::errc{}) return who;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  if (rest.size() < 5 || (rest[0] != '+' && rest[0] != '-')) return who;
  int offset = 0;
  const auto parsed = std::from_chars(rest.data() + 1, rest.data() + 5, offset);
  if (parsed.ec != std::errc{}) return who;
  offset = offset / 100 * 60 + offset % 100;
  who.offset_min = rest[0] == '-' ? -offset : offset;
  return who;
}

Error corrupt(std::string_view what) {
  return make_error(Code::kDataLoss, fmt::format("malformed commit: {}", what), reason::kCorrupt);
}

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

bool same_token(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto fold = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return fold(x) == fold(y);
  });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

// "Token: value", or nothing.
std::optional<Trailer> parse_line(std::string_view line) {
  std::size_t i = 0;
  while (i < line.size() && is_token_char(line[i])) ++i;
  const std::size_t token_end = i;
  while (i < line.size() && (line[i] == ' ' || line[i] == '\t')) ++i;
  if (token_end == 0 || i >= line.size() || line[i] != ':') return std::nullopt;
  return Trailer{.token = std::string(line.substr(0, token_end)),
                 .value = std::string(trim(line.substr(i + 1)))};
}

// The last paragraph's begin and end, where it consists of trailers; equal positions where there
// are none.
struct Block {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::vector<Trailer> trailers;
};

Block find_block(std::string_view message) {
  std::size_t end = message.size();
  while (end > 0 && static_cast<unsigned char>(message[end - 1]) <= ' ') --end;
  Block none{.begin = end, .end = end, .trailers = {}};
  const auto gap = message.substr(0, end).rfind("\n\n");
  if (gap == std::string_view::npos) return none;  // the first paragraph is the subject
  Block block{.begin = gap + 2, .end = end, .trailers = {}};
  std::string_view text = message.substr(block.begin, end - block.begin);
  std::size_t others = 0;
  bool from_git = false;
  while (!text.empty()) {
    const auto newline = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(std::min(newline + 1, text.size()));
    if (line.starts_with("Signed-off-by: ") || line.starts_with("(cherry picked from commit "))
      from_git = true;
    const bool continues = line.starts_with(' ') || line.starts_with('\t');
    if (continues && !block.trailers.empty()) {
      block.trailers.back().value.append(" ").append(trim(line));
    } else if (auto trailer = continues ? std::nullopt : parse_line(line)) {
      block.trailers.push_back(std::move(*trailer));
    } else if (!line.starts_with('#')) {
      ++others;
    }
  }
  const bool mostly =
      from_git && block.trailers.size() * 3 >= others;  // trailer.c: a quarter is enough then
  if (block.trailers.empty() || (others > 0 && !mostly)) return none;
  return block;
}

}  // namespace

Result<std::string> format_commit(const CommitInfo& commit) {
  if (commit.tree.is_null()) return make_error(Code::kInvalidArgument, "a commit needs a tree");
  if (commit.message.find('\0') != std::string::npos) {
    return make_error(Code::kInvalidArgument, "a commit message may not hold a NUL byte");
  }
  std::string out = fmt::format("tree {}\n", commit.tree.hex());
  for (const auto& parent : commit.parents) out += fmt::format("parent {}\n", parent.hex());
  append_signature(out, "author", commit.author);
  append_signature(out, "committer", commit.committer);
  out.append("\n").append(commit.message);
  if (!out.ends_with('\n')) out.push_back('\n');
  return out;
}

Result<CommitInfo> parse_commit(std::string_view bytes) {
  CommitInfo commit;
  bool has_tree = false;
  while (!bytes.empty() && bytes.front() != '\n') {
    const auto newline = bytes.find('\n');
    if (newline == std::string_view::npos) return corrupt("header is cut short");
    const std::string_view line = bytes.substr(0, newline);
    bytes.remove_prefix(newline + 1);
    const auto space = std::min(line.find(' '), line.size());
    const std::string_view key = line.substr(0, space);
    const std::string_view value = line.substr(std::min(space + 1, line.size()));
    if (key == "tree" || key == "parent") {
      const auto id = ObjectId::from_hex(value);
      if (!id) return corrupt(fmt::format("bad id in `{}`", key));
      if (key == "tree") {
        commit.tree = *id;
        has_tree = true;
      } else {
        commit.parents.push_back(*id);
      }
    } else if (key == "author") {
      commit.author = parse_signature(value);
    } else if (key == "committer") {
      commit.committer = parse_signature(value);
    }
  }
  if (!has_tree) return corrupt("no tree");
  if (!bytes.empty()) commit.message = bytes.substr(1);
  return commit;
}

std::string with_trailers(std::string_view message, const std::vector<Trailer>& trailers) {
  const Block block = find_block(message);
  std::string out(message.substr(0, block.end));
  if (!trailers.empty()) {
    if (!out.empty()) out.push_back('\n');
    if (block.trailers.empty()) out.push_back('\n');
  }
  for (const auto& [token, value] : trailers) {
    out.append(token).append(": ");
    std::string_view rest = trim(value);
    while (!rest.empty()) {
      const auto newline = std::min(rest.find('\n'), rest.size());
      out.append(trim(rest.substr(0, newline)));
      rest = trim(rest.substr(newline));
      if (!rest.empty()) out.append("\n ");
    }
    out.push_back('\n');
  }
  if (!out.empty() && !out.ends_with('\n')) out.push_back('\n');
  return out;
}

std::vector<Trailer> parse_trailers(std::string_view message) {
  return find_block(message).trailers;
}

std::optional<std::string> find_trailer(std::string_view message, std::string_view token) {
  const auto trailers = parse_trailers(message);
  for (auto it = trailers.rbegin(); it != trailers.rend(); ++it) {
    if (same_token(it->token, token)) return it->value;
  }
  return std::nullopt;
}

std::string without_trailers(std::string_view message) {
  const Block block = find_block(message);
  std::string_view body = message.substr(0, block.begin);
  while (!body.empty() && static_cast<unsigned char>(body.back()) <= ' ') body.remove_suffix(1);
  return std::string(body);
}

std::string subject(std::string_view message) {
  while (!message.empty() && message.front() == '\n') message.remove_prefix(1);
  return std::string(message.substr(0, message.find('\n')));
}

}  // namespace bennu::git
