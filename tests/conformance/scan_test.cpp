// Scans: a range visited key by key at one revision, however large it is.

#include <gmock/gmock.h>

#include "conformance.hpp"

namespace bennu::conformance {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ScanTest : public Conformance {
 protected:
  std::vector<std::string> scanned(const kv::KeyRange& range, Revision at = {}) {
    std::vector<std::string> keys;
    value_of(store().scan(range, at, [&](kv::KeyValue& kv) -> Status {
      keys.push_back(kv.key);
      return {};
    }));
    return keys;
  }
};

TEST_P(ScanTest, VisitsTheRangeInKeyOrder) {
  put_all({"b", "c", "a", "d"});
  EXPECT_THAT(scanned({.key = "a", .end = "d"}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(scanned({.key = "b"}), ElementsAre("b"));
  EXPECT_THAT(scanned(kv::all_keys()), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(scanned({.key = "x", .end = "z"}), IsEmpty());
  EXPECT_THAT(scanned({.key = "z", .end = "a"}), IsEmpty());
}

TEST_P(ScanTest, GivesWholeRecords) {
  const auto lease = grant();
  put("a", "1");
  put("a", "2", lease);
  kv::KeyValue visited;
  const auto at = value_of(store().scan({.key = "a"}, {}, [&](kv::KeyValue& kv) -> Status {
    visited = std::move(kv);
    return {};
  }));
  EXPECT_EQ(visited, *get("a"));
  EXPECT_EQ(at, revision());
}

TEST_P(ScanTest, AtAnOldRevision) {
  const auto old = put_all({"a", "b"});
  erase("a");
  put("c", "1");
  EXPECT_THAT(scanned(kv::all_keys(), old), ElementsAre("a", "b"));
  EXPECT_EQ(value_of(store().scan(kv::all_keys(), old, [](kv::KeyValue&) -> Status { return {}; })),
            old)
      << "it names the revision it read";
}

TEST_P(ScanTest, IsAllOfOneRevisionWhateverIsWrittenMeanwhile) {
  constexpr int kKeys = 1'000;
  for (int first = 0; first < kKeys; first += 100) {
    kv::TxnRequest txn;
    for (int i = first; i < first + 100; ++i)
      txn.success.push_back(op_put("k" + std::to_string(10'000 + i), "old"));
    value_of(store().txn(txn));
  }
  int visited = 0;
  const auto before = revision();
  const auto at = value_of(store().scan(kv::all_keys(), {}, [&](kv::KeyValue& kv) -> Status {
    EXPECT_EQ(kv.value, "old");
    if (visited++ % 100 == 0) {
      put("k" + std::to_string(10'000 + kKeys - visited), "new");
      put("k" + std::to_string(20'000 + visited), "new");
    }
    return {};
  }));
  EXPECT_EQ(visited, kKeys);
  EXPECT_EQ(at, before);
}

TEST_P(ScanTest, LargeValues) {
  const std::string large(300'000, 'v');
  for (int i = 0; i < 30; ++i) put("k" + std::to_string(100 + i), large);
  std::size_t bytes = 0;
  value_of(store().scan(kv::all_keys(), {}, [&](kv::KeyValue& kv) -> Status {
    bytes += kv.value.size();
    return {};
  }));
  EXPECT_EQ(bytes, 30 * large.size());
}

TEST_P(ScanTest, AnErrorOfTheVisitorEndsIt) {
  put_all({"a", "b", "c"});
  int visited = 0;
  const auto result = store().scan(kv::all_keys(), {}, [&](kv::KeyValue&) -> Status {
    if (++visited == 2) return make_error(Code::kAborted, "enough", "test.enough");
    return {};
  });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::kAborted);
  EXPECT_EQ(result.error().reason, "test.enough");
  EXPECT_EQ(visited, 2);
}

TEST_P(ScanTest, RefusesWhatRangeRefuses) {
  const auto visit = [](kv::KeyValue&) -> Status { return {}; };
  const auto one = put("a", "1");
  const auto two = put("a", "2");
  value_of(store().compact(two, true));
  expect_error(store().scan(kv::all_keys(), one, visit), Code::kOutOfRange, kv::reason::kCompacted);
  expect_error(store().scan(kv::all_keys(), two.next(), visit), Code::kOutOfRange,
               kv::reason::kFutureRevision);
  expect_error(store().scan({}, {}, visit), Code::kInvalidArgument, kv::reason::kEmptyKey);
}

BENNU_CONFORMANCE(ScanTest);

}  // namespace
}  // namespace bennu::conformance
