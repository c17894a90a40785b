// Writing one key: numbers, previous value, the ignore flags, and what is refused. And deleting.

#include <gmock/gmock.h>

#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PutTest : public Conformance {};
class PutTestDelete : public Conformance {};

TEST_P(PutTest, EachIsOneRevision) {
  const auto before = revision();
  EXPECT_EQ(put("a", "1"), before.next());
  EXPECT_EQ(put("a", "1"), before.next().next()) << "the same value again is a change, too";
  EXPECT_EQ(revision(), before.next().next());
}

TEST_P(PutTest, CreateStaysModMoves) {
  const auto created = put("a", "1");
  put("b", "1");
  const auto changed = put("a", "2");
  const auto kv = get("a");
  ASSERT_TRUE(kv.has_value());
  EXPECT_EQ(kv->create_revision, created);
  EXPECT_EQ(kv->mod_revision, changed);
  EXPECT_EQ(kv->version, 2);
}

TEST_P(PutTest, NoPreviousUnlessAskedFor) {
  put("a", "1");
  EXPECT_THAT(value_of(store().put({.key = "a", .value = "2"})).prev_kv, IsEmpty());
}

TEST_P(PutTest, PreviousValue) {
  const auto created = put("a", "1");
  const auto response = value_of(store().put({.key = "a", .value = "2", .prev_kv = true}));
  ASSERT_EQ(response.prev_kv.size(), 1U);
  EXPECT_EQ(response.prev_kv[0], (kv::KeyValue{.key = "a",
                                               .create_revision = created,
                                               .mod_revision = created,
                                               .version = 1,
                                               .value = "1",
                                               .lease = {}}));
  EXPECT_EQ(response.revision, created.next());
}

TEST_P(PutTest, NoPreviousOfANewOrDeletedKey) {
  EXPECT_THAT(value_of(store().put({.key = "a", .value = "1", .prev_kv = true})).prev_kv,
              IsEmpty());
  erase("a");
  EXPECT_THAT(value_of(store().put({.key = "a", .value = "2", .prev_kv = true})).prev_kv,
              IsEmpty());
}

TEST_P(PutTest, EmptyKeyIsRefused) {
  const auto before = revision();
  expect_error(store().put({.key = "", .value = "1"}), Code::kInvalidArgument,
               kv::reason::kEmptyKey);
  EXPECT_EQ(revision(), before);
}

TEST_P(PutTest, IgnoreValueKeepsItAndChangesTheLease) {
  put("a", "kept");
  const LeaseId lease = grant();
  const auto changed =
      value_of(store().put({.key = "a", .value = "", .lease = lease, .ignore_value = true}))
          .revision;
  const auto kv = get("a");
  ASSERT_TRUE(kv.has_value());
  EXPECT_EQ(kv->value, "kept");
  EXPECT_EQ(kv->lease, lease);
  EXPECT_EQ(kv->version, 2);
  EXPECT_EQ(kv->mod_revision, changed);
}

TEST_P(PutTest, IgnoreValueWithoutLeaseTakesItAway) {
  const LeaseId lease = grant();
  put("a", "kept", lease);
  value_of(store().put({.key = "a", .value = "", .ignore_value = true}));
  EXPECT_EQ(get("a")->lease, LeaseId{});
  EXPECT_EQ(get("a")->value, "kept");
}

TEST_P(PutTest, IgnoreLeaseKeepsItAndChangesTheValue) {
  const LeaseId lease = grant();
  put("a", "1", lease);
  value_of(store().put({.key = "a", .value = "2", .ignore_lease = true}));
  EXPECT_EQ(get("a")->value, "2");
  EXPECT_EQ(get("a")->lease, lease);
  put("a", "3");
  EXPECT_EQ(get("a")->lease, LeaseId{}) << "without the flag a put takes the lease away";
}

TEST_P(PutTest, BothIgnoredOnlyTouches) {
  const LeaseId lease = grant();
  put("a", "1", lease);
  const auto response = value_of(store().put(
      {.key = "a", .value = "", .prev_kv = true, .ignore_value = true, .ignore_lease = true}));
  EXPECT_EQ(response.prev_kv.size(), 1U);
  EXPECT_EQ(get("a")->value, "1");
  EXPECT_EQ(get("a")->lease, lease);
  EXPECT_EQ(get("a")->version, 2);
}

TEST_P(PutTest, IgnoreFlagsNeedTheKey) {
  const auto before = revision();
  expect_error(store().put({.key = "a", .value = "", .ignore_value = true}), Code::kInvalidArgument,
               kv::reason::kKeyNotFound);
  expect_error(store().put({.key = "a", .value = "1", .ignore_lease = true}),
               Code::kInvalidArgument, kv::reason::kKeyNotFound);
  put("a", "1");
  erase("a");
  expect_error(store().put({.key = "a", .value = "", .ignore_value = true}), Code::kInvalidArgument,
               kv::reason::kKeyNotFound);
  EXPECT_EQ(revision(), before.next().next());
}

TEST_P(PutTest, IgnoreFlagsRefuseWhatTheyIgnore) {
  put("a", "1");
  const LeaseId lease = grant();
  expect_error(store().put({.key = "a", .value = "2", .ignore_value = true}),
               Code::kInvalidArgument, kv::reason::kValueProvided);
  expect_error(store().put({.key = "a", .value = "2", .lease = lease, .ignore_lease = true}),
               Code::kInvalidArgument, kv::reason::kLeaseProvided);
  EXPECT_EQ(get("a")->version, 1);
}

TEST_P(PutTest, UnknownLeaseIsRefused) {
  const auto before = revision();
  expect_error(store().put({.key = "a", .value = "1", .lease = LeaseId{404}}), Code::kNotFound,
               kv::reason::kLeaseNotFound);
  EXPECT_EQ(revision(), before);
  EXPECT_FALSE(get("a").has_value());
}

// The order of the checks is part of the contract: it decides which error a client sees.
TEST_P(PutTest, TheFirstWrongThingIsNamed) {
  expect_error(store().put({.key = "", .value = "1", .ignore_value = true}), Code::kInvalidArgument,
               kv::reason::kEmptyKey);
  expect_error(store().put({.key = "a",
                            .value = "1",
                            .lease = LeaseId{404},
                            .ignore_value = true,
                            .ignore_lease = true}),
               Code::kInvalidArgument, kv::reason::kValueProvided);
  expect_error(store().put({.key = "a", .value = "", .lease = LeaseId{404}, .ignore_value = true}),
               Code::kNotFound, kv::reason::kLeaseNotFound);
}

TEST_P(PutTestDelete, OneKey) {
  const auto at = put_all({"a", "b"});
  const auto response = value_of(store().delete_range({.range = {.key = "a"}}));
  EXPECT_EQ(response.deleted, 1);
  EXPECT_EQ(response.revision, at.next());
  EXPECT_THAT(response.prev_kvs, IsEmpty());
  EXPECT_FALSE(get("a").has_value());
  EXPECT_TRUE(get("b").has_value());
}

TEST_P(PutTestDelete, NothingDeletedIsNoRevision) {
  const auto before = put("a", "1");
  const auto absent_key = value_of(store().delete_range({.range = {.key = "b"}}));
  EXPECT_EQ(absent_key.deleted, 0);
  EXPECT_EQ(absent_key.revision, before);
  const auto inverted = value_of(store().delete_range({.range = {.key = "z", .end = "a"}}));
  EXPECT_EQ(inverted.deleted, 0);
  const auto empty = value_of(store().delete_range({.range = {.key = "a", .end = "a"}}));
  EXPECT_EQ(empty.deleted, 0);
  EXPECT_EQ(revision(), before);
}

TEST_P(PutTestDelete, RangeIsOneRevisionAndGivesThePrevious) {
  const auto a = put("a", "1");
  const auto b = put("b", "2");
  const auto d = put("d", "4");
  const auto response =
      value_of(store().delete_range({.range = {.key = "a", .end = "d"}, .prev_kv = true}));
  EXPECT_EQ(response.deleted, 2);
  EXPECT_EQ(response.revision, d.next());
  EXPECT_THAT(
      response.prev_kvs,
      ElementsAre(
          kv::KeyValue{
              .key = "a", .create_revision = a, .mod_revision = a, .version = 1, .value = "1"},
          kv::KeyValue{
              .key = "b", .create_revision = b, .mod_revision = b, .version = 1, .value = "2"}));
  EXPECT_THAT(keys("a", "z"), ElementsAre("d"));
}

TEST_P(PutTestDelete, PrefixFromKeyAndEverything) {
  put_all({"a", "ab", "b", "c", "\xff"});
  EXPECT_EQ(value_of(store().delete_range({.range = kv::prefix_range("a")})).deleted, 2);
  EXPECT_EQ(value_of(store().delete_range({.range = {.key = "c", .end = "\0"s}})).deleted, 2);
  EXPECT_EQ(value_of(store().delete_range({.range = kv::all_keys()})).deleted, 1);
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, 0);
}

TEST_P(PutTestDelete, ADeletedKeyBeginsAnew) {
  put("a", "1");
  put("a", "2");
  erase("a");
  const auto again = put("a", "3");
  EXPECT_EQ(get("a")->version, 1);
  EXPECT_EQ(get("a")->create_revision, again);
}

TEST_P(PutTestDelete, EmptyKeyIsRefused) {
  put("a", "1");
  expect_error(store().delete_range({.range = {.key = "", .end = "\0"s}}), Code::kInvalidArgument,
               kv::reason::kEmptyKey);
  EXPECT_TRUE(get("a").has_value());
}

BENNU_CONFORMANCE(PutTest);
BENNU_CONFORMANCE(PutTestDelete);

}  // namespace
}  // namespace bennu::conformance
