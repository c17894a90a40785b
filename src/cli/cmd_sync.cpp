#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/bytes.hpp"
#include "cli/app.hpp"
#include "cli/broken_rules.hpp"
#include "cli/changes.hpp"
#include "cli/session.hpp"
#include "git/remote.hpp"
#include "inventory/inventory.hpp"
#include "sync/adopt.hpp"
#include "sync/export.hpp"
#include "sync/import.hpp"
#include "sync/plan.hpp"
#include "sync/reasons.hpp"
#include "sync/restore.hpp"
#include "sync/verify.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

json id_or_null(const git::ObjectId& id) { return id.is_null() ? json(nullptr) : json(id.hex()); }

json id_or_null(const std::optional<git::ObjectId>& id) {
  return id ? json(id->hex()) : json(nullptr);
}

/// A refusal because both sides changed is "there are differences", not an error of the call.
Result<int> different_if_both_changed(const Context& context, const Error& error) {
  if (error.reason != sync::reason::kBothChanged) return error;
  context.out.error(error);
  return kExitDifferent;
}

// A path stays right when the working directory changes.
std::string stable_url(const std::string& url) {
  std::error_code error;
  if (url.find("://") == std::string::npos && std::filesystem::exists(url, error)) {
    return std::filesystem::absolute(url).lexically_normal().string();
  }
  return url;
}

struct RestoreOptions {
  std::string url;
  std::string branch;
  bool no_remote = false;
};

std::string restore_text(const Output& out, const sync::RestoreReport& report, double seconds) {
  const bool good = report.verified != sync::Verified::kNo;
  std::string text =
      fmt::format("{} {} keys from {} files of commit {}\n", out.styled(Style::kGreen, "restored"),
                  report.keys, report.files, report.commit.short_hex());
  text += fmt::format(
      "{} tree {} ({}), {:.2f} s\n",
      out.styled(good ? Style::kGreen : Style::kRed, good ? "verified" : "NOT verified"),
      report.tree.short_hex(), sync::verified_name(report.verified), seconds);
  return text;
}

Result<sync::RestoreReport> restore_into(const Context& context, node::DataDir& directory,
                                         const std::string& revision) {
  sync::Link link = directory.link(context.options.identity, context.stop, progress_of(context));
  BENNU_ASSIGN(auto report, sync::restore(link, revision));
  if (report.verified != sync::Verified::kNo) return report;
  return make_error(
      Code::kDataLoss,
      fmt::format(
          "the restored store maps to tree {}, but commit {} has {}: the store is not used; "
          "please report this with the repository",
          report.tree.hex(), report.commit.short_hex(), report.commit_tree.hex()));
}

Result<int> restore(const Context& context, const RestoreOptions& options) {
  const auto start = env::system_clock().monotonic();
  const auto [url, revision] = split_revision(options.url);
  config::Settings settings{.remote_url = stable_url(url), .branch = options.branch};
  BENNU_ASSIGN(auto directory, node::DataDir::create(context.options.data, settings));
  const auto restored = restore_into(context, directory, revision);
  if (!restored) {
    node::DataDir::abandon(std::move(directory));
    return restored.error();
  }
  const sync::RestoreReport& report = *restored;
  settings.branch = report.branch;
  if (options.no_remote) settings.remote_url.clear();
  if (!context.options.identity.empty())
    settings.identity = std::filesystem::absolute(context.options.identity).string();
  inventory::Inventory inventory(directory.store(), env::system_clock(), env::system_random());
  BENNU_TRY(inventory.ensure_derived());
  BENNU_TRY(directory.commit(settings));
  const double seconds =
      std::chrono::duration<double>(env::system_clock().monotonic() - start).count();
  for (const std::string& path : report.normalised) {
    context.out.note(fmt::format("{}: will be written in its canonical form by the next export",
                                 printable(path)));
  }
  for (const std::string& path : report.plaintext) {
    context.out.warn(
        fmt::format("{}: holds a secret in clear, also in the repository's history: change it",
                    printable(path)));
  }
  for (const std::string& path : report.no_key) {
    context.out.warn(fmt::format(
        "{} secret values stay sealed: {} is missing from this commit, and no identity opens them "
        "without it; take it from an older commit, or restore that one",
        report.sealed, path));
  }
  if (report.sealed > 0 && report.no_key.empty()) {
    context.out.warn(fmt::format(
        "{} secret values stay sealed: no identity file that opens them was found (--identity)",
        report.sealed));
  }
  BENNU_ASSIGN(const auto broken, broken_rules(context, directory.store(), {}));
  context.out.result({{"commit", report.commit.hex()},
                      {"tree", report.tree.hex()},
                      {"keys", report.keys},
                      {"broken_rules", broken},
                      {"files", report.files},
                      {"sealed", report.sealed},
                      {"branch", report.branch},
                      {"verified", sync::verified_name(report.verified)},
                      {"seconds", seconds}},
                     restore_text(context.out, report, seconds));
  return kExitDone;
}

struct ExportFlags {
  bool no_push = false;
  bool offline = false;
  bool require_push = false;
};

Result<int> export_command(const Context& context, const ExportFlags& flags) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const auto done = sync::export_state(
      session.link(),
      {.push = !flags.no_push, .fetch = flags.offline ? sync::Fetch::kNo : sync::Fetch::kYes});
  if (!done) return different_if_both_changed(context, done.error());
  json commits = json::array();
  for (const auto& commit : done->commits) commits.push_back(commit.hex());
  std::string text;
  if (done->changed) {
    text = fmt::format(
        "{} commit {}{}, tree {}{}\n", context.out.styled(Style::kGreen, "exported"),
        done->commit->short_hex(),
        done->commits.size() > 1 ? fmt::format(" and {} before it", done->commits.size() - 1) : "",
        done->tree.short_hex(), done->pushed ? ", pushed" : "");
  } else {
    text = "nothing to export: Git has this state already\n";
  }
  if (!done->push_problem.empty()) {
    context.out.warn(
        fmt::format("not pushed, the commit is safe here and goes with the next export: {}",
                    done->push_problem));
  }
  if (done->git_has_changes)
    context.out.note("the branch has commits that this store lacks: `bennu import` takes them");
  context.out.result({{"commit", id_or_null(done->commit)},
                      {"tree", done->tree.hex()},
                      {"changed", done->changed},
                      {"commits", commits},
                      {"pushed", done->pushed},
                      {"push_problem", done->push_problem}},
                     text);
  const bool lags = !session.directory().settings().remote_url.empty() && !done->pushed;
  return flags.require_push && lags ? kExitDifferent : kExitDone;
}

struct ImportFlags {
  std::string url;
  std::string path;
  std::string prefix = "/";
  bool no_push = false;
};

Result<int> import_folder(const Context& context, const ImportFlags& flags) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const auto [url, revision] = split_revision(flags.url);
  BENNU_ASSIGN(auto audit, session.audit_put(
                               "import", fmt::format("import {} from {}",
                                                     flags.path.empty() ? "everything" : flags.path,
                                                     git::shown_url(url))));
  BENNU_ASSIGN(const auto report,
               sync::import_folder(session.link(), {.url = stable_url(url),
                                                    .revision = revision,
                                                    .path = flags.path,
                                                    .prefix = flags.prefix,
                                                    .audit = {std::move(audit)}}));
  json credentials = json::array();
  for (const auto& found : report.credentials) {
    context.out.warn(
        fmt::format("{}:{}: looks like a credential ({}); it is in the store and will be in Git in "
                    "clear unless "
                    "its prefix is secret",
                    printable(found.path), found.finding.line, found.finding.kind));
    credentials.push_back(
        {{"path", found.path}, {"line", found.finding.line}, {"kind", found.finding.kind}});
  }
  context.out.result({{"commit", report.commit.hex()},
                      {"tree", report.tree.hex()},
                      {"keys", report.keys},
                      {"revision", report.revision.value},
                      {"credentials", credentials}},
                     fmt::format("{} {} keys of folder tree {} from commit {}\n",
                                 context.out.styled(Style::kGreen, "imported"), report.keys,
                                 report.tree.short_hex(), report.commit.short_hex()));
  return kExitDone;
}

Result<int> import_command(const Context& context, const ImportFlags& flags) {
  if (!flags.url.empty()) return import_folder(context, flags);
  if (!flags.path.empty())
    return make_error(Code::kInvalidArgument, "--path belongs to `bennu import URL --path DIR`");
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const auto done = sync::import_commits(session.link(), {.push = !flags.no_push});
  if (!done) return different_if_both_changed(context, done.error());
  std::string text = "nothing to import: this store has all of the branch\n";
  if (done->revision.value != 0) {
    text = fmt::format("{} commit {} at revision {}: {} put, {} deleted\n",
                       context.out.styled(Style::kGreen, "imported"), done->commit.short_hex(),
                       done->revision.value, done->puts, done->deletes);
  }
  if (done->normalised) {
    text += fmt::format("documents were brought into their canonical form by commit {}\n",
                        done->normalised->short_hex());
  }
  json broken = json::array();
  if (done->revision.value != 0) {
    BENNU_ASSIGN(broken, broken_rules(context, session.store(), done->revision));
  }
  context.out.result({{"commit", id_or_null(done->commit)},
                      {"changed", done->revision.value != 0},
                      {"revision", done->revision.value},
                      {"broken_rules", broken},
                      {"puts", done->puts},
                      {"deletes", done->deletes},
                      {"normalised", id_or_null(done->normalised)}},
                     text);
  return kExitDone;
}

Result<int> verify(const Context& context) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(const auto report, sync::verify(session.link()));
  json exceptions = json::array();
  for (const auto& held : report.exceptions) exceptions.push_back(held.key);
  std::string text =
      fmt::format("KV   tree {}  (revision {})\nGit  tree {}  (commit {})\n", report.kv_tree.hex(),
                  report.revision.value, report.git_tree.is_null() ? "none" : report.git_tree.hex(),
                  report.commit.is_null() ? "none" : report.commit.short_hex());
  text += report.in_sync ? context.out.styled(Style::kGreen, "in sync") + "\n"
                         : context.out.styled(Style::kYellow, "not in sync") +
                               (report.awaits_normalising
                                    ? ": documents await their canonical form (`bennu export`)"
                                    : "") +
                               "\n";
  for (const std::string& key : report.keys) text += "  " + printable(key) + "\n";
  context.out.result({{"in_sync", report.in_sync},
                      {"kv_tree", report.kv_tree.hex()},
                      {"git_tree", id_or_null(report.git_tree)},
                      {"commit", id_or_null(report.commit)},
                      {"revision", report.revision.value},
                      {"exceptions", exceptions},
                      {"different", report.different},
                      {"keys", report.keys}},
                     text);
  return report.in_sync ? kExitDone : kExitDifferent;
}

Result<int> drift(const Context& context, bool offline) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(const auto report,
               sync::drift(session.link(), offline ? sync::Fetch::kNo : sync::Fetch::kYes));
  if (!report.remote_problem.empty())
    context.out.warn("the remote does not answer: " + report.remote_problem);
  std::string text;
  const auto section = [&](std::string_view title, const std::vector<std::string>& keys) {
    if (keys.empty()) return;
    text += context.out.styled(Style::kBold, title) + "\n";
    for (const std::string& key : keys) text += "  " + printable(key) + "\n";
  };
  section("changed in KV (`bennu export`)", report.kv);
  section("changed in Git (`bennu import`)", report.git);
  section("changed in both", report.both);
  if (report.none()) text = "no drift\n";
  context.out.result({{"kv", report.kv}, {"git", report.git}, {"both", report.both}}, text);
  return report.none() ? kExitDone : kExitDifferent;
}

json plan_json(const sync::Plan& plan) {
  return {{"version", 1},
          {"direction", sync::direction_name(plan.direction)},
          {"base", id_or_null(plan.base_commit)},
          {"head", id_or_null(plan.git_head)},
          {"revision", plan.revision.value},
          {"puts", plan.puts},
          {"deletes", plan.deletes},
          {"steps", plan.steps},
          {"over_budget", plan.over_budget},
          {"normalised", plan.normalised},
          {"hash", plan.hash},
          {"changes", changes_json(plan.changes)}};
}

struct PlanFlags {
  std::string from;
  std::string out;
  bool offline = false;
};

Result<sync::Plan> compute_plan(const sync::Link& link, const std::string& from,
                                sync::Fetch fetch) {
  BENNU_ASSIGN(const auto sides, sync::examine(link, fetch));
  sync::Direction direction = sync::Direction::kNothing;
  if (from == "git") {
    direction = sync::Direction::kToKv;
  } else if (from == "kv") {
    direction = sync::Direction::kToGit;
  } else {
    BENNU_ASSIGN(direction, sync::direction_of(link, sides));
  }
  if (direction == sync::Direction::kToKv) return sync::plan_to_kv(link, sides);
  BENNU_ASSIGN(auto plan, sync::plan_to_git(link, sides));
  plan.direction = direction;
  return plan;
}

std::string plan_text(const Output& out, const sync::Plan& plan) {
  if (plan.direction == sync::Direction::kNothing) return "nothing to do: KV and Git are equal\n";
  std::string text;
  for (const auto& change : plan.changes) text += change_text(out, change);
  for (const std::string& path : plan.normalised)
    text += fmt::format("= {}: brought into its canonical form\n", printable(path));
  text += fmt::format("{}: {} to put, {} to delete, in {} step; hash {}\n",
                      plan.direction == sync::Direction::kToKv ? "Git to KV" : "KV to Git",
                      plan.puts, plan.deletes, plan.steps, plan.hash.substr(0, 16));
  if (plan.over_budget)
    text += out.styled(Style::kRed,
                       "more deletions than the budget: save it with --out and `bennu apply` it") +
            "\n";
  return text;
}

Result<int> plan(const Context& context, const PlanFlags& flags) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const auto made = compute_plan(session.link(), flags.from,
                                 flags.offline ? sync::Fetch::kNo : sync::Fetch::kYes);
  if (!made) return different_if_both_changed(context, made.error());
  const json document = plan_json(*made);
  if (!flags.out.empty()) {
    std::ofstream file(flags.out, std::ios::trunc);
    file << to_text(document) << "\n";
    file.close();
    if (!file) return make_error(Code::kUnavailable, fmt::format("cannot write {}", flags.out));
  }
  context.out.result(document, plan_text(context.out, *made));
  const bool nothing = made->direction == sync::Direction::kNothing ||
                       (made->changes.empty() && made->normalised.empty());
  return nothing ? kExitDone : kExitDifferent;
}

Result<json> read_plan(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return make_error(Code::kNotFound, fmt::format("cannot read {}", file));
  try {
    json document = json::parse(in);
    if (document.at("version") != 1 || !document.at("hash").is_string() ||
        !document.at("direction").is_string()) {
      return make_error(Code::kInvalidArgument, fmt::format("{} is no plan of this release", file));
    }
    return document;
  } catch (const json::exception& error) {
    return make_error(Code::kInvalidArgument,
                      fmt::format("{} is not a plan: {}", file, error.what()));
  }
}

Result<int> apply_plan(const Context& context, const std::string& file) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(const auto saved, read_plan(file));
  const sync::Link link = session.link();
  const std::string direction = saved.at("direction").get<std::string>();
  if (direction == "nothing") {
    context.out.result({{"direction", direction}, {"changed", false}}, "nothing to apply\n");
    return kExitDone;
  }
  BENNU_ASSIGN(const auto now,
               compute_plan(link, direction == "kv" ? "git" : "kv", sync::Fetch::kYes));
  if (now.hash != saved.at("hash").get<std::string>()) {
    return make_error(
        Code::kAborted,
        fmt::format(
            "{} no longer fits: KV or Git has changed since. Make a new plan and look at it", file),
        sync::reason::kPlanMoved);
  }
  if (now.direction == sync::Direction::kToKv) {
    BENNU_ASSIGN(const auto done, sync::import_commits(link, {.fetch = sync::Fetch::kNo,
                                                              .deletes_confirmed = true}));
    context.out.result({{"direction", direction},
                        {"changed", true},
                        {"revision", done.revision.value},
                        {"puts", done.puts},
                        {"deletes", done.deletes}},
                       fmt::format("applied at revision {}: {} put, {} deleted\n",
                                   done.revision.value, done.puts, done.deletes));
    return kExitDone;
  }
  BENNU_ASSIGN(const auto done,
               sync::export_state(link, {.fetch = sync::Fetch::kNo, .deletes_confirmed = true}));
  context.out.result(
      {{"direction", direction}, {"changed", done.changed}, {"commit", id_or_null(done.commit)}},
      fmt::format("applied: commit {}\n", done.commit ? done.commit->short_hex() : "none"));
  return kExitDone;
}

Result<int> adopt(const Context& context, const std::string& take, bool no_push) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  sync::AdoptOptions options{.deletes_confirmed = context.options.yes, .push = !no_push};
  if (take == "git") options.take = sync::Take::kGit;
  if (take == "kv") options.take = sync::Take::kKv;
  BENNU_ASSIGN(const auto report, sync::adopt(session.link(), options));
  context.out.result(
      {{"lineage", report.lineage},
       {"base", id_or_null(report.base)},
       {"revision", report.revision.value},
       {"puts", report.puts},
       {"deletes", report.deletes},
       {"commit", id_or_null(report.exported.commit)}},
      fmt::format("adopted: lineage {}, base {}\n", report.lineage, report.base.short_hex()));
  return kExitDone;
}

void add_transfer_commands(Registry& registry) {
  auto restore_options = std::make_shared<RestoreOptions>();
  auto* restore_cmd =
      registry.add(registry.root(), "restore", "Raise a new store from a repository, with proof",
                   "bennu restore ssh://git@host/net.git@main --data net",
                   [restore_options](const Context& c) { return restore(c, *restore_options); });
  restore_cmd
      ->add_option("URL", restore_options->url,
                   "Repository (anything git fetches, or a bundle), optionally @COMMIT")
      ->required();
  restore_cmd->add_option("--branch", restore_options->branch,
                          "Branch to export to later (default: the repository's own)");
  restore_cmd->add_flag("--no-remote", restore_options->no_remote,
                        "Do not remember the URL as the remote");

  auto export_flags = std::make_shared<ExportFlags>();
  auto* export_cmd =
      registry.add(registry.root(), "export", "Commit what changed in KV, and push it",
                   "bennu export --data net",
                   [export_flags](const Context& c) { return export_command(c, *export_flags); });
  export_cmd->add_flag("--no-push", export_flags->no_push, "Commit here only");
  export_cmd->add_flag("--require-push", export_flags->require_push,
                       "Status 2 if the remote does not have everything now");
  export_cmd->add_flag("--offline", export_flags->offline, "Do not ask the remote first");

  auto import_flags = std::make_shared<ImportFlags>();
  auto* import_cmd = registry.add(
      registry.root(), "import",
      "Take in what was committed to the branch, or a folder of any repository",
      "bennu import https://host/mono.git --path services/dns --prefix /dns/ --data net",
      [import_flags](const Context& c) { return import_command(c, *import_flags); });
  import_cmd->add_option(
      "URL", import_flags->url,
      "Another repository, optionally @COMMIT; without it: this store's own branch");
  import_cmd->add_option("--path", import_flags->path, "Only this folder of URL");
  import_cmd->add_option("--prefix", import_flags->prefix, "Keys begin with this");
  import_cmd->add_flag("--no-push", import_flags->no_push,
                       "Do not push a commit that normalises documents");
}

void add_looking_commands(Registry& registry) {
  registry.add(registry.root(), "verify",
               "Rebuild the tree from every key and compare it with Git's",
               "bennu verify --data net -o json", verify);

  auto offline = std::make_shared<bool>(false);
  auto* drift_cmd = registry.add(
      registry.root(), "drift", "What differs since the base, by who changed it",
      "bennu drift --data net", [offline](const Context& c) { return drift(c, *offline); });
  drift_cmd->add_flag("--offline", *offline, "Do not ask the remote first");

  auto plan_flags = std::make_shared<PlanFlags>();
  auto* plan_cmd =
      registry.add(registry.root(), "plan", "Show key by key what an export or import would do",
                   "bennu plan --out next.plan --data net",
                   [plan_flags](const Context& c) { return plan(c, *plan_flags); });
  plan_cmd
      ->add_option("--from", plan_flags->from,
                   "git (plan an import) or kv (plan an export); default: the side that changed")
      ->check(CLI::IsMember({"git", "kv"}));
  plan_cmd->add_option("--out", plan_flags->out, "Save the plan for `bennu apply`");
  plan_cmd->add_flag("--offline", plan_flags->offline, "Do not ask the remote first");

  auto file = std::make_shared<std::string>();
  auto* apply_cmd =
      registry.add(registry.root(), "apply", "Carry out a saved plan, if it still fits exactly",
                   "bennu apply next.plan --data net",
                   [file](const Context& c) { return apply_plan(c, *file); });
  apply_cmd->add_option("FILE", *file, "A plan saved with `bennu plan --out`")->required();

  auto take = std::make_shared<std::string>();
  auto no_push = std::make_shared<bool>(false);
  auto* adopt_cmd =
      registry.add(registry.root(), "adopt",
                   "Make a store and a branch belong together that a guard keeps apart",
                   "bennu adopt --take git --data net",
                   [take, no_push](const Context& c) { return adopt(c, *take, *no_push); });
  adopt_cmd
      ->add_option("--take", *take,
                   "Whose state to keep: git or kv (default: neither, only a new lineage)")
      ->check(CLI::IsMember({"git", "kv"}));
  adopt_cmd->add_flag("--no-push", *no_push, "Commit here only");
}

}  // namespace

void add_sync_commands(Registry& registry) {
  add_transfer_commands(registry);
  add_looking_commands(registry);
}

}  // namespace bennu::cli
