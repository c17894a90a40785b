#include "sync/entity_names.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "sync/reasons.hpp"
#include "sync/seal.hpp"

namespace bennu::sync {
namespace {

const DocumentField* find_name(std::span<const DocumentField> fields, std::string_view parameter) {
  const auto found = std::ranges::find_if(fields, [&](const DocumentField& field) {
    return field.name.starts_with('$') && std::string_view(field.name).substr(1) == parameter;
  });
  return found == fields.end() ? nullptr : &*found;
}

// What   the sealed name is bound to: the names before it, and its own hash.
std::string name_path(std::string_view before, std::string_view hash) {
  return fmt::format("{}{}{}", before, kSealedNamePrefix, hash);
}

// The real name behind a hash; nothing where the ring cannot open it.
Result<std::optional<std::string>> open_name(const KeyRing& ring, std::string_view before,
                                             std::string_view hash, std::string_view text) {
  const auto epoch = sealed_epoch(text);
  if (!epoch || ring.find(*epoch) == nullptr) return std::optional<std::string>();
  const std::string path = name_path(before, hash);
  BENNU_ASSIGN(std::string name, open_sealed(ring, path, text).with_context(printable(path)));
  BENNU_ASSIGN(const std::string expected, hash_name(ring, *epoch, std::string(before) + name));
  if (expected != hash) {
    return make_error(Code::kDataLoss,
                      fmt::format("{}: the sealed name belongs to another file", printable(path)),
                      reason::kTampered);
  }
  return std::optional(std::move(name));
}

}  // namespace

Result<EntityNames> names_for_export(const KeyRing& ring, const Entity& entity,
                                     std::span<const std::string> parameters,
                                     std::string_view prefix,
                                     std::span<const DocumentField> fields) {
  EntityNames names;
  if (!entity.has_secret_name()) {
    names.prefix = prefix;
    return names;
  }
  names.prefix = entity.key_prefix;
  std::size_t next = 0;
  for (const PatternSegment& segment : entity.segments) {
    const std::string& text = segment.parameter ? parameters[next++] : segment.text;
    if (!segment.secret) {
      names.prefix.append(text).append("/");
      continue;
    }
    const std::string_view hash = std::string_view(text).substr(
        text.starts_with(kSealedNamePrefix) ? kSealedNamePrefix.size() : text.size());
    if (is_name_hash(hash)) {
      const DocumentField* field = find_name(fields, segment.text);
      if (field == nullptr || !sealed_epoch(field->value)) {
        return make_error(Code::kInvalidArgument,
                          fmt::format("{}: the sealed name has no `${}`; delete these keys",
                                      printable(prefix), segment.text),
                          reason::kBadDocument);
      }
      BENNU_ASSIGN(const auto name, open_name(ring, names.prefix, hash, field->value));
      names.known = names.known && name.has_value();
      names.prefix.append(name.value_or(text)).append("/");
      continue;
    }
    auto own_hash = hash_name(ring, ring.current(), names.prefix + text);
    if (!own_hash) {
      return std::move(own_hash).error().with_context(names.prefix + "{" + segment.text + "}");
    }
    BENNU_ASSIGN(std::string sealed, seal(ring, name_path(names.prefix, *own_hash), text));
    names.fields.push_back(
        {.name = "$" + segment.text, .value = std::move(sealed), .sealed = true});
    names.prefix.append(text).append("/");
  }
  return names;
}

Result<EntityNames> names_for_import(const KeyRing& ring, const Entity& entity,
                                     std::span<const std::string> parameters, bool clear,
                                     std::string_view path, std::span<const DocumentField> fields) {
  EntityNames names{.prefix = entity.key_prefix};
  std::size_t next = 0;
  for (const PatternSegment& segment : entity.segments) {
    const std::string& text = segment.parameter ? parameters[next++] : segment.text;
    if (!segment.secret || (clear && !is_name_hash(text))) {
      names.prefix.append(text).append("/");
      continue;
    }
    const DocumentField* field = find_name(fields, segment.text);
    if (field == nullptr) {
      return make_error(Code::kInvalidArgument,
                        fmt::format("{}:1:1: `${}`, the sealed name of this {}, is missing; take "
                                    "the file from an older commit",
                                    path, segment.text, entity.name),
                        reason::kBadDocument);
    }
    auto name = open_name(ring, names.prefix, text, field->value);
    if (!name) return std::move(name).error().with_context(path);
    if (*name) {
      names.current = names.current && sealed_epoch(field->value) == ring.current();
      names.prefix.append(**name).append("/");
    } else {
      names.known = false;
      names.fields.push_back(*field);
      names.prefix.append(kSealedNamePrefix).append(text).append("/");
    }
  }
  return names;
}

}  // namespace bennu::sync
