// Transactions: branches, one revision, own writes seen, nesting, and which overlaps are refused.

#include <gmock/gmock.h>

#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using kv::TxnRequest;
using testing::ElementsAre;
using testing::IsEmpty;

class TxnTest : public Conformance {
 protected:
  kv::TxnResponse txn(const TxnRequest& request) { return value_of(store().txn(request)); }

  static const kv::RangeResponse& range_at(const kv::TxnResponse& response, std::size_t index) {
    return std::get<kv::RangeResponse>(response.responses.at(index).response);
  }
  static const kv::TxnResponse& txn_at(const kv::TxnResponse& response, std::size_t index) {
    return std::get<kv::TxnResponse>(response.responses.at(index).response);
  }
  void expect_duplicate(const std::vector<kv::Op>& ops) {
    const auto before = revision();
    expect_error(store().txn({.success = ops}), Code::kInvalidArgument, kv::reason::kDuplicateKey);
    // Checked before the compares: the branch not taken counts, too.
    expect_error(store().txn({.success = {}, .failure = ops}), Code::kInvalidArgument,
                 kv::reason::kDuplicateKey);
    EXPECT_EQ(revision(), before);
  }
  void expect_accepted(const std::vector<kv::Op>& ops) {
    EXPECT_TRUE(txn({.success = ops}).succeeded);
  }
};

TEST_P(TxnTest, EmptySucceedsAndIsNoRevision) {
  const auto before = revision();
  const auto response = txn({});
  EXPECT_TRUE(response.succeeded);
  EXPECT_THAT(response.responses, IsEmpty());
  EXPECT_EQ(response.revision, before);
  EXPECT_EQ(revision(), before);
}

TEST_P(TxnTest, TakesTheBranchOfItsCompares) {
  put("a", "1");
  const TxnRequest request{.compares = {compare_value("a", kv::CompareResult::kEqual, "1")},
                           .success = {op_put("a", "2"), op_put("won", "yes")},
                           .failure = {op_put("lost", "yes")}};
  const auto first = txn(request);
  EXPECT_TRUE(first.succeeded);
  EXPECT_EQ(first.responses.size(), 2U);
  const auto second = txn(request);
  EXPECT_FALSE(second.succeeded);
  EXPECT_EQ(second.responses.size(), 1U);
  EXPECT_THAT(keys("a", "z"), ElementsAre("a", "lost", "won"));
}

TEST_P(TxnTest, AllComparesMustHold) {
  put("a", "1");
  const auto response =
      txn({.compares = {exists("a"), exists("b")}, .success = {op_put("x", "1")}, .failure = {}});
  EXPECT_FALSE(response.succeeded);
  EXPECT_FALSE(get("x").has_value());
}

TEST_P(TxnTest, OneRevisionForAllItsWrites) {
  const auto before = put("old", "1");
  const auto response = txn({.success = {op_put("a", "1"), op_put("b", "2"), op_delete("old")}});
  EXPECT_EQ(response.revision, before.next());
  EXPECT_EQ(revision(), before.next());
  EXPECT_EQ(get("a")->mod_revision, response.revision);
  EXPECT_EQ(get("b")->mod_revision, response.revision);
  EXPECT_EQ(std::get<kv::PutResponse>(response.responses[0].response).revision, response.revision);
  EXPECT_EQ(std::get<kv::DeleteRangeResponse>(response.responses[2].response).deleted, 1);
}

TEST_P(TxnTest, NoRevisionWhenNothingIsWritten) {
  const auto before = put("a", "1");
  EXPECT_EQ(txn({.success = {op_get("a")}}).revision, before);
  EXPECT_EQ(txn({.success = {op_delete("none"), op_delete("x", "z")}}).revision, before);
  EXPECT_EQ(txn({.compares = {exists("none")}, .success = {op_put("b", "1")}}).revision, before);
  EXPECT_EQ(revision(), before);
}

TEST_P(TxnTest, ReadsSeeItsOwnWritesSoFar) {
  put("a", "old");
  const auto response =
      txn({.success = {op_get("a"), op_put("a", "new"), op_get("a"), op_range("a", "c"),
                       op_put("b", "1"), op_range("a", "c")}});
  EXPECT_EQ(range_at(response, 0).kvs.at(0).value, "old");
  EXPECT_EQ(range_at(response, 2).kvs.at(0).value, "new");
  EXPECT_EQ(range_at(response, 2).kvs.at(0).mod_revision, response.revision);
  EXPECT_EQ(range_at(response, 2).kvs.at(0).version, 2);
  EXPECT_EQ(range_at(response, 3).count, 1);
  EXPECT_EQ(range_at(response, 5).count, 2);
}

TEST_P(TxnTest, ReadsSeeItsOwnDeletes) {
  put_all({"a", "b", "c"});
  const auto response = txn({.success = {op_delete("a", "c"), op_range("a", "z"),
                                         op_delete("a", "z"), op_range("a", "z")}});
  EXPECT_THAT(keys_of(range_at(response, 1).kvs), ElementsAre("c"));
  EXPECT_EQ(range_at(response, 1).count, 1);
  EXPECT_EQ(std::get<kv::DeleteRangeResponse>(response.responses[2].response).deleted, 1);
  EXPECT_EQ(range_at(response, 3).count, 0);
}

TEST_P(TxnTest, RangesInItHaveAllTheirOptions) {
  const auto old = put_all({"a", "b", "c"});
  erase("b");
  kv::Op sorted{kv::RangeRequest{
      .range = {.key = "a", .end = "z"}, .limit = 2, .sort_order = kv::SortOrder::kDescend}};
  kv::Op past{
      kv::RangeRequest{.range = {.key = "a", .end = "z"}, .revision = old, .count_only = true}};
  const auto response = txn({.success = {op_put("d", "1"), sorted, past}});
  EXPECT_THAT(keys_of(range_at(response, 1).kvs), ElementsAre("d", "c"));
  EXPECT_TRUE(range_at(response, 1).more);
  EXPECT_EQ(range_at(response, 1).count, 3);
  EXPECT_EQ(range_at(response, 2).count, 3) << "an old revision does not see the writes";
}

TEST_P(TxnTest, PreviousValuesAreOfTheMoment) {
  put("a", "1");
  kv::Op put_with_previous{kv::PutRequest{.key = "a", .value = "2", .prev_kv = true}};
  kv::Op delete_with_previous{kv::DeleteRangeRequest{.range = {.key = "b"}, .prev_kv = true}};
  put("b", "9");
  const auto response = txn({.success = {put_with_previous, delete_with_previous}});
  EXPECT_EQ(std::get<kv::PutResponse>(response.responses[0].response).prev_kv.at(0).value, "1");
  EXPECT_EQ(std::get<kv::DeleteRangeResponse>(response.responses[1].response).prev_kvs.at(0).value,
            "9");
}

TEST_P(TxnTest, AnErrorInTheBranchTakenUndoesAll) {
  const auto before = put("a", "1");
  kv::Op wants_key{kv::PutRequest{.key = "none", .value = "", .ignore_value = true}};
  expect_error(store().txn({.success = {op_put("b", "1"), wants_key}}), Code::kInvalidArgument,
               kv::reason::kKeyNotFound);
  kv::Op wants_lease{kv::PutRequest{.key = "c", .value = "1", .lease = LeaseId{404}}};
  expect_error(store().txn({.success = {op_put("b", "1"), wants_lease}}), Code::kNotFound,
               kv::reason::kLeaseNotFound);
  kv::Op future{kv::RangeRequest{.range = {.key = "a"}, .revision = Revision{before.value + 1}}};
  expect_error(store().txn({.success = {op_put("b", "1"), future}}), Code::kOutOfRange,
               kv::reason::kFutureRevision);
  EXPECT_EQ(revision(), before);
  EXPECT_FALSE(get("b").has_value());
}

// Alone, etcd asks for the lease first; in a transaction for the key.
TEST_P(TxnTest, OfAMissingKeyAndLeaseTheKeyIsNamed) {
  kv::PutRequest both{.key = "none", .value = "", .lease = LeaseId{404}, .ignore_value = true};
  expect_error(store().txn({.success = {{both}}}), Code::kInvalidArgument,
               kv::reason::kKeyNotFound);
  expect_error(store().put(both), Code::kNotFound, kv::reason::kLeaseNotFound);
}

TEST_P(TxnTest, WhatOnlyTheStoreCanTellIsNotCheckedInTheOtherBranch) {
  kv::Op wants_key{kv::PutRequest{.key = "none", .value = "", .ignore_value = true}};
  kv::Op wants_lease{kv::PutRequest{.key = "c", .value = "1", .lease = LeaseId{404}}};
  kv::Op future{kv::RangeRequest{.range = {.key = "a"}, .revision = Revision{1'000'000'000}}};
  EXPECT_TRUE(
      txn({.success = {op_put("b", "1")}, .failure = {wants_key, wants_lease, future}}).succeeded);
}

TEST_P(TxnTest, WhatIsMalformedIsRefusedInEitherBranch) {
  const auto before = revision();
  const std::vector<std::pair<kv::Op, Reason>> wrong = {
      {op_put("", "1"), kv::reason::kEmptyKey},
      {op_get(""), kv::reason::kEmptyKey},
      {op_delete(""), kv::reason::kEmptyKey},
      {{kv::PutRequest{.key = "a", .value = "1", .ignore_value = true}},
       kv::reason::kValueProvided},
      {{kv::PutRequest{.key = "a", .value = "1", .lease = LeaseId{7}, .ignore_lease = true}},
       kv::reason::kLeaseProvided},
      {op_txn({.success = {op_put("", "1")}}), kv::reason::kEmptyKey},
      {op_txn({.compares = {exists("")}}), kv::reason::kEmptyKey},
  };
  for (const auto& [op, reason] : wrong) {
    expect_error(store().txn({.success = {op}}), Code::kInvalidArgument, reason);
    expect_error(store().txn({.failure = {op}}), Code::kInvalidArgument, reason);
  }
  expect_error(store().txn({.compares = {exists("")}}), Code::kInvalidArgument,
               kv::reason::kEmptyKey);
  EXPECT_EQ(revision(), before);
}

TEST_P(TxnTest, LeasesAttachInIt) {
  const LeaseId lease = grant();
  txn({.success = {{kv::PutRequest{.key = "a", .value = "1", .lease = lease}},
                   {kv::PutRequest{.key = "b", .value = "1", .lease = lease}}}});
  EXPECT_THAT(value_of(store().lease_time_to_live(lease, true)).keys, ElementsAre("a", "b"));
}

TEST_P(TxnTest, NestedAnswersNest) {
  put("a", "1");
  const auto response = txn({.compares = {exists("a")},
                             .success = {op_txn({.compares = {exists("none")},
                                                 .success = {op_put("x", "1")},
                                                 .failure = {op_put("y", "1"), op_get("a")}}),
                                         op_put("z", "1")}});
  EXPECT_TRUE(response.succeeded);
  ASSERT_EQ(response.responses.size(), 2U);
  EXPECT_FALSE(txn_at(response, 0).succeeded);
  EXPECT_EQ(txn_at(response, 0).responses.size(), 2U);
  EXPECT_THAT(keys("a", "zz"), ElementsAre("a", "y", "z"));
  EXPECT_EQ(get("y")->mod_revision, get("z")->mod_revision);
}

TEST_P(TxnTest, NestedDeepKeepsTheOrderOfWrites) {
  const auto response =
      txn({.success = {
               op_put("a", "1"),
               op_txn({.success = {op_put("b", "1"), op_range("a", "z"),
                                   op_txn({.success = {op_put("c", "1"), op_range("a", "z")}})}}),
               op_range("a", "z")}});
  EXPECT_EQ(range_at(txn_at(response, 1), 1).count, 2);
  EXPECT_EQ(range_at(txn_at(txn_at(response, 1), 2), 1).count, 3);
  EXPECT_EQ(range_at(response, 2).count, 3);
}

// etcd decides the whole path before it writes: a nested compare does not see the writes around it.
TEST_P(TxnTest, NestedComparesSeeTheStateBefore) {
  const auto response =
      txn({.success = {op_put("a", "1"), op_txn({.compares = {exists("a")},
                                                 .success = {op_put("saw", "it")},
                                                 .failure = {op_put("did", "not")}})}});
  EXPECT_FALSE(txn_at(response, 1).succeeded);
  EXPECT_THAT(keys("a", "z"), ElementsAre("a", "did"));
}

TEST_P(TxnTest, AnErrorInANestedBranchUndoesAll) {
  const auto before = revision();
  kv::Op wants_lease{kv::PutRequest{.key = "c", .value = "1", .lease = LeaseId{404}}};
  expect_error(store().txn({.success = {op_put("a", "1"), op_txn({.success = {wants_lease}})}}),
               Code::kNotFound, kv::reason::kLeaseNotFound);
  EXPECT_EQ(revision(), before);
  EXPECT_TRUE(txn({.success = {op_put("a", "1"), op_txn({.failure = {wants_lease}})}}).succeeded);
}

TEST_P(TxnTest, TheSameKeyTwiceIsRefused) {
  expect_duplicate({op_put("a", "1"), op_put("a", "2")});
  expect_duplicate({op_put("a", "1"), op_put("b", "1"), op_put("a", "1")});
  expect_accepted({op_put("a", "1"), op_put("b", "1")});
}

TEST_P(TxnTest, APutInADeletedRangeIsRefused) {
  put_all({"a", "b"});
  expect_duplicate({op_put("a", "1"), op_delete("a")});
  expect_duplicate({op_delete("a"), op_put("a", "1")});
  expect_duplicate({op_delete("a", "c"), op_put("b", "1")});
  expect_duplicate({op_put("b", "1"), op_delete("a", "c")});
  expect_accepted({op_put("c", "1"), op_delete("a", "c")});
  expect_accepted({op_delete("b"), op_put("ba", "1")});
}

TEST_P(TxnTest, DeletesMayOverlap) {
  put_all({"a", "b", "c"});
  const auto response =
      txn({.success = {op_delete("a", "c"), op_delete("b", "d"), op_delete("a")}});
  EXPECT_EQ(std::get<kv::DeleteRangeResponse>(response.responses[0].response).deleted, 2);
  EXPECT_EQ(std::get<kv::DeleteRangeResponse>(response.responses[1].response).deleted, 1);
  EXPECT_EQ(std::get<kv::DeleteRangeResponse>(response.responses[2].response).deleted, 0);
}

TEST_P(TxnTest, ReadsOverlapWithAnything) {
  expect_accepted({op_get("a"), op_put("a", "1"), op_get("a"), op_range("a", "z"),
                   op_delete("b", "c"), op_range("b", "c")});
}

TEST_P(TxnTest, TheSameKeyInBothBranchesIsFine) {
  EXPECT_TRUE(txn({.success = {op_put("a", "1")}, .failure = {op_put("a", "2")}}).succeeded);
  EXPECT_TRUE(txn({.success = {op_put("a", "1")}, .failure = {op_delete("a")}}).succeeded);
  expect_accepted({op_txn({.success = {op_put("a", "1")}, .failure = {op_put("a", "2")}})});
}

TEST_P(TxnTest, NestedPutsCountAtEveryLevelAbove) {
  const auto nested = op_txn({.success = {op_put("a", "1")}});
  const auto nested_failure = op_txn({.failure = {op_put("a", "1")}});
  const auto deep = op_txn({.success = {op_txn({.failure = {op_put("a", "1")}})}});
  expect_duplicate({nested, op_put("a", "2")});
  expect_duplicate({op_put("a", "2"), nested});
  expect_duplicate({nested_failure, op_put("a", "2")});
  expect_duplicate({deep, op_put("a", "2")});
  expect_duplicate({nested, nested_failure});
  expect_duplicate({op_delete("a"), nested});
  expect_duplicate({nested, op_delete("a", "b")});
  expect_duplicate({op_txn({.success = {op_delete("a")}}), op_put("a", "1")});
  expect_duplicate({op_put("a", "1"), op_txn({.success = {op_delete("a", "c")}})});
  expect_duplicate({op_txn({.success = {op_put("a", "1"), op_put("a", "2")}})});
}

TEST_P(TxnTest, ADeleteNestedBeforeAPutNestedIsRefused) {
  expect_duplicate(
      {op_txn({.success = {op_delete("a")}}), op_txn({.success = {op_put("a", "1")}})});
}

// What etcd overlooks, so that a client of etcd sees no error that etcd does not give: each changes
// a key twice in one revision, and the later change is the one that stays.
TEST_P(TxnTest, OverlapsThatEtcdAccepts) {
  put("b", "old");
  expect_accepted({op_txn({.success = {op_put("a", "1")}}), op_txn({.success = {op_delete("a")}})});
  EXPECT_FALSE(get("a").has_value());
  expect_accepted({op_delete("a", "\0"s), op_put("b", "new")});
  EXPECT_EQ(get("b")->value, "new");
  EXPECT_EQ(get("b")->version, 1);
  EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, 1);
}

TEST_P(TxnTest, MoreOperationsThanTheEngineTakes) {
  TxnRequest request;
  constexpr int kOps = 129;
  for (int i = 0; i < kOps; ++i) request.success.push_back(op_put("k" + std::to_string(i), "v"));
  const std::size_t bound = store().capabilities().max_txn_ops;
  const auto result = store().txn(request);
  if (bound != 0 && bound < kOps) {
    EXPECT_EQ(result.error().code, Code::kInvalidArgument);
    EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, 0);
    request.success.resize(bound);
    EXPECT_TRUE(txn(request).succeeded);
  } else {
    EXPECT_TRUE(value_of(result).succeeded);
    EXPECT_EQ(range({.range = kv::all_keys(), .count_only = true}).count, kOps);
  }
}

BENNU_CONFORMANCE(TxnTest);

}  // namespace
}  // namespace bennu::conformance
