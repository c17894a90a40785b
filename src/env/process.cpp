#include "env/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include "env/files.hpp"

extern char**
    environ;  // NOLINT(readability-redundant-declaration): POSIX asks the program to declare it

namespace bennu::env {
namespace {

struct Pipe {
  File read;
  File write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return make_error(Code::kInternal,
                      "cannot make a pipe: " + std::generic_category().message(errno));
  }
  return Pipe{File(ends[0]), File(ends[1])};
}

std::vector<std::string> environment_of(const ProcessRequest& request) {
  std::map<std::string, std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos)
      merged[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : request.environment) {
    if (value.empty()) {
      merged.erase(name);
    } else {
      merged[name] = value;
    }
  }
  std::vector<std::string> out;
  out.reserve(merged.size());
  for (const auto& [name, value] : merged) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const auto& s : strings)
    out.push_back(const_cast<char*>(s.c_str()));  // NOLINT: posix_spawn's signature
  out.push_back(nullptr);
  return out;
}

// Reads once; closes at the end of the stream. Keeps at most `max` bytes. False: nothing is there.
bool drain(File& fd, std::string& out, std::size_t max,
           const std::function<void(std::string_view)>& listener) {
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(fd.fd(), buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return true;
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) {
    fd.close();
    return false;
  }
  const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
  if (out.size() < max) out.append(piece.substr(0, max - out.size()));
  if (listener) listener(piece);
  return true;
}

// A started program with our ends of its pipes.
class Child {
 public:
  Child(pid_t pid, File in, File out, File err)
      : pid_(pid),
        end_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))),
        in_(std::move(in)),
        out_(std::move(out)),
        err_(std::move(err)) {}

  // Feeds stdin and drains stdout and stderr until the child itself has ended: a process that it
  // left behind (ssh's ControlPersist, a daemon of a credential helper) may keep the pipes open.
  // False: `give_up` said so first.
  bool pump(const ProcessRequest& request, std::string_view& pending, ProcessResult& result,
            const std::function<bool()>& give_up) {
    if (pending.empty()) in_.close();
    while (!ended()) {
      if (give_up()) return false;
      std::array<pollfd, 4> fds{pollfd{out_.fd(), POLLIN, 0}, pollfd{err_.fd(), POLLIN, 0},
                                pollfd{in_.fd(), POLLOUT, 0}, pollfd{end_.fd(), POLLIN, 0}};
      // Without a pidfd (a kernel or sandbox that has none) the end is looked for often.
      if (::poll(fds.data(), fds.size(), end_.is_open() ? 100 : 10) < 0) continue;
      if (fds[0].revents != 0) drain(out_, result.output, request.max_output_bytes, {});
      if (fds[1].revents != 0)
        drain(err_, result.error_output, request.max_output_bytes, request.on_stderr);
      if (fds[2].revents != 0) feed(pending);
    }
    // What it wrote before its end: at most what pipes hold, as a process left behind may write on.
    for (int i = 0; i < kLastReads && out_.is_open(); ++i) {
      if (!drain(out_, result.output, request.max_output_bytes, {})) break;
    }
    for (int i = 0; i < kLastReads && err_.is_open(); ++i) {
      if (!drain(err_, result.error_output, request.max_output_bytes, request.on_stderr)) break;
    }
    return true;
  }

  void kill(int signal) const { ::kill(pid_, signal); }

  // Blocks until it has ended; its status as the shell counts.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  static constexpr int kLastReads = 16;  // of 64 KiB: the largest pipe of an ordinary user

  [[nodiscard]] bool ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == pid_;
  }

  void feed(std::string_view& pending) {
    const ssize_t written = ::write(in_.fd(), pending.data(), pending.size());
    if (written > 0) pending.remove_prefix(static_cast<std::size_t>(written));
    const bool gone = written < 0 && errno != EINTR && errno != EAGAIN;
    if (pending.empty() || gone) in_.close();
  }

  pid_t pid_;
  File end_;
  File in_;
  File out_;
  File err_;
};

Result<Child> spawn(const ProcessRequest& request) {
  BENNU_ASSIGN(auto in, make_pipe());
  BENNU_ASSIGN(auto out, make_pipe());
  BENNU_ASSIGN(auto err, make_pipe());
  for (const File* ours : {&in.write, &out.read, &err.read}) {
    if (::fcntl(ours->fd(), F_SETFL, O_NONBLOCK) != 0)
      return make_error(Code::kInternal, "cannot set up a pipe");
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read.fd(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.fd(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.write.fd(), 2);
  if (!request.directory.empty())
    ::posix_spawn_file_actions_addchdir_np(&actions, request.directory.c_str());
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t defaults;
  ::sigemptyset(&defaults);
  ::sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  // A child must be interruptible even where our own threads block signals.
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

  const auto environment = environment_of(request);
  pid_t child = 0;
  const int spawned = ::posix_spawnp(&child, request.argv.at(0).c_str(), &actions, &attributes,
                                     pointers(request.argv).data(), pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (spawned != 0) {
    const Code code = spawned == ENOENT ? Code::kNotFound : Code::kInternal;
    return make_error(code, "cannot run `" + request.argv[0] +
                                "`: " + std::generic_category().message(spawned) +
                                (spawned == ENOENT ? " (is it installed?)" : ""));
  }
  return Child(child, std::move(in.write), std::move(out.read), std::move(err.read));
}

}  // namespace

Result<ProcessResult> run(const ProcessRequest& request) {
  // A child that closes its stdin early must not end us.
  static const auto ignore_sigpipe = ::signal(SIGPIPE, SIG_IGN);
  (void)ignore_sigpipe;

  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + request.timeout;
  BENNU_ASSIGN(Child child, spawn(request));
  ProcessResult result;
  std::string_view pending = request.input;
  const bool finished = child.pump(request, pending, result, [&] {
    return request.stop.stop_requested() || Clock::now() > deadline;
  });
  if (finished) {
    result.status = child.wait();
    return result;
  }
  const bool stopped = request.stop.stop_requested();
  child.kill(SIGTERM);
  const auto patience = Clock::now() + request.grace;
  pending = {};
  if (!child.pump(request, pending, result, [&] { return Clock::now() > patience; }))
    child.kill(SIGKILL);
  child.wait();
  return Error{.code = stopped ? Code::kCancelled : Code::kDeadlineExceeded,
               .reason = {},
               .effect = Effect::kUnknown,
               .message = "`" + request.argv[0] +
                          (stopped ? "` was interrupted" : "` took too long and was ended")};
}

}  // namespace bennu::env
