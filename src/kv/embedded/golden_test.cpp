// A store as format 1 was first released, in tests/golden/store/: every later version must open a
// copy of it and read the same. Once there is a release these files never change; a new format adds
// its own. They are made by
//   BENNU_GOLDEN_MAKE=FOLDER bennu_kv_embedded_test --gtest_filter=GoldenStore.DISABLED_Make
//       --gtest_also_run_disabled_tests
// which leaves format-1.tar.gz and format-1.txt (what is in it) in that folder.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/bytes.hpp"
#include "env/process.hpp"
#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"

namespace bennu::kv {
namespace {

using namespace std::string_literals;
namespace fs = std::filesystem;

const fs::path kGolden = BENNU_GOLDEN_DIR;

std::string line_of(const KeyValue& kv) {
  return fmt::format("{} = {} create {} mod {} version {} lease {}\n",
                     printable(kv.key, kv.key.size()), printable(kv.value, kv.value.size()),
                     kv.create_revision.value, kv.mod_revision.value, kv.version, kv.lease.value);
}

std::string counts_of(Store& store) {
  std::string text;
  for (const char* prefix : {"", "a", "k", "k1", "s/", "s/2"}) {
    const auto found = store.range({.range = prefix_range(prefix), .count_only = true});
    text += fmt::format("count of {}*: {}\n", prefix, found ? found->count : -1);
  }
  return text;
}

std::string leases_of(Store& store) {
  std::string text;
  const auto leases = store.leases();
  if (!leases) return leases.error().message;
  for (const LeaseId id : leases->leases) {
    const auto life = store.lease_time_to_live(id, true);
    if (!life) return life.error().message;
    text += fmt::format("lease {} of {} s:", id.value, life->granted_ttl_s);
    for (const std::string& key : life->keys) text += " " + printable(key);
    text += "\n";
  }
  return text;
}

// Every change since a revision, as a watch sees it.
std::string changes_since(Store& store, Revision from, Revision to) {
  auto stream = store.watch();
  if (!stream) return stream.error().message;
  const auto watch =
      (*stream)->create({.range = all_keys(), .start_revision = from, .prev_kv = true});
  if (!watch) return watch.error().message;
  std::string text;
  for (Revision seen; seen < to;) {
    const auto next = (*stream)->next(std::chrono::seconds{20});
    if (!next || !*next) return "the watch says nothing";
    for (const Event& event : (*next)->events) {
      text += (event.type == EventType::kPut ? "put " : "delete ") + line_of(event.kv);
      for (const KeyValue& before : event.prev_kv) text += "  was " + line_of(before);
      seen = event.kv.mod_revision;
    }
  }
  return text;
}

// Everything that can be read of a store.
std::string describe(Store& store) {
  const auto hash = store.hash({});
  if (!hash) return hash.error().message;
  std::string text = fmt::format("newest revision {}, compacted to {}, hash {:016x}\n",
                                 hash->revision.value, hash->compact_revision.value, hash->hash);
  text += counts_of(store) + leases_of(store);
  for (Revision at = hash->compact_revision; at <= hash->revision; at = at.next()) {
    text += fmt::format("\nat {}\n", at.value);
    const auto done = store.scan(all_keys(), at, [&](KeyValue& kv) -> Status {
      text += line_of(kv);
      return {};
    });
    if (!done) text += done.error().message + "\n";
  }
  return text + "\nchanges\n" + changes_since(store, hash->compact_revision, hash->revision);
}

Result<std::unique_ptr<Store>> open_at(const fs::path& path, bool read_only = false) {
  EngineOptions options{.path = path, .create_if_missing = !read_only, .read_only = read_only};
  options.test_hooks.stage_spill_changes = 10;
  return open_embedded(options);
}

void expect_done(const auto& result) { ASSERT_TRUE(result) << result.error().message; }

void put(Store& store, std::string key, std::string value, LeaseId lease = {}) {
  expect_done(store.put({.key = std::move(key), .value = std::move(value), .lease = lease}));
}

void stage(Store& store, int from, int to) {
  auto staged = store.stage();
  expect_done(staged);
  for (int i = from; i < to; ++i) {
    const std::string key = fmt::format("s/{:02}", i);
    expect_done(i % 4 == 3 ? (*staged)->erase(key)
                           : (*staged)->put(key, fmt::format("{}.{}", from, i)));
  }
  expect_done((*staged)->commit({}, {Op{PutRequest{.key = "a", .value = "with a stage"}}}));
}

// Something of everything that has bytes of its own on disk: tables and logs, old versions,
// tombstones, several changes of a key in one revision, stages one over the other, leases.
void fill(const fs::path& path) {
  {
    const auto store = open_at(path);
    expect_done(store);
    for (int i = 0; i < 3; ++i) put(**store, "a", fmt::format("old {}", i));
    put(**store, "nul\0and\xff"s, "\0\n\xff"s);
    stage(**store, 0, 20);
    expect_done((*store)->compact({3}, true));
    stage(**store, 10, 30);
    put(**store, "s/11", "after the stages");
  }
  const auto store = open_at(path);
  expect_done(store);
  expect_done((*store)->lease_grant({.id = {7}, .ttl_s = 5'000'000}));
  expect_done((*store)->lease_grant({.id = {8}, .ttl_s = 6'000'000}));
  put(**store, "k1", "leased", {7});
  put(**store, "k2", "leased", {7});
  put(**store, "k2", "leased otherwise", {8});
  put(**store, "gone", "soon");
  expect_done((*store)->delete_range({.range = {.key = "gone", .end = {}}}));
  const Op put_it{PutRequest{.key = "k3", .value = "first"}};
  const Op delete_it{DeleteRangeRequest{.range = {.key = "k3", .end = {}}}};
  expect_done((*store)->txn(
      {.compares = {},
       .success = {Op{TxnRequest{.success = {put_it}}}, Op{TxnRequest{.success = {delete_it}}}},
       .failure = {}}));
  put(**store, "a", std::string(3000, 'z'));
}

void run(const std::vector<std::string>& argv) {
  const auto done = env::run({.argv = argv});
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_EQ(done->status, 0) << done->error_output;
}

TEST(GoldenStore, DISABLED_Make) {
  const char* const folder = std::getenv("BENNU_GOLDEN_MAKE");
  if (folder == nullptr) GTEST_SKIP() << "BENNU_GOLDEN_MAKE names no folder";
  const env::TempDir dir;
  fill(dir.path() / "kv");
  run({"tar", "-C", dir.path(), "--owner=0", "--group=0", "--exclude=OPTIONS-*", "-czf",
       fs::path(folder) / "format-1.tar.gz", "kv"});
  const auto store = open_at(dir.path() / "kv");
  expect_done(store);
  std::ofstream(fs::path(folder) / "format-1.txt") << describe(**store);
}

TEST(GoldenStore, OfFormat1IsReadWholeAndGoesOn) {
  std::ifstream in(kGolden / "format-1.txt");
  const std::string expected((std::istreambuf_iterator<char>(in)),
                             std::istreambuf_iterator<char>());
  ASSERT_FALSE(expected.empty());
  const env::TempDir dir;
  run({"tar", "-C", dir.path(), "-xzf", kGolden / "format-1.tar.gz"});
  for (const bool read_only : {true, false, false}) {
    const auto store = open_at(dir.path() / "kv", read_only);
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ(describe(**store), expected);
  }
  const auto store = open_at(dir.path() / "kv");
  ASSERT_TRUE(store) << store.error().message;
  const auto next = (*store)->put({.key = "next", .value = "v", .lease = {8}});
  ASSERT_TRUE(next) << next.error().message;
  const auto revoked = (*store)->lease_revoke({8});
  ASSERT_TRUE(revoked);
  EXPECT_EQ(*revoked, next->revision.next());
  EXPECT_EQ(leases_of(**store), "lease 7 of 5000000 s: k1\n");
}

}  // namespace
}  // namespace bennu::kv
