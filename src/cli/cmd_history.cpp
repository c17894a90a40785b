#include <fmt/format.h>

#include <memory>

#include "base/bytes.hpp"
#include "cli/app.hpp"
#include "cli/changes.hpp"
#include "cli/session.hpp"
#include "git/history.hpp"
#include "sync/base_record.hpp"
#include "sync/diff.hpp"
#include "sync/state_tree.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

struct LogOptions {
  std::string key;
  std::size_t limit = 0;
  bool changes = false;
};

// The file or folder that a key, entity or prefix stands for. A name without a leading slash may be
// a path of the tree as `git log` takes it.
Result<std::string> path_of(const git::Repository& repository, const git::ObjectId& tree,
                            const sync::Mapping& mapping, const std::string& key) {
  if (key.empty()) return std::string();
  std::string trimmed = key;
  if (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  if (trimmed.front() != '/') {
    for (const std::string& path : {trimmed, trimmed + ".json"}) {
      BENNU_ASSIGN(const auto entry, repository.find_path(tree, path));
      if (entry) return path;
    }
  }
  BENNU_ASSIGN(const auto file, mapping.file_of(trimmed));
  if (file.kind == sync::FileKind::kDocument) return file.path;
  // `/net/users/1` is an entity: its document is where any of its fields is.
  BENNU_ASSIGN(const auto field, mapping.file_of(trimmed + "/status"));
  return field.kind == sync::FileKind::kDocument ? field.path : file.path;
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

Result<int> log(const Context& context, const LogOptions& options) {
  BENNU_ASSIGN(auto session, ReadSession::open(context));
  BENNU_ASSIGN(const auto head, session.head());
  BENNU_ASSIGN(const auto commit, session.repository().read_commit(head));
  BENNU_ASSIGN(const auto mapping,
               sync::mapping_of_tree(session.repository(), commit.tree, session.identity()));
  BENNU_ASSIGN(const auto path, path_of(session.repository(), commit.tree, mapping, options.key));
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
      std::vector<sync::PlannedChange> changes;
      const std::string parent = entry.commit.parents.empty() ? "" : entry.commit.parents[0].hex();
      BENNU_ASSIGN(changes, sync::diff_commits(session.repository(), session.identity(), parent,
                                               entry.id.hex(), options.key));
      for (const auto& change : changes) text += "    " + change_text(context.out, change);
      item["changes"] = changes_json(changes);
    }
    items.push_back(std::move(item));
    return git::Walk::kContinue;
  };
  BENNU_TRY(git::log(session.repository(), head, {.path = path, .limit = options.limit}, add));
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
    BENNU_ASSIGN(auto session, ReadSession::open(context));
    return sync::diff_commits(session.repository(), session.identity(), options.before,
                              options.after, options.prefix);
  }
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  return sync::diff(session.link(), options.before, options.after, options.prefix);
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
  log_cmd->add_option("--limit", log_options->limit, "At most this many");
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
