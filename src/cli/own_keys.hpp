#pragma once
// What   Which keys a listing shows: the user's, and Bennu's own of this store only when asked.
// Why    kv ls and kv watch leave out the same ones.
// Threads Pure functions.
// Source own design.

#include <string_view>
#include <vector>

#include "kv/types.hpp"

namespace bennu::cli {

/// The ranges of what `prefix` lists, in order: without this store's own keys under
/// `/_bennu/local/` unless `all` is set or the prefix itself lies in `/_bennu/`.
[[nodiscard]] std::vector<kv::KeyRange> listed_ranges(std::string_view prefix, bool all);

}  // namespace bennu::cli
