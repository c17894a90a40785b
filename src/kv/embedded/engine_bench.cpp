// Measures the embedded engine beside what it stands on. Not a test: numbers depend on the disk.
//   engine_bench put_1 | put_100 | stall [KEYS] | reopen [KEYS]     (a folder is made in TMPDIR)
//   engine_bench bare_load DIR       a plain RocksDB with the records of stdin, "KEY VALUE\n" each
// Each case prints one JSON object per line, as bench/run.py reports them; bare_load prints
// nothing.

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "env/clock.hpp"
#include "env/files.hpp"
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

// One row of the table; `what` has nothing in it that JSON would escape.
void report(std::string_view name, double ours, double peer, std::string_view unit,
            std::string_view target, bool met, std::string_view what) {
  fmt::print(
      R"({{"name":"{}","ours":{:.6g},"peer":{:.6g},"unit":"{}","target":"{}","met":{},"what":"{}"}})"
      "\n",
      name, ours, peer, unit, target, met, what);
}

double median(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
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
  std::vector<double> ours;
  std::vector<double> append;
  std::vector<double> overwrite;
  std::uint64_t number = 0;
  // Interleaved, so that what else the disk does meets all.
  for (int round = 0; round < 11; ++round) {
    append.push_back(1e6 *
                     append_and_sync(dir.path() / fmt::format("bare{}", round), kRound, false));
    ours.push_back(1e6 / kRound * time_threads(1, kRound, [&](std::uint64_t) {
                     BENNU_CHECK(store->put({.key = key_of(number++), .value = value}), "put");
                   }));
    overwrite.push_back(1e6 *
                        append_and_sync(dir.path() / fmt::format("over{}", round), kRound, true));
  }
  const double mine = median(ours);
  report("put_1", mine, median(append), "us", "<= 1.3 x append + fdatasync",
         mine <= 1.3 * median(append), "one writer, durable puts of 256 B, in process");
  report("put_1:overwrite", mine, median(overwrite), "us", "reported", true,
         "the same against an overwrite of a preallocated file + fdatasync");
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
  std::vector<double> ours;
  std::vector<double> theirs;
  double cpu_ours = 0;
  double cpu_theirs = 0;
  // Interleaved, so that what else the machine does meets both.
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::uint64_t base = round * 1'000'000'000U;
    double cpu = cpu_s();
    theirs.push_back(kAll / time_threads(kThreads, kEach, [&](std::uint64_t number) {
                       rocksdb::WriteBatch batch;
                       batch.Put(key_of(base + number), value).PermitUncheckedError();
                       rocksdb::WriteOptions write;
                       write.sync = true;
                       BENNU_CHECK(db->Write(write, &batch).ok(), "write");
                     }));
    cpu_theirs += cpu_s() - cpu;
    cpu = cpu_s();
    ours.push_back(kAll / time_threads(kThreads, kEach, [&](std::uint64_t number) {
                     BENNU_CHECK(store->put({.key = key_of(base + number), .value = value}), "put");
                   }));
    cpu_ours += cpu_s() - cpu;
  }
  report("put_100", median(ours), median(theirs), "puts/s", ">= 1.5 x synced RocksDB batches",
         median(ours) >= 1.5 * median(theirs),
         fmt::format("100 writers, durable puts of 256 B; processor time of one: {:.1f} us, "
                     "RocksDB's {:.1f} us",
                     cpu_ours * 1e6 / kAll / kRounds, cpu_theirs * 1e6 / kAll / kRounds));
}

// One durable write of a client.
using Write = std::function<void(std::uint64_t number)>;

Write puts_to(Store& store) {
  return [&store, value = std::string(kValueBytes, 'v')](std::uint64_t number) {
    BENNU_CHECK(store.put({.key = fmt::format("/client/{}", number % 1000), .value = value}),
                "put");
  };
}

Write appends_to(const env::File& file) {
  return [&file, record = std::string(kValueBytes + 64, 'r')](std::uint64_t /*number*/) {
    BENNU_CHECK(::write(file.fd(), record.data(), record.size()) > 0 && ::fdatasync(file.fd()) == 0,
                "append");
  };
}

// One client's writes, one after the other, until `stop` or `seconds` are over.
Latencies client(const Write& write, const std::atomic<bool>& stop, double seconds) {
  Latencies out;
  const double end = now_s() + seconds;
  for (std::uint64_t i = 0; !stop && now_s() < end; ++i) {
    const double start = now_s();
    write(i);
    out.us.push_back((now_s() - start) * 1e6);
  }
  return out;
}

void import(Store& store, std::uint64_t keys, const std::function<void()>& half_way = {}) {
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
}

// Milliseconds of the longest write of a client while a million keys are imported.
double longest_beside_import(Store& store, std::uint64_t keys, const Write& write) {
  std::atomic<bool> stop = false;
  Latencies during;
  {
    const std::jthread other([&] { during = client(write, stop, 600); });
    import(store, keys);
    stop = true;
  }
  return during.at(1) / 1000;
}

void stall(std::uint64_t keys) {
  constexpr int kRounds = 5;
  std::vector<double> without;
  std::vector<double> during;
  std::vector<double> bare;
  for (int round = 0; round < kRounds; ++round) {
    const env::TempDir dir;
    const auto store = open_store(dir.path() / "kv");
    const std::atomic<bool> never = false;
    without.push_back(client(puts_to(*store), never, 2).at(0.99) / 1000);
    during.push_back(longest_beside_import(*store, keys, puts_to(*store)));
    const auto other = open_store(dir.path() / "other");
    const auto file = env::create_file(dir.path() / "bare");
    BENNU_CHECK(file.has_value(), "create");
    bare.push_back(longest_beside_import(*other, keys, appends_to(*file)));
  }
  const double mine = median(during);
  report("stall_1m", mine, median(without), "ms", "<= 10 x the p99 without",
         mine <= 10 * median(without),
         fmt::format("longest put of another client while {} keys are imported, against the p99 "
                     "without; medians of {} imports",
                     keys, kRounds));
  report("stall_1m:bare", mine, median(bare), "ms", "reported", true,
         "the same against the longest append + fdatasync of a client of the same machine that "
         "has nothing to do with the store");
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
    report("reopen_1m:" + mode, seconds, 0, "s", "< 1 s", seconds < 1,
           fmt::format("killed {}, {} keys: time to open and to the first answer (a count)",
                       mode == "middle"  ? "in the middle of an import"
                       : mode == "after" ? "after the import"
                                         : "after 100000 puts of 50 writers",
                       found->count));
  }
}

// The least that any durable load costs: no log, one flush (which syncs), RocksDB's own settings.
void bare_load(const std::filesystem::path& path) {
  const auto db = open_rocksdb(path);
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  rocksdb::WriteBatch batch;
  std::array<char, 256> key{};
  std::array<char, 256> value{};
  const auto write = [&] {
    BENNU_CHECK(db->Write(unlogged, &batch).ok(), "write");
    batch.Clear();
  };
  while (std::scanf("%255s %255s", key.data(), value.data()) == 2) {
    BENNU_CHECK(batch.Put(key.data(), value.data()).ok(), "put");
    if (batch.Count() == 1000) write();
  }
  write();
  BENNU_CHECK(db->Flush({}).ok(), "flush");
}

int run(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  if (what == "bare_load" && count == 3) {
    bare_load(arguments[2]);
    return 0;
  }
  const std::uint64_t keys = count > 2 ? std::stoull(arguments[2]) : 1'000'000;
  if (what == "put_1") {
    put_1();
  } else if (what == "put_100") {
    put_100();
  } else if (what == "stall") {
    stall(keys);
  } else if (what == "reopen") {
    reopen(keys);
  } else if (what == "die" && count == 5) {
    work_and_die(arguments[3], arguments[4], keys);
  } else {
    fmt::print(
        stderr,
        "usage: engine_bench put_1 | put_100 | stall [KEYS] | reopen [KEYS] | bare_load DIR\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace bennu::kv

int main(int count, char** arguments) { return bennu::kv::run(count, arguments); }
