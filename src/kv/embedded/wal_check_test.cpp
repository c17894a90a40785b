#include "kv/embedded/wal_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "env/clock.hpp"
#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class WalCheckTest : public testing::Test {
 protected:
  // The log of a store that was given these values.
  std::string log_of(int puts, std::size_t value_bytes) {
    const env::TempDir dir;
    {
      const auto store = open_embedded({.path = dir.path() / "kv", .create_if_missing = true});
      EXPECT_TRUE(store) << store.error().message;
      for (int i = 0; i < puts; ++i) {
        EXPECT_TRUE(
            (*store)->put({.key = std::to_string(i), .value = std::string(value_bytes, 'v')}));
      }
    }
    for (const auto& entry : fs::directory_iterator(dir.path() / "kv")) {
      if (entry.path().extension() != ".log") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }
    ADD_FAILURE() << "there is no log";
    return {};
  }
  Result<WalCheck> check(const std::string& bytes) {
    const fs::path file = dir_.path() / "1.log";
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    return check_wal(file);
  }

  env::TempDir dir_;
};

TEST_F(WalCheckTest, RecordsOfManyBlocksAreWhole) {
  const auto found = check(log_of(5, 100'000));
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_FALSE(found->torn_at);
}

TEST_F(WalCheckTest, DamageIsSeenByWhatFollowsInALaterBlock) {
  const std::string good = log_of(5, 100'000);
  // Blocks without any beginning of a record lie between the damage and the next one.
  for (const std::size_t at : {33'000U, 66'000U, 140'000U, 300'000U}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    const auto found = check(bad);
    ASSERT_FALSE(found) << at;
    EXPECT_EQ(found.error().reason, reason::kCorrupt);
    EXPECT_THAT(found.error().message, HasSubstr("whole records follow"));
  }
}

TEST_F(WalCheckTest, AHoleInTheLastWriteIsCut) {
  const std::string good = log_of(2, 100'000);
  std::string torn = good;
  torn.replace(150'000 - 150'000 % 512, 4096, 4096, '\0');
  const auto found = check(torn);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_TRUE(found->torn_at);
  EXPECT_GT(*found->torn_at, 100'000U);
  EXPECT_LT(*found->torn_at, 110'000U);
}

TEST_F(WalCheckTest, AWriteThatIsCutOffIsCut) {
  const std::string good = log_of(2, 100'000);
  std::optional<std::uint64_t> start;
  // In a header, in data, and where a block of it ends.
  for (const std::size_t size : {good.size() - 1, std::size_t{200'000}, std::size_t{5 * 32768},
                                 std::size_t{5 * 32768 + 3}, std::size_t{110'000}}) {
    const auto found = check(good.substr(0, size));
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_TRUE(found->torn_at) << size;
    EXPECT_EQ(*found->torn_at, start.value_or(*found->torn_at)) << size;
    start = found->torn_at;
  }
  // A last write that is all there, but is not what was written, is left for RocksDB to refuse.
  std::string flipped = good;
  flipped[flipped.size() - 5] = 'w';
  const auto found = check(flipped);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_FALSE(found->torn_at);
}

// Bytes that could each begin a record must not make opening long.
TEST_F(WalCheckTest, BytesThatLookLikeRecordsAreSearchedInNoTime) {
  const auto begin = env::system_clock().monotonic();
  for (const char byte : {'\x01', '\x05'}) {
    const auto found = check(std::string(32UL << 20, byte));
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_FALSE(found->torn_at);
  }
  EXPECT_LT(env::system_clock().monotonic() - begin, std::chrono::seconds{10});
}

}  // namespace
}  // namespace bennu::kv::embedded
