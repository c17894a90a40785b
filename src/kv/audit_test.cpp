#include "kv/audit.hpp"

#include <gtest/gtest.h>

namespace bennu::kv {
namespace {

using namespace std::chrono_literals;

class CountingRandom final : public env::Random {
 public:
  std::string bytes(std::size_t count) override { return std::string(count, next_++); }

 private:
  char next_ = 1;
};

AuditContext context() {
  return {.actor = {.name = "Ana", .email = "ana@example.org"},
          .reason = "ticket 12",
          .request_id = "r-1",
          .node = "core-1"};
}

TEST(Audit, RoundTrips) {
  const AuditEntry entry{.actor = {.name = "Ana \"A\"", .email = "ana@example.org"},
                         .time = "2026-01-02T03:04:05Z",
                         .node = "n",
                         .reason = "née\nline",
                         .request_id = "r",
                         .op = "user.add",
                         .summary = "user add anna"};
  const auto parsed = parse_audit(to_json(entry));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(*parsed, entry);
}

TEST(Audit, OpCarriesEverythingUnderThePrefix) {
  env::ManualClock clock;
  CountingRandom random;
  const Op op = audit_op(context(), "user.add", "user add anna", clock, random);
  const auto& put = std::get<PutRequest>(op.request);
  EXPECT_EQ(put.key, "/_bennu/local/audit/00001700000000000000-0101010101010101");
  const auto entry = parse_audit(put.value);
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->actor, context().actor);
  EXPECT_EQ(entry->time, "2023-11-14T22:13:20Z");
  EXPECT_EQ(entry->reason, "ticket 12");
  EXPECT_EQ(entry->request_id, "r-1");
  EXPECT_EQ(entry->node, "core-1");
  EXPECT_EQ(entry->op, "user.add");
  EXPECT_EQ(entry->summary, "user add anna");
}

TEST(Audit, KeysSortByTimeAndNeverRepeat) {
  env::ManualClock clock;
  CountingRandom random;
  const auto key = [&] {
    return std::get<PutRequest>(audit_op(context(), "kv.put", "", clock, random).request).key;
  };
  const std::string first = key();
  const std::string same_time = key();
  clock.advance(1s);
  const std::string later = key();
  EXPECT_NE(first, same_time);
  EXPECT_LT(first, later);
  EXPECT_LT(same_time, later);
}

TEST(Audit, BadBytesBecomeReplacementCharacters) {
  AuditEntry entry;
  entry.reason = "a\xff";
  const auto parsed = parse_audit(to_json(entry));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->reason, "a\xef\xbf\xbd");
}

TEST(Audit, RefusesWhatIsNoRecord) {
  EXPECT_FALSE(parse_audit("").has_value());
  EXPECT_FALSE(parse_audit("[]").has_value());
  EXPECT_FALSE(parse_audit(R"({"time":5})").has_value());
  EXPECT_TRUE(parse_audit(R"({"later_field":5})").has_value());
}

TEST(Audit, ParsesActors) {
  EXPECT_EQ(parse_actor("Ana <ana@example.org>").value(), (Actor{"Ana", "ana@example.org"}));
  EXPECT_EQ(parse_actor("  Ana B  ").value(), (Actor{"Ana B", ""}));
  EXPECT_EQ(parse_actor("Ana <>").value(), (Actor{"Ana", ""}));
  for (const char* bad : {"", "<a@b.c>", "Ana <a@b", "Ana <a>b>", "A\nB", "Ana> <a@b>", "\xff"}) {
    EXPECT_FALSE(parse_actor(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace bennu::kv
