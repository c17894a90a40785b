#include "kv/embedded/change_source.hpp"

namespace bennu::kv::embedded {

std::size_t size_bytes(const ChangeBlock& block) {
  std::size_t bytes = 0;
  for (const Event& change : block.changes) {
    bytes += change.kv.key.size() + change.kv.value.size();
    for (const KeyValue& prev : change.prev_kv) bytes += prev.key.size() + prev.value.size();
  }
  return bytes;
}

}  // namespace bennu::kv::embedded
