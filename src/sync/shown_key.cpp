#include "sync/shown_key.hpp"

#include "base/bytes.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kShownBytes = 8;
constexpr std::size_t kMaxShownBytes = 300;

}  // namespace

std::string shown_key(const Mapping& mapping, std::string_view key) {
  const KeyMatch match = mapping.match_key(key);
  if (match.entity == nullptr || !match.entity->has_secret_name())
    return printable(key, kMaxShownBytes);
  std::string shown;
  std::size_t done = 0;  // of the key's bytes
  std::size_t parameter = 0;
  for (const PatternSegment& segment : match.entity->segments) {
    if (!segment.parameter) continue;
    const std::string_view name = match.parameters[parameter++];
    if (!segment.secret || name.size() <= kShownBytes) continue;
    const auto at = static_cast<std::size_t>(name.data() - key.data());
    shown.append(key.substr(done, at - done)).append(name.substr(0, kShownBytes)).append("…");
    done = at + name.size();
  }
  shown.append(key.substr(done));
  return printable(shown, kMaxShownBytes);
}

}  // namespace bennu::sync
