#include "kv/store.hpp"

#include "base/bytes.hpp"

namespace bennu::kv {

KeyRange prefix_range(std::string_view prefix) {
  if (prefix.empty()) return all_keys();
  return KeyRange{.key = std::string(prefix), .end = prefix_end(prefix)};
}

KeyRange all_keys() { return KeyRange{.key = std::string(1, '\0'), .end = std::string(1, '\0')}; }

bool contains(const KeyRange& range, std::string_view key) {
  if (range.end.empty()) return key == range.key;
  if (key < range.key) return false;
  return range.end == std::string_view("\0", 1) || key < range.end;
}

}  // namespace bennu::kv
