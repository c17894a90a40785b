// What the engine's promises cost: copies of a value, records that a count looks at, syncs of a
// group, waiting readers, memory, space on disk. Counted, never timed.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/cache.h>
#include <rocksdb/perf_context.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>
#include <rocksdb/wal_filter.h>
#include <rocksdb/write_buffer_manager.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "env/temp_dir.hpp"
#include "kv/embedded/counts.hpp"
#include "kv/embedded/database.hpp"
#include "kv/embedded/engine.hpp"

namespace {
std::atomic<int> syncs = 0;
}  // namespace

// RocksDB syncs its log with this one instead of libc's.
extern "C" int fdatasync(int file) {
  ++syncs;
  return static_cast<int>(::syscall(SYS_fdatasync, file));
}

namespace bennu::kv {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// No test waits so long unless it fails.
constexpr auto kNever = 60s;

class Cost : public testing::Test {
 protected:
  void open(EngineOptions options = {}) {
    store.reset();
    options.path = path;
    options.create_if_missing = true;
    auto opened = open_embedded(options);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  Revision put(std::string key, std::string value) {
    const auto done = store->put({.key = std::move(key), .value = std::move(value)});
    EXPECT_TRUE(done) << done.error().message;
    return done ? done->revision : Revision{};
  }
  void stage(const std::map<std::string, std::string>& puts) {
    auto staged = store->stage();
    ASSERT_TRUE(staged);
    for (const auto& [key, value] : puts) ASSERT_TRUE((*staged)->put(key, value));
    const auto done = (*staged)->commit({}, {});
    ASSERT_TRUE(done) << done.error().message;
  }

  env::TempDir dir;
  const fs::path path = dir.path() / "kv";
  std::unique_ptr<Store> store;
};

// Counts how often each value `<n>` is in the log of a store that is closed, and in tables.
class Copies final : public rocksdb::WalFilter, public rocksdb::WriteBatch::Handler {
 public:
  explicit Copies(const fs::path& path) {
    rocksdb::Options options;
    options.wal_filter = this;
    std::vector<std::string> names;
    EXPECT_TRUE(rocksdb::DB::ListColumnFamilies(options, path, &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const auto& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &db);
    EXPECT_TRUE(status.ok()) << status.ToString();
    if (db == nullptr) return;
    for (auto* handle : handles) EXPECT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
    delete db;
  }
  void note_table(const fs::path& file) {
    rocksdb::SstFileReader reader({});
    ASSERT_TRUE(reader.Open(file).ok());
    const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator({}));
    for (it->SeekToFirst(); it->Valid(); it->Next()) note(it->value().ToStringView());
  }
  [[nodiscard]] const std::map<std::string, int>& all() const { return copies_; }

  WalProcessingOption LogRecordFound(unsigned long long /*log*/, const std::string& /*file*/,
                                     const rocksdb::WriteBatch& batch, rocksdb::WriteBatch* /*to*/,
                                     bool* /*changed*/) override {
    EXPECT_TRUE(batch.Iterate(this).ok());
    return WalProcessingOption::kContinueProcessing;
  }
  [[nodiscard]] const char* Name() const override { return "copies"; }
  rocksdb::Status PutCF(std::uint32_t /*family*/, const rocksdb::Slice& /*key*/,
                        const rocksdb::Slice& bytes) override {
    note(bytes.ToStringView());
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(std::uint32_t /*family*/, const rocksdb::Slice& /*key*/) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(std::uint32_t /*family*/, const rocksdb::Slice& /*from*/,
                                const rocksdb::Slice& /*to*/) override {
    return rocksdb::Status::OK();
  }

 private:
  void note(std::string_view bytes) {
    for (auto at = bytes.find('<'); at != std::string_view::npos; at = bytes.find('<', at + 1)) {
      const auto end = bytes.find('>', at);
      if (end != std::string_view::npos) ++copies_[std::string(bytes.substr(at, end + 1 - at))];
    }
  }

  std::map<std::string, int> copies_;
};

TEST_F(Cost, AValueIsWrittenTwiceAtMost) {
  // The tables that stages bring along, before they are taken in.
  const fs::path tables = dir.path() / "tables";
  open({.test_hooks = {.fail_point =
                           [&, stages = 0](auto here) mutable {
                             if (here != "stage.opened") return;
                             fs::create_directories(tables);
                             fs::copy(path / "staging", tables / std::to_string(++stages),
                                      fs::copy_options::recursive);
                           },
                       .stage_spill_changes = 2}});
  put("a", "<1>");
  put("a", "<2>");
  put("b", "<3>");
  ASSERT_TRUE(store->delete_range({.range = {.key = "b", .end = {}}}));
  // A key that comes and goes in one revision.
  ASSERT_TRUE(store->txn(
      {.success = {Op{TxnRequest{.success = {Op{PutRequest{.key = "c", .value = "<4>"}}}}},
                   Op{TxnRequest{.success = {Op{DeleteRangeRequest{.range = {.key = "c"}}}}}},
                   Op{PutRequest{.key = "d", .value = "<5>"}}}}));
  // Staged over a key, changed after it, staged again.
  stage({{"a", "<6>"}, {"s1", "<7>"}, {"s2", "<8>"}, {"s3", "<9>"}, {"s4", "<10>"}});
  put("s1", "<11>");
  ASSERT_TRUE(store->delete_range({.range = {.key = "s2", .end = {}}}));
  stage({{"d", "<12>"}, {"s1", "<13>"}, {"s3", "<14>"}});
  // Many at once, which takes the way of a stage.
  ASSERT_TRUE(store->delete_range({.range = prefix_range("s")}));
  // And what is tidied up in the background.
  ASSERT_TRUE(store->compact({2}, true));
  store.reset();

  const std::set<std::string> current = {"<6>", "<12>"};
  Copies copies(path);
  for (const auto& entry : fs::recursive_directory_iterator(tables)) {
    if (entry.is_regular_file()) copies.note_table(entry.path());
  }
  ASSERT_EQ(copies.all().size(), 14U);
  for (const auto& [value, count] : copies.all()) {
    EXPECT_EQ(count, current.contains(value) || value == "<4>" ? 1 : 2) << value;
  }
}

TEST_F(Cost, ACountLooksAtFewRecordsOfALargeRange) {
  open();
  constexpr int kKeys = 100'000;
  const auto key = [](int i) { return fmt::format("k{:06}", i); };
  // Half of them by ordinary transactions, and the others between them by a stage.
  for (int from = 0; from < kKeys; from += 10'000) {
    TxnRequest request;
    for (int i = from; i < from + 10'000; i += 2) {
      request.success.push_back(Op{PutRequest{.key = key(i), .value = "v"}});
    }
    ASSERT_TRUE(store->txn(request));
  }
  std::map<std::string, std::string> others;
  for (int i = 1; i < kKeys; i += 2) others[key(i)] = "v";
  stage(others);
  ASSERT_TRUE(store->compact({2}, true));  // and wait for the background

  const auto looks = [&](const RangeRequest& request, std::int64_t expected) {
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kEnableCount);
    rocksdb::get_perf_context()->Reset();
    const auto found = store->range(request);
    EXPECT_EQ(found ? found->count : -1, expected);
    return static_cast<std::int64_t>(rocksdb::get_perf_context()->internal_key_skipped_count);
  };
  const KeyRange range{.key = key(777), .end = key(kKeys - 777)};
  constexpr int kInRange = kKeys - 2 * 777;
  EXPECT_GE(looks({.range = range, .keys_only = true}, kInRange), kInRange - 2) << "a scan";
  const std::int64_t few = 2 * embedded::CountIndex::kBlockKeys;
  EXPECT_LE(looks({.range = range, .count_only = true}, kInRange), few);
  EXPECT_LE(looks({.range = range, .limit = 1}, kInRange), few + 2);
  EXPECT_LE(looks({.range = all_keys(), .count_only = true}, kKeys), few);
}

TEST_F(Cost, WhatWaitsIsWrittenAndSyncedOnce) {
  constexpr int kWaiting = 50;
  std::atomic<int> decided = 0;
  std::atomic<int> written = 0;
  std::promise<void> first_is_held;
  std::promise<void> all_wait;
  open({.test_hooks = {.fail_point = [&, waiting = all_wait.get_future().share()](auto here) {
          if (here == "write.evaluate" && ++decided == 1 + kWaiting) all_wait.set_value();
          if (here != "write.before" || ++written != 1) return;
          first_is_held.set_value();
          EXPECT_EQ(waiting.wait_for(kNever), std::future_status::ready) << "decided: " << decided;
        }}});
  const int before = syncs;
  {
    std::vector<std::jthread> threads;
    threads.emplace_back([&] { put("first", "v"); });
    first_is_held.get_future().wait();
    for (int i = 0; i < kWaiting; ++i) {
      threads.emplace_back([&, i] { put(fmt::format("k{}", i), "v"); });
    }
  }
  EXPECT_EQ(written, 2) << "the one that was held, and the others";
  EXPECT_EQ(syncs - before, 2);
  EXPECT_EQ(put("last", "v"), Revision{1 + 1 + kWaiting + 1});
  EXPECT_EQ(syncs - before, 3);
  store.reset();
}

TEST_F(Cost, ReadersDoNotWaitForAWriter) {
  for (const std::string_view point : {"write.evaluate", "write.before", "write.after"}) {
    SCOPED_TRACE(point);
    fs::remove_all(path);
    std::atomic<bool> armed = false;
    std::promise<void> held;
    std::promise<void> go_on;
    open({.test_hooks = {.fail_point = [&, released = go_on.get_future().share()](auto here) {
            if (here != point || !armed.exchange(false)) return;
            held.set_value();
            released.wait();
          }}});
    put("a", "1");
    put("a", "2");
    armed = true;
    std::jthread writer([&] { EXPECT_EQ(put("a", "3"), Revision{4}); });
    held.get_future().wait();
    auto readers = std::async(std::launch::async, [&] {
      const RangeRequest everything{.range = all_keys()};
      const auto now = store->range(everything);
      ASSERT_TRUE(now);
      EXPECT_EQ(now->revision, Revision{3});
      ASSERT_EQ(now->kvs.size(), 1U);
      EXPECT_EQ(now->kvs[0].value, "2");
      const auto then = store->range({.range = all_keys(), .revision = {2}});
      ASSERT_TRUE(then && then->kvs.size() == 1);
      EXPECT_EQ(then->kvs[0].value, "1");
      const auto counted = store->range({.range = all_keys(), .count_only = true});
      EXPECT_EQ(counted ? counted->count : -1, 1);
      const auto txn = store->txn({.success = {Op{everything}}});
      EXPECT_EQ(txn ? txn->revision : Revision{}, Revision{3});
      EXPECT_TRUE(store->scan(all_keys(), {}, [](KeyValue&) -> Status { return {}; }));
      EXPECT_TRUE(store->hash({}));
    });
    EXPECT_EQ(readers.wait_for(kNever), std::future_status::ready) << "they wait";
    go_on.set_value();
    readers.wait();
    writer.join();
    store.reset();
  }
}

// What the tables take up.
std::uintmax_t table_bytes(const fs::path& folder) {
  std::uintmax_t sum = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::error_code gone;
    const std::uintmax_t size = entry.file_size(gone);
    if (!gone && entry.path().extension() == ".sst") sum += size;
  }
  return sum;
}

TEST_F(Cost, CompactedSpaceComesBack) {
  constexpr int kKeys = 100;
  constexpr int kRounds = 20;
  constexpr std::size_t kValueBytes = 4000;
  for (const bool physical : {true, false}) {
    SCOPED_TRACE(physical ? "before it is answered" : "in the background");
    fs::remove_all(path);
    std::promise<void> returned;
    open({.memory_budget_bytes = 1UL << 20, .test_hooks = {.fail_point = [&](auto here) {
                                              if (here == "reclaim.shrunk") returned.set_value();
                                            }}});
    std::mt19937 random(1);
    Revision newest;
    for (int round = 0; round < kRounds; ++round) {
      TxnRequest request;
      for (int i = 0; i < kKeys; ++i) {
        std::string value(kValueBytes, '\0');
        for (char& c : value) c = static_cast<char>(random());
        request.success.push_back(
            Op{PutRequest{.key = std::to_string(i), .value = std::move(value)}});
      }
      const auto done = store->txn(request);
      ASSERT_TRUE(done) << done.error().message;
      newest = done->revision;
    }
    constexpr std::uintmax_t kCurrent = kKeys * kValueBytes;
    EXPECT_GT(table_bytes(path), kRounds / 2 * kCurrent);
    ASSERT_TRUE(store->compact(newest, physical));
    if (!physical) {
      ASSERT_EQ(returned.get_future().wait_for(kNever), std::future_status::ready);
    }
    const auto all = store->range({.range = all_keys()});
    ASSERT_TRUE(all);
    EXPECT_EQ(all->count, kKeys);
    // The last files are removed a moment later. Not after closing: then what was in the way is
    // gone.
    const auto give_up = std::chrono::steady_clock::now() + kNever;
    while (table_bytes(path) > kRounds / 4 * kCurrent &&
           std::chrono::steady_clock::now() < give_up) {
      std::this_thread::yield();
    }
    EXPECT_LE(table_bytes(path), kRounds / 4 * kCurrent);
    store.reset();
  }
}

TEST_F(Cost, CachesAndMemtablesShareOneBudget) {
  constexpr std::size_t kBudget = 16UL << 20;
  const auto database = embedded::open_database(
      {.path = path, .create_if_missing = true, .memory_budget_bytes = kBudget});
  ASSERT_TRUE(database) << database.error().message;
  rocksdb::DB& db = (*database)->db();
  ASSERT_TRUE(db.Put({}, "key", "value").ok());
  const auto memtables = db.GetDBOptions().write_buffer_manager;
  ASSERT_NE(memtables, nullptr);
  EXPECT_TRUE(memtables->enabled());
  EXPECT_TRUE(memtables->cost_to_cache());
  EXPECT_LE(memtables->buffer_size(), kBudget);
  std::set<const rocksdb::Cache*> caches;
  for (std::size_t i = 0; i < embedded::kFamilyCount; ++i) {
    const auto options = db.GetOptions((*database)->family(static_cast<embedded::Family>(i)));
    const auto* table = options.table_factory->GetOptions<rocksdb::BlockBasedTableOptions>();
    ASSERT_NE(table, nullptr);
    caches.insert(table->block_cache.get());
    EXPECT_TRUE(table->cache_index_and_filter_blocks) << "not beside the budget";
    EXPECT_LT(options.write_buffer_size, memtables->buffer_size());
  }
  ASSERT_EQ(caches.size(), 1U);
  const rocksdb::Cache* cache = *caches.begin();
  ASSERT_NE(cache, nullptr);
  EXPECT_EQ(cache->GetCapacity(), kBudget);
  EXPECT_GT(memtables->dummy_entries_in_cache_usage(), 0U);
  EXPECT_GE(cache->GetUsage(), memtables->dummy_entries_in_cache_usage());
  EXPECT_LE(EngineOptions{}.memory_budget_bytes, 64UL << 20) << "small by default";
}

}  // namespace
}  // namespace bennu::kv
