#include "cli/own_keys.hpp"

#include "sync/mapping.hpp"

namespace bennu::cli {

std::vector<kv::KeyRange> listed_ranges(std::string_view prefix, bool all) {
  const kv::KeyRange whole = kv::prefix_range(prefix);
  if (all || prefix.starts_with("/_bennu/") || !contains(whole, sync::kLocalPrefix)) return {whole};
  const kv::KeyRange own = kv::prefix_range(sync::kLocalPrefix);
  return {{.key = whole.key, .end = own.key}, {.key = own.end, .end = whole.end}};
}

}  // namespace bennu::cli
