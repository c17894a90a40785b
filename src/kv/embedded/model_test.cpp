// The whole engine against a map of maps: random requests, old revisions, counts, compaction,
// stages, reopening. BENNU_MODEL_SEED replays a run, BENNU_MODEL_STEPS makes it longer.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "base/bytes.hpp"
#include "env/random.hpp"
#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv {
namespace {

using State = std::map<std::string, KeyValue>;

// One line per key that only one side has, or has otherwise.
std::string difference(const std::vector<KeyValue>& found, const std::vector<KeyValue>& expected) {
  std::map<std::string, std::string> left;
  std::map<std::string, std::string> right;
  const auto text = [](const KeyValue& kv) {
    return fmt::format("create {} mod {} version {} value {}", kv.create_revision.value,
                       kv.mod_revision.value, kv.version, kv.value);
  };
  for (const auto& kv : found) left[kv.key] = text(kv);
  for (const auto& kv : expected) right[kv.key] = text(kv);
  std::string out;
  for (const auto& [key, one] : left) {
    if (!right.contains(key)) out += fmt::format("only found: {}: {}\n", printable(key), one);
  }
  for (const auto& [key, one] : right) {
    if (!left.contains(key)) out += fmt::format("missing: {}: {}\n", printable(key), one);
    if (left.contains(key) && left[key] != one) {
      out += fmt::format("{}: found {}, expected {}\n", printable(key), left[key], one);
    }
  }
  return out.empty() && found != expected ? "another order" : out;
}

class Model {
 public:
  Model(std::uint64_t seed, int steps) : random_(seed), steps_(steps) { history_[1] = {}; }

  void run() {
    reopen();
    for (int step = 0; step < steps_ && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(fmt::format("step {}", step));
      act();
      if (pick(4) == 0) check_range();
      if (pick(40) == 0) check_all();
    }
    reopen();
    check_all();
  }

 private:
  std::size_t pick(std::size_t below) { return random_() % below; }
  std::string key() {
    static constexpr std::string_view kLetters("ab/\0\xff", 5);
    std::string out = fmt::format("{}", pick(6));
    for (std::size_t i = pick(4); i > 0; --i) out.push_back(kLetters[pick(kLetters.size())]);
    return out;
  }
  std::string value() { return std::string(pick(50), static_cast<char>('a' + pick(26))); }
  KeyRange range() {
    switch (pick(5)) {
      case 0:
        return {.key = key(), .end = {}};
      case 1:
        return {.key = key(), .end = std::string(1, '\0')};
      case 2:
        return prefix_range(key().substr(0, 1 + pick(2)));
      case 3:
        return all_keys();
      default:
        return {.key = key(), .end = key()};
    }
  }

  void reopen() {
    store_.reset();
    EngineOptions options{.path = dir_.path() / "kv", .create_if_missing = true};
    options.test_hooks.stage_spill_changes = 5;
    auto opened = open_embedded(options);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }

  void act() {
    switch (pick(16)) {
      case 0:
        return compact();
      case 1:
        if (pick(4) == 0) reopen();
        return;
      case 2:
      case 3:
        return stage();
      case 4:
      case 5:
      case 6:
        return txn();
      case 7:
      case 8:
        return erase(range());
      default:
        return put();
    }
  }

  // Changes the model's next state; `end` makes it a revision.
  void begin() { next_ = history_[newest_]; }
  void model_put(const std::string& key, const std::string& value) {
    KeyValue& kv = next_[key];
    if (kv.version == 0) kv = {.key = key, .create_revision = {newest_ + 1}};
    kv.mod_revision = {newest_ + 1};
    ++kv.version;
    kv.value = value;
    changed_ = true;
  }
  std::int64_t model_erase(const KeyRange& range) {
    const auto count =
        std::erase_if(next_, [&](const auto& one) { return contains(range, one.first); });
    changed_ = changed_ || count > 0;
    return static_cast<std::int64_t>(count);
  }
  void end(Revision revision) {
    if (changed_) history_[++newest_] = next_;
    changed_ = false;
    EXPECT_EQ(revision.value, newest_);
  }

  void put() {
    const std::string k = key();
    const std::string v = value();
    begin();
    model_put(k, v);
    const auto done = store_->put({.key = k, .value = v, .prev_kv = true});
    ASSERT_TRUE(done) << done.error().message;
    const auto old = history_[newest_].find(k);
    ASSERT_EQ(done->prev_kv.size(), old == history_[newest_].end() ? 0U : 1U);
    if (!done->prev_kv.empty()) {
      EXPECT_EQ(done->prev_kv[0], old->second);
    }
    end(done->revision);
  }

  void erase(const KeyRange& where) {
    if (pick(3) != 0 && where.end == std::string(1, '\0')) return;  // else little would live long
    begin();
    const std::int64_t count = model_erase(where);
    const auto done = store_->delete_range({.range = where});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->deleted, count);
    end(done->revision);
  }

  void txn() {
    TxnRequest request;
    begin();
    std::vector<std::int64_t> counts;
    // A put and then a delete of one key in one revision, which etcd allows in nested transactions.
    const std::string twice = key();
    request.success.push_back(Op{TxnRequest{
        .compares = {}, .success = {Op{PutRequest{.key = twice, .value = "1"}}}, .failure = {}}});
    model_put(twice, "1");
    if (pick(2) == 0) {
      request.success.push_back(
          Op{TxnRequest{.compares = {},
                        .success = {Op{DeleteRangeRequest{.range = {.key = twice, .end = {}}}}},
                        .failure = {}}});
      model_erase({.key = twice, .end = {}});
    }
    const std::string other = key();
    if (other != twice) {
      // "To the end" beside a put of a key in it: the order of the two counts.
      const KeyRange rest{.key = other, .end = std::string(1, '\0')};
      if (pick(6) == 0) {
        request.success.push_back(Op{DeleteRangeRequest{.range = rest}});
        model_erase(rest);
      }
      request.success.push_back(Op{PutRequest{.key = other, .value = "2"}});
      model_put(other, "2");
    }
    const KeyRange where = range();
    request.success.push_back(Op{RangeRequest{.range = where, .count_only = true}});
    std::int64_t count = 0;
    for (const auto& [k, kv] : next_) count += contains(where, k) ? 1 : 0;
    const auto done = store_->txn(request);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(std::get<RangeResponse>(done->responses.back().response).count, count);
    end(done->revision);
  }

  void stage() {
    auto staged = store_->stage();
    ASSERT_TRUE(staged);
    std::map<std::string, std::optional<std::string>> changes;
    std::vector<std::string> order;
    const std::size_t size = pick(3) == 0 ? pick(5) : pick(60);
    for (std::size_t i = 0; i < size; ++i) {
      std::string k = key();
      if (changes.contains(k)) continue;
      changes[k] = pick(4) == 0 ? std::nullopt : std::optional(value());
      order.push_back(std::move(k));
    }
    if (pick(2) == 0) std::sort(order.begin(), order.end());
    const std::size_t half = pick(order.size() + 1);
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i == half) meanwhile();
      const auto& change = changes[order[i]];
      const Status added = change ? (*staged)->put(order[i], *change) : (*staged)->erase(order[i]);
      ASSERT_TRUE(added) << added.error().message;
    }
    for (std::size_t i = pick(3); i > 0; --i) meanwhile();
    if (pick(6) == 0) return;  // given up
    begin();
    for (const auto& [k, change] : changes) {
      if (change) {
        model_put(k, *change);
      } else {
        model_erase({.key = k, .end = {}});
      }
    }
    std::vector<Op> extra;
    if (const std::string k = key(); !changes.contains(k) && pick(2) == 0) {
      extra.push_back(Op{PutRequest{.key = k, .value = "extra"}});
      model_put(k, "extra");
    }
    if (pick(6) == 0) {
      changed_ = false;
      const auto refused = (*staged)->commit(
          {{.range = {.key = "none", .end = {}}, .target = CompareTarget::kVersion, .number = 9}},
          extra);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().reason, reason::kStageConflict);
      return;
    }
    const auto done = (*staged)->commit({}, std::move(extra));
    ASSERT_TRUE(done) << done.error().message;
    end(*done);
  }

  void meanwhile() { pick(3) == 0 ? erase({.key = key(), .end = {}}) : put(); }

  void compact() {
    const std::int64_t to =
        compacted_ +
        static_cast<std::int64_t>(pick(static_cast<std::size_t>(newest_ - compacted_ + 2)));
    const auto done = store_->compact({to}, pick(2) == 0);
    if (to <= compacted_) {
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().reason, reason::kCompacted);
    } else if (to > newest_) {
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().reason, reason::kFutureRevision);
    } else {
      ASSERT_TRUE(done) << done.error().message;
      compacted_ = to;
    }
  }

  void check_range() {
    const KeyRange where = range();
    const std::int64_t at =
        pick(2) == 0 ? 0 : 1 + static_cast<std::int64_t>(pick(static_cast<std::size_t>(newest_)));
    const std::int64_t limit = static_cast<std::int64_t>(pick(4));
    const auto found = store_->range({.range = where, .limit = limit, .revision = {at}});
    if (at != 0 && at < compacted_) {
      ASSERT_FALSE(found);
      EXPECT_EQ(found.error().reason, reason::kCompacted);
      return;
    }
    ASSERT_TRUE(found) << found.error().message;
    std::vector<KeyValue> expected;
    for (const auto& [k, kv] : history_[at == 0 ? newest_ : at]) {
      if (contains(where, k)) expected.push_back(kv);
    }
    EXPECT_EQ(found->count, static_cast<std::int64_t>(expected.size()));
    if (limit > 0 && expected.size() > static_cast<std::size_t>(limit))
      expected.resize(static_cast<std::size_t>(limit));
    EXPECT_EQ(difference(found->kvs, expected), "")
        << printable(where.key) << ".." << printable(where.end) << "@" << at;
  }

  void check_all() {
    for (std::int64_t at = std::max<std::int64_t>(compacted_, 1); at <= newest_; ++at) {
      if (at < newest_ && pick(3) != 0) continue;
      std::vector<KeyValue> found;
      const auto done = store_->scan(all_keys(), {at}, [&](KeyValue& kv) -> Status {
        found.push_back(kv);
        return {};
      });
      ASSERT_TRUE(done) << done.error().message;
      std::vector<KeyValue> expected;
      for (const auto& [k, kv] : history_[at]) expected.push_back(kv);
      ASSERT_EQ(difference(found, expected), "")
          << "at " << at << " of " << newest_ << ", compacted " << compacted_;
    }
  }

  std::mt19937_64 random_;
  const int steps_;
  env::TempDir dir_;
  std::unique_ptr<Store> store_;
  std::map<std::int64_t, State> history_;
  std::int64_t newest_ = 1;
  std::int64_t compacted_ = 0;
  State next_;
  bool changed_ = false;
};

std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::uint64_t fresh_seed() { return read_be64(env::system_random().bytes(8)) >> 1; }

void run_model(std::uint64_t offset) {
  const std::uint64_t seed = environment("BENNU_MODEL_SEED", fresh_seed()) + offset;
  const int steps = static_cast<int>(environment("BENNU_MODEL_STEPS", 200));
  SCOPED_TRACE(
      fmt::format("replay with BENNU_MODEL_SEED={} BENNU_MODEL_STEPS={}", seed - offset, steps));
  Model(seed, steps).run();
}

TEST(EngineModel, AgreesWithAMap) { run_model(0); }
TEST(EngineModel, AgreesWithAMapAgain) { run_model(1); }

}  // namespace
}  // namespace bennu::kv
