#pragma once
// What   The fixture and the few words that the conformance tests are written in.
// Why    A test should read as the rule it states.
// Use    Derive a suite named as its file (`range_test.cpp`: `RangeTest`) and end the file with
//        BENNU_CONFORMANCE(it). Each test starts with no keys and no leases; revisions go on, so a
//        test counts from `revision()`.
// Units  kPatience: how long to wait for what must happen; never how long something takes.
// Errors A call that must work and does not ends the test by an exception that gtest reports.
// Threads One thread per test.
// Source own design.

#include <chrono>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "backend.hpp"
#include "kv/reasons.hpp"
#include "kv/store.hpp"

namespace bennu::conformance {

using namespace std::string_literals;  // NOLINT: "\0"s is what these tests are about

inline constexpr std::chrono::seconds kPatience{60};

/// The value of a Result that must have one.
template <class T>
T value_of(Result<T> result) {
  if (!result) {
    throw std::runtime_error(std::string(code_name(result.error().code)) + " " +
                             std::string(result.error().reason) + ": " + result.error().message);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Code and reason of a Result that must be an error that changed nothing.
template <class T>
void expect_error(const Result<T>& result, Code code, Reason reason) {
  ASSERT_FALSE(result.has_value()) << "expected " << code_name(code) << " " << reason;
  EXPECT_EQ(code_name(result.error().code), code_name(code)) << result.error().message;
  EXPECT_EQ(result.error().reason, reason) << result.error().message;
  EXPECT_EQ(result.error().effect, Effect::kNone);
}

[[nodiscard]] kv::Compare compare(const std::string& key, kv::CompareTarget target,
                                  kv::CompareResult result, std::int64_t number);
[[nodiscard]] kv::Compare compare_value(const std::string& key, kv::CompareResult result,
                                        const std::string& value);
/// Holds exactly if the key exists / does not.
[[nodiscard]] kv::Compare exists(const std::string& key);
[[nodiscard]] kv::Compare absent(const std::string& key);

[[nodiscard]] kv::Op op_put(const std::string& key, const std::string& value);
[[nodiscard]] kv::Op op_get(const std::string& key);
[[nodiscard]] kv::Op op_range(const std::string& key, const std::string& end);
[[nodiscard]] kv::Op op_delete(const std::string& key, const std::string& end = "");
[[nodiscard]] kv::Op op_txn(kv::TxnRequest request);

[[nodiscard]] std::vector<std::string> keys_of(const std::vector<kv::KeyValue>& kvs);
/// `PUT a=1`, `DELETE a`: what happened, without the numbers.
[[nodiscard]] std::vector<std::string> describe(const std::vector<kv::Event>& events);

class Conformance : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override;

  [[nodiscard]] kv::Store& store() { return open_->store(); }
  void reopen() { value_of(open_->reopen()); }
  [[nodiscard]] const Traits& traits() const { return GetParam().traits; }

  /// The store's newest revision.
  Revision revision();
  Revision put(const std::string& key, const std::string& value, LeaseId lease = {});
  /// Puts each as its own revision, values equal to keys; returns the last revision.
  Revision put_all(std::initializer_list<std::string> keys);
  std::optional<kv::KeyValue> get(const std::string& key, Revision at = {});
  Revision erase(const std::string& key, const std::string& end = "");
  kv::RangeResponse range(kv::RangeRequest request);
  std::vector<std::string> keys(const std::string& key, const std::string& end = "");
  LeaseId grant(std::int64_t ttl_s = 1000);

  std::unique_ptr<kv::WatchStream> watch_stream();
  /// Creates a watch and takes its kCreated response.
  kv::WatchId watch(kv::WatchStream& stream, const kv::WatchRequest& request);
  /// The next response; fails the test after kPatience.
  kv::WatchResponse next(kv::WatchStream& stream);
  /// The next `count` events of the stream's only watch, checked for order and whole revisions.
  std::vector<kv::Event> events(kv::WatchStream& stream, std::size_t count);
  /// Calls `done` until it is true; fails the test after kPatience.
  void eventually(const std::function<bool()>& done);

 private:
  OpenStore* open_ = nullptr;
};

void PrintTo(const Backend& backend, std::ostream* out);

}  // namespace bennu::conformance

// How gtest prints what it compares.
namespace bennu {
void PrintTo(const Revision& revision, std::ostream* out);
void PrintTo(const LeaseId& lease, std::ostream* out);
namespace kv {
void PrintTo(const KeyValue& kv, std::ostream* out);
void PrintTo(const Event& event, std::ostream* out);
}  // namespace kv
}  // namespace bennu

#define BENNU_CONFORMANCE(suite)                                                \
  INSTANTIATE_TEST_SUITE_P(                                                     \
      Conformance, suite, testing::ValuesIn(::bennu::conformance::backends()),  \
      [](const testing::TestParamInfo<::bennu::conformance::Backend>& tested) { \
        return tested.param.name;                                               \
      })
