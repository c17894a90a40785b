// The embedded engine against a real etcd: the same random script to both, every answer compared. A
// script that they answer differently is cut down to the fewest steps that still do, and printed
// with both answers.
//
// BENNU_SEED=n runs the script of that seed alone. BENNU_DIFFERENTIAL_SECONDS=n goes on with fresh
// seeds for so long.

#include <algorithm>
#include <cstdlib>
#include <optional>

#include <fmt/core.h>
#include <gmock/gmock.h>

#include "base/bytes.hpp"
#include "conformance.hpp"
#include "env/clock.hpp"
#include "env/random.hpp"
#include "script.hpp"
#include "session.hpp"

namespace bennu::conformance {
namespace {

constexpr std::size_t kSteps = 60;
constexpr std::uint64_t kShortSeeds = 20;

struct Difference {
  Script script;
  std::string text;  // of the first line that differs
};

/// What differs first between the engines' answers to the script, if anything.
std::optional<std::string> difference(const Engine& one, const Engine& other,
                                      const Script& script) {
  const bool sort_events = !one.in_request_order || !other.in_request_order;
  const auto a = transcript(one, script, sort_events);
  const auto b = transcript(other, script, sort_events);
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string left = i < a.size() ? a[i] : "(nothing)";
    const std::string right = i < b.size() ? b[i] : "(nothing)";
    if (left == right) continue;
    const std::string step = i < script.size() ? print(script[i]) : "at the end";
    return step + "\n  first:  " + left + "\n  second: " + right;
  }
  return std::nullopt;
}

/// The script with as few steps as still make a difference: pieces are left out, from halves down
/// to single steps.
Difference shrink(const Engine& one, const Engine& other, Script script, std::string text) {
  for (std::size_t piece = script.size() / 2; piece > 0;) {
    bool smaller = false;
    for (std::size_t from = 0; from < script.size();) {
      Script less = script;
      const auto begin = less.begin() + static_cast<std::ptrdiff_t>(from);
      less.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(piece, less.size() - from)));
      if (auto still = difference(one, other, less)) {
        script = std::move(less);
        text = std::move(*still);
        smaller = true;
      } else {
        from += piece;
      }
    }
    if (!smaller || piece > 1) piece /= 2;
  }
  return {std::move(script), std::move(text)};
}

std::optional<Difference> compare_engines(const Engine& one, const Engine& other,
                                          std::uint64_t seed) {
  auto script = generate(seed, kSteps);
  auto text = difference(one, other, script);
  if (!text) return std::nullopt;
  return shrink(one, other, std::move(script), std::move(*text));
}

std::optional<std::uint64_t> number_from(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

Engine engine_of(OpenStore& open) {
  return {.store = [&open]() -> kv::Store& { return open.store(); }, .reopen = [] {}};
}

/// The last backend, etcd, is the judge; each seed tries one of the others.
class DifferentialTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& backend : backends()) {
      auto opened = backend.shared();
      if (!opened) {
        GTEST_SKIP() << "backend " << backend.name << " cannot run: " << opened.error().message;
      }
      engines_.push_back(engine_of(**opened));
      engines_.back().reopen = [open = *opened] { value_of(open->reopen()); };
      engines_.back().in_request_order = backend.traits.events_in_request_order;
    }
    if (engines_.size() < 2) GTEST_SKIP() << "there is one engine only";
    engines_.back().reopen = [] {};  // what was answered is what it is judged by
  }
  void run(std::uint64_t seed) {
    const std::size_t tried = seed % (engines_.size() - 1);
    const auto found = compare_engines(engines_[tried], engines_.back(), seed);
    if (!found) return;
    ADD_FAILURE() << "BENNU_SEED=" << seed << ": " << backends()[tried].name << " (first) and "
                  << backends().back().name << " (second) differ after\n"
                  << print(found->script) << "in: " << found->text;
  }
  std::vector<Engine> engines_;
};

TEST_F(DifferentialTest, RandomScriptsAreAnsweredAlike) {
  if (const auto seed = number_from("BENNU_SEED")) {
    run(*seed);
    return;
  }
  if (const auto seconds = number_from("BENNU_DIFFERENTIAL_SECONDS")) {
    auto& clock = env::system_clock();
    const auto until = clock.monotonic() + std::chrono::seconds{*seconds};
    std::uint64_t seed = read_be64(env::system_random().bytes(8)) >> 1U;
    std::uint64_t done = 0;
    for (; clock.monotonic() < until && !HasFailure(); ++done) run(seed++);
    fmt::print("{} scripts, the last of seed {}\n", done, seed - 1);
    return;
  }
  for (std::uint64_t seed = 1; seed <= kShortSeeds && !HasFailure(); ++seed) run(seed);
}

// An engine with a small flaw, to see that the comparison finds it and cuts the script down.
class FlawedStore final : public kv::Store {
 public:
  explicit FlawedStore(kv::Store& sound) : sound_(sound) {}
  kv::Capabilities capabilities() const override { return sound_.capabilities(); }
  Result<kv::RangeResponse> range(const kv::RangeRequest& request) override {
    return sound_.range(request);
  }
  Result<Revision> scan(const kv::KeyRange& range, Revision revision,
                        const std::function<Status(kv::KeyValue&)>& visit) override {
    return sound_.scan(range, revision, visit);
  }
  Result<kv::PutResponse> put(const kv::PutRequest& request) override {
    kv::PutRequest flawed = request;
    // The flaw: a put that keeps the lease does so by a lucky guess only.
    if (flawed.ignore_lease && flawed.key == "a") flawed.ignore_lease = false;
    return sound_.put(flawed);
  }
  Result<kv::DeleteRangeResponse> delete_range(const kv::DeleteRangeRequest& request) override {
    return sound_.delete_range(request);
  }
  Result<kv::TxnResponse> txn(const kv::TxnRequest& request) override {
    return sound_.txn(request);
  }
  Result<std::unique_ptr<kv::StagedTxn>> stage() override { return sound_.stage(); }
  Result<Revision> compact(Revision revision, bool physical) override {
    return sound_.compact(revision, physical);
  }
  Result<kv::HashResponse> hash(Revision revision) override { return sound_.hash(revision); }
  Result<std::unique_ptr<kv::WatchStream>> watch() override { return sound_.watch(); }
  Result<kv::LeaseGrantResponse> lease_grant(const kv::LeaseGrantRequest& request) override {
    return sound_.lease_grant(request);
  }
  Result<Revision> lease_revoke(LeaseId id) override { return sound_.lease_revoke(id); }
  Result<kv::LeaseKeepAliveResponse> lease_keep_alive(LeaseId id) override {
    return sound_.lease_keep_alive(id);
  }
  Result<kv::LeaseTimeToLiveResponse> lease_time_to_live(LeaseId id, bool with_keys) override {
    return sound_.lease_time_to_live(id, with_keys);
  }
  Result<kv::LeasesResponse> leases() override { return sound_.leases(); }

 private:
  kv::Store& sound_;
};

class DifferentialTestItself : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    auto opened = GetParam().shared();
    if (!opened) {
      GTEST_SKIP() << "backend " << GetParam().name << " cannot run: " << opened.error().message;
    }
    open_ = *opened;
  }
  OpenStore* open_ = nullptr;
};

TEST_P(DifferentialTestItself, AnEngineAgreesWithItself) {
  const auto engine = engine_of(*open_);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto found = compare_engines(engine, engine, seed);
    EXPECT_FALSE(found.has_value()) << "seed " << seed << "\n"
                                    << print(found->script) << found->text;
  }
}

TEST_P(DifferentialTestItself, FindsASmallFlawAndTheFewStepsThatShowIt) {
  FlawedStore flawed(open_->store());
  const Engine flawed_engine{.store = [&]() -> kv::Store& { return flawed; }, .reopen = [] {}};
  for (std::uint64_t seed = 1; seed < 500; ++seed) {
    const auto found = compare_engines(engine_of(*open_), flawed_engine, seed);
    if (!found) continue;
    EXPECT_LE(found->script.size(), 2U) << print(found->script) << found->text;
    EXPECT_THAT(print(found->script), testing::HasSubstr("ignore_lease"));
    return;
  }
  FAIL() << "nothing found";
}

TEST(DifferentialTestScript, ASeedAlwaysMakesTheSameScript) {
  EXPECT_EQ(print(generate(42, 100)), print(generate(42, 100)));
  EXPECT_NE(print(generate(42, 100)), print(generate(43, 100)));
}

BENNU_CONFORMANCE(DifferentialTestItself);

}  // namespace
}  // namespace bennu::conformance
