#include "base/result.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace bennu {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return make_error(Code::kInvalidArgument, "odd");
  return n / 2;
}

Result<int> quarter(int n) {
  BENNU_ASSIGN(const int first, half(n));
  return half(first).with_context("second half");
}

Status check(int n) {
  BENNU_TRY(half(n));
  return {};
}

Result<std::unique_ptr<int>> boxed() { return std::make_unique<int>(3); }

TEST(Result, PassesValuesAndErrorsOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().message, "second half: odd");
  EXPECT_EQ(quarter(5).error().message, "odd");
  EXPECT_TRUE(check(2).has_value());
  EXPECT_EQ(check(1).error().code, Code::kInvalidArgument);
}

TEST(Result, CarriesMoveOnlyValues) {
  auto take = []() -> Result<int> {
    BENNU_ASSIGN(auto box, boxed());
    return *box;
  };
  EXPECT_EQ(take().value(), 3);
}

TEST(Error, CodesHaveTheNumbersAndNamesOfGrpc) {
  EXPECT_EQ(static_cast<int>(Code::kNotFound), 5);
  EXPECT_EQ(static_cast<int>(Code::kUnauthenticated), 16);
  EXPECT_EQ(code_name(Code::kOutOfRange), "OUT_OF_RANGE");
}

}  // namespace
}  // namespace bennu
