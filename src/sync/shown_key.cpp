#include "sync/shown_key.hpp"

#include <algorithm>
#include <cctype>

#include "base/bytes.hpp"
#include "sync/seal.hpp"
#include "sync/tree_records.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kMaxShownBytes = 300;
constexpr std::string_view kUuidForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

bool is_uuid(std::string_view text) {
  return text.size() == kUuidForm.size() &&
         std::ranges::equal(text, kUuidForm, [](char c, char form) {
           return form == 'x' ? std::isxdigit(static_cast<unsigned char>(c)) != 0 : c == form;
         });
}

// The next segment, with the slash that ends it (if any) taken away from `rest`, too.
std::string_view next_segment(std::string_view& rest) {
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view segment = rest.substr(0, slash);
  rest.remove_prefix(std::min(slash + 1, rest.size()));
  return segment;
}

// What may stand for a secret name; `path` is the key up to and with it.
std::string stand_in(const KeyRing& ring, const PatternSegment& segment, std::string_view path,
                     std::string_view name) {
  if (name.starts_with(kSealedNamePrefix)) return std::string(name);
  const auto hash = hash_name(ring, ring.current(), path);
  return hash ? *hash : "{" + segment.text + "}";
}

// The key with the secret names of this entity replaced; empty if it does not lead to one of them.
std::string without_names(const KeyRing& ring, const Entity& entity, std::string_view key) {
  if (!key.starts_with(entity.key_prefix)) return {};
  std::string shown = entity.key_prefix;
  std::string_view rest = key.substr(entity.key_prefix.size());
  bool replaced = false;
  for (const PatternSegment& segment : entity.segments) {
    if (rest.empty()) break;
    const std::string_view text = next_segment(rest);
    if (!segment.parameter && text != segment.text) return {};
    const auto end = static_cast<std::size_t>(text.data() + text.size() - key.data());
    replaced = replaced || segment.secret;
    shown += segment.secret ? stand_in(ring, segment, key.substr(0, end), text) : std::string(text);
    if (end < key.size()) shown += '/';
  }
  return replaced ? shown.append(rest) : std::string();
}

// Of a route, say: the uuid of a device outside of its entity.
std::string without_uuids(std::string_view key) {
  std::string shown;
  for (std::string_view rest = key; !rest.empty();) {
    const std::string_view segment = next_segment(rest);
    shown += is_uuid(segment) ? std::string_view("{uuid}") : segment;
    if (segment.data() + segment.size() < key.data() + key.size()) shown += '/';
  }
  return shown;
}

std::string_view record_note(RecordKind kind) {
  switch (kind) {
    case RecordKind::kMode:
      return " (mode)";
    case RecordKind::kLink:
      return " (submodule)";
    case RecordKind::kBlob:
      return " (large file)";
    case RecordKind::kEmpty:
      return " (empty folder)";
    case RecordKind::kFile:
      return "";
  }
  return "";
}

}  // namespace

std::string shown_key(const Mapping& mapping, std::string_view key) {
  const auto record = parse_record(key);
  const std::string_view note = record ? record_note(record->kind) : "";
  if (record) key = record->path;
  bool secret_names = false;
  for (const Entity& entity : mapping.schema().entities) {
    if (!entity.has_secret_name()) continue;
    secret_names = true;
    const std::string shown = without_names(mapping.ring(), entity, key);
    if (!shown.empty()) return printable(without_uuids(shown), kMaxShownBytes);
  }
  return printable(secret_names ? without_uuids(key) : std::string(key), kMaxShownBytes)
      .append(note);
}

bool holds_secret_name(const Mapping& mapping, std::string_view key) {
  return std::ranges::any_of(mapping.schema().entities, [&](const Entity& entity) {
    return entity.has_secret_name() && !without_names(mapping.ring(), entity, key).empty();
  });
}

}  // namespace bennu::sync
