// Many clients at once: no lost update, no revision twice, no read of half a transaction. And a
// store that is new.

#include <algorithm>
#include <set>
#include <thread>

#include <gmock/gmock.h>

#include "base/guarded.hpp"
#include "conformance.hpp"

namespace bennu::conformance {
namespace {

class ConcurrencyTest : public Conformance {};
class ConcurrencyTestNew : public Conformance {};

constexpr int kThreads = 4;

TEST_P(ConcurrencyTest, EveryWriteHasARevisionOfItsOwn) {
  constexpr int kPuts = 100;
  const auto before = revision();
  Guarded<std::set<std::int64_t>> seen;
  {
    std::vector<std::jthread> writers;
    for (int t = 0; t < kThreads; ++t) {
      writers.emplace_back([&, t] {
        Revision last;
        for (int i = 0; i < kPuts; ++i) {
          const auto at = put("t" + std::to_string(t), std::to_string(i));
          EXPECT_GT(at, last);
          last = at;
          EXPECT_TRUE(seen.lock()->insert(at.value).second);
        }
      });
    }
  }
  EXPECT_EQ(seen.lock()->size(), static_cast<std::size_t>(kThreads * kPuts));
  EXPECT_EQ(*seen.lock()->rbegin(), before.value + kThreads * kPuts) << "and none is left out";
}

TEST_P(ConcurrencyTest, NoUpdateIsLost) {
  constexpr int kIncrements = 40;
  put("counter", "0");
  {
    std::vector<std::jthread> clients;
    for (int t = 0; t < kThreads; ++t) {
      clients.emplace_back([&] {
        for (int done = 0; done < kIncrements;) {
          const auto now = get("counter");
          const auto unchanged = compare("counter", kv::CompareTarget::kModRevision,
                                         kv::CompareResult::kEqual, now->mod_revision.value);
          const auto response = value_of(store().txn(
              {.compares = {unchanged},
               .success = {op_put("counter", std::to_string(std::stoi(now->value) + 1))}}));
          if (response.succeeded) ++done;
        }
      });
    }
  }
  EXPECT_EQ(get("counter")->value, std::to_string(kThreads * kIncrements));
}

TEST_P(ConcurrencyTest, NobodyReadsHalfATransaction) {
  constexpr int kRounds = 200;
  value_of(store().txn({.success = {op_put("a", "0"), op_put("m", "0"), op_put("z", "0")}}));
  std::jthread writer([&](const std::stop_token&) {
    for (int i = 1; i <= kRounds; ++i) {
      const auto value = std::to_string(i);
      value_of(
          store().txn({.success = {op_put("a", value), op_put("m", value), op_put("z", value)}}));
    }
  });
  Revision last;
  for (bool done = false; !done;) {
    const auto response = range({.range = {.key = "a", .end = "zz"}});
    ASSERT_EQ(response.kvs.size(), 3U);
    ASSERT_EQ(response.kvs[0].value, response.kvs[1].value);
    ASSERT_EQ(response.kvs[0].value, response.kvs[2].value);
    ASSERT_GE(response.revision, last) << "time does not go back";
    last = response.revision;
    done = response.kvs[0].value == std::to_string(kRounds);
  }
}

TEST_P(ConcurrencyTest, AWriterReadsItsOwnWrite) {
  std::vector<std::jthread> clients;
  for (int t = 0; t < kThreads; ++t) {
    clients.emplace_back([&, t] {
      const std::string key = "t" + std::to_string(t);
      for (int i = 0; i < 50; ++i) {
        const auto at = put(key, std::to_string(i));
        const auto read = range({.range = {.key = key}});
        EXPECT_GE(read.revision, at);
        EXPECT_EQ(read.kvs.at(0).value, std::to_string(i));
      }
    });
  }
}

TEST_P(ConcurrencyTest, AnOldRevisionReadsTheSameWhileOthersWrite) {
  put_all({"a", "b", "c"});
  const auto old = revision();
  std::jthread writer([&] {
    for (int i = 0; i < 200; ++i) {
      put("b", std::to_string(i));
      put("d" + std::to_string(i), "new");
      erase("a");
    }
  });
  for (int i = 0; i < 200; ++i) {
    const auto response = range({.range = kv::all_keys(), .revision = old});
    ASSERT_EQ(keys_of(response.kvs), (std::vector<std::string>{"a", "b", "c"}));
    ASSERT_EQ(response.kvs[1].value, "b");
    ASSERT_EQ(response.count, 3);
  }
}

TEST_P(ConcurrencyTestNew, AStoreBeginsAtRevisionOne) {
  const auto opened = value_of(GetParam().fresh());
  auto& fresh = opened->store();
  const auto empty = value_of(fresh.range({.range = kv::all_keys()}));
  EXPECT_EQ(empty.revision, Revision{1});
  EXPECT_EQ(empty.count, 0);
  EXPECT_EQ(value_of(fresh.range({.range = {.key = "a"}, .revision = Revision{1}})).count, 0);
  EXPECT_TRUE(value_of(fresh.leases()).leases.empty());
  EXPECT_EQ(value_of(fresh.hash({})).compact_revision, Revision{});
  EXPECT_EQ(value_of(fresh.put({.key = "a", .value = "1"})).revision, Revision{2});
  const auto stream = value_of(fresh.watch());
  value_of(stream->create({.range = kv::all_keys(), .start_revision = Revision{1}}));
  EXPECT_EQ(next(*stream).kind, kv::WatchResponse::Kind::kCreated);
  EXPECT_EQ(events(*stream, 1)[0].kv.mod_revision, Revision{2});
  EXPECT_EQ(value_of(fresh.compact(Revision{1}, true)), Revision{2});
}

BENNU_CONFORMANCE(ConcurrencyTest);
BENNU_CONFORMANCE(ConcurrencyTestNew);

}  // namespace
}  // namespace bennu::conformance
