// A power switch for tests: ends a command, with all processes that it started, right before its
// N-th step that makes something durable or visible.
//
// Preloaded into the command (LD_PRELOAD) by power_switch.py. Steps are counted over all processes
// and threads in one mapped file, which also says where to stop and keeps what each step was:
// BENNU_POWER_SWITCH names it. What runs on "the other machine", the remote's side of a push or a
// fetch, is not counted and goes on. What was written is there afterwards, synced or not: this is
// about the order of steps.

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

constexpr std::size_t kMaxSteps = 20000;
constexpr std::size_t kNameSize = 120;

enum class Mode : std::uint32_t { kEverything = 0, kOneChild = 1 };

// As power_switch.py reads and writes it.
struct Shared {
  std::atomic<std::uint64_t> steps;
  std::uint64_t stop_at;  // 0: never
  Mode mode;
  std::atomic<std::int32_t> first;  // the command itself
  std::array<std::array<char, kNameSize>, kMaxSteps> names;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

Shared* shared = nullptr;

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool is_other_machine(int argc, char** argv) {
  for (int i = 0; i < argc && i < 2; ++i) {
    const std::string_view argument(argv[i]);
    if (argument.ends_with("receive-pack") || argument.ends_with("upload-pack")) return true;
  }
  return false;
}

void note(std::uint64_t number, const char* call, const char* path, int fd) {
  if (number > kMaxSteps) return;
  std::array<char, 64> link{};
  std::array<char, 4096> target{};
  if (path == nullptr) {
    (void)::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
    (void)::readlink(link.data(), target.data(), target.size() - 1);
    path = target.data();
  }
  // The end of a path says more than its beginning.
  const std::string_view name(call);
  const std::string_view whole(path);
  const std::size_t room = kNameSize - name.size() - 2;
  const std::string_view end = whole.substr(whole.size() - std::min(whole.size(), room));
  char* out = std::ranges::copy(name, shared->names[number - 1].data()).out;
  *out++ = ' ';
  std::ranges::copy(end, out);
}

// Every step passes here before it is done. After the switch no step is done any more.
void step(const char* call, const char* path, int fd = -1) {
  if (shared == nullptr) return;
  const int saved = errno;
  const bool one_child = shared->mode == Mode::kOneChild;
  if (one_child && shared->first.load() == ::getpid()) return;
  const std::uint64_t number = shared->steps.fetch_add(1) + 1;
  note(number, call, path, fd);
  if (shared->stop_at != 0) {
    if (one_child && number == shared->stop_at) ::kill(::getpid(), SIGKILL);
    if (!one_child && number >= shared->stop_at) {
      if (::killpg(shared->first.load(), SIGKILL) != 0) ::abort();
      while (true) ::sched_yield();
    }
  }
  errno = saved;
}

mode_t mode_argument(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

bool changes_names(int flags) { return (flags & (O_CREAT | O_TRUNC)) != 0; }

__attribute__((constructor)) void connect(int argc, char** argv, char** /*environment*/) {
  const char* path = ::getenv("BENNU_POWER_SWITCH");
  if (path == nullptr) return;
  if (is_other_machine(argc, argv)) {
    ::unsetenv("BENNU_POWER_SWITCH");
    ::setpgid(0, 0);
    return;
  }
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) ::abort();
  void* mapped = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (mapped == MAP_FAILED) ::abort();
  shared = static_cast<Shared*>(mapped);
  std::int32_t nobody = 0;
  if (shared->first.compare_exchange_strong(nobody, ::getpid())) return;
  step("start", argv[0]);
}

// What a process did is done, and nobody knows it yet.
__attribute__((destructor)) void leave() { step("end", ""); }

bool exists(const char* path) {
  const int saved = errno;
  const bool there = ::faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  errno = saved;
  return there;
}

}  // namespace

#define BENNU_STEP_FD(NAME, PARAMETERS, ARGUMENTS)           \
  int NAME PARAMETERS {                                      \
    static const auto real = next<int(*) PARAMETERS>(#NAME); \
    step(#NAME, nullptr, fd);                                \
    return real ARGUMENTS;                                   \
  }
#define BENNU_STEP_IF(CONDITION, NAME, PARAMETERS, ARGUMENTS) \
  int NAME PARAMETERS noexcept {                              \
    static const auto real = next<int(*) PARAMETERS>(#NAME);  \
    if (CONDITION) step(#NAME, path);                         \
    return real ARGUMENTS;                                    \
  }
#define BENNU_STEP_PATH(NAME, PARAMETERS, ARGUMENTS) \
  BENNU_STEP_IF(true, NAME, PARAMETERS, ARGUMENTS)
#define BENNU_STEP_OPEN(NAME, PARAMETERS, ...)               \
  int NAME PARAMETERS {                                      \
    static const auto real = next<int(*) PARAMETERS>(#NAME); \
    va_list arguments;                                       \
    va_start(arguments, flags);                              \
    const mode_t mode = mode_argument(flags, arguments);     \
    va_end(arguments);                                       \
    if (changes_names(flags)) step(#NAME, path);             \
    return real(__VA_ARGS__, flags, mode);                   \
  }

extern "C" {

BENNU_STEP_FD(fsync, (int fd), (fd))
BENNU_STEP_FD(fdatasync, (int fd), (fd))
int syncfs(int fd) noexcept {
  static const auto real = next<int (*)(int)>("syncfs");
  step("syncfs", nullptr, fd);
  return real(fd);
}
int ftruncate(int fd, off_t size) noexcept {
  static const auto real = next<int (*)(int, off_t)>("ftruncate");
  step("ftruncate", nullptr, fd);
  return real(fd, size);
}
int ftruncate64(int fd, off64_t size) noexcept {
  static const auto real = next<int (*)(int, off64_t)>("ftruncate64");
  step("ftruncate64", nullptr, fd);
  return real(fd, size);
}

BENNU_STEP_PATH(rename, (const char* from, const char* path), (from, path))
BENNU_STEP_PATH(renameat, (int in, const char* from, int at, const char* path),
                (in, from, at, path))
BENNU_STEP_PATH(renameat2, (int in, const char* from, int at, const char* path, unsigned flags),
                (in, from, at, path, flags))
BENNU_STEP_PATH(link, (const char* from, const char* path), (from, path))
BENNU_STEP_PATH(linkat, (int in, const char* from, int at, const char* path, int flags),
                (in, from, at, path, flags))
BENNU_STEP_PATH(symlink, (const char* target, const char* path), (target, path))
BENNU_STEP_PATH(unlinkat, (int at, const char* path, int flags), (at, path, flags))
BENNU_STEP_PATH(mkdirat, (int at, const char* path, mode_t mode), (at, path, mode))
// What is not there is not taken away, and what is there is not made.
BENNU_STEP_IF(exists(path), unlink, (const char* path), (path))
BENNU_STEP_IF(exists(path), remove, (const char* path), (path))
BENNU_STEP_IF(exists(path), rmdir, (const char* path), (path))
BENNU_STEP_IF(!exists(path), mkdir, (const char* path, mode_t mode), (path, mode))
char* mkdtemp(char* path) noexcept {
  static const auto real = next<char* (*)(char*)>("mkdtemp");
  step("mkdtemp", path);
  return real(path);
}

BENNU_STEP_OPEN(open, (const char* path, int flags, ...), path)
BENNU_STEP_OPEN(open64, (const char* path, int flags, ...), path)
BENNU_STEP_OPEN(openat, (int at, const char* path, int flags, ...), at, path)
BENNU_STEP_OPEN(openat64, (int at, const char* path, int flags, ...), at, path)
FILE* fopen(const char* path, const char* how) {
  static const auto real = next<FILE* (*)(const char*, const char*)>("fopen");
  if (how[0] != 'r') step("fopen", path);
  return real(path, how);
}
FILE* fopen64(const char* path, const char* how) {
  static const auto real = next<FILE* (*)(const char*, const char*)>("fopen64");
  if (how[0] != 'r') step("fopen64", path);
  return real(path, how);
}

// Not durable by itself, but age and age-keygen make no call of libc: the step before they run.
int posix_spawnp(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const argv[], char* const envp[]) {
  static const auto real = next<decltype(&::posix_spawnp)>("posix_spawnp");
  step("posix_spawnp", path);
  return real(pid, path, actions, attributes, argv, envp);
}

}  // extern "C"
