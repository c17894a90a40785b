#include <fmt/format.h>

#include <memory>

#include "base/bytes.hpp"
#include "cli/address.hpp"
#include "cli/app.hpp"
#include "cli/broken_rules.hpp"
#include "cli/session.hpp"
#include "cli/sync_answer.hpp"
#include "git/remote.hpp"
#include "sync/adopt.hpp"
#include "sync/export.hpp"
#include "sync/import.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

struct ExportFlags {
  bool no_push = false;
  bool offline = false;
};

Result<int> export_command(const Context& context, const ExportFlags& flags) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const auto done = sync::export_state(
      session.link(),
      {.push = !flags.no_push, .fetch = flags.offline ? sync::Fetch::kNo : sync::Fetch::kYes});
  if (!done) return different_if_both_changed(context, done.error());
  json commits = json::array();
  for (const auto& commit : done->commits) commits.push_back(commit.hex());
  const std::string sent = fmt::format("{} {}", done->sent, done->sent == 1 ? "commit" : "commits");
  std::string text;
  if (done->changed) {
    text = fmt::format(
        "{} commit {}{}, tree {}{}\n", context.out.styled(Style::kGreen, "exported"),
        done->commit->short_hex(),
        done->commits.size() > 1 ? fmt::format(" and {} before it", done->commits.size() - 1) : "",
        done->tree.short_hex(),
        done->sent > done->commits.size() ? fmt::format(", pushed with what waited: {}", sent)
        : done->pushed                    ? ", pushed"
                                          : "");
  } else if (done->sent > 0) {
    text = fmt::format("pushed {} that waited; this store changed nothing since\n", sent);
  } else {
    text = done->git_has_changes ? "nothing to export: this store changed nothing\n"
                                 : "nothing to export: Git has this state already\n";
  }
  if (done->git_has_changes)
    context.out.note("the branch has commits that this store lacks: `bennu import` takes them");
  context.out.result({{"commit", id_or_null(done->commit)},
                      {"tree", done->tree.hex()},
                      {"changed", done->changed},
                      {"commits", commits},
                      {"pushed", done->pushed},
                      {"sent", done->sent},
                      {"push_problem", done->push_problem}},
                     text);
  return flags.no_push ? kExitDone : push_status(context, done->push_problem);
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
  if (done->kept > 0) {
    text += fmt::format("kept {} operational {} of this store{}\n", done->kept,
                        done->kept == 1 ? "value" : "values",
                        done->put_back ? fmt::format(", and put back into Git by commit {}",
                                                     done->put_back->short_hex())
                                       : "");
  }
  warn_of_plaintext(context, done->plaintext);
  json broken = json::array();
  if (done->revision.value != 0) {
    broken = broken_rules(context, session.store(), done->revision);
  }
  context.out.result({{"commit", id_or_null(done->commit)},
                      {"changed", done->revision.value != 0},
                      {"revision", done->revision.value},
                      {"broken_rules", broken},
                      {"puts", done->puts},
                      {"deletes", done->deletes},
                      {"normalised", id_or_null(done->normalised)},
                      {"kept", done->kept},
                      {"put_back", id_or_null(done->put_back)},
                      {"push_problem", done->push_problem},
                      {"plaintext", done->plaintext}},
                     text);
  return flags.no_push ? kExitDone : push_status(context, done->push_problem);
}

Result<int> adopt(const Context& context, const std::string& take, bool no_push) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  sync::AdoptOptions options{.deletes_confirmed = context.options.yes, .push = !no_push};
  if (auto who = session.audit()) options.audit = std::move(*who);
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
  return no_push ? kExitDone : push_status(context, report.exported.push_problem);
}

}  // namespace

void add_transfer_commands(Registry& registry) {
  auto export_flags = std::make_shared<ExportFlags>();
  auto* export_cmd = registry.add(
      registry.root(), "export",
      "Commit what changed in KV, and push it (status 2 if the remote does not get it)",
      "bennu export --data net",
      [export_flags](const Context& c) { return export_command(c, *export_flags); });
  export_cmd->add_flag("--no-push", export_flags->no_push, "Commit here only (status 0)");
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
  import_cmd
      ->add_option("--prefix", import_flags->prefix, "Keys begin with this, which ends with `/`")
      ->check([](const std::string& prefix) {
        if (prefix.ends_with('/')) return std::string();
        return fmt::format("\"{}\" does not end with `/`, so names would run into it",
                           printable(prefix, 80));
      });
  import_cmd->add_flag("--no-push", import_flags->no_push,
                       "Do not push a commit that normalises documents");

  auto take = std::make_shared<std::string>();
  auto no_push = std::make_shared<bool>(false);
  auto* adopt_cmd =
      registry.add(registry.root(), "adopt",
                   "Make a store and a branch belong together that a guard keeps apart",
                   "bennu adopt --take git --data net",
                   [take, no_push](const Context& c) { return adopt(c, *take, *no_push); });
  adopt_cmd
      ->add_option(
          "--take", *take,
          "Whose state to keep: git or kv (default: neither, a new lineage for a rewound copy)")
      ->check(CLI::IsMember({"git", "kv"}));
  adopt_cmd->add_flag("--no-push", *no_push, "Commit here only");
}

}  // namespace bennu::cli
