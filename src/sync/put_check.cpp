#include "sync/put_check.hpp"

#include <fmt/format.h>

#include "sync/age_keys.hpp"
#include "sync/reasons.hpp"
#include "sync/seal.hpp"
#include "sync/shown_key.hpp"
#include "sync/tree_records.hpp"

namespace bennu::sync {

PutNeeds needs_of_put(const Mapping& mapping, std::string_view key, std::string_view value) {
  if (const auto record = parse_record(key); record && record->kind == RecordKind::kBlob) {
    const PathOf where = mapping.parse_path(record->path);
    const bool secret =
        where.kind == PathOf::Kind::kRawKey && mapping.prefix_traits(where.key).secret;
    return secret ? PutNeeds::kTooLarge : PutNeeds::kNothing;
  }
  const KeyTraits traits = mapping.classify(key);
  if (!Mapping::is_in_tree(traits.key_class) || key.starts_with(kTreePrefix)) {
    return PutNeeds::kNothing;
  }
  if (traits.secret && !sealed_epoch(value))
    return value.size() > kMaxSecretBytes ? PutNeeds::kTooLarge : PutNeeds::kValue;
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

SealedImport::SealedImport(const Link& link, const Mapping& mapping, Revision revision)
    : link_(link), mapping_(mapping), revision_(revision) {}

Status SealedImport::check(const std::string& key, const std::optional<std::string>& now,
                           const std::optional<std::string>& after) {
  const bool seals = after && after->starts_with(kSealedPrefix);
  if (seals && now && !now->starts_with(kSealedPrefix) && mapping_.classify(key).secret) {
    return refusal(key);
  }
  const KeyMatch match = mapping_.match_key(key);
  if (match.entity == nullptr) return {};
  std::size_t parameter = 0;
  for (const PatternSegment& segment : match.entity->segments) {
    if (!segment.parameter) continue;
    const std::string_view name = match.parameters[parameter++];
    if (!segment.secret || !name.starts_with(kSealedNamePrefix)) continue;
    const auto end = static_cast<std::size_t>(name.data() - key.data());
    BENNU_ASSIGN(const bool open, has_open_names(std::string_view(key).substr(0, end)));
    if (open) return refusal(key);
  }
  return {};
}

// Whether a key lies beside the sealed names.
Result<bool> SealedImport::has_open_names(std::string_view parent) {
  if (sealed_parents_.contains(parent)) return false;
  const kv::KeyRange all = kv::prefix_range(parent);
  const kv::KeyRange sealed =
      kv::prefix_range(std::string(parent) + std::string(kSealedNamePrefix));
  for (const auto& [first, end] :
       {std::pair(all.key, sealed.key), std::pair(sealed.end, all.end)}) {
    BENNU_ASSIGN(const auto found, link_.store.range({.range = {.key = first, .end = end},
                                                      .limit = 1,
                                                      .revision = revision_,
                                                      .keys_only = true}));
    if (!found.kvs.empty()) return true;
  }
  sealed_parents_.emplace(parent);
  return false;
}

Error SealedImport::refusal(std::string_view key) const {
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("{}: is sealed in Git and open in this store, and {}; nothing was changed. Name "
                  "the identity with `--identity FILE`",
                  shown_key(mapping_, key), why_locked(link_.identity)),
      reason::kNoKey);
}

}  // namespace bennu::sync
