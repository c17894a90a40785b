#pragma once
// What   A hash of the whole state at one revision.
// Why    Two reads of one state must be comparable in 8 bytes (a check after recovery or a copy).
// Use    Not cryptographic, and not etcd's HashKV: it covers keys and values, not the engine's
//        history.
// Errors What reading reports.
// Threads Safe for all; reads everything.
// Source FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/), over 8 bytes at a time.

#include <cstdint>

#include "base/result.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

[[nodiscard]] Result<std::uint64_t> hash_state(const Database& database, const View& view,
                                               Revision at);

}  // namespace bennu::kv::embedded
