#include "kv/embedded/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <thread>

#include "env/temp_dir.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;

class Engine : public testing::Test {
 protected:
  Engine() { reopen(); }
  void reopen() {
    store.reset();
    auto opened = open_embedded({.path = dir.path() / "kv", .create_if_missing = true});
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  Revision put(std::string key, std::string value) {
    const auto done = store->put({.key = std::move(key), .value = std::move(value)});
    EXPECT_TRUE(done) << done.error().message;
    return done ? done->revision : Revision{};
  }
  std::string get(std::string key, Revision at = {}) {
    const auto found = store->range({.range = {.key = std::move(key), .end = {}}, .revision = at});
    EXPECT_TRUE(found);
    return found && !found->kvs.empty() ? found->kvs[0].value : "-";
  }
  std::vector<std::string> keys(KeyRange range, Revision at = {}) {
    std::vector<std::string> out;
    const auto done = store->scan(range, at, [&](KeyValue& kv) -> Status {
      out.push_back(kv.key);
      return {};
    });
    EXPECT_TRUE(done);
    return out;
  }

  env::TempDir dir;
  std::unique_ptr<Store> store;
};

TEST_F(Engine, ANewStoreIsAtRevisionOne) {
  const auto all = store->range({.range = all_keys()});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->revision, Revision{1});
  EXPECT_EQ(all->count, 0);
}

TEST_F(Engine, WritesAreThereAfterOpeningAgain) {
  EXPECT_EQ(put("a", "1"), Revision{2});
  EXPECT_EQ(put("b\0x"s, "2"), Revision{3});
  EXPECT_EQ(put("a", "3"), Revision{4});
  ASSERT_TRUE(store->delete_range({.range = {.key = "b\0x"s, .end = {}}}));
  reopen();
  const auto all = store->range({.range = all_keys()});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->revision, Revision{5});
  ASSERT_EQ(all->kvs.size(), 1U);
  EXPECT_EQ(all->kvs[0], (KeyValue{.key = "a",
                                   .create_revision = {2},
                                   .mod_revision = {4},
                                   .version = 2,
                                   .value = "3",
                                   .lease = {}}));
}

TEST_F(Engine, OldRevisionsStayReadable) {
  put("a", "1");
  put("a", "2");
  ASSERT_TRUE(store->delete_range({.range = {.key = "a", .end = {}}}));
  put("a", "4");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(get("a", {1}), "-");
    EXPECT_EQ(get("a", {2}), "1");
    EXPECT_EQ(get("a", {3}), "2");
    EXPECT_EQ(get("a", {4}), "-");
    EXPECT_EQ(get("a", {5}), "4");
    EXPECT_THAT(keys(all_keys(), {3}), ElementsAre("a"));
    EXPECT_THAT(keys(all_keys(), {4}), ElementsAre());
    reopen();
  }
  const auto future = store->range({.range = all_keys(), .revision = {6}});
  ASSERT_FALSE(future);
  EXPECT_EQ(future.error().reason, reason::kFutureRevision);
}

TEST_F(Engine, RangesEndWhereTheyShould) {
  for (const auto& key : {"a"s, "a\0"s, "a\0\0"s, "a/"s, "a/b"s, "a/c"s, "b"s, "\xff\xff"s})
    put(key, "v");
  EXPECT_THAT(keys({.key = "a", .end = "a/"}), ElementsAre("a"s, "a\0"s, "a\0\0"s));
  EXPECT_THAT(keys(prefix_range("a/")), ElementsAre("a/", "a/b", "a/c"));
  EXPECT_THAT(keys({.key = "a/b", .end = "\0"s}), ElementsAre("a/b", "a/c", "b", "\xff\xff"));
  EXPECT_THAT(keys({.key = "b", .end = "a"}), ElementsAre());
  EXPECT_EQ(keys(all_keys()).size(), 8U);
}

TEST_F(Engine, ATransactionIsOneRevisionAndSeesItsOwnWrites) {
  put("a", "1");
  const auto done = store->txn(
      {.compares = {{.range = {.key = "a", .end = {}},
                     .target = CompareTarget::kValue,
                     .value = "1"}},
       .success = {Op{PutRequest{.key = "b", .value = "2"}}, Op{RangeRequest{.range = all_keys()}},
                   Op{TxnRequest{.compares = {{.range = {.key = "b", .end = {}},
                                               .target = CompareTarget::kVersion,
                                               .number = 0}},
                                 .success = {Op{PutRequest{.key = "c", .value = "3"}}},
                                 .failure = {}}}},
       .failure = {}});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(done->succeeded);
  EXPECT_EQ(done->revision, Revision{3});
  const auto& range = std::get<RangeResponse>(done->responses[1].response);
  EXPECT_EQ(range.count, 2);
  EXPECT_EQ(range.revision, Revision{3});
  // A nested compare is judged by the state before the transaction.
  EXPECT_TRUE(std::get<TxnResponse>(done->responses[2].response).succeeded);
  EXPECT_EQ(get("c"), "3");
}

TEST_F(Engine, AFailedTransactionChangesNothing) {
  const auto done = store->txn({.compares = {},
                                .success = {Op{PutRequest{.key = "a", .value = "1"}},
                                            Op{PutRequest{.key = "b", .ignore_value = true}}},
                                .failure = {}});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, reason::kKeyNotFound);
  EXPECT_EQ(get("a"), "-");
  EXPECT_EQ(put("z", ""), Revision{2});
}

TEST_F(Engine, DeletingNothingIsNoRevision) {
  const auto done = store->delete_range({.range = {.key = "a", .end = {}}});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->revision, Revision{1});
  EXPECT_EQ(done->deleted, 0);
}

TEST_F(Engine, ManyWritersGetOneRevisionEach) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  std::vector<std::vector<std::int64_t>> revisions(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          const auto done =
              store->put({.key = "k" + std::to_string(i % 7), .value = std::to_string(t)});
          ASSERT_TRUE(done) << done.error().message;
          revisions[static_cast<std::size_t>(t)].push_back(done->revision.value);
        }
      });
    }
  }
  std::vector<std::int64_t> all;
  for (const auto& one : revisions) {
    EXPECT_TRUE(std::is_sorted(one.begin(), one.end()));
    all.insert(all.end(), one.begin(), one.end());
  }
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<std::int64_t>(i) + 2);
  const auto found = store->range({.range = prefix_range("k")});
  ASSERT_TRUE(found);
  std::int64_t versions = 0;
  for (const auto& kv : found->kvs) versions += kv.version;
  EXPECT_EQ(versions, kThreads * kEach);
}

TEST_F(Engine, AStagedTransactionIsOneRevision) {
  put("a", "1");
  put("b", "1");
  auto staged = store->stage();
  ASSERT_TRUE(staged);
  ASSERT_TRUE((*staged)->put("a", "2"));
  ASSERT_TRUE((*staged)->erase("b"));
  ASSERT_TRUE((*staged)->erase("never"));
  EXPECT_EQ(get("a"), "1");
  const auto done = (*staged)->commit({}, {Op{PutRequest{.key = "c", .value = "3"}}});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(*done, Revision{4});
  EXPECT_EQ(get("a"), "2");
  EXPECT_EQ(get("b"), "-");
  EXPECT_EQ(get("c"), "3");
}

TEST_F(Engine, AStagedTransactionStopsAtItsCompares) {
  put("a", "1");
  auto staged = store->stage();
  ASSERT_TRUE(staged);
  ASSERT_TRUE((*staged)->put("b", "2"));
  const auto done = (*staged)->commit({{.range = {.key = "a", .end = {}}, .number = 0}}, {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, reason::kStageConflict);
  EXPECT_EQ(get("b"), "-");
}

TEST_F(Engine, ALargeTransactionIsAnsweredLikeASmallOne) {
  TxnRequest request{.compares = {{.range = {.key = "none", .end = {}}, .number = 0}}};
  constexpr int kPuts = 10'001;
  for (int i = 0; i < kPuts; ++i) {
    request.success.push_back(Op{PutRequest{.key = "k" + std::to_string(i), .value = "v"}});
  }
  const auto done = store->txn(request);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(done->succeeded);
  EXPECT_EQ(done->revision, Revision{2});
  ASSERT_EQ(done->responses.size(), static_cast<std::size_t>(kPuts));
  EXPECT_EQ(std::get<PutResponse>(done->responses[7].response).revision, Revision{2});
  request.compares[0].number = 1;
  const auto refused = store->txn(request);
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_FALSE(refused->succeeded);
  EXPECT_EQ(refused->revision, Revision{2});
  const auto all = store->range({.range = all_keys(), .count_only = true});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->count, kPuts);
}

TEST_F(Engine, ASecondOpenIsRefused) {
  const auto second = open_embedded({.path = dir.path() / "kv"});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, reason::kLocked);
}

// Every file of a folder with its bytes.
std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path()] = {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  return files;
}

TEST_F(Engine, ASecondOpenTouchesNothingOfAStoreThatIsBeingWritten) {
  put("a", "1");
  // What the log of a store looks like in the middle of a write of zeros.
  for (const auto& [path, bytes] : files_of(dir.path() / "kv")) {
    if (path.ends_with(".log")) std::ofstream(path, std::ios::app) << std::string(5'000, '\0');
  }
  const auto before = files_of(dir.path() / "kv");
  for (const bool read_only : {false, true}) {
    const auto second = open_embedded({.path = dir.path() / "kv", .read_only = read_only});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().reason, reason::kLocked) << second.error().message;
    EXPECT_TRUE(files_of(dir.path() / "kv") == before);
  }
}

TEST_F(Engine, ManyOpensLeaveFewFiles) {
  put("a", "1");
  for (int i = 0; i < 30; ++i) reopen();
  EXPECT_LT(files_of(dir.path() / "kv").size(), 16U);
  for (int i = 0; i < 60; ++i) {
    put("k" + std::to_string(i % 7), "v");
    reopen();
  }
  // Logs below 8, tables below 8 in each family that is written to.
  EXPECT_LT(files_of(dir.path() / "kv").size(), 45U);
  const auto all = store->range({.range = all_keys()});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->count, 8);
  EXPECT_EQ(all->revision, Revision{62});
  EXPECT_EQ(get("k0", {4}), "v");
}

TEST_F(Engine, ManyMayReadAtATimeWhileNobodyWrites) {
  put("a", "1");
  store.reset();
  const auto one = open_embedded({.path = dir.path() / "kv", .read_only = true});
  const auto two = open_embedded({.path = dir.path() / "kv", .read_only = true});
  EXPECT_TRUE(one && two);
  const auto writing = open_embedded({.path = dir.path() / "kv"});
  ASSERT_FALSE(writing);
  EXPECT_EQ(writing.error().reason, reason::kLocked);
}

TEST_F(Engine, WithoutPermissionToCreateThereIsNoStore) {
  const auto missing = open_embedded({.path = dir.path() / "other"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, reason::kNoStore);
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "other"));
}

TEST_F(Engine, ReadingOnlyRefusesToWrite) {
  put("a", "1");
  store.reset();
  const auto reading = open_embedded({.path = dir.path() / "kv", .read_only = true});
  ASSERT_TRUE(reading) << reading.error().message;
  const auto found = (*reading)->range({.range = {.key = "a", .end = {}}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kvs.size(), 1U);
  const auto written = (*reading)->put({.key = "a", .value = "2"});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kFailedPrecondition);
}

TEST_F(Engine, ARestoredStoreStartsAboveWhatClientsRemember) {
  const auto restored = open_embedded({.path = dir.path() / "restored",
                                       .create_if_missing = true,
                                       .initial_revision = {1'000'000}});
  ASSERT_TRUE(restored);
  const auto done = (*restored)->put({.key = "a", .value = "1"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->revision, Revision{1'000'001});
  const auto old = (*restored)->range({.range = all_keys(), .revision = {17}});
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().reason, reason::kCompacted);
}

}  // namespace
}  // namespace bennu::kv
