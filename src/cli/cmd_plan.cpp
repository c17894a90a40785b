#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/bytes.hpp"
#include "cli/app.hpp"
#include "cli/broken_rules.hpp"
#include "cli/changes.hpp"
#include "cli/input.hpp"
#include "cli/session.hpp"
#include "cli/sync_answer.hpp"
#include "env/files.hpp"
#include "sync/export.hpp"
#include "sync/import.hpp"
#include "sync/plan.hpp"
#include "sync/reasons.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

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
          {"kept", changes_json(plan.kept)},
          {"plaintext", plan.plaintext},
          {"hash", plan.hash},
          {"changes", changes_json(plan.changes)}};
}

constexpr std::size_t kMaxPlanBytes = 1UL << 30;

struct PlanFlags {
  std::string from;
  std::string out;
  bool offline = false;
};

Result<sync::Plan> compute_plan(const Context& context, const sync::Link& link,
                                const std::string& from, sync::Fetch fetch) {
  BENNU_ASSIGN(const auto sides, sync::examine(link, fetch));
  remote_status(context, sides.remote_problem);
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
  for (const auto& change : plan.kept)
    text += fmt::format("= {}: is operational; this store keeps its value\n", change.shown);
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
  const auto made = compute_plan(context, session.link(), flags.from,
                                 flags.offline ? sync::Fetch::kNo : sync::Fetch::kYes);
  if (!made) return different_if_both_changed(context, made.error());
  warn_of_plaintext(context, made->plaintext);
  const json document = plan_json(*made);
  if (!flags.out.empty()) {
    std::error_code none;
    const auto there = std::filesystem::status(flags.out, none);
    if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there)) {
      return make_error(
          Code::kInvalidArgument,
          fmt::format("{} is no ordinary file; for the plan on stdout, use `bennu plan -o json`",
                      printable(flags.out)));
    }
    BENNU_TRY(env::replace_file(flags.out, to_text(document) + "\n", 0644));
  }
  context.out.result(document, plan_text(context.out, *made));
  const bool nothing = made->direction == sync::Direction::kNothing ||
                       (made->changes.empty() && made->normalised.empty() && made->kept.empty());
  return nothing ? kExitDone : kExitDifferent;
}

Result<json> read_plan(const std::string& file) {
  BENNU_ASSIGN(const std::string text, read_input(file, kMaxPlanBytes));
  const auto no_plan = [&] {
    return make_error(Code::kInvalidArgument,
                      fmt::format("{} is no plan that `bennu plan --out` of this release saved",
                                  printable(file)));
  };
  json document = json::parse(text, nullptr, false);
  if (!document.is_object() || document.value("version", json()) != 1) return no_plan();
  if (!document.value("hash", json()).is_string()) return no_plan();
  const json direction = document.value("direction", json());
  const bool known = direction == "kv" || direction == "git" || direction == "nothing";
  return known ? Result<json>(std::move(document)) : Result<json>(no_plan());
}

// Whether what somebody read in the file is what would be done. Revisions go on without a change,
// and so does the number of keys that the budget is a part of.
bool shows(json saved, const sync::Plan& now) {
  json computed = json::parse(to_text(plan_json(now)));
  for (const char* name : {"revision", "over_budget"}) saved[name] = computed[name];
  return saved == computed;
}

Result<int> nothing_to_apply(const Context& context, const std::string& direction) {
  context.out.result({{"direction", direction}, {"changed", false}},
                     "nothing to apply: the plan has no change\n");
  return kExitDone;
}

Result<int> apply_plan(const Context& context, const std::string& file) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(const auto saved, read_plan(file));
  const sync::Link link = session.link();
  const std::string direction = saved.at("direction").get<std::string>();
  if (direction == "nothing") return nothing_to_apply(context, direction);
  BENNU_ASSIGN(const auto now,
               compute_plan(context, link, direction == "kv" ? "git" : "kv", sync::Fetch::kYes));
  if (now.hash != saved.at("hash").get<std::string>()) {
    return make_error(
        Code::kAborted,
        fmt::format(
            "{} no longer fits: KV or Git has changed since. Make a new plan and look at it", file),
        sync::reason::kPlanMoved);
  }
  if (!shows(saved, now)) {
    return make_error(Code::kInvalidArgument,
                      fmt::format("{} was changed after it was saved; nothing is applied. Make a "
                                  "new plan and look at it",
                                  printable(file)));
  }
  if (now.changes.empty() && now.normalised.empty() && now.kept.empty())
    return nothing_to_apply(context, direction);
  if (now.direction == sync::Direction::kToKv) {
    BENNU_ASSIGN(const auto done, sync::import_commits(link, {.fetch = sync::Fetch::kNo,
                                                              .deletes_confirmed = true}));
    warn_of_plaintext(context, done.plaintext);
    json broken = json::array();
    if (done.revision.value != 0) broken = broken_rules(context, session.store(), done.revision);
    context.out.result({{"direction", direction},
                        {"changed", true},
                        {"revision", done.revision.value},
                        {"broken_rules", broken},
                        {"puts", done.puts},
                        {"deletes", done.deletes}},
                       fmt::format("applied at revision {}: {} put, {} deleted\n",
                                   done.revision.value, done.puts, done.deletes));
    return push_status(context, done.push_problem);
  }
  BENNU_ASSIGN(const auto done,
               sync::export_state(link, {.fetch = sync::Fetch::kNo, .deletes_confirmed = true}));
  context.out.result(
      {{"direction", direction}, {"changed", done.changed}, {"commit", id_or_null(done.commit)}},
      fmt::format("applied: commit {}\n", done.commit ? done.commit->short_hex() : "none"));
  return push_status(context, done.push_problem);
}

}  // namespace

void add_plan_commands(Registry& registry) {
  auto plan_flags = std::make_shared<PlanFlags>();
  auto* plan_cmd =
      registry.add(registry.root(), "plan", "Show key by key what an export or import would do",
                   "bennu plan --out next.plan --data net",
                   [plan_flags](const Context& c) { return plan(c, *plan_flags); });
  plan_cmd
      ->add_option("--from", plan_flags->from,
                   "git (plan an import) or kv (plan an export); default: the side that changed")
      ->check(CLI::IsMember({"git", "kv"}));
  plan_cmd
      ->add_option("--out", plan_flags->out,
                   "Save the plan for `bennu apply` here, in place of a file that is there")
      ->type_name("FILE");
  plan_cmd->add_flag("--offline", plan_flags->offline, "Do not ask the remote first");

  auto file = std::make_shared<std::string>();
  auto* apply_cmd =
      registry.add(registry.root(), "apply", "Carry out a saved plan, if it still fits exactly",
                   "bennu apply next.plan --data net",
                   [file](const Context& c) { return apply_plan(c, *file); });
  apply_cmd->add_option("FILE", *file, "A plan saved with `bennu plan --out`")->required();
}

}  // namespace bennu::cli
