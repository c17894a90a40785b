#include <fmt/format.h>

#include <memory>

#include "base/bytes.hpp"
#include "cli/address.hpp"
#include "cli/app.hpp"
#include "cli/broken_rules.hpp"
#include "cli/session.hpp"
#include "cli/sync_answer.hpp"
#include "inventory/inventory.hpp"
#include "sync/restore.hpp"
#include "sync/sides.hpp"

namespace bennu::cli {
namespace {

struct RestoreOptions {
  std::string url;
  std::string branch;
  bool no_remote = false;
};

std::string restore_text(const Output& out, const sync::RestoreReport& report, double seconds) {
  std::string text =
      fmt::format("{} {} keys from {} files of commit {}\n", out.styled(Style::kGreen, "restored"),
                  report.keys, report.files, report.commit.short_hex());
  if (report.verified == sync::Verified::kNo) {
    return text + fmt::format("{}, {:.2f} s\n", out.styled(Style::kRed, "NOT verified"), seconds);
  }
  return text + fmt::format("{} tree {} ({}), {:.2f} s\n", out.styled(Style::kGreen, "verified"),
                            report.tree.short_hex(), sync::verified_name(report.verified), seconds);
}

// Up to the step that makes the directory valid; `settings` become its own.
Result<sync::RestoreReport> restore_into(const Context& context, node::DataDir& directory,
                                         const RestoreOptions& options, const std::string& revision,
                                         config::Settings& settings) {
  sync::Link link = directory.link(context.options.identity, context.stop, progress_of(context));
  BENNU_ASSIGN(auto report, sync::restore(link, revision));
  if (report.verified == sync::Verified::kNo && report.no_proof.empty()) {
    return make_error(
        Code::kDataLoss,
        fmt::format(
            "the restored store maps to tree {}, but commit {} has {}: the store is not used; "
            "please report this with the repository",
            report.tree.hex(), report.commit.short_hex(), report.commit_tree.hex()));
  }
  BENNU_TRY(config::check_branch(report.branch).with_context("name another with --branch"));
  settings.branch = report.branch;
  if (options.no_remote) settings.remote_url.clear();
  if (!context.options.identity.empty())
    settings.identity = std::filesystem::absolute(context.options.identity).string();
  const std::string_view no_pushes = refuses_pushes(settings.remote_url, settings.branch);
  if (!no_pushes.empty()) {
    context.out.note(fmt::format(
        "{}: {}; exports stay in {} until remote.url in its {} names a repository that does",
        printable(settings.remote_url), no_pushes, directory.path().string(),
        config::kSettingsFile));
    settings.remote_url.clear();
  }
  // Of what was fetched from, nothing is left that a remote set later could be taken for.
  if (settings.remote_url.empty()) BENNU_TRY(sync::forget_remote_branch(link));
  inventory::Inventory inventory(directory.store(), env::system_clock(), env::system_random());
  const Status derived = inventory.ensure_derived();
  if (!derived && derived.error().code != Code::kInvalidArgument) return derived.error();
  if (!derived) {  // of bad data: the state is restored as it is, to be mended in the store
    context.out.warn(
        fmt::format("the inventory's indexes could not be made: {}", derived.error().message));
  }
  BENNU_TRY(directory.commit(settings));
  return report;
}

Result<int> restore(const Context& context, const RestoreOptions& options) {
  if (!options.branch.empty())
    BENNU_TRY(config::check_branch(options.branch).with_context("--branch"));
  const auto start = env::system_clock().monotonic();
  const auto [url, revision] = split_revision(options.url);
  config::Settings settings{.remote_url = stable_url(url), .branch = options.branch};
  BENNU_ASSIGN(auto directory, node::DataDir::create(context.options.data, settings));
  const auto restored = restore_into(context, directory, options, revision, settings);
  if (!restored) {
    node::DataDir::abandon(std::move(directory));
    return restored.error();
  }
  const sync::RestoreReport& report = *restored;
  const double seconds =
      std::chrono::duration<double>(env::system_clock().monotonic() - start).count();
  for (const std::string& path : report.normalised) {
    context.out.note(fmt::format("{}: will be written in its canonical form by the next export",
                                 printable(path)));
  }
  warn_of_plaintext(context, report.plaintext);
  if (report.exposed.count > 0) {
    context.out.warn(fmt::format(
        "{} sealed values lie in fields that .bennu/schema.json of this commit does not make "
        "secret, first {}: they stay sealed, and new values of these fields would be exported in "
        "clear; revert that change of the schema, or restore an older commit",
        report.exposed.count, printable(report.exposed.examples.front())));
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
  if (!report.no_proof.empty()) {
    context.out.warn(
        fmt::format("not proved: {}; until then nothing can be exported, and the next export seals "
                    "what is in clear",
                    report.no_proof));
  }
  const nlohmann::json broken = broken_rules(context, directory.store(), {});
  context.out.result(
      {{"commit", report.commit.hex()},
       {"tree", report.no_proof.empty() ? nlohmann::json(report.tree.hex()) : nlohmann::json()},
       {"keys", report.keys},
       {"broken_rules", broken},
       {"files", report.files},
       {"sealed", report.sealed},
       {"exposed", report.exposed.count},
       {"branch", report.branch},
       {"verified", sync::verified_name(report.verified)},
       {"seconds", seconds}},
      restore_text(context.out, report, seconds));
  return report.no_proof.empty() ? kExitDone : kExitDifferent;
}

}  // namespace

void add_restore_command(Registry& registry) {
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
}

}  // namespace bennu::cli
