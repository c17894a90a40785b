#pragma once
// What   Random scripts of calls to a kv::Store, made from a seed, and how they are printed.
// Why    The same script goes to two engines; a failing one is cut down and shown to a person.
// Use    `generate(seed, steps)`; `print(script)` one line per step.
// Units  Revisions in a script count from its beginning: 0 is "none", 1 the revision it began at.
//        Keys are few, so that steps meet; values are short. Lease ids are 1 to 4; 4 is never
//        granted.
// Threads Pure functions.
// Source own design (tests/conformance/README.md).

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kv/types.hpp"

namespace bennu::conformance {

struct CompactStep {
  Revision revision;
  bool physical = false;
};
struct HashStep {
  Revision revision;
};
struct GrantStep {
  LeaseId id;
  std::int64_t ttl_s = 0;
};
struct RevokeStep {
  LeaseId id;
};
struct KeepAliveStep {
  LeaseId id;
};
struct TimeToLiveStep {
  LeaseId id;
};
struct LeasesStep {};
struct WatchStep {
  kv::WatchRequest request;  ///< with an id of its own
};
struct CancelStep {
  kv::WatchId id = 0;
};
/// A staged transaction; without them, an engine does its work in one transaction at the commit.
struct StageStep {
  std::vector<kv::Op> ops;  ///< puts and single deletes, each key once, at least one put
};
struct CommitStep {
  std::vector<kv::Compare> compares;
};
struct AbandonStep {};
/// The store is closed and opened again, where the test can; an open stage is lost.
struct ReopenStep {};

using Step =
    std::variant<kv::RangeRequest, kv::PutRequest, kv::DeleteRangeRequest, kv::TxnRequest,
                 CompactStep, HashStep, GrantStep, RevokeStep, KeepAliveStep, TimeToLiveStep,
                 LeasesStep, WatchStep, CancelStep, StageStep, CommitStep, AbandonStep, ReopenStep>;
using Script = std::vector<Step>;

[[nodiscard]] Script generate(std::uint64_t seed, std::size_t steps);

[[nodiscard]] std::string print(const Step& step);
[[nodiscard]] std::string print(const Script& script);
[[nodiscard]] std::string print(const kv::KeyValue& kv);

}  // namespace bennu::conformance
