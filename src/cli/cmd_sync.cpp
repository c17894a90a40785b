#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/bytes.hpp"
#include "cli/app.hpp"
#include "cli/session.hpp"
#include "cli/sync_answer.hpp"
#include "sync/verify.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

std::string commits_text(std::size_t count) {
  return count == 1 ? "1 commit" : fmt::format("{} commits", count);
}

std::string difference_text(const sync::VerifyReport& report, const std::string& branch) {
  if (report.base) {
    return fmt::format(
        ": KV is what commit {} holds, and branch {} is {} further on (`bennu import` takes what "
        "came; `bennu adopt --take kv` makes KV's state the newest commit)",
        report.base->short_hex(), branch, commits_text(report.beyond_base));
  }
  if (report.both_changed) {
    return ": both sides changed since the base (`bennu drift` shows both; undo one side, or "
           "`bennu adopt --take git` or `--take kv`)";
  }
  if (!report.never_equal.empty()) return ": " + report.never_equal;
  return report.awaits_normalising ? ": documents await their canonical form (`bennu export`)" : "";
}

// Equal trees tell nothing of commits that only this machine has.
void note_unpushed(const Context& context, std::size_t count, bool can_export) {
  if (count == 0) return;
  context.out.note(fmt::format("{} {} not pushed yet{}", commits_text(count),
                               count == 1 ? "is" : "are", can_export ? " (`bennu export`)" : ""));
}

Result<int> verify(const Context& context) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const sync::Link link = session.link();
  BENNU_ASSIGN(const auto report, sync::verify(link));
  json exceptions = json::array();
  for (const auto& held : report.exceptions) exceptions.push_back(held.key);
  std::string text =
      fmt::format("KV   tree {}  (revision {})\nGit  tree {}  (commit {})\n", report.kv_tree.hex(),
                  report.revision.value, report.git_tree.is_null() ? "none" : report.git_tree.hex(),
                  report.commit.is_null() ? "none" : report.commit.short_hex());
  text += report.in_sync ? context.out.styled(Style::kGreen, "in sync") + "\n"
                         : context.out.styled(Style::kYellow, "not in sync") +
                               difference_text(report, link.branch) + "\n";
  note_unpushed(context, report.unpushed, !report.both_changed);
  for (const std::string& key : report.keys) text += "  " + printable(key) + "\n";
  context.out.result({{"in_sync", report.in_sync},
                      {"kv_tree", report.kv_tree.hex()},
                      {"git_tree", id_or_null(report.git_tree)},
                      {"commit", id_or_null(report.commit)},
                      {"base", id_or_null(report.base)},
                      {"both_changed", report.both_changed},
                      {"beyond_base", report.beyond_base},
                      {"unpushed", report.unpushed},
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
  remote_status(context, report.remote_problem);
  std::string text;
  const auto section = [&](std::string_view title, const std::vector<std::string>& keys) {
    if (keys.empty()) return;
    text += context.out.styled(Style::kBold, title) + "\n";
    for (const std::string& key : keys) {
      const bool kept =
          &keys == &report.git && std::ranges::find(report.kept, key) != report.kept.end();
      text += fmt::format("  {}{}\n", printable(key),
                          kept ? " (operational: this store keeps its value)" : "");
    }
  };
  section("changed in KV (`bennu export`)", report.kv);
  section(fmt::format("changed in Git by {} since the base (`bennu import`{})",
                      commits_text(report.beyond_base),
                      report.kv.empty() && report.both.empty()
                          ? ", or `bennu adopt --take kv` to go back to this store's state"
                          : ""),
          report.git);
  section("changed in both", report.both);
  if (report.none())
    text = report.remote_problem.empty() ? "no drift\n" : "no drift from what was last fetched\n";
  note_unpushed(context, report.unpushed, report.git.empty() && report.both.empty());
  context.out.result({{"kv", report.kv},
                      {"git", report.git},
                      {"both", report.both},
                      {"kept", report.kept},
                      {"unpushed", report.unpushed},
                      {"beyond_base", report.beyond_base},
                      {"remote_problem", report.remote_problem}},
                     text);
  return report.none() ? kExitDone : kExitDifferent;
}

}  // namespace

void add_sync_commands(Registry& registry) {
  registry.add(registry.root(), "verify",
               "Rebuild the tree from every key and compare it with Git's",
               "bennu verify --data net -o json", verify);

  auto offline = std::make_shared<bool>(false);
  auto* drift_cmd = registry.add(
      registry.root(), "drift", "What differs since the base, by who changed it",
      "bennu drift --data net", [offline](const Context& c) { return drift(c, *offline); });
  drift_cmd->add_flag("--offline", *offline, "Do not ask the remote first");
}

}  // namespace bennu::cli
