// Kills a process with SIGKILL at named places of the engine and looks at what it left. The process
// is this program again (RocksDB's threads do not survive a fork), told what to do by its
// environment. Survived must be: everything acknowledged, each stage whole or not at all, exact
// counts, old revisions.

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv {
namespace {

using State = std::map<std::string, std::string>;

constexpr int kSteps = 60;
constexpr int kStaged = 40;

std::string setting(const char* name) {
  const char* const text = std::getenv(name);
  return text != nullptr ? text : "";
}

// What step `i` does, on the store and on a map alike.
struct Step {
  enum class Kind : std::uint8_t { kPut, kErase, kTxn, kStage, kCompact } kind;
  explicit Step(int number) : i(number) {
    static constexpr Kind kKinds[] = {Kind::kPut, Kind::kStage, Kind::kPut,    Kind::kErase,
                                      Kind::kTxn, Kind::kStage, Kind::kCompact};
    kind = kKinds[number % 7];
  }
  [[nodiscard]] std::string key(int n) const {
    return fmt::format("k{:02}", (i * 13 + n * 7) % 50);
  }
  // Mostly more keys than are deleted without a stage.
  [[nodiscard]] KeyRange erased() const { return {.key = "k1", .end = key(0)}; }
  [[nodiscard]] std::string value(int n) const { return fmt::format("{}.{}", i, n); }

  void on(State& state) const {
    if (kind == Kind::kPut) state[key(0)] = value(0);
    if (kind == Kind::kErase) {
      std::erase_if(state, [&](const auto& one) { return contains(erased(), one.first); });
    }
    if (kind == Kind::kTxn) {
      state[key(0)] = value(0);
      state[key(1)] = value(1);
    }
    if (kind != Kind::kStage) return;
    for (int n = 0; n < kStaged; ++n) {
      if (n % 5 == 4) {
        state.erase(key(n));
      } else {
        state[key(n)] = value(n);
      }
    }
  }

  [[nodiscard]] Status on(Store& store) const {
    switch (kind) {
      case Kind::kPut:
        BENNU_TRY(store.put({.key = key(0), .value = value(0)}));
        return {};
      case Kind::kErase:
        BENNU_TRY(store.delete_range({.range = erased()}));
        return {};
      case Kind::kTxn:
        BENNU_TRY(store.txn({.compares = {},
                             .success = {Op{PutRequest{.key = key(0), .value = value(0)}},
                                         Op{PutRequest{.key = key(1), .value = value(1)}}},
                             .failure = {}}));
        return {};
      case Kind::kStage: {
        BENNU_ASSIGN(const auto stage, store.stage());
        for (int n = 0; n < kStaged; ++n) {
          BENNU_TRY(n % 5 == 4 ? stage->erase(key(n)) : stage->put(key(n), value(n)));
        }
        BENNU_TRY(stage->commit({}, {}));
        return {};
      }
      case Kind::kCompact: {
        BENNU_ASSIGN(const auto now, store.range({.range = all_keys(), .count_only = true}));
        // The process before may have been killed after it, and before it was answered.
        const auto done = store.compact(now.revision.previous(), false);
        return done || done.error().reason == reason::kCompacted ? Status{} : done.error();
      }
    }
    return {};
  }

  int i;
};

Result<std::unique_ptr<Store>> open_at(const std::filesystem::path& path,
                                       std::function<void(std::string_view)> fail_point = {}) {
  EngineOptions options{.path = path, .create_if_missing = true};
  options.test_hooks = {.fail_point = std::move(fail_point), .stage_spill_changes = 10};
  return open_embedded(options);
}

std::function<void(std::string_view)> die_at(std::string point, int time) {
  return [point = std::move(point),
          left = std::make_shared<std::atomic<int>>(time)](std::string_view here) {
    if (here == point && --*left == 0) ::raise(SIGKILL);
  };
}

void append_line(const std::string& file, const std::string& line) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const std::string text = line + "\n";
  if (::write(fd, text.data(), text.size()) < 0) ::abort();
  ::close(fd);
}

std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream in(file);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

// Runs this program again as `worker`; returns whether it was killed.
bool run_worker(const std::string& worker, const std::filesystem::path& dir,
                const std::string& point, int time) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("BENNU_CRASH_DIR", dir.c_str(), 1);
    ::setenv("BENNU_CRASH_POINT", point.c_str(), 1);
    ::setenv("BENNU_CRASH_TIME", std::to_string(time).c_str(), 1);
    const int quiet = ::open("/dev/null", O_WRONLY);
    ::dup2(quiet, STDOUT_FILENO);
    const std::string filter = "--gtest_filter=CrashWorker.DISABLED_" + worker;
    ::execl("/proc/self/exe", "worker", filter.c_str(), "--gtest_also_run_disabled_tests", nullptr);
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST(CrashWorker, DISABLED_Steps) {
  const std::string dir = setting("BENNU_CRASH_DIR");
  if (dir.empty()) GTEST_SKIP() << "run by the crash tests";
  auto store = open_at(dir + "/kv", die_at(setting("BENNU_CRASH_POINT"),
                                           std::atoi(setting("BENNU_CRASH_TIME").c_str())));
  ASSERT_TRUE(store) << store.error().message;
  for (int i = 0; i < kSteps; ++i) {
    const Status done = Step(i).on(**store);
    ASSERT_TRUE(done) << done.error().message;
    append_line(dir + "/acked", std::to_string(i));
  }
}

TEST(CrashWorker, DISABLED_Writers) {
  const std::string dir = setting("BENNU_CRASH_DIR");
  if (dir.empty()) GTEST_SKIP() << "run by the crash tests";
  auto store = open_at(dir + "/kv", die_at(setting("BENNU_CRASH_POINT"),
                                           std::atoi(setting("BENNU_CRASH_TIME").c_str())));
  ASSERT_TRUE(store) << store.error().message;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const auto done = (*store)->put({.key = fmt::format("{}/{:03}", t, i), .value = "v"});
        if (!done) ::abort();
        append_line(dir + "/acked", fmt::format("{}/{:03} {}", t, i, done->revision.value));
      }
    });
  }
}

State state_of(Store& store, Revision at = {}) {
  State state;
  const auto done = store.scan(all_keys(), at, [&](KeyValue& kv) -> Status {
    state[kv.key] = kv.value;
    return {};
  });
  EXPECT_TRUE(done) << done.error().message;
  return state;
}

void check_counts(Store& store, const State& state) {
  for (const char* prefix : {"", "k", "k1", "k2", "k49", "0/", "7/0"}) {
    const KeyRange range = prefix_range(prefix);
    std::int64_t expected = 0;
    for (const auto& [key, value] : state) expected += contains(range, key) ? 1 : 0;
    const auto found = store.range({.range = range, .count_only = true});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->count, expected) << prefix;
  }
}

void check_steps(const std::filesystem::path& dir) {
  const auto acked = static_cast<int>(lines_of(dir / "acked").size());
  auto store = open_at(dir / "kv");
  ASSERT_TRUE(store) << store.error().message;
  State model;
  for (int i = 0; i < acked; ++i) Step(i).on(model);
  State next = model;
  if (acked < kSteps) Step(acked).on(next);
  const State found = state_of(**store);
  EXPECT_TRUE(found == model || found == next) << "after " << acked << " acknowledged steps";
  check_counts(**store, found);
  // It goes on from there, and what background work is left does no harm.
  const int from = found == model ? acked : acked + 1;
  model = found;
  for (int i = from; i < from + 10; ++i) {
    const Status done = Step(i).on(**store);
    ASSERT_TRUE(done) << done.error().message;
    Step(i).on(model);
  }
  const auto now = (*store)->range({.range = all_keys(), .count_only = true});
  ASSERT_TRUE(now);
  ASSERT_TRUE((*store)->compact(now->revision, true));
  EXPECT_EQ(state_of(**store), model);
  check_counts(**store, model);
  store->reset();
  store = open_at(dir / "kv");
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ(state_of(**store), model);
  check_counts(**store, model);
}

class Crash : public testing::TestWithParam<std::string> {};

TEST_P(Crash, KeepsWhatWasAcknowledgedAndNothingHalf) {
  int killed = 0;
  for (const int time : {1, 2, 5, 11, 29}) {
    SCOPED_TRACE(fmt::format("{} for the {}th time", GetParam(), time));
    const env::TempDir dir;
    const bool died = run_worker("Steps", dir.path(), GetParam(), time);
    killed += died ? 1 : 0;
    if (!died) {
      ASSERT_EQ(lines_of(dir.path() / "acked").size(), static_cast<std::size_t>(kSteps))
          << "the worker failed";
    }
    check_steps(dir.path());
    if (HasFailure()) return;
  }
  EXPECT_GT(killed, 0) << "nothing came by there";
}

INSTANTIATE_TEST_SUITE_P(At, Crash,
                         testing::Values("write.before", "write.after", "stage.opened",
                                         "stage.ingested", "stage.committed", "stage.clean",
                                         "reclaim.revision", "counts.save"),
                         [](const auto& one) {
                           std::string name = one.param;
                           name[name.find('.')] = '_';
                           return name;
                         });

TEST(CrashOfMany, KeepsEveryAcknowledgedPut) {
  for (const auto& [point, time] :
       std::map<std::string, int>{{"write.before", 40}, {"write.after", 55}}) {
    const env::TempDir dir;
    ASSERT_TRUE(run_worker("Writers", dir.path(), point, time));
    auto store = open_at(dir.path() / "kv");
    ASSERT_TRUE(store) << store.error().message;
    std::map<std::string, std::int64_t> revisions;
    const auto done = (*store)->scan(all_keys(), {}, [&](KeyValue& kv) -> Status {
      revisions[kv.key] = kv.mod_revision.value;
      return {};
    });
    ASSERT_TRUE(done);
    EXPECT_EQ(done->value, static_cast<std::int64_t>(revisions.size()) + 1)
        << "each put is one revision";
    const auto acked = lines_of(dir.path() / "acked");
    EXPECT_GT(acked.size(), 20U);
    for (const std::string& line : acked) {
      const std::string key = line.substr(0, line.find(' '));
      ASSERT_TRUE(revisions.contains(key)) << key;
      EXPECT_EQ(std::to_string(revisions[key]), line.substr(key.size() + 1));
    }
    check_counts(**store, state_of(**store));
  }
}

}  // namespace
}  // namespace bennu::kv
