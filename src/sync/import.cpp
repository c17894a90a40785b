#include "sync/import.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.hpp"
#include "base/limits.hpp"
#include "git/pack_writer.hpp"
#include "git/remote.hpp"
#include "git/tree_walk.hpp"
#include "sync/age_keys.hpp"
#include "sync/put_check.hpp"
#include "sync/raw_path.hpp"
#include "sync/reasons.hpp"
#include "sync/shown_key.hpp"
#include "sync/staged_changes.hpp"
#include "sync/state_tree.hpp"
#include "sync/tree_keys.hpp"
#include "sync/tree_records.hpp"

namespace bennu::sync {
namespace {

Result<Revision> apply(const Link& link, const Sides& sides, const Plan& plan, const Base& base) {
  BENNU_ASSIGN(auto staged, StagedChanges::begin(link, plan.revision));
  for (const PlannedChange& change : plan.changes) {
    BENNU_TRY(change.after ? staged.put(change.key, *change.after) : staged.erase(change.key));
  }
  return staged.commit({base_unmoved(sides.state)}, {base_put(base), derived_put()});
}

// New revisions of what KV keeps though Git has changed it, so that the next export sees them. A
// transaction of their own, and the first: the import's own counts as no change.
Status keep_values(const Link& link, const Sides& sides, const Plan& plan) {
  if (plan.kept.empty()) return {};
  BENNU_ASSIGN(auto staged, StagedChanges::begin(link, plan.revision));
  for (const PlannedChange& change : plan.kept) BENNU_TRY(staged.put(change.key, *change.before));
  const kv::AuditContext bennu{
      .actor = {.name = "Bennu on " + link.node_name, .email = "bennu@" + link.node_name},
      .node = link.node_name};
  BENNU_TRY(staged.commit(
      {base_unmoved(sides.state)},
      {kv::audit_op(bennu, "import", "Keep operational values", link.clock, link.random)}));
  return {};
}

Result<git::ObjectId> canonical_of(const Link& link, const Sides& sides, const Plan& plan) {
  // What an earlier commit brought may still wait to be normalised.
  bool pending = !plan.normalised.empty();
  if (!pending && sides.state.base) {
    BENNU_ASSIGN(const auto before, link.repository.read_commit(sides.state.base->commit));
    pending = before.tree != sides.state.base->tree;
  }
  if (!pending) return sides.git_tree;
  BENNU_ASSIGN(const auto mapping, mapping_of_tree(link.repository, sides.git_tree, link.identity));
  git::HashSink sink(&link.repository);
  return canonical_tree(link.repository, sides.git_tree, mapping, sink);
}

// What an import that was cut off between its two halves left to do. Changes of this store are not
// its business: with any, the next export does it.
Status normalise(const Link& link, const Sides& sides, bool push, ImportReport& report) {
  if (!awaits_normalising(sides)) return {};
  BENNU_ASSIGN(const auto kv, kv_changes(link, sides));
  if (kv.changed) return {};
  BENNU_ASSIGN(const auto exported, export_state(link, {.push = push, .fetch = Fetch::kNo}));
  report.normalised = exported.commit;
  report.push_problem = exported.push_problem;
  return {};
}

Result<git::ObjectId> folder_tree(const Link& link, const git::ObjectId& commit,
                                  const std::string& path) {
  BENNU_ASSIGN(const auto info, link.repository.read_commit(commit));
  std::string folder = path;
  while (!folder.empty() && folder.back() == '/') folder.pop_back();
  BENNU_ASSIGN(const auto entry, link.repository.find_path(info.tree, folder));
  if (!entry)
    return make_error(Code::kNotFound, fmt::format("commit {} has no folder {}", commit.short_hex(),
                                                   printable(path)));
  if (!entry->is_tree()) {
    return make_error(Code::kInvalidArgument,
                      fmt::format("{} is a file in commit {}; --path wants a folder",
                                  printable(path), commit.short_hex()));
  }
  return entry->id;
}

constexpr std::string_view kOwnKeys = "/_bennu/";
constexpr std::string_view kBlobRecords = "/_bennu/tree/blob/";

// The key under the prefix; of a tree record, the record of the path that its file has there.
Result<std::string> moved_key(const Mapping& mapping, const std::string& prefix,
                              std::string_view key) {
  const auto moved = [&](std::string_view raw) {
    if (prefix == "/") return std::string(raw);
    return prefix + std::string(raw.substr(raw.starts_with("/") ? 1 : 0));
  };
  const auto record = parse_record(key);
  if (!record) return moved(key);
  if (const PathOf where = Mapping().parse_path(record->path);
      where.kind == PathOf::Kind::kRawKey) {
    const std::string full = moved(where.key);
    if (mapping.match_key(full).entity == nullptr)
      return record_key(record->kind, mapping.raw_path(full));
    return make_error(Code::kInvalidArgument,
                      fmt::format("{}: would be a field under this prefix, and a field is no "
                                  "executable file, link or large file; nothing was imported. "
                                  "Choose another --prefix",
                                  printable(record->path)));
  }
  if (prefix == "/") return std::string(key);
  std::string folder;  // the prefix as a path of the tree, with its slash
  append_path(prefix + "x", folder);
  folder.pop_back();
  const std::size_t kind = key.find('/', kTreePrefix.size());
  if (kind == std::string_view::npos) {
    return make_error(Code::kInvalidArgument, fmt::format("{} is no tree record", printable(key)));
  }
  return std::string(key.substr(0, kind + 1)) + folder + std::string(key.substr(kind + 1));
}

// A blob that is kept by id must be in this store's own repository.
Status copy_blob(const git::Repository& source, git::PackWriter& pack, std::string_view record) {
  const std::size_t start = record.find(' ');
  const auto id = start == std::string_view::npos
                      ? std::nullopt
                      : git::ObjectId::from_hex(record.substr(start + 1, 40));
  if (!id) return make_error(Code::kDataLoss, "a record of a large file names no object");
  BENNU_ASSIGN(const auto bytes, source.read_blob(*id));
  BENNU_TRY(pack.add(git::ObjectKind::kBlob, bytes));
  return {};
}

// A commit that takes a data key away that sealed values need would make all of them unreadable.
Status check_key_files(const Link& link, const Sides& sides, const Plan& plan) {
  const std::string folder = std::string(kFileRecordPrefix) + std::string(kKeysFolder);
  const bool taken_away = std::ranges::any_of(plan.changes, [&](const PlannedChange& change) {
    return change.key.starts_with(folder) && !change.after;
  });
  if (!taken_away) return {};
  BENNU_ASSIGN(const auto locked, mapping_of_tree(link.repository, sides.git_tree, {}));
  BENNU_ASSIGN(const auto stats,
               read_state(link.repository, sides.git_tree, locked, link.stop, link.progress,
                          [](std::string_view, std::string_view) -> Status { return {}; }));
  BENNU_ASSIGN(const auto missing,
               missing_key_files(link.repository, sides.git_tree, stats.epochs));
  if (missing.empty()) return {};
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("commit {} has no {}, and {} sealed values open with it alone; nothing was "
                  "imported. Put the file back (`git checkout {} -- {}`) and push",
                  sides.git_head.short_hex(), missing.front(), stats.sealed,
                  sides.state.base ? sides.state.base->commit.short_hex() : "COMMIT",
                  missing.front()),
      reason::kNoKey);
}

// Refuses keys that exist with another value; leaves out those that are there as wanted.
Status check_free(const Link& link, const Mapping& mapping, Revision revision, KeyValues& keys) {
  for (auto entry = keys.begin(); entry != keys.end();) {
    BENNU_ASSIGN(const auto found,
                 link.store.range({.range = {.key = entry->first}, .revision = revision}));
    if (found.kvs.empty()) {
      ++entry;
    } else if (found.kvs[0].value == entry->second) {
      entry = keys.erase(entry);
    } else {
      return make_error(
          Code::kAlreadyExists,
          fmt::format(
              "{} is there already with another value; import under another --prefix, or delete it",
              shown_key(mapping, entry->first)));
    }
  }
  return {};
}

// Secrets that nobody here can seal would stop every export, and what is not for Git at all would
// be in none.
Status check_exportable(const Mapping& mapping, const KeyValues& keys) {
  for (const auto& [key, value] : keys) {
    if (const KeyClass of = mapping.classify(key).key_class; !Mapping::is_in_tree(of)) {
      return make_error(Code::kInvalidArgument,
                        fmt::format("{}: keys under this prefix are {}, which no export takes; "
                                    "nothing was imported. Choose another --prefix",
                                    shown_key(mapping, key), class_name(of)));
    }
    const PutNeeds needs = needs_of_put(mapping, key, value);
    if (needs == PutNeeds::kNothing) continue;
    std::string why;
    if (needs == PutNeeds::kRefused) {
      why = "its name would show in Git; import under another --prefix";
    } else if (needs == PutNeeds::kTooLarge) {
      why = "larger than a secret can be (1 MiB); import under another --prefix";
    } else if (mapping.ring().empty()) {
      why = mapping.ring().advice();
    } else {
      continue;
    }
    return make_error(Code::kFailedPrecondition,
                      fmt::format("{}: is secret under this prefix, and {}; nothing was imported",
                                  shown_key(mapping, key), why),
                      reason::kNoKey);
  }
  return {};
}

}  // namespace

Result<ImportReport> import_commits(const Link& link, const ImportOptions& options) {
  BENNU_ASSIGN(const auto sides, examine(link, options.fetch));
  if (options.fetch == Fetch::kYes && !sides.remote_problem.empty()) {
    return make_error(Code::kUnavailable, sides.remote_problem);
  }
  BENNU_ASSIGN(const auto direction, direction_of(link, sides));
  ImportReport report{.commit = sides.git_head};
  if (direction != Direction::kToKv) {
    BENNU_TRY(move_branch(link, sides.local_head, sides.git_head));
    if (direction == Direction::kToGit) BENNU_TRY(normalise(link, sides, options.push, report));
    return report;
  }
  BENNU_ASSIGN(const auto plan, plan_to_kv(link, sides));
  BENNU_TRY(check_budget(link.budget, static_cast<std::int64_t>(plan.deletes),
                         static_cast<std::int64_t>(plan.total_keys), "KV",
                         options.deletes_confirmed));
  BENNU_TRY(check_key_files(link, sides, plan));
  // The revision that was compared, not the transaction's own: what others wrote in between is to
  // be exported.
  Base base{.commit = sides.git_head, .revision = plan.revision, .applied = {Revision{}}};
  BENNU_ASSIGN(base.tree, canonical_of(link, sides, plan));
  // Another schema may bring keys into the tree that were written long before.
  const auto is_schema = [](const PlannedChange& change) { return change.key == kSchemaKey; };
  if (std::ranges::any_of(plan.changes, is_schema)) base.revision = kNeverEqual;
  BENNU_TRY(keep_values(link, sides, plan));
  BENNU_ASSIGN(report.revision, apply(link, sides, plan, base));
  report.puts = plan.puts;
  report.deletes = plan.deletes;
  report.plaintext = plan.plaintext;
  BENNU_TRY(move_branch(link, sides.local_head, sides.git_head));
  report.kept = plan.kept.size();
  const bool documents = base.tree != sides.git_tree;
  if (documents || !plan.kept.empty()) {
    BENNU_ASSIGN(const auto exported,
                 export_state(link, {.push = options.push, .fetch = Fetch::kNo}));
    if (documents && exported.changed) report.normalised = exported.commits.front();
    if (!plan.kept.empty()) report.put_back = exported.commit;
    report.push_problem = exported.push_problem;
  }
  return report;
}

Result<FolderReport> import_folder(const Link& link, const FolderOptions& options) {
  FolderReport report;
  git::RemoteOptions remote{.stop = link.stop};
  remote.on_progress = [&link](std::string_view line) { link.progress(line, 0, 0); };
  // Fetched into a repository of its own: what is not taken in must not stay in the store's.
  BENNU_ASSIGN(const auto scratch, link.repository.scratch());
  BENNU_ASSIGN(auto repository, git::Repository::init_bare(scratch.path() / "repo.git"));
  BENNU_ASSIGN(const auto fetched, git::fetch(repository, options.url, remote));
  std::string revision = options.revision;
  if (revision.empty()) revision = fetched.default_branch.value_or("");
  if (revision.empty())
    return make_error(Code::kNotFound, fmt::format("{} names no branch; give URL@BRANCH",
                                                   git::shown_url(options.url)));
  BENNU_ASSIGN(report.commit, git::find_fetched(repository, options.url, fetched, revision));
  Link source{
      .store = link.store, .repository = repository, .clock = link.clock, .random = link.random};
  BENNU_ASSIGN(report.tree, folder_tree(source, report.commit, options.path));

  BENNU_ASSIGN(const auto state, read_sync_state(link.store));
  BENNU_ASSIGN(const auto mapping, mapping_of_state(link.store, state.revision, link.identity));
  KeyValues keys;
  const Mapping raw;
  BENNU_ASSIGN(const auto pack, git::PackWriter::begin(link.repository));
  BENNU_TRY(read_state(
      repository, report.tree, raw, link.stop, link.progress,
      [&](std::string_view key, std::string_view value) -> Status {
        BENNU_ASSIGN(std::string full, moved_key(mapping, options.prefix, key));
        if (options.prefix.starts_with(kOwnKeys) ||
            (full.starts_with(kOwnKeys) && !key.starts_with(kTreePrefix))) {
          return make_error(Code::kInvalidArgument,
                            fmt::format("{}: keys under {} are the store's own; nothing was "
                                        "imported. Choose another --prefix",
                                        printable(full), kOwnKeys));
        }
        if (key.starts_with(kBlobRecords)) {
          BENNU_TRY(copy_blob(repository, *pack, value));
        }
        for (Finding& finding : find_credentials(full, value)) {
          const auto record = parse_record(full);
          report.credentials.push_back(
              {.path = std::string(record ? record->path : full), .finding = std::move(finding)});
        }
        keys.emplace(std::move(full), std::string(value));
        return {};
      }));
  report.keys = keys.size();
  BENNU_TRY(check_free(link, mapping, state.revision, keys));
  BENNU_TRY(check_exportable(mapping, keys));
  if (keys.empty()) return report;
  BENNU_TRY(pack->finish());  // large blobs are durable before a key names them
  BENNU_ASSIGN(auto staged, StagedChanges::begin(link, state.revision));
  for (const auto& [key, value] : keys) BENNU_TRY(staged.put(key, value));
  std::vector<kv::Op> extra = options.audit;
  extra.push_back(derived_put());
  BENNU_ASSIGN(report.revision, staged.commit({}, std::move(extra)));
  return report;
}

}  // namespace bennu::sync
