#include "cli/app.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/bytes.hpp"

namespace bennu::cli {
namespace {

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.add_option("--data", options.data, "The data directory")
      ->envname("BENNU_DATA")
      ->type_name("DIR");
  app.add_option(
         "--repo", options.repo,
         "Read a plain clone of the repository, optionally @COMMIT, instead of a data directory")
      ->type_name("CLONE");
  app.add_option("--actor", options.actor,
                 "Who makes the change (default: git's user.name and user.email)")
      ->envname("BENNU_ACTOR")
      ->type_name("\"NAME <MAIL>\"");
  app.add_option("--reason", options.reason, "Why, kept with the change")->type_name("TEXT");
  app.add_option("--request-id", options.request_id, "An id to find the change by")
      ->type_name("ID");
  app.add_option("--identity", options.identity,
                 "File with the age identity that opens the secrets")
      ->envname("BENNU_IDENTITY")
      ->type_name("FILE");
  app.add_option("-o,--output", options.output, "How to print the answer: table or json")
      ->check(CLI::IsMember({"table", "json"}));
  app.add_flag("-y,--yes", options.yes, "Do not ask before removing");
}

// SIGINT and SIGTERM are blocked everywhere and taken by one owned thread, which only requests a
// stop.
class SignalGuard {
 public:
  SignalGuard() {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGINT);
    ::sigaddset(&set_, SIGTERM);
    ::sigaddset(&set_, SIGUSR2);
    ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    waiter_ = std::jthread([this] {
      int signal = 0;
      ::sigwait(&set_, &signal);
      if (signal != SIGUSR2) source_.request_stop();
    });
  }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
  ~SignalGuard() { ::pthread_kill(waiter_.native_handle(), SIGUSR2); }
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  sigset_t set_{};
  std::stop_source source_;
  std::jthread waiter_;
};

// An identity that was named must be there, but for the verbs that make it; a default one need not.
Status check_identity(const CLI::App& app, const GlobalOptions& options) {
  std::error_code ignored;
  const bool made_here = app.got_subcommand("secret") || app.got_subcommand("init");
  if (options.identity.empty() || made_here) return {};
  if (std::filesystem::exists(options.identity, ignored)) return {};
  return make_error(Code::kNotFound, fmt::format("there is no identity file {}", options.identity));
}

int parse_and_run(CLI::App& app, Registry& registry, const GlobalOptions& options, int argc,
                  char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const Output plain(options.output == "json" ? Format::kJson : Format::kText);
    plain.error(
        make_error(Code::kInvalidArgument, fmt::format("{}; see `bennu --help`", error.what())));
    return kExitError;
  }
  const Output out(options.output == "json" ? Format::kJson : Format::kText);
  const SignalGuard signals;
  const Context context{.options = options, .out = out, .stop = signals.token()};
  const auto checked = check_identity(app, options);
  const auto status = checked ? registry.chosen()(context) : Result<int>(checked.error());
  out.end_progress();
  if (!status) {
    out.error(status.error());
    return kExitError;
  }
  return *status;
}

}  // namespace

CLI::App* Registry::add(CLI::App& parent, const std::string& name, const std::string& help,
                        const std::string& example, Action action) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->footer("Example:\n  " + example);
  command->callback([this, action = std::move(action)] { chosen_ = action; });
  return command;
}

CLI::App* Registry::group(const std::string& name, const std::string& help) {
  CLI::App* command = root_->add_subcommand(name, help);
  command->require_subcommand(1);
  return command;
}

int run(int argc, char** argv) {
  CLI::App app{"Live key-value state with Git as its long memory", "bennu"};
  app.set_version_flag("--version", std::string("bennu ") + BENNU_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  GlobalOptions options;
  add_global_options(app, options);
  Registry registry(app);
  add_store_commands(registry);
  add_kv_commands(registry);
  add_sync_commands(registry);
  add_history_commands(registry);
  add_secret_commands(registry);
  add_inventory_commands(registry);
  return parse_and_run(app, registry, options, argc, argv);
}

}  // namespace bennu::cli
