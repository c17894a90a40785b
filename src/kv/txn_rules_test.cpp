#include "kv/txn_rules.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv {
namespace {

Op put(std::string key) { return Op{PutRequest{.key = std::move(key), .value = "v"}}; }
Op del(std::string key, std::string end = "") {
  return Op{DeleteRangeRequest{.range = {.key = std::move(key), .end = std::move(end)}}};
}
Op nested(std::vector<Op> success, std::vector<Op> failure = {}) {
  return Op{
      TxnRequest{.compares = {}, .success = std::move(success), .failure = std::move(failure)}};
}

Reason reason_of(const Status& status) { return status ? Reason{} : status.error().reason; }
Reason check(std::vector<Op> success, std::vector<Op> failure = {}) {
  return reason_of(validate(
      TxnRequest{.compares = {}, .success = std::move(success), .failure = std::move(failure)}));
}

TEST(TxnRules, PutRefusesWhatEtcdRefuses) {
  EXPECT_EQ(reason_of(validate(PutRequest{.key = ""})), reason::kEmptyKey);
  EXPECT_EQ(reason_of(validate(PutRequest{.key = "k", .value = "v", .ignore_value = true})),
            reason::kValueProvided);
  EXPECT_EQ(reason_of(validate(PutRequest{.key = "k", .lease = LeaseId{7}, .ignore_lease = true})),
            reason::kLeaseProvided);
  EXPECT_TRUE(validate(PutRequest{.key = "k"}));
}

TEST(TxnRules, LimitsAreInclusive) {
  EXPECT_TRUE(validate(PutRequest{.key = std::string(limits::kMaxKeyBytes, 'k')}));
  EXPECT_EQ(reason_of(validate(PutRequest{.key = std::string(limits::kMaxKeyBytes + 1, 'k')})),
            reason::kTooLarge);
  EXPECT_TRUE(validate(PutRequest{.key = "k", .value = std::string(limits::kMaxValueBytes, 'v')}));
  EXPECT_EQ(reason_of(validate(
                PutRequest{.key = "k", .value = std::string(limits::kMaxValueBytes + 1, 'v')})),
            reason::kTooLarge);
}

TEST(TxnRules, OnlyWhatIsStoredIsBounded) {
  const std::string over(2 * limits::kMaxKeyBytes, 'k');
  EXPECT_TRUE(validate(RangeRequest{.range = {.key = over, .end = over}}));
  EXPECT_TRUE(validate(DeleteRangeRequest{.range = {.key = over, .end = {}}}));
}

TEST(TxnRules, EmptyKeysAreRefusedAtAnyDepth) {
  EXPECT_EQ(check({nested({}, {nested({del("")})})}), reason::kEmptyKey);
  EXPECT_EQ(reason_of(validate(TxnRequest{.compares = {Compare{}}, .success = {}, .failure = {}})),
            reason::kEmptyKey);
}

TEST(TxnRules, TwoPutsOfOneKeyAreADuplicate) {
  EXPECT_EQ(check({put("a"), put("a")}), reason::kDuplicateKey);
  EXPECT_EQ(check({}, {put("a"), put("a")}), reason::kDuplicateKey);
  EXPECT_EQ(check({put("a")}, {put("a")}), Reason{});
  EXPECT_EQ(check({put("a"), nested({put("a")})}), reason::kDuplicateKey);
  EXPECT_EQ(check({nested({put("a")}), nested({put("a")})}), reason::kDuplicateKey);
  EXPECT_EQ(check({nested({put("a")}, {put("a")})}), Reason{});
}

TEST(TxnRules, APutInADeletedRangeIsADuplicate) {
  EXPECT_EQ(check({put("b"), del("a", "c")}), reason::kDuplicateKey);
  EXPECT_EQ(check({put("c"), del("a", "c")}), Reason{});
  EXPECT_EQ(check({put("a"), del("a")}), reason::kDuplicateKey);
  EXPECT_EQ(check({put("b"), nested({del("a", "c")})}), reason::kDuplicateKey);
  EXPECT_EQ(check({nested({put("b")}), del("a", "c")}), reason::kDuplicateKey);
  EXPECT_EQ(check({nested({del("b")}), nested({put("b")})}), reason::kDuplicateKey);
}

TEST(TxnRules, OverlapsThatEtcdAllows) {
  EXPECT_EQ(check({del("a", "c"), del("b", "d")}), Reason{});
  EXPECT_EQ(check({nested({put("b")}), nested({del("b")})}), Reason{});
  EXPECT_EQ(check({put("b"), del("a", std::string(1, '\0'))}), Reason{});
}

TEST(TxnRules, ReadOnlyLooksIntoNestedBranches) {
  EXPECT_TRUE(
      is_read_only(TxnRequest{.compares = {}, .success = {Op{RangeRequest{}}}, .failure = {}}));
  EXPECT_FALSE(
      is_read_only(TxnRequest{.compares = {}, .success = {}, .failure = {nested({}, {del("a")})}}));
}

TEST(TxnRules, ComparesWithoutAKeyUseZeros) {
  const Compare absent{.range = {.key = "a"}, .target = CompareTarget::kCreateRevision};
  EXPECT_TRUE(compare_holds(absent, {}));
  EXPECT_FALSE(compare_holds(Compare{.range = {.key = "a"}, .target = CompareTarget::kValue}, {}));
  EXPECT_FALSE(compare_holds(Compare{.range = {.key = "a", .end = "b"},
                                     .target = CompareTarget::kVersion,
                                     .result = CompareResult::kGreater},
                             {}));
}

TEST(TxnRules, ComparesHoldForEveryKeyOfTheRange) {
  const std::vector<KeyValue> found = {
      {.key = "a", .create_revision = {2}, .mod_revision = {5}, .version = 2, .value = "x"},
      {.key = "b", .create_revision = {3}, .mod_revision = {3}, .version = 1, .value = "y"}};
  const auto holds = [&](CompareTarget target, CompareResult result, std::int64_t number,
                         std::string value = "") {
    return compare_holds(Compare{.range = {.key = "a", .end = "c"},
                                 .target = target,
                                 .result = result,
                                 .number = number,
                                 .value = std::move(value)},
                         found);
  };
  EXPECT_TRUE(holds(CompareTarget::kVersion, CompareResult::kGreater, 0));
  EXPECT_FALSE(holds(CompareTarget::kVersion, CompareResult::kGreater, 1));
  EXPECT_TRUE(holds(CompareTarget::kModRevision, CompareResult::kLess, 6));
  EXPECT_FALSE(holds(CompareTarget::kModRevision, CompareResult::kLess, 5));
  EXPECT_TRUE(holds(CompareTarget::kLease, CompareResult::kEqual, 0));
  EXPECT_TRUE(holds(CompareTarget::kValue, CompareResult::kGreater, 0, "w"));
  EXPECT_TRUE(holds(CompareTarget::kValue, CompareResult::kNotEqual, 0, "z"));
  EXPECT_FALSE(holds(CompareTarget::kCreateRevision, CompareResult::kNotEqual, 3));
}

}  // namespace
}  // namespace bennu::kv
