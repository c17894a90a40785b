// Measures the embedded engine beside what it stands on. Not a test: numbers depend on the disk.
//   engine_bench put_1 | put_100 | stage [KEYS] | reopen [KEYS]     (a folder is made in TMPDIR)

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "env/clock.hpp"
#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"

namespace bennu::kv {
namespace {

constexpr int kValueBytes = 256;

double now_s() { return std::chrono::duration<double>(env::system_clock().monotonic()).count(); }

std::string key_of(std::uint64_t number) {
  // Spread over the key space, as keys of many writers are.
  const std::uint64_t mixed = number * 0x9E3779B97F4A7C15ULL;
  return fmt::format("/bench/{:02x}/{:02x}/{:016x}", mixed >> 56, (mixed >> 48) & 0xff, mixed);
}

std::unique_ptr<Store> open_store(const std::filesystem::path& path) {
  auto store = open_embedded({.path = path, .create_if_missing = true});
  BENNU_CHECK(store.has_value(), store ? "" : store.error().message);
  return std::move(*store);
}

struct Latencies {
  std::vector<double> us;
  double at(double share) {
    std::sort(us.begin(), us.end());
    return us.empty() ? 0
                      : us[static_cast<std::size_t>(share * static_cast<double>(us.size() - 1))];
  }
};

// Seconds for `threads` threads to do `each` calls of `work(number)`.
double time_threads(int threads, int each, const std::function<void(std::uint64_t)>& work) {
  const double start = now_s();
  {
    std::vector<std::jthread> all;
    for (int t = 0; t < threads; ++t) {
      all.emplace_back([&, t] {
        for (int i = 0; i < each; ++i)
          work(static_cast<std::uint64_t>(t) * 1'000'000U + static_cast<std::uint64_t>(i));
      });
    }
  }
  return now_s() - start;
}

// Processor time of this process so far, with the kernel's for it.
double cpu_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double append_and_sync(const std::filesystem::path& path, int count, bool preallocated) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  BENNU_CHECK(fd >= 0, "cannot create a file");
  const std::string record(kValueBytes + 64, 'r');
  if (preallocated) {
    const std::string zeros(1 << 20, '\0');
    for (int i = 0; i < 4; ++i) BENNU_CHECK(::write(fd, zeros.data(), zeros.size()) > 0, "write");
    BENNU_CHECK(::fsync(fd) == 0 && ::lseek(fd, 0, SEEK_SET) == 0, "prepare");
  }
  const double start = now_s();
  for (int i = 0; i < count; ++i) {
    BENNU_CHECK(::write(fd, record.data(), record.size()) > 0 && ::fdatasync(fd) == 0, "append");
  }
  const double seconds = now_s() - start;
  ::close(fd);
  return seconds / count;
}

void put_1() {
  constexpr int kRound = 400;
  const std::string value(kValueBytes, 'v');
  const env::TempDir dir;
  const auto store = open_store(dir.path() / "kv");
  std::vector<double> ratios;
  double ours_us = 0;
  double bare_us = 0;
  std::uint64_t number = 0;
  // Interleaved, so that what else the disk does meets both.
  for (int round = 0; round < 10; ++round) {
    const double bare = append_and_sync(dir.path() / fmt::format("bare{}", round), kRound, false);
    const double ours =
        time_threads(1, kRound,
                     [&](std::uint64_t) {
                       BENNU_CHECK(store->put({.key = key_of(number++), .value = value}), "put");
                     }) /
        kRound;
    ratios.push_back(ours / bare);
    ours_us += ours * 1e5;
    bare_us += bare * 1e5;
  }
  std::sort(ratios.begin(), ratios.end());
  const double over = append_and_sync(dir.path() / "over", kRound, true) * 1e6;
  fmt::print(
      "put_1: ours {:.1f} us, append+fdatasync {:.1f} us, median ratio {:.2f}; overwrite {:.1f} "
      "us\n",
      ours_us, bare_us, ratios[ratios.size() / 2], over);
}

std::unique_ptr<rocksdb::DB> open_rocksdb(const std::filesystem::path& path) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* raw = nullptr;
  BENNU_CHECK(rocksdb::DB::Open(options, path.string(), &raw).ok(), "open");
  return std::unique_ptr<rocksdb::DB>(raw);
}

void put_100() {
  constexpr int kThreads = 100;
  constexpr int kEach = 100;
  constexpr int kRounds = 15;
  constexpr double kAll = double{kThreads} * kEach;
  const std::string value(kValueBytes, 'v');
  const env::TempDir dir;
  const auto db = open_rocksdb(dir.path() / "rocksdb");
  const auto store = open_store(dir.path() / "kv");
  std::vector<double> ratios;
  double cpu_ours = 0;
  double cpu_theirs = 0;
  double ours = 0;
  double theirs = 0;
  // Interleaved, so that what else the machine does meets both.
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::uint64_t base = round * 1'000'000'000U;
    double cpu = cpu_s();
    const double theirs_s = time_threads(kThreads, kEach, [&](std::uint64_t number) {
      rocksdb::WriteBatch batch;
      batch.Put(key_of(base + number), value).PermitUncheckedError();
      rocksdb::WriteOptions write;
      write.sync = true;
      BENNU_CHECK(db->Write(write, &batch).ok(), "write");
    });
    cpu_theirs += cpu_s() - cpu;
    cpu = cpu_s();
    const double ours_s = time_threads(kThreads, kEach, [&](std::uint64_t number) {
      BENNU_CHECK(store->put({.key = key_of(base + number), .value = value}), "put");
    });
    cpu_ours += cpu_s() - cpu;
    ratios.push_back(theirs_s / ours_s);
    ours += ours_s;
    theirs += theirs_s;
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print(
      "put_100: ours {:.0f}/s, rocksdb {:.0f}/s, median ratio {:.2f}; processor {:.1f} and {:.1f} "
      "us\n",
      kAll * kRounds / ours, kAll * kRounds / theirs, ratios[kRounds / 2],
      cpu_ours * 1e6 / kAll / kRounds, cpu_theirs * 1e6 / kAll / kRounds);
}

// One client's puts, one after the other, until `stop` or `seconds` are over.
Latencies client(Store& store, const std::atomic<bool>& stop, double seconds) {
  Latencies out;
  const std::string value(kValueBytes, 'v');
  const double end = now_s() + seconds;
  for (std::uint64_t i = 0; !stop && now_s() < end; ++i) {
    const double start = now_s();
    BENNU_CHECK(store.put({.key = fmt::format("/client/{}", i % 1000), .value = value}), "put");
    out.us.push_back((now_s() - start) * 1e6);
  }
  return out;
}

double import(Store& store, std::uint64_t keys, const std::function<void()>& half_way = {}) {
  const double start = now_s();
  auto stage = store.stage();
  BENNU_CHECK(stage.has_value(), "stage");
  const std::string value(40, 'v');
  for (std::uint64_t i = 0; i < keys; ++i) {
    // Two hex digits, two hex digits, name: in order, as a repository's tree is.
    const std::string key =
        fmt::format("/data/{:02x}/{:02x}/{:08}", i * 256 / keys, (i * 65536 / keys) & 0xff, i);
    const Status put = (*stage)->put(key, value);
    BENNU_CHECK(put.has_value(), put ? "" : put.error().message);
    if (half_way && i == keys / 2) half_way();
  }
  const auto done = (*stage)->commit({}, {});
  BENNU_CHECK(done.has_value(), done ? "" : done.error().message);
  return now_s() - start;
}

double peak_mb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void stage(std::uint64_t keys) {
  const env::TempDir dir;
  const auto store = open_store(dir.path() / "kv");
  std::atomic<bool> stop = false;
  Latencies before = client(*store, stop, 3);
  Latencies during;
  double seconds = 0;
  {
    std::jthread other([&] { during = client(*store, stop, 600); });
    seconds = import(*store, keys);
    stop = true;
  }
  fmt::print(
      "stage: {} keys in {:.2f} s; put p50 {:.0f} -> {:.0f} us, p99 {:.0f} -> {:.0f} us, longest "
      "{:.0f} -> {:.0f} us "
      "({:.1f} x p99), peak {:.0f} MB\n",
      keys, seconds, before.at(0.5), during.at(0.5), before.at(0.99), during.at(0.99), before.at(1),
      during.at(1), during.at(1) / before.at(0.99), peak_mb());
  const env::TempDir alone;
  const auto second = open_store(alone.path() / "kv");
  fmt::print("stage alone: {:.2f} s\n", import(*second, keys));
  const double start = now_s();
  const auto count = second->range({.range = prefix_range("/data/7"), .count_only = true});
  fmt::print("count of {}: {:.0f} us\n", count->count, (now_s() - start) * 1e6);
}

// What the process that is killed does. RocksDB's threads do not survive a fork, so it is a program
// of its own.
void work_and_die(const std::string& mode, const std::filesystem::path& path, std::uint64_t keys) {
  const auto store = open_store(path);
  if (mode == "middle") {
    import(*store, keys, [] { ::raise(SIGKILL); });
  } else if (mode == "after") {
    import(*store, keys);
  } else {
    time_threads(50, 2000, [&](std::uint64_t n) {
      BENNU_CHECK(store->put({.key = key_of(n), .value = std::string(kValueBytes, 'v')}), "put");
    });
  }
  ::raise(SIGKILL);
}

void reopen(std::uint64_t keys) {
  for (const std::string mode : {"middle", "after", "puts"}) {
    const env::TempDir dir;
    const std::string path = (dir.path() / "kv").string();
    const std::string number = std::to_string(keys);
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl("/proc/self/exe", "engine_bench", "die", number.c_str(), mode.c_str(), path.c_str(),
              nullptr);
      ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    BENNU_CHECK(WIFSIGNALED(status), "the child must be killed");
    const double start = now_s();
    const auto store = open_store(path);
    const auto found = store->range({.range = all_keys(), .count_only = true});
    const double seconds = now_s() - start;
    fmt::print("reopen, killed {}: {:.3f} s to the first answer, {} keys\n", mode, seconds,
               found->count);
  }
}

int run(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  const std::uint64_t keys = count > 2 ? std::stoull(arguments[2]) : 1'000'000;
  if (what == "put_1") {
    put_1();
  } else if (what == "put_100") {
    put_100();
  } else if (what == "stage") {
    stage(keys);
  } else if (what == "reopen") {
    reopen(keys);
  } else if (what == "die" && count == 5) {
    work_and_die(arguments[3], arguments[4], keys);
  } else {
    fmt::print(stderr, "usage: engine_bench put_1 | put_100 | stage [KEYS] | reopen [KEYS]\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace bennu::kv

int main(int count, char** arguments) { return bennu::kv::run(count, arguments); }
