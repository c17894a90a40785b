#include "env/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <system_error>

extern char**
    environ;  // NOLINT(readability-redundant-declaration): POSIX asks the program to declare it

namespace bennu::env {
namespace {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return make_error(Code::kInternal,
                      "cannot make a pipe: " + std::generic_category().message(errno));
  }
  return Pipe{Fd(ends[0]), Fd(ends[1])};
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

// Reads what is there; closes at the end of the stream. Keeps at most `max` bytes.
void drain(Fd& fd, std::string& out, std::size_t max,
           const std::function<void(std::string_view)>& listener) {
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    fd.close();
    return;
  }
  const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
  if (out.size() < max) out.append(piece.substr(0, max - out.size()));
  if (listener) listener(piece);
}

// Feeds stdin and drains stdout and stderr until both are closed. Returns false when the caller
// wants the child gone.
bool pump(const ProcessRequest& request, Fd& in, Fd& out, Fd& err, ProcessResult& result,
          std::chrono::steady_clock::time_point deadline) {
  std::string_view pending = request.input;
  if (pending.empty()) in.close();
  while (out.open() || err.open() || in.open()) {
    if (request.stop.stop_requested() || std::chrono::steady_clock::now() > deadline) return false;
    std::array<pollfd, 3> fds{pollfd{out.get(), POLLIN, 0}, pollfd{err.get(), POLLIN, 0},
                              pollfd{in.get(), POLLOUT, 0}};
    if (::poll(fds.data(), fds.size(), 100) < 0 && errno != EINTR) return false;
    if (out.open() && fds[0].revents != 0) drain(out, result.output, request.max_output_bytes, {});
    if (err.open() && fds[1].revents != 0)
      drain(err, result.error_output, request.max_output_bytes, request.on_stderr);
    if (in.open() && fds[2].revents != 0) {
      const ssize_t written = ::write(in.get(), pending.data(), pending.size());
      if (written > 0) pending.remove_prefix(static_cast<std::size_t>(written));
      const bool gone = written < 0 && errno != EINTR && errno != EAGAIN;
      if (pending.empty() || gone) in.close();
    }
  }
  return true;
}

}  // namespace

Result<ProcessResult> run(const ProcessRequest& request) {
  // A child that closes its stdin early must not end us.
  static const auto ignore_sigpipe = ::signal(SIGPIPE, SIG_IGN);
  (void)ignore_sigpipe;

  BENNU_ASSIGN(auto in, make_pipe());
  BENNU_ASSIGN(auto out, make_pipe());
  BENNU_ASSIGN(auto err, make_pipe());
  if (::fcntl(in.write.get(), F_SETFL, O_NONBLOCK) != 0)
    return make_error(Code::kInternal, "cannot set up a pipe");

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.write.get(), 2);
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
  in.read.close();
  out.write.close();
  err.write.close();

  ProcessResult result;
  const auto deadline = std::chrono::steady_clock::now() + request.timeout;
  const bool finished = pump(request, in.write, out.read, err.read, result, deadline);
  if (!finished) ::kill(child, SIGTERM);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!finished) {
    const bool stopped = request.stop.stop_requested();
    return Error{.code = stopped ? Code::kCancelled : Code::kDeadlineExceeded,
                 .reason = {},
                 .effect = Effect::kUnknown,
                 .message = "`" + request.argv[0] +
                            (stopped ? "` was interrupted" : "` took too long and was ended")};
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace bennu::env
