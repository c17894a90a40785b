// Compares: every target with every result, on keys present and absent, and on ranges.

#include <gmock/gmock.h>

#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using kv::CompareResult;
using kv::CompareTarget;

class CompareTest : public Conformance {
 protected:
  bool holds(const kv::Compare& condition) {
    return value_of(store().txn({.compares = {condition}})).succeeded;
  }
  /// All four results against a number below, equal to and above the actual one.
  void expect_ordered(const kv::KeyRange& range, CompareTarget target, std::int64_t actual) {
    for (const std::int64_t operand : {actual - 1, actual, actual + 1}) {
      SCOPED_TRACE(testing::Message() << "target " << static_cast<int>(target) << ", actual "
                                      << actual << " against " << operand);
      const auto result = [&](CompareResult wanted) {
        return holds({.range = range, .target = target, .result = wanted, .number = operand});
      };
      EXPECT_EQ(result(CompareResult::kEqual), actual == operand);
      EXPECT_EQ(result(CompareResult::kNotEqual), actual != operand);
      EXPECT_EQ(result(CompareResult::kGreater), actual > operand);
      EXPECT_EQ(result(CompareResult::kLess), actual < operand);
    }
  }
};

constexpr std::initializer_list<CompareTarget> kNumbers = {
    CompareTarget::kVersion, CompareTarget::kCreateRevision, CompareTarget::kModRevision,
    CompareTarget::kLease};

TEST_P(CompareTest, EveryNumberWithEveryResult) {
  const LeaseId lease = grant();
  const auto created = put("k", "v", lease);
  put("other", "v");
  const auto changed = put("k", "v", lease);
  expect_ordered({.key = "k"}, CompareTarget::kVersion, 2);
  expect_ordered({.key = "k"}, CompareTarget::kCreateRevision, created.value);
  expect_ordered({.key = "k"}, CompareTarget::kModRevision, changed.value);
  expect_ordered({.key = "k"}, CompareTarget::kLease, lease.value);
}

TEST_P(CompareTest, AnAbsentKeyComparesAsZero) {
  for (const auto target : kNumbers) expect_ordered({.key = "none"}, target, 0);
}

TEST_P(CompareTest, ADeletedKeyComparesAsAbsent) {
  put("k", "v");
  erase("k");
  for (const auto target : kNumbers) expect_ordered({.key = "k"}, target, 0);
}

TEST_P(CompareTest, AKeyWithoutLeaseComparesAsZero) {
  put("k", "v");
  expect_ordered({.key = "k"}, CompareTarget::kLease, 0);
}

TEST_P(CompareTest, ValuesAreBytes) {
  put("k", "b\x80");
  const auto result = [&](CompareResult wanted, const std::string& operand) {
    return holds(compare_value("k", wanted, operand));
  };
  for (const std::string& operand : {""s, "a"s, "b"s, "b\x7f"s}) {
    EXPECT_FALSE(result(CompareResult::kEqual, operand));
    EXPECT_TRUE(result(CompareResult::kNotEqual, operand));
    EXPECT_TRUE(result(CompareResult::kGreater, operand));
    EXPECT_FALSE(result(CompareResult::kLess, operand));
  }
  EXPECT_TRUE(result(CompareResult::kEqual, "b\x80"));
  EXPECT_FALSE(result(CompareResult::kNotEqual, "b\x80"));
  EXPECT_FALSE(result(CompareResult::kGreater, "b\x80"));
  EXPECT_FALSE(result(CompareResult::kLess, "b\x80"));
  for (const std::string& operand : {"b\x80\x01"s, "b\x80\0"s, "c"s, "\xff"s}) {
    EXPECT_FALSE(result(CompareResult::kEqual, operand));
    EXPECT_TRUE(result(CompareResult::kNotEqual, operand));
    EXPECT_FALSE(result(CompareResult::kGreater, operand));
    EXPECT_TRUE(result(CompareResult::kLess, operand));
  }
}

TEST_P(CompareTest, AnEmptyValueIsAValue) {
  put("k", "");
  EXPECT_TRUE(holds(compare_value("k", CompareResult::kEqual, "")));
  EXPECT_TRUE(holds(compare_value("k", CompareResult::kLess, "a")));
  EXPECT_FALSE(holds(compare_value("k", CompareResult::kNotEqual, "")));
}

TEST_P(CompareTest, AValueCompareNeverHoldsForAnAbsentKey) {
  for (const auto result : {CompareResult::kEqual, CompareResult::kNotEqual,
                            CompareResult::kGreater, CompareResult::kLess}) {
    EXPECT_FALSE(holds(compare_value("none", result, "")));
    EXPECT_FALSE(holds(compare_value("none", result, "a")));
  }
}

TEST_P(CompareTest, ARangeHoldsIfEveryKeyDoes) {
  put("a", "1");
  put("b", "1");
  put("b", "1");
  const kv::KeyRange both{.key = "a", .end = "c"};
  const auto version = [&](CompareResult result, std::int64_t number) {
    return holds(
        {.range = both, .target = CompareTarget::kVersion, .result = result, .number = number});
  };
  EXPECT_TRUE(version(CompareResult::kGreater, 0));
  EXPECT_FALSE(version(CompareResult::kGreater, 1));
  EXPECT_FALSE(version(CompareResult::kEqual, 1));
  EXPECT_TRUE(version(CompareResult::kLess, 3));
  EXPECT_TRUE(version(CompareResult::kNotEqual, 3));
  EXPECT_FALSE(version(CompareResult::kNotEqual, 2));
  EXPECT_TRUE(holds({.range = both,
                     .target = CompareTarget::kValue,
                     .result = CompareResult::kEqual,
                     .value = "1"}));
  put("b", "2");
  EXPECT_FALSE(holds({.range = both,
                      .target = CompareTarget::kValue,
                      .result = CompareResult::kEqual,
                      .value = "1"}));
}

TEST_P(CompareTest, ARangeToTheEndAndTheWholeSpace) {
  const auto first = put("a", "1");
  put("\xff\xff", "1");
  const auto created_after = [&](const kv::KeyRange& range, Revision revision) {
    return holds({.range = range,
                  .target = CompareTarget::kCreateRevision,
                  .result = CompareResult::kGreater,
                  .number = revision.value});
  };
  EXPECT_TRUE(created_after({.key = "b", .end = "\0"s}, first));
  EXPECT_FALSE(created_after({.key = "a", .end = "\0"s}, first));
  EXPECT_FALSE(created_after(kv::all_keys(), first));
  EXPECT_TRUE(created_after(kv::all_keys(), first.previous()));
}

// A range without keys is compared as one absent key: zero, and no value.
TEST_P(CompareTest, ARangeWithoutKeysComparesAsZero) {
  put("a", "1");
  for (const kv::KeyRange& empty :
       {kv::KeyRange{.key = "b", .end = "c"}, kv::KeyRange{.key = "z", .end = "b"},
        kv::KeyRange{.key = "b", .end = "\0"s}}) {
    for (const auto target : kNumbers) expect_ordered(empty, target, 0);
    for (const auto result : {CompareResult::kEqual, CompareResult::kNotEqual,
                              CompareResult::kGreater, CompareResult::kLess}) {
      EXPECT_FALSE(holds({.range = empty, .target = CompareTarget::kValue, .result = result}));
    }
  }
}

BENNU_CONFORMANCE(CompareTest);

}  // namespace
}  // namespace bennu::conformance
