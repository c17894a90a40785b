#pragma once
// What   Which stages are open, unclean or dead, and the next id.
// Why    Stages, their clean-up and compaction run in different threads and must know of each
//        other.
// Use    A stage takes `open` with the revision it was begun at and keeps the ticket; the
//        background takes its work from `take_unclean` and `take_dead`.
// Threads Safe for all.
// Source own design, ADR 0002.

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "base/guarded.hpp"
#include "base/ids.hpp"

namespace bennu::kv::embedded {

class StageRegistry {
 public:
  struct Ticket {
    std::uint64_t id = 0;
    Revision base;
  };

  explicit StageRegistry(std::uint64_t next_id) { state_.lock()->next_id = next_id; }

  /// From now on the log from `base` on is kept; what the caller builds on must be read after it,
  /// so that no change between the two can be compacted away.
  [[nodiscard]] Ticket open(Revision base) {
    auto state = state_.lock();
    state->bases.insert(base.value);
    return {.id = state->next_id++, .base = base};
  }
  void close(const Ticket& ticket) {
    auto state = state_.lock();
    state->bases.erase(state->bases.find(ticket.base.value));
  }
  /// The log at and above this is needed by a stage; nothing if none is open.
  [[nodiscard]] Revision log_floor(Revision otherwise) {
    auto state = state_.lock();
    if (state->bases.empty()) return otherwise;
    return {std::min(otherwise.value, *state->bases.begin())};
  }

  /// Before its commit is published: whoever sees the stage must know that it is unclean.
  void add_unclean(std::uint64_t id) { state_.lock()->unclean.push_back(id); }
  void forget_unclean(std::uint64_t id) { std::erase(state_.lock()->unclean, id); }
  void add_dead(std::uint64_t id) { state_.lock()->dead.push_back(id); }
  [[nodiscard]] std::vector<std::uint64_t> take_unclean() {
    return std::exchange(state_.lock()->unclean, {});
  }
  [[nodiscard]] std::vector<std::uint64_t> take_dead() {
    return std::exchange(state_.lock()->dead, {});
  }

 private:
  struct State {
    std::uint64_t next_id = 1;
    std::multiset<std::int64_t> bases;
    std::vector<std::uint64_t> unclean;
    std::vector<std::uint64_t> dead;
  };
  Guarded<State> state_;
};

}  // namespace bennu::kv::embedded
