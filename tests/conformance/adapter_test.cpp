// What the adapter to etcd adds to etcd: errors of the wire, and effects that nobody knows. The
// rules of the contract are tested by the other files.

#include <gmock/gmock.h>

#include "conformance.hpp"
#include "etcd_convert.hpp"
#include "etcd_process.hpp"
#include "etcd_store.hpp"

namespace bennu::conformance {
namespace {

class AdapterTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = EtcdProcess::start();
    if (!started) GTEST_SKIP() << "backend etcd cannot run: " << started.error().message;
    process_ = std::move(*started);
    store_ = value_of(kv::etcd::connect({.target = process_->target(), .call_timeout = kShort}));
  }
  /// Long enough for an etcd that answers, short enough to wait for one that never will.
  static constexpr std::chrono::milliseconds kShort{2'000};
  std::unique_ptr<EtcdProcess> process_;
  std::unique_ptr<kv::Store> store_;
};

TEST_F(AdapterTest, NobodyThere) {
  const auto result = kv::etcd::connect(
      {.target = "unix:/nonexistent/etcd", .connect_timeout = std::chrono::milliseconds{50}});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::kUnavailable);
  EXPECT_THAT(result.error().message, testing::HasSubstr("unix:/nonexistent/etcd"));
}

TEST_F(AdapterTest, AWriteThatNobodyAnswersMayHaveHappened) {
  value_of(store_->put({.key = "a", .value = "1"}));
  process_.reset();
  const auto put = store_->put({.key = "a", .value = "2"});
  ASSERT_FALSE(put.has_value());
  EXPECT_EQ(put.error().effect, Effect::kUnknown);
  const auto keep_alive = store_->lease_keep_alive(LeaseId{1});
  ASSERT_FALSE(keep_alive.has_value());
  EXPECT_EQ(keep_alive.error().effect, Effect::kUnknown);
  const auto range = store_->range({.range = {.key = "a"}});
  ASSERT_FALSE(range.has_value());
  EXPECT_EQ(range.error().effect, Effect::kNone) << "a read changes nothing";
}

TEST_F(AdapterTest, AWatchStreamWhoseEtcdIsGoneSaysSo) {
  const auto stream = value_of(store_->watch());
  value_of(stream->create({.range = {.key = "a"}}));
  EXPECT_TRUE(value_of(stream->next(kPatience)).has_value());
  process_.reset();
  const auto broken = stream->next(kPatience);
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().code, Code::kUnavailable);
  EXPECT_FALSE(stream->create({.range = {.key = "b"}}).has_value());
}

TEST_F(AdapterTest, TheSameStoreGoesOnAfterARestart) {
  value_of(store_->put({.key = "a", .value = "1"}));
  value_of(process_->restart());
  // The first calls may meet the old connection.
  Result<kv::RangeResponse> range = store_->range({.range = {.key = "a"}});
  for (int attempt = 0; attempt < 100 && !range; ++attempt) {
    range = store_->range({.range = {.key = "a"}});
  }
  EXPECT_EQ(value_of(range).kvs.at(0).value, "1");
}

TEST(AdapterTestErrors, TextsDecideBeforeCodes) {
  const auto compacted = kv::etcd::to_error(
      grpc::Status(grpc::UNKNOWN, "etcdserver: mvcc: required revision has been compacted"),
      kv::etcd::Kind::kWrite);
  EXPECT_EQ(compacted.code, Code::kOutOfRange);
  EXPECT_EQ(compacted.reason, kv::reason::kCompacted);
  EXPECT_EQ(compacted.effect, Effect::kNone);
}

TEST(AdapterTestErrors, UnknownTextsKeepTheirCode) {
  const auto unknown = kv::etcd::to_error(grpc::Status(grpc::UNAVAILABLE, "etcdserver: no leader"),
                                          kv::etcd::Kind::kWrite);
  EXPECT_EQ(unknown.code, Code::kUnavailable);
  EXPECT_EQ(unknown.reason, "");
  EXPECT_EQ(unknown.effect, Effect::kUnknown);
  EXPECT_EQ(unknown.message, "etcdserver: no leader");
}

}  // namespace
}  // namespace bennu::conformance
