#include <fmt/format.h>

#include <memory>

#include "base/limits.hpp"
#include "cli/app.hpp"
#include "cli/input.hpp"
#include "cli/session.hpp"
#include "sync/base_record.hpp"
#include "sync/mapping.hpp"

namespace bennu::cli {
namespace {

struct InitOptions {
  std::string schema = "network";
  std::string remote;
  std::string branch = "main";
};

Result<std::string> schema_text(const std::string& choice) {
  if (choice == "network") return std::string(sync::default_schema_text());
  BENNU_ASSIGN(std::string text,
               read_input(choice, limits::kMaxValueBytes).with_context("--schema"));
  BENNU_TRY(sync::parse_schema(text).with_context(choice));
  return text;
}

Result<int> init(const Context& context, const InitOptions& options) {
  BENNU_TRY(config::check_branch(options.branch).with_context("--branch"));
  std::vector<kv::Op> ops;
  const std::string lineage = env::random_uuid(env::system_random());
  ops.push_back(kv::Op{kv::PutRequest{.key = std::string(sync::kLineageKey), .value = lineage}});
  if (options.schema != "none") {
    BENNU_ASSIGN(auto text, schema_text(options.schema));
    ops.push_back(
        kv::Op{kv::PutRequest{.key = std::string(sync::kSchemaKey), .value = std::move(text)}});
  }
  config::Settings settings{.remote_url = options.remote, .branch = options.branch};
  if (!context.options.identity.empty()) {
    settings.identity = std::filesystem::absolute(context.options.identity).string();
  }
  BENNU_ASSIGN(auto directory, node::DataDir::create(context.options.data, settings));
  if (options.schema != "none") {
    // Without an actor the schema's commit says that its author is unknown.
    if (auto actor = actor_of(context)) {
      ops.push_back(kv::audit_op({.actor = std::move(*actor),
                                  .reason = context.options.reason,
                                  .node = directory.node_name()},
                                 "init", "init", env::system_clock(), env::system_random()));
    }
  }
  BENNU_ASSIGN(const auto answer, directory.store().txn({.success = std::move(ops)}));
  BENNU_TRY(directory.commit(settings));
  context.out.result(
      {{"data", directory.path().string()},
       {"lineage", lineage},
       {"revision", answer.revision.value}},
      fmt::format("{} an empty store in {}\n", context.out.styled(Style::kGreen, "made"),
                  directory.path().string()));
  return kExitDone;
}

Result<int> version(const Context& context) {
  context.out.result({{"version", BENNU_VERSION}}, std::string("bennu ") + BENNU_VERSION);
  return kExitDone;
}

}  // namespace

void add_store_commands(Registry& registry) {
  auto options = std::make_shared<InitOptions>();
  auto* init_cmd = registry.add(registry.root(), "init", "Make an empty store",
                                "bennu init --remote ssh://git@host/net.git --data net",
                                [options](const Context& c) { return init(c, *options); });
  init_cmd->add_option(
      "--schema", options->schema,
      "network (the inventory's documents), none (every key is a file), or a schema file");
  init_cmd->add_option("--remote", options->remote, "Where exports are pushed");
  init_cmd->add_option("--branch", options->branch, "The branch there");
  registry.add(registry.root(), "version", "Print the version", "bennu version -o json", version);
}

}  // namespace bennu::cli
