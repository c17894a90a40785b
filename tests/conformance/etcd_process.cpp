#include "etcd_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "etcd_store.hpp"

namespace bennu::conformance {
namespace {

// etcd names a socket after the "port" of a unix URL and makes it in its working folder: no port
// can clash.
constexpr const char* kClientUrl = "unix://localhost:1";
constexpr const char* kPeerUrl = "unix://localhost:2";
constexpr const char* kClientSocket = "localhost:1";
constexpr const char* kPeerSocket = "localhost:2";
constexpr const char* kLog = "etcd.log";

std::vector<std::string> command(const std::string& program) {
  return {program, "--name=conformance", "--data-dir=data",
          std::string("--listen-client-urls=") + kClientUrl,
          std::string("--advertise-client-urls=") + kClientUrl,
          std::string("--listen-peer-urls=") + kPeerUrl,
          std::string("--initial-advertise-peer-urls=") + kPeerUrl,
          std::string("--initial-cluster=conformance=") + kPeerUrl,
          // One member elects itself after this; it also bounds the smallest lease.
          "--heartbeat-interval=10", "--election-timeout=100", "--logger=zap",
          "--log-outputs=stderr"};
}

std::string find_program() {
  if (const char* chosen = std::getenv("BENNU_ETCD"); chosen != nullptr) {
    return ::access(chosen, X_OK) == 0 ? chosen : "";
  }
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = folder + "/etcd";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

// Between fork and exec only calls that are safe in a signal handler.
[[noreturn]] void become(const char* folder, char* const* argv, pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent || ::chdir(folder) != 0) {
    ::_exit(126);
  }
  const int log = ::open(kLog, O_CREAT | O_WRONLY | O_APPEND, 0600);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::execv(argv[0], argv);
  ::_exit(127);
}

}  // namespace

Result<std::unique_ptr<EtcdProcess>> EtcdProcess::start() {
  std::unique_ptr<EtcdProcess> process(new EtcdProcess());
  process->program_ = find_program();
  if (process->program_.empty()) {
    return make_error(Code::kNotFound,
                      "no etcd found: install etcd-server, or name the program in BENNU_ETCD");
  }
  BENNU_TRY(process->launch());
  BENNU_TRY(process->wait_until_healthy());
  return process;
}

EtcdProcess::~EtcdProcess() { kill(); }

void EtcdProcess::kill() {
  if (child_ <= 0) return;
  ::kill(child_, SIGKILL);
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
  child_ = 0;
}

Status EtcdProcess::restart() {
  kill();
  // Its sockets outlive it, and it does not take over a name that is in use.
  for (const char* socket : {kClientSocket, kPeerSocket}) {
    std::error_code ignored;
    std::filesystem::remove(dir_.path() / socket, ignored);
  }
  BENNU_TRY(launch());
  return wait_until_healthy();
}

std::string EtcdProcess::target() const { return "unix:" + (dir_.path() / kClientSocket).string(); }

Status EtcdProcess::launch() {
  const auto arguments = command(program_);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const auto& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: execv's signature
  }
  argv.push_back(nullptr);
  const std::string folder = dir_.path().string();
  const pid_t parent = ::getpid();
  child_ = ::fork();
  if (child_ == 0) become(folder.c_str(), argv.data(), parent);
  if (child_ < 0) {
    return make_error(Code::kUnavailable,
                      "cannot start etcd: " + std::generic_category().message(errno));
  }
  return {};
}

Status EtcdProcess::wait_until_healthy() {
  // Sixty tries of half a second: long enough for a machine that compiles on every core meanwhile.
  for (int attempt = 0; attempt < 60; ++attempt) {
    auto store =
        kv::etcd::connect({.target = target(), .connect_timeout = std::chrono::milliseconds{500}});
    if (store) return {};
    if (has_ended()) break;
  }
  return make_error(Code::kUnavailable, "etcd did not start: " + last_words());
}

bool EtcdProcess::has_ended() {
  if (child_ <= 0) return true;
  if (::waitpid(child_, nullptr, WNOHANG) != child_) return false;
  child_ = 0;
  return true;
}

std::string EtcdProcess::last_words() const {
  std::ifstream log(dir_.path() / kLog);
  std::string last = "(it said nothing)";
  for (std::string line; std::getline(log, line);) last = line;
  return last;
}

}  // namespace bennu::conformance
