#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <set>
#include <unordered_set>

#include "base/bytes.hpp"
#include "cli/app.hpp"
#include "cli/changes.hpp"
#include "cli/input.hpp"
#include "cli/session.hpp"
#include "git/history.hpp"
#include "sync/base_record.hpp"
#include "sync/commit_tree.hpp"
#include "sync/diff.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

struct LogOptions {
  std::string key;
  std::size_t limit = 0;
  bool changes = false;
};

// The files and folders of the tree that a key, entity or prefix may stand for: an entity is its
// document and what is below it. A name without a leading slash may be a key, too, or a path as git
// takes it.
Result<std::set<std::string>> paths_of(const sync::Mapping& mapping, const std::string& key) {
  std::string trimmed = key;
  if (trimmed.ends_with('/')) trimmed.pop_back();   // one: `//` is a key
  const std::string& root = mapping.schema().root;  // `/net/`: documents stand at the tree's root
  if (trimmed.empty() || trimmed + "/" == root) return std::set<std::string>{""};
  std::set<std::string> paths;
  const auto add = [&](const std::string& below_root) -> Status {
    for (const std::string& candidate : {below_root, below_root + "/status"}) {
      BENNU_ASSIGN(const auto file, mapping.file_of(candidate));
      if (file.path.empty()) continue;
      if (candidate == below_root || file.kind == sync::FileKind::kDocument)
        paths.insert(file.path);
      const std::size_t suffix = file.path.rfind(".json");
      if (file.kind == sync::FileKind::kDocument && suffix != std::string::npos) {
        paths.insert(file.path.substr(0, suffix));
      }
    }
    return {};
  };
  if (trimmed.front() != '/') {
    paths.insert(trimmed);
    paths.insert(trimmed + ".json");
    BENNU_TRY(add(trimmed));
    BENNU_TRY(add(root + trimmed));
    return paths;
  }
  BENNU_TRY(add(trimmed));
  if (root != "/" && trimmed.starts_with(root)) {
    BENNU_ASSIGN(const auto file, mapping.file_of("/" + trimmed.substr(root.size())));
    paths.insert(file.path);
  }
  return paths;
}

// Commits that touch any of the paths, newest first.
Status each_commit(const git::Repository& repository, const git::ObjectId& head,
                   const std::set<std::string>& paths, std::size_t limit,
                   const git::LogVisitor& visit) {
  if (paths.size() == 1) {
    return git::log(repository, head, {.path = *paths.begin(), .limit = limit}, visit);
  }
  std::unordered_set<git::ObjectId> touched;
  for (const std::string& path : paths) {
    BENNU_TRY(git::log(repository, head, {.path = path}, [&](const git::LogEntry& entry) {
      touched.insert(entry.id);
      return Result<git::Walk>(git::Walk::kContinue);
    }));
  }
  std::size_t found = 0;
  return git::log(repository, head, {}, [&](const git::LogEntry& entry) -> Result<git::Walk> {
    if (!touched.contains(entry.id)) return git::Walk::kContinue;
    BENNU_TRY(visit(entry));
    return ++found == limit ? git::Walk::kStop : git::Walk::kContinue;
  });
}

// A shallow clone ends where it was cut, which is no damage.
Error explain(const git::Repository& repository, Error error) {
  std::error_code ignored;
  if (std::filesystem::exists(repository.path() / "shallow", ignored)) {
    error.message = fmt::format(
        "{} is a shallow clone and has no more history: run `git fetch --unshallow` in it",
        repository.path().string());
  }
  return error;
}

std::string_view actor_text(const git::Signature& author) { return author.name; }

json commit_json(const git::LogEntry& entry) {
  const auto trailer = [&](std::string_view token) -> json {
    const auto value = git::find_trailer(entry.commit.message, token);
    return value ? json(*value) : json(nullptr);
  };
  const env::WallTime time{std::chrono::seconds{entry.commit.author.time_s}};
  return {{"commit", entry.id.hex()},
          {"actor", entry.commit.author.name},
          {"email", entry.commit.author.email},
          {"time", env::to_rfc3339(time)},
          {"subject", git::subject(entry.commit.message)},
          {"revision", trailer(sync::kTrailerRevision)},
          {"node", trailer(sync::kTrailerNode)},
          {"reason", trailer(sync::kTrailerReason)},
          {"request_id", trailer(sync::kTrailerRequestId)},
          {"lineage", trailer(sync::kTrailerLineage)}};
}

// Of the newest commit whose schema can be read: a bad one hides no history.
Result<sync::Mapping> newest_mapping(ReadSession& session, const git::ObjectId& head) {
  auto newest = sync::open_commit(session.repository(), head, session.identity());
  const auto look = [&](const git::LogEntry& entry) -> Result<git::Walk> {
    newest = sync::open_commit(session.repository(), entry.id, session.identity());
    const bool bad = !newest && sync::is_unreadable(newest.error());
    return bad ? git::Walk::kContinue : git::Walk::kStop;
  };
  if (!newest) BENNU_TRY(git::log(session.repository(), head, {}, look));
  if (!newest && sync::is_unreadable(newest.error())) return sync::Mapping();
  BENNU_TRY(newest);
  return std::move(newest->mapping);
}

// Adds what a commit changed to its entry; what cannot be read of it is said there.
Status add_changes(const Context& context, ReadSession& session, const git::LogEntry& entry,
                   const std::string& key, json& item, std::string& text) {
  const std::string parent = entry.commit.parents.empty() ? "" : entry.commit.parents[0].hex();
  const auto changes =
      sync::diff_commits(session.repository(), session.identity(), parent, entry.id.hex(), key);
  if (!changes && !sync::is_unreadable(changes.error())) return changes.error();
  item["changes"] = changes ? changes_json(*changes) : json(nullptr);
  item["changes_problem"] = changes ? json(nullptr) : json(changes.error().message);
  if (!changes) {
    text += fmt::format("    its changes cannot be read: {}\n", changes.error().message);
    return {};
  }
  for (const auto& change : *changes) text += "    " + change_text(context.out, change);
  return {};
}

Result<int> log(const Context& context, const LogOptions& options) {
  BENNU_ASSIGN(auto session, ReadSession::open(context, ReadSession::What::kHistory));
  BENNU_ASSIGN(const auto head, session.head());
  BENNU_ASSIGN(const auto mapping, newest_mapping(session, head));
  BENNU_ASSIGN(const auto paths, paths_of(mapping, options.key));
  json items = json::array();
  std::string text;
  const auto add = [&](const git::LogEntry& entry) -> Result<git::Walk> {
    if (context.stop.stop_requested()) return make_error(Code::kCancelled, "interrupted");
    json item = commit_json(entry);
    text += fmt::format("{} {} {}  {}\n", context.out.styled(Style::kYellow, entry.id.short_hex()),
                        item["time"].get<std::string>(),
                        context.out.styled(Style::kCyan, actor_text(entry.commit.author)),
                        printable(git::subject(entry.commit.message)));
    if (item["reason"].is_string())
      text += "           reason: " + item["reason"].get<std::string>() + "\n";
    if (options.changes) {
      BENNU_TRY(add_changes(context, session, entry, options.key, item, text));
    }
    items.push_back(std::move(item));
    return git::Walk::kContinue;
  };
  const auto done = each_commit(session.repository(), head, paths, options.limit, add);
  if (!done) return explain(session.repository(), done.error());
  if (items.empty()) text = fmt::format("no commit touches {}\n", printable(options.key));
  context.out.result({{"items", items}}, text);
  return kExitDone;
}

struct DiffOptions {
  std::string before;
  std::string after;
  std::string prefix;
};

Result<std::vector<sync::PlannedChange>> compute_diff(const Context& context,
                                                      const DiffOptions& options) {
  if (!context.options.repo.empty()) {
    BENNU_ASSIGN(auto session, ReadSession::open(context, ReadSession::What::kHistory));
    return sync::diff_commits(session.repository(), session.identity(), options.before,
                              options.after, options.prefix);
  }
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  auto changes = sync::diff(session.link(), options.before, options.after, options.prefix);
  if (changes || changes.error().code != Code::kNotFound) return changes;
  BENNU_ASSIGN(const auto refs, session.directory().repository().list_refs(""));
  return refs.empty() ? nothing_exported() : std::move(changes);
}

Result<int> diff(const Context& context, const DiffOptions& options) {
  BENNU_ASSIGN(const auto changes, compute_diff(context, options));
  std::string text;
  for (const auto& change : changes) text += change_text(context.out, change);
  if (changes.empty()) text = "no differences\n";
  context.out.result({{"changes", changes_json(changes)}}, text);
  return changes.empty() ? kExitDone : kExitDifferent;
}

}  // namespace

void add_history_commands(Registry& registry) {
  auto log_options = std::make_shared<LogOptions>();
  auto* log_cmd = registry.add(registry.root(), "log", "Who changed what and when, from Git",
                               "bennu log /net/users/7 --changes --data net",
                               [log_options](const Context& c) { return log(c, *log_options); });
  log_cmd->add_option("KEY", log_options->key,
                      "Only commits that touch this key, entity or prefix");
  log_cmd->add_option("--limit", log_options->limit, "At most this many; 0: all")
      ->check(check_count);
  log_cmd->add_flag("--changes", log_options->changes, "Show each change of a key");

  auto diff_options = std::make_shared<DiffOptions>();
  auto* diff_cmd =
      registry.add(registry.root(), "diff", "What differs between two of: commit, @revision, live",
                   "bennu diff main~3 live /net/users/7/ --data net",
                   [diff_options](const Context& c) { return diff(c, *diff_options); });
  diff_cmd->add_option("A", diff_options->before, "Before")->required();
  diff_cmd->add_option("B", diff_options->after, "After")->required();
  diff_cmd->add_option("PREFIX", diff_options->prefix, "Only keys that begin with this");
}

}  // namespace bennu::cli
