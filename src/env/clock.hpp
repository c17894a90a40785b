#pragma once
// What   The seam for time: a monotonic clock and the wall clock.
// Why    Leases, debouncing and audit times must be testable without sleeping. No other file reads
//        a clock.
// Use    Pass `Clock&` down; production uses `system_clock()`, tests a `ManualClock`.
// Units  Monotonic: time since an arbitrary point, never goes back, does not run while the machine
//        is down. Wall: UTC, microseconds since 1970; may jump.
// Threads Safe for all.
// Source own design (CONTRIBUTING.md); RFC 3339 for the text form.

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace bennu::env {

using Monotonic = std::chrono::nanoseconds;
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Monotonic monotonic() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
};

/// The machine's clocks.
[[nodiscard]] Clock& system_clock();

/// A clock that only moves when told to. Safe for all threads.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(WallTime wall = WallTime{std::chrono::seconds{1'700'000'000}});
  [[nodiscard]] Monotonic monotonic() const override;
  [[nodiscard]] WallTime wall() const override;
  /// Moves both clocks forward.
  void advance(std::chrono::nanoseconds by);

 private:
  WallTime start_;
  std::atomic<std::chrono::nanoseconds::rep> passed_ns_{0};
};

/// `2026-11-20T08:00:00Z` (RFC 3339, UTC, whole seconds).
[[nodiscard]] std::string to_rfc3339(WallTime time);
/// Parses RFC 3339 with `Z` or an offset and optional fractions (kept to microseconds); nothing if
/// malformed.
[[nodiscard]] std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace bennu::env
