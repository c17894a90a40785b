#include "cli/app.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>
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
  app.add_flag(
      "-y,--yes", options.yes,
      "Yes to what removes or replaces: without it such a command only says what it would do");
}

// SIGINT and SIGTERM are blocked everywhere and taken by one owned thread: the first requests a
// stop, the second ends the process.
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
      for (bool asked = false; ::sigwait(&set_, &signal) == 0 && signal != SIGUSR2; asked = true) {
        if (asked) end_at_once(signal);
        source_.request_stop();
      }
    });
  }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
  ~SignalGuard() { ::pthread_kill(waiter_.native_handle(), SIGUSR2); }
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }
  /// As the first signal: the command comes to its end.
  void request_stop() { source_.request_stop(); }

 private:
  // Whoever asks twice does not want to wait; what is half done is as after a crash.
  void end_at_once(int signal) const {
    (void)::signal(signal, SIG_DFL);
    ::pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
    ::kill(::getpid(), signal);
  }

  sigset_t set_{};
  std::stop_source source_;
  std::jthread waiter_;
};

// An identity that was named must be there, but for the verbs that make it; a default one need not.
Status check_identity(const CLI::App& app, const GlobalOptions& options) {
  std::error_code ignored;
  const bool made_here = app.got_subcommand("secret") || app.got_subcommand("init");
  if (options.identity.empty()) return {};
  if (std::filesystem::is_directory(options.identity, ignored)) {
    return make_error(
        Code::kInvalidArgument,
        fmt::format("--identity {}: this is a folder; name the file with the identity",
                    printable(options.identity)));
  }
  if (made_here || std::filesystem::exists(options.identity, ignored)) return {};
  return make_error(Code::kNotFound, fmt::format("there is no identity file {}", options.identity));
}

// The text that says which of the words typed no command has.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    for (const std::string& word : app.remaining(true)) {
      if (!word.starts_with('-')) return fmt::format("there is no command `{}`", printable(word));
    }
  }
  return error.what();
}

// A file that opens in the place of stdout would get what we print: no descriptor may be missing.
void fill_standard_files() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The wrong way round, so that using it fails as it would on a closed one. The lowest free
    // descriptor is this one.
    (void)::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// The exit status, once it is known whether the answer reached anybody.
int finish(const Output& out, int status) {
  out.end_progress();
  if (out.lost() == 0) return status;
  if (out.lost() == EPIPE) return kExitPipe;  // `| head` has what it wanted
  out.note(fmt::format("bennu: cannot write to standard output: {}",
                       std::generic_category().message(out.lost())));
  return kExitError;
}

int parse_and_run(CLI::App& app, Registry& registry, const GlobalOptions& options, int argc,
                  char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const Output plain(options.output == "json" ? Format::kJson : Format::kText);
    if (error.get_exit_code() == 0) {  // --help, --version
      std::ostringstream text;
      app.exit(error, text, text);
      plain.raw(text.str());
      return finish(plain, kExitDone);
    }
    plain.error(make_error(Code::kInvalidArgument,
                           fmt::format("{}; see `bennu --help`", explain(app, error))));
    return kExitError;
  }
  Output out(options.output == "json" ? Format::kJson : Format::kText);
  SignalGuard signals;
  out.on_lost([&signals] { signals.request_stop(); });
  const Context context{.options = options, .out = out, .stop = signals.token()};
  const auto checked = check_identity(app, options);
  const auto status = checked ? registry.chosen()(context) : Result<int>(checked.error());
  if (!status && out.lost() != EPIPE) out.error(status.error());
  return finish(out, status ? *status : kExitError);
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
  fill_standard_files();
  (void)::signal(SIGPIPE, SIG_IGN);  // a write says it
  (void)::signal(SIGXFSZ, SIG_IGN);  // as a full disk
  CLI::App app{"Live key-value state with Git as its long memory", "bennu"};
  app.set_version_flag("--version", std::string("bennu ") + BENNU_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  GlobalOptions options;
  add_global_options(app, options);
  Registry registry(app);
  add_store_commands(registry);
  add_kv_commands(registry);
  add_restore_command(registry);
  add_transfer_commands(registry);
  add_sync_commands(registry);
  add_plan_commands(registry);
  add_history_commands(registry);
  add_secret_commands(registry);
  add_inventory_commands(registry);
  return parse_and_run(app, registry, options, argc, argv);
}

}  // namespace bennu::cli
