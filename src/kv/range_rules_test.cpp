#include "kv/range_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bennu::kv {
namespace {

using testing::ElementsAre;

RangeResponse sample() {
  return RangeResponse{
      .revision = {9},
      .kvs =
          {{.key = "a", .create_revision = {2}, .mod_revision = {9}, .version = 3, .value = "m"},
           {.key = "b", .create_revision = {4}, .mod_revision = {4}, .version = 1, .value = "z"},
           {.key = "c", .create_revision = {3}, .mod_revision = {8}, .version = 2, .value = "a"}},
      .more = false,
      .count = 3};
}

std::vector<std::string> keys_after(const RangeRequest& request) {
  RangeResponse response = sample();
  finish_range(request, response);
  std::vector<std::string> keys;
  for (const KeyValue& kv : response.kvs) keys.push_back(kv.key);
  return keys;
}

TEST(RangeRules, SortsByEveryTarget) {
  const auto ascend = [](SortTarget target) {
    return keys_after({.sort_order = SortOrder::kAscend, .sort_target = target});
  };
  EXPECT_THAT(ascend(SortTarget::kKey), ElementsAre("a", "b", "c"));
  EXPECT_THAT(ascend(SortTarget::kVersion), ElementsAre("b", "c", "a"));
  EXPECT_THAT(ascend(SortTarget::kCreateRevision), ElementsAre("a", "c", "b"));
  EXPECT_THAT(ascend(SortTarget::kModRevision), ElementsAre("b", "c", "a"));
  EXPECT_THAT(ascend(SortTarget::kValue), ElementsAre("c", "a", "b"));
  EXPECT_THAT(keys_after({.sort_order = SortOrder::kDescend}), ElementsAre("c", "b", "a"));
  EXPECT_THAT(keys_after({.sort_order = SortOrder::kDescend, .sort_target = SortTarget::kVersion}),
              ElementsAre("a", "c", "b"));
}

TEST(RangeRules, ATargetWithoutOrderAscends) {
  EXPECT_THAT(keys_after({.sort_target = SortTarget::kVersion}), ElementsAre("b", "c", "a"));
}

TEST(RangeRules, FiltersAreInclusiveAndComeBeforeTheLimit) {
  EXPECT_THAT(keys_after({.min_mod_revision = {8}}), ElementsAre("a", "c"));
  EXPECT_THAT(keys_after({.max_mod_revision = {8}}), ElementsAre("b", "c"));
  EXPECT_THAT(keys_after({.min_create_revision = {3}}), ElementsAre("b", "c"));
  EXPECT_THAT(keys_after({.limit = 1, .max_create_revision = {3}}), ElementsAre("a"));
}

TEST(RangeRules, TheLimitSetsMoreOnlyWhenSomethingIsLeftOut) {
  RangeResponse response = sample();
  finish_range({.limit = 3}, response);
  EXPECT_FALSE(response.more);
  finish_range({.limit = 2}, response);
  EXPECT_TRUE(response.more);
  EXPECT_EQ(response.kvs.size(), 2U);
  EXPECT_EQ(response.count, 3);
}

TEST(RangeRules, KeysOnlyDropsValuesAfterSortingByThem) {
  RangeResponse response = sample();
  finish_range(
      {.sort_order = SortOrder::kAscend, .sort_target = SortTarget::kValue, .keys_only = true},
      response);
  EXPECT_EQ(response.kvs[0].key, "c");
  EXPECT_EQ(response.kvs[0].value, "");
}

TEST(RangeRules, FetchesOneMoreThanTheLimitUnlessAllAreNeeded) {
  EXPECT_EQ(fetch_limit({.limit = 0}), 0);
  EXPECT_EQ(fetch_limit({.limit = 5}), 6);
  EXPECT_EQ(fetch_limit({.limit = 5, .sort_order = SortOrder::kAscend}), 0);
  EXPECT_EQ(fetch_limit({.limit = 5, .min_mod_revision = {1}}), 0);
}

}  // namespace
}  // namespace bennu::kv
