#pragma once
// What   The engines that the conformance suite runs on, and what each may do differently.
// Why    One body per test; a difference that the contract allows is a field here, never an `if` in
//        a test.
// Use    `for (const Backend& b : backends())`; `shared()` is one store for the whole process,
//        `fresh()` a new one.
// Errors shared, fresh: why the backend cannot run here; the tests are then skipped with that text.
// Threads Main thread only (see EtcdProcess).
// Source own design (tests/conformance/README.md); the traits of etcd are those of 3.4.23, Debian
//        12's, with the fix's number.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kv/store.hpp"

namespace bennu::conformance {

/// What the contract leaves open, or what an old etcd gets wrong.
struct Traits {
  bool bounds_keys = true;     ///< at limits::kMaxKeyBytes; etcd bounds the whole request only
  std::int64_t min_ttl_s = 0;  ///< a shorter TTL is raised to this
  /// Of one revision, but for staged commits: there it is the engine's own order.
  bool events_in_request_order = true;
  bool progress_follows_events = true;        ///< etcd before 3.4.25 may overtake (etcd#15220)
  bool keeps_tombstone_at_compaction = true;  ///< etcd before 3.4.36 drops it (etcd#19179)
};

/// A store, what must live as long as it does, and how to open it again.
class OpenStore {
 public:
  using Open = std::function<Result<std::unique_ptr<kv::Store>>()>;
  /// Opens by `open`, which keeps alive what it needs.
  [[nodiscard]] static Result<std::unique_ptr<OpenStore>> make(Open open);
  [[nodiscard]] kv::Store& store() { return *store_; }
  /// Closes the store (kills it, where it is a process of its own) and opens it on the same data.
  /// Streams and staged transactions must have ended.
  [[nodiscard]] Status reopen();

 private:
  explicit OpenStore(Open open) : open_(std::move(open)) {}
  Open open_;
  std::unique_ptr<kv::Store> store_;  // destroyed before what `open_` keeps
};

struct Backend {
  std::string name;
  Traits traits;
  /// A new, empty store.
  std::function<Result<std::unique_ptr<OpenStore>>()> fresh;
  /// Made by `fresh` at the first call and kept until close_shared_stores().
  [[nodiscard]] Result<OpenStore*> shared() const;
};

[[nodiscard]] const std::vector<Backend>& backends();
/// Before the process takes down what the engines' libraries keep in globals.
void close_shared_stores();

}  // namespace bennu::conformance
