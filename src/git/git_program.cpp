#include "git/git_program.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/bytes.hpp"
#include "git/reasons.hpp"

namespace bennu::git {
namespace {

struct Rule {
  std::string_view said;
  Code code;
  Reason reason;
  std::string_view advice;
};

// The first that fits decides, so the particular stand before the general.
constexpr std::array kRules = {
    Rule{"No space left", Code::kResourceExhausted, reason::kNoSpace,
         "free some space and run again"},
    Rule{"dubious ownership", Code::kPermissionDenied, {}, "another user owns that repository"},
    Rule{"does not appear to be a git repo", Code::kNotFound, reason::kNotARepository,
         "check the address"},
    Rule{"epository not found", Code::kNotFound, reason::kNotARepository,
         "check the address and your access"},
    Rule{"not a git repository", Code::kNotFound, reason::kNotARepository, "check the address"},
    Rule{"does not exist", Code::kNotFound, reason::kNotARepository,
         "nothing there is a repository: check the address"},
    Rule{"not found in upstream", Code::kNotFound, reason::kNotFound, "check the branch"},
    Rule{"couldn't find remote ref", Code::kNotFound, reason::kNotFound, "check the branch"},
    Rule{"prerequisite commits", Code::kDataLoss, reason::kTruncated,
         "make a bundle of the whole history"},
    Rule{"shallow", Code::kDataLoss, reason::kTruncated,
         "it is a shallow clone: run `git fetch --unshallow` there"},
    Rule{"unexpected disconnect", Code::kUnavailable, reason::kRemoteUnreachable,
         "the connection broke: run again"},
    Rule{"unrecognized header", Code::kDataLoss, reason::kTruncated,
         "the bundle is damaged: copy it again"},
    Rule{"early EOF", Code::kDataLoss, reason::kTruncated,
         "what came is cut short: copy or fetch it again"},
    Rule{"pack is corrupted", Code::kDataLoss, reason::kTruncated,
         "what came is damaged: copy or fetch it again"},
    Rule{"is corrupt", Code::kDataLoss, reason::kTruncated,
         "what came is damaged: copy or fetch it again"},
    Rule{"inflate", Code::kDataLoss, reason::kTruncated,
         "what came is damaged: copy or fetch it again"},
    Rule{"bad object", Code::kDataLoss, reason::kTruncated,
         "what came is damaged: copy or fetch it again"},
    Rule{"Permission denied (", Code::kUnauthenticated, reason::kAuth,
         "load the right key into the ssh agent"},
    Rule{"Host key verification", Code::kUnauthenticated, reason::kAuth,
         "connect once with ssh and check the host's key"},
    Rule{"Authentication failed", Code::kUnauthenticated, reason::kAuth,
         "check the credentials that git has"},
    Rule{"could not read Username", Code::kUnauthenticated, reason::kAuth,
         "set up a git credential helper"},
    Rule{"could not read Password", Code::kUnauthenticated, reason::kAuth,
         "set up a git credential helper"},
    Rule{"returned error: 403", Code::kUnauthenticated, reason::kAuth,
         "these credentials may not do that"},
    Rule{"returned error: 401", Code::kUnauthenticated, reason::kAuth,
         "check the credentials that git has"},
    Rule{"Could not resolve", Code::kUnavailable, reason::kRemoteUnreachable,
         "check the network and the address"},
    Rule{"Connection refused", Code::kUnavailable, reason::kRemoteUnreachable,
         "nothing answers there"},
    Rule{"onnect to", Code::kUnavailable, reason::kRemoteUnreachable,
         "check the network and the address"},
    Rule{"timed out", Code::kUnavailable, reason::kRemoteUnreachable, "check the network"},
    Rule{"unreachable", Code::kUnavailable, reason::kRemoteUnreachable, "check the network"},
    Rule{"hung up unexpectedly", Code::kUnavailable, reason::kRemoteUnreachable,
         "the connection broke: run again"},
    Rule{"Could not read from remote", Code::kUnavailable, reason::kRemoteUnreachable,
         "check the address and your access"},
    Rule{"unable to access", Code::kUnavailable, reason::kRemoteUnreachable,
         "check the network and the address"},
    Rule{"Permission denied", Code::kPermissionDenied, {}, "check the permissions"},
};

// The line that says most: git's first complaint; without one, the last line.
std::string_view telling_line(std::string_view said) {
  std::string_view last;
  while (!said.empty()) {
    const std::size_t end = std::min(said.find('\n'), said.size());
    std::string_view line = said.substr(0, end);
    said.remove_prefix(std::min(end + 1, said.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);  // ssh ends its lines like that
    line = line.substr(line.rfind('\r') == std::string_view::npos ? 0 : line.rfind('\r') + 1);
    for (const std::string_view prefix : {"fatal: ", "error: ", "ERROR: "}) {
      if (!line.starts_with(prefix)) continue;
      // Before this sentence ssh has said what was wrong.
      const bool says_little = line.find("Could not read from remote") != std::string_view::npos;
      return says_little && !last.empty() ? last : line.substr(prefix.size());
    }
    if (!line.empty()) last = line;
  }
  return last;
}

// Calls the listener once per line of progress; git separates them with carriage returns.
class LineSplitter {
 public:
  explicit LineSplitter(const std::function<void(std::string_view)>& listener)
      : listener_(listener) {}
  void operator()(std::string_view piece) {
    for (const char c : piece) {
      if (c != '\r' && c != '\n') {
        line_.push_back(c);
        continue;
      }
      while (line_.ends_with(' ')) line_.pop_back();
      const bool complaint = line_.starts_with("fatal: ") || line_.starts_with("error: ");
      if (!line_.empty() && !complaint) listener_(without_credentials(line_));
      line_.clear();
    }
  }

 private:
  const std::function<void(std::string_view)>& listener_;
  std::string line_;
};

}  // namespace

Result<env::ProcessResult> run_git(const std::filesystem::path& directory,
                                   std::vector<std::string> arguments,
                                   const RemoteOptions& options) {
  std::vector<std::string> argv = {"git"};
  if (!directory.empty()) argv.push_back("--git-dir=" + directory.string());
  for (const char* setting :
       {"gc.auto=0", "maintenance.auto=false", "core.fsync=all", "core.fsyncMethod=fsync",
        "fetch.unpackLimit=1", "core.commitGraph=true"}) {
    argv.insert(argv.end(), {"-c", setting});
  }
  argv.insert(argv.end(), std::make_move_iterator(arguments.begin()),
              std::make_move_iterator(arguments.end()));
  env::ProcessRequest request{.argv = std::move(argv),
                              .environment = {{"LC_ALL", "C"},
                                              {"LANGUAGE", ""},
                                              {"GIT_TERMINAL_PROMPT", options.may_ask ? "1" : "0"}},
                              .timeout = options.timeout,
                              .stop = options.stop};
  for (const char* other :
       {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_QUARANTINE_PATH", "GIT_PREFIX"}) {
    request.environment.emplace_back(other, "");
  }
  if (options.on_progress) request.on_stderr = LineSplitter(options.on_progress);
  auto result = env::run(request);
  if (!result && result.error().code == Code::kNotFound) {
    return make_error(Code::kNotFound, "the `git` program is missing: install git", reason::kNoGit);
  }
  // Ctrl-C reaches git and its children too, which then end before we ask them to, each in its way.
  const bool ended = result && (result->status == 128 + SIGINT || result->status == 128 + SIGTERM);
  if (ended || (result && result->status != 0 && options.stop.stop_requested())) {
    return Error{.code = Code::kCancelled,
                 .reason = {},
                 .effect = Effect::kUnknown,
                 .message = "git was interrupted; run again"};
  }
  return result;
}

std::string without_credentials(std::string_view text) {
  std::string out;
  std::size_t done = 0;
  for (auto at = text.find("://"); at != std::string_view::npos; at = text.find("://", done)) {
    std::size_t begin = at;
    while (begin > done && std::isalnum(static_cast<unsigned char>(text[begin - 1])) != 0) --begin;
    const std::size_t end = std::min(text.find_first_of(" \t\r\n'\"`", at), text.size());
    out.append(text.substr(done, begin - done)).append(shown_url(text.substr(begin, end - begin)));
    done = end;
  }
  return out.append(text.substr(done));
}

Error git_error(std::string_view context, std::string_view said) {
  const std::string line = printable(without_credentials(telling_line(said)), 300);
  for (const auto& rule : kRules) {
    if (said.find(rule.said) == std::string_view::npos) continue;
    return make_error(rule.code, fmt::format("{}: {} ({})", context, line, rule.advice),
                      rule.reason);
  }
  return make_error(Code::kInternal,
                    fmt::format("{}: git says: {}", context, line.empty() ? "nothing" : line));
}

std::string shown_url(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return printable(url);
  const auto start = scheme + 3;
  const std::string_view authority = url.substr(start, url.find('/', start) - start);
  const auto at = authority.rfind('@');
  if (at == std::string_view::npos) return printable(url);
  // `git@` of ssh is no secret; a user of http may be a token, and so may what follows a colon.
  const bool plain_user =
      url.starts_with("ssh") && authority.substr(0, at).find(':') == std::string_view::npos;
  if (plain_user) return printable(url);
  return fmt::format("{}…{}", printable(url.substr(0, start)), printable(url.substr(start + at)));
}

}  // namespace bennu::git
