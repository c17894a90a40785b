#pragma once
// What   What the inventory's tests share: a store in memory, a clock that stands, repeatable
//        randomness, short calls.
// Why    Each test says only what it is about.
// Use    `class Users : public Fixture {}`; `add_user("anna")`.
// Threads One thread, unless a test says so.
// Source own design.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "inventory/check.hpp"
#include "inventory/inventory.hpp"
#include "inventory/memory_store_for_tests.hpp"
#include "inventory/read.hpp"
#include "inventory/reasons.hpp"
#include "inventory/values.hpp"

namespace bennu::inventory {

class SeededRandom final : public env::Random {
 public:
  explicit SeededRandom(unsigned seed = 1) : engine_(seed) {}
  std::string bytes(std::size_t count) override {
    const std::lock_guard lock(mutex_);
    std::string out(count, '\0');
    for (char& c : out) c = static_cast<char>(engine_() & 0xff);
    return out;
  }

 private:
  std::mutex mutex_;
  std::mt19937 engine_;
};

class Fixture : public ::testing::Test {
 protected:
  static constexpr const char* kUuid = "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11";
  static constexpr const char* kCore = "203.0.113.7";
  static constexpr const char* kCore2 = "203.0.113.8";
  static constexpr const char* kEntry = "198.51.100.1";

  static kv::AuditContext context() {
    return {.actor = {.name = "Ana", .email = "ana@example.org"}, .reason = "test", .node = "n1"};
  }

  Result<Outcome> add(EntityId id, const Changes& fields = {}) {
    return inventory.add(std::move(id), fields, context());
  }
  Result<Outcome> set(const EntityId& id, const Changes& changes) {
    return inventory.set(id, changes, context());
  }
  Result<Outcome> set_status(const EntityId& id, std::string_view status) {
    return inventory.set_status(id, status, context());
  }
  Result<Outcome> remove(const EntityId& id) { return inventory.remove(id, context()); }

  /// The id of a new user; fails the test if it cannot be added.
  EntityId add_user(const std::string& name, const Changes& more = {}) {
    Changes fields = more;
    fields["username"] = name;
    return must(add({.kind = Kind::kUser}, fields));
  }
  EntityId add_device(const EntityId& user, const std::string& name, const Changes& more = {},
                      const std::string& uuid = {}) {
    Changes fields = more;
    fields["name"] = name;
    return must(add({.kind = Kind::kDevice, .first = user.first, .second = uuid}, fields));
  }
  EntityId add_node(const std::string& ip, const std::string& role, const Changes& more = {}) {
    Changes fields = more;
    fields["role"] = role;
    return must(add(node_id(ip), fields));
  }
  EntityId must(const Result<Outcome>& outcome) {
    EXPECT_TRUE(outcome.has_value()) << outcome.error().message;
    return outcome ? outcome->entity.id : EntityId{};
  }

  Entity entity(const EntityId& id) {
    auto found = get(store, layout, id);
    EXPECT_TRUE(found.has_value()) << found.error().message;
    return found ? *found : Entity{};
  }
  std::string field(const EntityId& id, std::string_view name) {
    return std::string(entity(id).get(name));
  }

  /// Puts a value past the rules, as an import from Git would.
  void put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(store.put({.key = key, .value = value}).has_value());
  }

  std::vector<std::string> violations() {
    std::vector<std::string> lines;
    const auto found = check(store, layout);
    EXPECT_TRUE(found.has_value());
    if (found) {
      for (const Violation& violation : *found) lines.push_back(violation.message);
    }
    return lines;
  }

  MemoryStore store;
  env::ManualClock clock;
  SeededRandom random;
  Inventory inventory{store, clock, random};
  Layout layout;
};

/// The result failed for this reason, with a message of one line that has these words, and no
/// effect.
MATCHER_P2(FailsWith, reason, words, "") {
  if (arg.has_value()) {
    *result_listener << "it succeeded";
    return false;
  }
  *result_listener << arg.error().reason << ": " << arg.error().message;
  return arg.error().reason == reason && arg.error().effect == Effect::kNone &&
         arg.error().message.find(words) != std::string::npos &&
         arg.error().message.find('\n') == std::string::npos;
}

}  // namespace bennu::inventory
