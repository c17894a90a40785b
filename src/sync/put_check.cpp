#include "sync/put_check.hpp"

#include "sync/seal.hpp"
#include "sync/shown_key.hpp"

namespace bennu::sync {

PutNeeds needs_of_put(const Mapping& mapping, std::string_view key, std::string_view value) {
  const KeyTraits traits = mapping.classify(key);
  if (!Mapping::is_in_tree(traits.key_class) || key.starts_with(kTreePrefix)) {
    return PutNeeds::kNothing;
  }
  if (traits.secret && !sealed_epoch(value)) return PutNeeds::kValue;
  const KeyMatch match = mapping.match_key(key);
  if (match.entity == nullptr) {
    return holds_secret_name(mapping, key) ? PutNeeds::kRefused : PutNeeds::kNothing;
  }
  std::size_t parameter = 0;
  for (const PatternSegment& segment : match.entity->segments) {
    if (!segment.parameter) continue;
    const std::string_view name = match.parameters[parameter++];
    if (segment.secret && !name.starts_with(kSealedNamePrefix)) return PutNeeds::kName;
  }
  return PutNeeds::kNothing;
}

}  // namespace bennu::sync
