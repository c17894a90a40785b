#include "env/clock.hpp"

#include <gtest/gtest.h>

namespace bennu::env {
namespace {

TEST(Clock, Rfc3339RoundTrips) {
  const auto time = parse_rfc3339("2026-02-28T23:59:59Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(to_rfc3339(*time), "2026-02-28T23:59:59Z");
  EXPECT_EQ(parse_rfc3339("2026-03-01T01:59:59+02:00"), time);
  EXPECT_EQ(parse_rfc3339("2026-02-28T23:59:59.25Z"), *time + std::chrono::microseconds{250'000});
}

TEST(Clock, Rfc3339RefusesWhatIsMalformed) {
  for (const char* bad :
       {"", "2026-02-30T00:00:00Z", "2026-02-28", "2026-02-28T24:00:00Z", "2026-02-28T00:00:00",
        "2026-02-28T00:00:00Zx", "2026-02-28T00:00:00.Z", "-026-02-28T00:00:00Z"}) {
    EXPECT_EQ(parse_rfc3339(bad), std::nullopt) << bad;
  }
}

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock;
  const auto before = clock.monotonic();
  clock.advance(std::chrono::seconds{3});
  EXPECT_EQ(clock.monotonic() - before, std::chrono::seconds{3});
}

}  // namespace
}  // namespace bennu::env
