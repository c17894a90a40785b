#pragma once
// What   Tidies up after stages: older versions to hist after a commit, records of a dead one away.
// Why    A commit must be short, so what it leaves behind is put in order afterwards.
// Use    In the background, in any order, as often as it takes. Readers see the same before and
//        after.
// Errors kCancelled when stopped; what reading and writing report.
// Threads One at a time. Committed stages go through the write role, a few keys at a time.
// Source own design, ADR 0002.

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string_view>

#include "kv/embedded/writer.hpp"

namespace bennu::kv::embedded {

/// Keys in one turn of the write role: about a millisecond.
inline constexpr std::size_t kCleanAtOnce = 100;

/// False: it is not committed yet.
[[nodiscard]] Result<bool> clean_stage(const Database& database, PublishedView& published,
                                       Writer& writer, std::uint64_t stage,
                                       const std::stop_token& stop,
                                       const std::function<void(std::string_view)>& fail_point);

[[nodiscard]] Status remove_dead_stage(const Database& database, PublishedView& published,
                                       std::uint64_t stage, const std::stop_token& stop);

}  // namespace bennu::kv::embedded
