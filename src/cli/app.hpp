#pragma once
// What   The command line: global options, the registry of commands, exit statuses.
// Why    Each command file adds its verbs here and gets a ready Context; parsing, printing and
//        status stay in one place.
// Use    `return cli::run(argc, argv);` from main.
// Errors Exit status 0: done or no difference; 2: there are differences, both sides changed, a
//        remote does not have what was committed, a compare failed, secrets are locked, or a
//        restore is not proved; 1: an error, said in one line on stderr.
// Threads One thread; SIGINT and SIGTERM request `Context::stop`, a second one ends the process.
// Source own design: ARCHITECTURE.md.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "cli/output.hpp"

namespace bennu::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitDifferent = 2;
inline constexpr int kExitPipe = 141;  ///< nobody reads on: as if SIGPIPE had ended it

struct GlobalOptions {
  std::filesystem::path data;
  std::filesystem::path repo;
  std::string actor;
  std::string reason;
  std::string request_id;
  std::string identity;
  std::string output = "table";
  bool yes = false;
};

struct Context {
  const GlobalOptions& options;
  const Output& out;
  std::stop_token stop;
};

/// What a chosen command does; the value is the exit status.
using Action = std::function<Result<int>(const Context&)>;

/// Adds verbs to an app. A verb's callback sets the registry's action.
class Registry {
 public:
  explicit Registry(CLI::App& root) : root_(&root) {}
  [[nodiscard]] CLI::App& root() { return *root_; }
  /// A verb with help and an example, whose action runs after parsing.
  CLI::App* add(CLI::App& parent, const std::string& name, const std::string& help,
                const std::string& example, Action action);
  /// A group of verbs (`kv`, `user`) that needs one of them.
  CLI::App* group(const std::string& name, const std::string& help);
  [[nodiscard]] const Action& chosen() const { return chosen_; }

 private:
  CLI::App* root_;
  Action chosen_;
};

void add_store_commands(Registry& registry);  // init, version
void add_kv_commands(Registry& registry);     // kv get|put|del|ls|compact|hash, and the two below
void add_kv_watch_commands(Registry& registry, CLI::App& kv);  // kv watch|history
void add_kv_txn_command(Registry& registry, CLI::App& kv);     // kv txn
void add_restore_command(Registry& registry);                  // restore
void add_transfer_commands(Registry& registry);                // export, import, adopt
void add_sync_commands(Registry& registry);                    // verify, drift
void add_plan_commands(Registry& registry);                    // plan, apply
void add_history_commands(Registry& registry);                 // log, diff
void add_secret_commands(Registry& registry);                  // secret init|recipients|check
void add_inventory_commands(Registry& registry);  // user, device, node, cell, link, client-config

/// The whole program.
int run(int argc, char** argv);

}  // namespace bennu::cli
