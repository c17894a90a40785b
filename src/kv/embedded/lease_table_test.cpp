#include "kv/embedded/lease_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class FixedRandom final : public env::Random {
 public:
  std::string bytes(std::size_t count) override {
    std::string out(count, '\0');
    for (char& c : out) c = static_cast<char>(engine_());
    return out;
  }

 private:
  std::mt19937 engine_{7};  // NOLINT(cert-msc51-cpp): repeatable on purpose
};

// Lets tests jump in time; the tests of stalls take the default.
LeaseOptions without_stalls() { return {.max_tick_gap = std::chrono::hours{24 * 365}}; }

class LeaseTableTest : public testing::Test {
 protected:
  LeaseTable make(LeaseOptions options = without_stalls()) { return {clock_, random_, options}; }

  env::ManualClock clock_;
  FixedRandom random_;
};

TEST_F(LeaseTableTest, RaisesShortTtlsAndRefusesLongOnes) {
  auto table = make();
  for (const std::int64_t ttl_s : {std::int64_t{-5}, std::int64_t{0}, std::int64_t{1}}) {
    EXPECT_EQ(table.grant(LeaseId{}, ttl_s)->ttl_s, 2);
  }
  EXPECT_EQ(table.grant(LeaseId{}, 3)->ttl_s, 3);
  EXPECT_EQ(table.grant(LeaseId{}, 9'000'000'000)->ttl_s, 9'000'000'000);
  const auto refused = table.grant(LeaseId{}, 9'000'000'001);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kOutOfRange);
  EXPECT_EQ(refused.error().reason, reason::kLeaseTtlTooLarge);
}

TEST_F(LeaseTableTest, PicksPositiveIdsAndRefusesUsedOnes) {
  auto table = make();
  for (int i = 0; i < 1000; ++i) EXPECT_GT(table.grant(LeaseId{}, 5)->id.value, 0);
  EXPECT_EQ(table.ids().size(), 1000U);
  ASSERT_TRUE(table.grant(LeaseId{-3}, 5));
  const auto refused = table.grant(LeaseId{-3}, 5);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, reason::kLeaseExists);
}

TEST_F(LeaseTableTest, ExpiresWhenItsTimeIsOverAndStaysUntilTaken) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 10));
  ASSERT_TRUE(table.grant(LeaseId{2}, 5));
  clock_.advance(seconds{5} - nanoseconds{1});
  EXPECT_THAT(table.expired(9), IsEmpty());
  EXPECT_EQ(table.life(LeaseId{2})->remaining_s, 0);
  EXPECT_EQ(table.life(LeaseId{1})->remaining_s, 5);
  clock_.advance(nanoseconds{1});
  EXPECT_THAT(table.expired(9), ElementsAre(LeaseId{2}));
  EXPECT_THAT(table.expired(9), ElementsAre(LeaseId{2}));
  EXPECT_FALSE(table.keep_alive(LeaseId{2}));
  clock_.advance(seconds{5});
  EXPECT_THAT(table.expired(9), ElementsAre(LeaseId{2}, LeaseId{1}));
  EXPECT_THAT(table.expired(1), ElementsAre(LeaseId{2}));
  ASSERT_TRUE(table.take(LeaseId{2}));
  EXPECT_FALSE(table.contains(LeaseId{2}));
  EXPECT_EQ(table.take(LeaseId{2}).error().reason, reason::kLeaseNotFound);
  EXPECT_EQ(table.life(LeaseId{2}), std::nullopt);
}

TEST_F(LeaseTableTest, KeepAliveStartsTheTimeAnew) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 10));
  clock_.advance(seconds{9});
  const auto kept = table.keep_alive(LeaseId{1});
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->ttl_s, 10);
  EXPECT_EQ(kept->write_first, std::nullopt);
  clock_.advance(seconds{9});
  EXPECT_THAT(table.expired(9), IsEmpty());
  EXPECT_EQ(table.keep_alive(LeaseId{7}).error().reason, reason::kLeaseNotFound);
}

TEST_F(LeaseTableTest, ALeaseKeptAliveMeanwhileIsNotExpired) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 10));
  EXPECT_EQ(table.take_expired(LeaseId{1}).error().reason, reason::kLeaseNotFound);
  EXPECT_TRUE(table.contains(LeaseId{1}));
  clock_.advance(seconds{10});
  EXPECT_TRUE(table.take_expired(LeaseId{1}));
  EXPECT_FALSE(table.contains(LeaseId{1}));
}

TEST_F(LeaseTableTest, ARevocationThatCouldNotBeWrittenIsUndone) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 100));
  clock_.advance(seconds{61});
  ASSERT_THAT(table.checkpoints(9), ElementsAre(LeaseRecord{LeaseId{1}, 100, 39}));
  const auto taken = table.take(LeaseId{1});
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->record, (LeaseRecord{LeaseId{1}, 100, 39}));
  table.put_back(*taken);
  EXPECT_EQ(table.life(LeaseId{1})->remaining_s, 39);
  EXPECT_TRUE(table.keep_alive(LeaseId{1})->write_first);
}

TEST_F(LeaseTableTest, CheckpointsEveryMinuteRoundedUp) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 200));
  ASSERT_TRUE(table.grant(LeaseId{2}, 60));  // ends before a checkpoint would help
  clock_.advance(seconds{60} - nanoseconds{1});
  EXPECT_FALSE(table.checkpoint_due());
  EXPECT_THAT(table.checkpoints(9), IsEmpty());
  clock_.advance(milliseconds{500});
  EXPECT_TRUE(table.checkpoint_due());
  EXPECT_THAT(table.checkpoints(9), ElementsAre(LeaseRecord{LeaseId{1}, 200, 140}));
  EXPECT_THAT(table.checkpoints(9), IsEmpty());
  clock_.advance(seconds{60});
  EXPECT_THAT(table.checkpoints(9), ElementsAre(LeaseRecord{LeaseId{1}, 200, 80}));
}

TEST_F(LeaseTableTest, ManyCheckpointsComeInPortions) {
  auto table = make();
  for (int i = 1; i <= 10; ++i) ASSERT_TRUE(table.grant(LeaseId{i}, 1000));
  clock_.advance(seconds{60});
  EXPECT_EQ(table.checkpoints(7).size(), 7U);
  EXPECT_EQ(table.checkpoints(7).size(), 3U);
  EXPECT_EQ(table.checkpoints(7).size(), 0U);
}

TEST_F(LeaseTableTest, AKeptLeaseWithoutCheckpointWritesNone) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 100));
  clock_.advance(seconds{60});
  ASSERT_TRUE(table.keep_alive(LeaseId{1}));
  EXPECT_THAT(table.checkpoints(9), IsEmpty());
}

TEST_F(LeaseTableTest, KeepAliveOfACheckpointedLeaseMustBeWrittenFirst) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 100));
  clock_.advance(seconds{60});
  ASSERT_EQ(table.checkpoints(9).size(), 1U);
  const auto first = table.keep_alive(LeaseId{1});
  EXPECT_EQ(first->write_first, (LeaseRecord{LeaseId{1}, 100, 0}));
  // Another one before the first is durable must not be answered from memory.
  const auto second = table.keep_alive(LeaseId{1});
  EXPECT_TRUE(second->write_first);
  table.cleared(LeaseId{1}, first->token);
  EXPECT_FALSE(table.keep_alive(LeaseId{1})->write_first);
}

TEST_F(LeaseTableTest, ClearingDoesNotHideANewerCheckpoint) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 1000));
  clock_.advance(seconds{60});
  ASSERT_EQ(table.checkpoints(9).size(), 1U);
  const auto kept = table.keep_alive(LeaseId{1});
  clock_.advance(seconds{60});
  ASSERT_EQ(table.checkpoints(9).size(), 1U);
  table.cleared(LeaseId{1}, kept->token);
  EXPECT_TRUE(table.keep_alive(LeaseId{1})->write_first);
}

TEST_F(LeaseTableTest, RestoresWhatIsLeftAndDownTimeDoesNotCount) {
  std::vector<LeaseRecord> disk;
  {
    auto table = make();
    disk.push_back(*table.grant(LeaseId{1}, 100));
    disk.push_back(*table.grant(LeaseId{2}, 100));
    clock_.advance(milliseconds{30'500});
    ASSERT_TRUE(table.keep_alive(LeaseId{2}));
    disk = table.final_checkpoints();
    EXPECT_THAT(disk, ElementsAre(LeaseRecord{LeaseId{1}, 100, 70}));
    disk.push_back(LeaseRecord{LeaseId{2}, 100, 0});
  }
  clock_.advance(std::chrono::hours{5});
  auto table = make();
  table.restore(disk);
  EXPECT_EQ(table.life(LeaseId{1})->remaining_s, 70);
  EXPECT_EQ(table.life(LeaseId{1})->granted_ttl_s, 100);
  EXPECT_EQ(table.life(LeaseId{2})->remaining_s, 100);
  EXPECT_THAT(table.ids(), ElementsAre(LeaseId{1}, LeaseId{2}));
  // The checkpoint on disk is still there, so a renewal has to clear it.
  EXPECT_TRUE(table.keep_alive(LeaseId{1})->write_first);
}

TEST_F(LeaseTableTest, AnExpiredLeaseHasASecondLeftAfterAStop) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, 5));
  clock_.advance(seconds{9});
  EXPECT_THAT(table.final_checkpoints(), ElementsAre(LeaseRecord{LeaseId{1}, 5, 1}));
}

TEST_F(LeaseTableTest, AStallIsNotTheClientsFault) {
  auto table = make({});
  ASSERT_TRUE(table.grant(LeaseId{1}, 10));
  for (int i = 0; i < 4; ++i) {
    clock_.advance(seconds{1});
    table.tick();
  }
  clock_.advance(std::chrono::hours{1});  // SIGSTOP
  EXPECT_EQ(table.life(LeaseId{1})->remaining_s, 5);
  ASSERT_TRUE(table.keep_alive(LeaseId{1}));
  table.tick();
  EXPECT_EQ(table.life(LeaseId{1})->remaining_s, 10);
  clock_.advance(seconds{1});
  EXPECT_EQ(table.life(LeaseId{1})->remaining_s, 9);
}

TEST_F(LeaseTableTest, TimeWithoutLeasesNeedsNoTicks) {
  auto table = make({});
  EXPECT_EQ(table.tick(), nanoseconds::max());
  clock_.advance(std::chrono::hours{1});
  ASSERT_TRUE(table.grant(LeaseId{1}, 10));
  clock_.advance(milliseconds{400});
  EXPECT_EQ(table.life(LeaseId{1})->remaining_s, 9);
}

TEST_F(LeaseTableTest, TickSaysWhenSomethingIsDue) {
  auto table = make({});
  ASSERT_TRUE(table.grant(LeaseId{1}, 2));
  EXPECT_EQ(table.tick(), milliseconds{500});
  clock_.advance(milliseconds{900});
  table.tick();
  clock_.advance(milliseconds{900});
  EXPECT_EQ(table.tick(), milliseconds{200});
  clock_.advance(milliseconds{200});
  EXPECT_EQ(table.tick(), nanoseconds{0});
  EXPECT_THAT(table.expired(9), ElementsAre(LeaseId{1}));
}

TEST_F(LeaseTableTest, TheLongestLeaseDoesNotOverflow) {
  auto table = make();
  ASSERT_TRUE(table.grant(LeaseId{1}, LeaseTable::kMaxTtlSeconds));
  clock_.advance(std::chrono::hours{24 * 300});
  ASSERT_TRUE(table.keep_alive(LeaseId{1}));
  EXPECT_EQ(table.life(LeaseId{1})->remaining_s, LeaseTable::kMaxTtlSeconds);
  EXPECT_THAT(table.expired(9), IsEmpty());
}

// A disk that keeps what was written in order, and clients that are answered later than that.
class CrashRun {
 public:
  CrashRun(env::ManualClock& clock, env::Random& random, unsigned seed)
      : clock_(clock), random_(random), engine_(seed) {
    restart();
  }

  void step() {
    clock_.advance(milliseconds{pick(20'000)});
    const LeaseId id{1 + pick(4)};
    switch (pick(7)) {
      case 0:
        if (const auto made = table_->grant(id, 30 + pick(300))) {
          disk_[id] = *made;
          answer(id, made->ttl_s);
        }
        break;
      case 1:
        if (const auto kept = table_->keep_alive(id)) {
          if (kept->write_first) {
            renewals_.push_back({*kept->write_first, kept->token, clock_.monotonic()});
          } else {
            answer(id, kept->ttl_s);
          }
        }
        break;
      case 2:
        write_renewals();
        break;
      case 3:
        answer_renewals();
        break;
      case 4:
        write_renewals();
        for (const LeaseRecord& record : table_->checkpoints(10)) disk_[record.id] = record;
        break;
      case 5:
        for (const LeaseId over : table_->expired(10)) {
          ASSERT_TRUE(table_->take(over));
          disk_.erase(over);
          answered_.erase(over);
        }
        break;
      default:
        if (pick(8) == 0) crash();
    }
  }

  int crashes = 0;

 private:
  struct Renewal {
    LeaseRecord record;
    std::uint64_t token = 0;
    nanoseconds time{};
    bool written = false;
  };

  int pick(int n) { return static_cast<int>(engine_() % static_cast<unsigned>(n)); }
  void answer(LeaseId id, std::int64_t ttl_s) {
    answered_[id] = clock_.monotonic() + seconds{ttl_s};
  }

  void write_renewals() {
    for (Renewal& renewal : renewals_) {
      if (!renewal.written && disk_.contains(renewal.record.id))
        disk_[renewal.record.id] = renewal.record;
      renewal.written = true;
    }
  }

  void answer_renewals() {
    write_renewals();
    for (const Renewal& renewal : renewals_) {
      table_->cleared(renewal.record.id, renewal.token);
      auto& until = answered_[renewal.record.id];
      until = std::max(until, renewal.time + seconds{renewal.record.ttl_s});
    }
    renewals_.clear();
  }

  void crash() {
    ++crashes;
    renewals_.clear();
    restart();
    for (const auto& [id, until] : answered_) {
      if (!table_->contains(id)) continue;
      EXPECT_GE(seconds{table_->life(id)->remaining_s},
                std::chrono::floor<seconds>(until - clock_.monotonic()));
    }
    answered_.clear();  // from here on the restored time counts, which the table itself tells
    for (const LeaseId id : table_->ids()) answer(id, table_->life(id)->remaining_s);
  }

  void restart() {
    std::vector<LeaseRecord> records;
    for (const auto& [id, record] : disk_) records.push_back(record);
    table_ = std::make_unique<LeaseTable>(clock_, random_, without_stalls());
    table_->restore(records);
  }

  env::ManualClock& clock_;
  env::Random& random_;
  std::mt19937 engine_;
  std::map<LeaseId, LeaseRecord> disk_;
  std::unique_ptr<LeaseTable> table_;
  std::map<LeaseId, nanoseconds> answered_;  // until when a client may rely on the lease
  std::vector<Renewal> renewals_;
};

TEST_F(LeaseTableTest, ACrashNeverShortensALease) {
  int crashes = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    CrashRun run(clock_, random_, seed);
    for (int step = 0; step < 300; ++step) ASSERT_NO_FATAL_FAILURE(run.step());
    crashes += run.crashes;
  }
  EXPECT_GT(crashes, 500);
}

}  // namespace
}  // namespace bennu::kv::embedded
