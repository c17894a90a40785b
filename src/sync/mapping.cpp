#include "sync/mapping.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/bytes.hpp"
#include "base/limits.hpp"
#include "sync/document.hpp"
#include "sync/raw_path.hpp"
#include "sync/seal.hpp"
#include "sync/tree_assembler.hpp"
#include "sync/tree_records.hpp"

namespace bennu::sync {
namespace {

constexpr std::string_view kReservedTop = ".bennu";
constexpr std::string_view kDocumentSuffix = ".json";

bool is_in_directory(std::string_view path, std::string_view top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

// `/net/users/7/` -> `users`, `7`; at most `Max`, one more means too many.
template <std::size_t Max>
std::size_t split_into(std::string_view text, std::array<std::string_view, Max>& parts) {
  std::size_t count = 0;
  while (count < Max) {
    const std::size_t slash = text.find('/');
    parts[count++] = text.substr(0, slash);
    if (slash == std::string_view::npos) return count;
    text.remove_prefix(slash + 1);
  }
  return Max + 1;
}

bool is_sealed_segment(std::string_view segment) {
  return segment.starts_with(kSealedNamePrefix) &&
         is_name_hash(segment.substr(kSealedNamePrefix.size()));
}

// A parameter's component in the tree; false if it needs more than one, so that it cannot be a
// document's.
bool append_parameter(std::string_view text, bool last, std::string& out) {
  const std::size_t start = out.size();
  if (last) {
    append_component(std::string(text) + std::string(kDocumentSuffix), out);
  } else {
    append_component(text, out);
  }
  return out.find('/', start) == std::string::npos;
}

// The directory that spreads a wide collection: the first digits of the SHA-256 of the parameter.
std::string shard_of(std::string_view text, unsigned digits) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  return to_hex(std::string_view(reinterpret_cast<const char*>(hash.data()), 2)).substr(0, digits);
}

// The path of an entity whose parameters are as they stand in the tree.
bool append_document_path(const Entity& entity, std::span<const std::string> parameters,
                          std::string& out) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < entity.segments.size(); ++i) {
    const PatternSegment& segment = entity.segments[i];
    const bool last = i + 1 == entity.segments.size();
    if (i > 0) out += '/';
    const std::string_view text =
        segment.parameter ? std::string_view(parameters[next++]) : std::string_view(segment.text);
    if (segment.shard_digits > 0) out.append(shard_of(text, segment.shard_digits)).append("/");
    if (!append_parameter(text, last, out)) return false;
  }
  return true;
}

kv::KeyRange one_key(std::string key) { return {.key = std::move(key), .end = {}}; }

// In the order in which the assembler wants them: of two in one place the first wins.
constexpr std::array<RecordKind, 5> kRecordOrder = {
    RecordKind::kMode, RecordKind::kBlob, RecordKind::kEmpty, RecordKind::kLink, RecordKind::kFile};

std::vector<kv::KeyRange> record_reads(std::string_view path) {
  std::vector<kv::KeyRange> reads;
  for (const RecordKind kind : kRecordOrder) reads.push_back(one_key(record_key(kind, path)));
  return reads;
}

}  // namespace

Mapping::Mapping() : Mapping(Schema{}, std::make_shared<const KeyRing>()) {}

Mapping::Mapping(Schema schema, std::shared_ptr<const KeyRing> ring)
    : schema_(std::make_shared<const Schema>(std::move(schema))),
      ring_(ring ? std::move(ring) : std::make_shared<const KeyRing>()) {
  for (const Entity& entity : schema_->entities) {
    const std::string& top = entity.segments.front().text;
    const bool single = entity.segments.size() == 1;
    heads_.push_back(entity.key_prefix + top + "/");
    tree_tops_.push_back(single ? top + std::string(kDocumentSuffix) : top + "/");
  }
}

Result<Mapping> Mapping::open(const std::optional<std::string>& schema_bytes,
                              std::shared_ptr<const KeyRing> ring) {
  if (!schema_bytes) return Mapping(Schema{}, std::move(ring));
  BENNU_ASSIGN(Schema schema, parse_schema(*schema_bytes));
  return Mapping(std::move(schema), std::move(ring));
}

bool Mapping::is_in_tree(KeyClass key_class) {
  return key_class == KeyClass::kDesired || key_class == KeyClass::kOperational;
}

KeyTraits Mapping::classify(std::string_view key) const {
  if (key.starts_with(kLocalPrefix)) return {.key_class = KeyClass::kLocal};
  if (key.starts_with(kTreePrefix)) return {};
  if (const KeyMatch match = match_key(key); match.entity != nullptr) {
    if (match.field.starts_with('$')) return {};
    return match.entity->field(match.field).traits;
  }
  return prefix_traits(key);
}

KeyTraits Mapping::prefix_traits(std::string_view key) const {
  for (const PrefixClass& prefix : schema_->prefixes) {
    if (key.starts_with(prefix.prefix)) return prefix.traits;
  }
  return {};
}

KeyMatch Mapping::match_key(std::string_view key) const {
  KeyMatch match;
  std::array<std::string_view, KeyMatch::kMaxParameters + 1> parts;
  for (std::size_t e = 0; e < heads_.size(); ++e) {
    if (!key.starts_with(heads_[e])) continue;
    const Entity& entity = schema_->entities[e];
    const std::size_t count = split_into(key.substr(entity.key_prefix.size()), parts);
    if (count != entity.segments.size() + 1) continue;
    match.field = parts[count - 1];
    match.prefix = key.substr(0, key.size() - match.field.size());
    match.parameter_count = 0;
    bool fits = true;
    bool name_field = false;
    for (std::size_t i = 0; i < entity.segments.size() && fits; ++i) {
      const PatternSegment& segment = entity.segments[i];
      const bool last = i + 1 == entity.segments.size();
      if (!segment.parameter) {
        fits = parts[i] == segment.text;
        continue;
      }
      match.parameters[match.parameter_count++] = parts[i];
      fits = !parts[i].empty();
      // Only a long name can need more than one component; three times its length at most, and the
      // suffix.
      if (fits && parts[i].size() * 3 + kDocumentSuffix.size() > kMaxComponentBytes) {
        std::string component;
        fits = segment.secret || append_parameter(parts[i], last, component);
      }
      name_field =
          name_field || (segment.secret && is_sealed_segment(parts[i]) &&
                         match.field.starts_with('$') && match.field.substr(1) == segment.text);
    }
    if (!fits || !(name_field || is_field_name(match.field))) continue;
    match.entity = &entity;
    return match;
  }
  match.entity = nullptr;
  return match;
}

Result<std::string> Mapping::document_path(const KeyMatch& match) const {
  const Entity& entity = *match.entity;
  std::vector<std::string> parameters;
  std::size_t next = 0;
  std::string so_far = entity.key_prefix;
  for (const PatternSegment& segment : entity.segments) {
    const std::string_view text =
        segment.parameter ? match.parameters[next++] : std::string_view(segment.text);
    so_far += text;
    if (segment.parameter && !segment.secret) parameters.emplace_back(text);
    if (segment.parameter && segment.secret) {
      if (is_sealed_segment(text)) {
        parameters.emplace_back(text.substr(kSealedNamePrefix.size()));
      } else {
        auto hash = hash_name(*ring_, ring_->current(), so_far);
        if (!hash) {
          so_far.resize(so_far.size() - text.size());
          return std::move(hash).error().with_context(so_far + "{" + segment.text + "}");
        }
        parameters.push_back(*std::move(hash));
      }
    }
    so_far += '/';
  }
  std::string path;
  (void)append_document_path(entity, parameters, path);
  return path;
}

bool Mapping::parse_document_path(std::string_view path, PathOf& where) const {
  std::array<std::string_view, 2 * KeyMatch::kMaxParameters> parts;
  std::size_t count = 0;
  for (std::size_t e = 0; e < tree_tops_.size(); ++e) {
    if (!path.starts_with(tree_tops_[e])) continue;
    if (count == 0) count = split_into(path, parts);
    const Entity& entity = schema_->entities[e];
    where.entity = &entity;
    where.parameters.clear();
    where.clear_name = false;
    std::size_t at = 0;
    bool fits = true;
    for (std::size_t i = 0; i < entity.segments.size() && fits; ++i) {
      const PatternSegment& segment = entity.segments[i];
      if (segment.shard_digits > 0) ++at;
      fits = at < count;
      if (!fits) break;
      const bool last = i + 1 == entity.segments.size();
      std::string text;
      fits = decode_component(parts[at++], text);
      if (last) {
        fits = fits && text.ends_with(kDocumentSuffix) && text.size() > kDocumentSuffix.size();
        if (fits) text.resize(text.size() - kDocumentSuffix.size());
      }
      if (!segment.parameter) {
        fits = fits && text == segment.text;
        continue;
      }
      fits = fits && !text.empty();
      if (segment.secret && !is_name_hash(text)) where.clear_name = true;
      where.parameters.push_back(std::move(text));
    }
    if (!fits || at != count) continue;
    std::string again;
    if (!append_document_path(entity, where.parameters, again) || again != path) continue;
    where.kind = PathOf::Kind::kDocument;
    return true;
  }
  return false;
}

bool Mapping::is_claimed(std::string_view natural_path) const {
  if (is_in_directory(natural_path, kReservedTop)) return true;
  PathOf ignored;
  return parse_document_path(natural_path, ignored);
}

void Mapping::raw_path(std::string_view key, std::string& path) const {
  path.clear();
  append_path(key, path);
  if (is_claimed(path)) path.insert(0, std::string(kAsideTop) + "/");
}

std::string Mapping::raw_path(std::string_view key) const {
  std::string path;
  raw_path(key, path);
  return path;
}

void Mapping::parse_path(std::string_view path, PathOf& where) const {
  where.kind = PathOf::Kind::kFileRecord;
  if (is_in_directory(path, kReservedTop) || parse_document_path(path, where)) return;
  std::string_view natural = path;
  const bool aside = path.starts_with(kAsideTop) && path.substr(kAsideTop.size()).starts_with('/');
  if (aside) natural.remove_prefix(kAsideTop.size() + 1);
  if (!decode_path(natural, where.key)) return;
  // Only what is claimed is set aside; what is not set aside was found not to be claimed above.
  if (aside && !is_claimed(natural)) return;
  if (where.key.starts_with(kTreePrefix) || where.key.starts_with(kLocalPrefix)) return;
  // A key has no file of its own if it is a field, or never in Git.
  if (match_key(where.key).entity != nullptr) return;
  if (!is_in_tree(prefix_traits(where.key).key_class)) return;
  where.kind = PathOf::Kind::kRawKey;
}

PathOf Mapping::parse_path(std::string_view path) const {
  PathOf where;
  parse_path(path, where);
  return where;
}

// The entity's own keys: its prefix without what lies in nested entities.
std::vector<kv::KeyRange> Mapping::entity_reads(const Entity& entity, std::string prefix) const {
  std::vector<std::string> nested;
  for (const Entity& inner : schema_->entities) {
    const std::size_t length = entity.segments.size();
    if (inner.segments.size() <= length || inner.key_prefix != entity.key_prefix ||
        inner.segments[length].parameter) {
      continue;
    }
    nested.push_back(prefix + inner.segments[length].text + "/");
  }
  std::ranges::sort(nested);
  nested.erase(std::ranges::unique(nested).begin(), nested.end());
  std::vector<kv::KeyRange> ranges;
  std::string begin = prefix;
  for (const std::string& skipped : nested) {
    ranges.push_back({.key = begin, .end = skipped});
    begin = prefix_end(skipped);
  }
  ranges.push_back({.key = begin, .end = prefix_end(prefix)});
  return ranges;
}

std::vector<kv::KeyRange> Mapping::reads_at(const PathOf& where) const {
  if (where.kind == PathOf::Kind::kRawKey) return {one_key(where.key)};
  if (where.kind == PathOf::Kind::kFileRecord) return {};
  std::string prefix = where.entity->key_prefix;
  std::size_t next = 0;
  for (const PatternSegment& segment : where.entity->segments) {
    // A hash does not tell the name: look through all that share what comes before it.
    if (segment.secret && !where.clear_name) return {kv::prefix_range(prefix)};
    prefix.append(segment.parameter ? where.parameters[next++] : segment.text).append("/");
  }
  return entity_reads(*where.entity, std::move(prefix));
}

Result<FileOf> Mapping::file_of(std::string_view key) const {
  if (const auto record = parse_record(key)) {
    FileOf file = file_at(record->path);
    // Where a key or document has its file, only the mode says something.
    if (record->kind == RecordKind::kFile && file.kind != FileKind::kRecord) return FileOf{};
    return file;
  }
  if (key.starts_with(kTreePrefix) || !is_in_tree(classify(key).key_class)) return FileOf{};
  FileOf file;
  const KeyMatch match = match_key(key);
  if (match.entity != nullptr) {
    file.kind = FileKind::kDocument;
    BENNU_ASSIGN(file.path, document_path(match));
  } else {
    file.kind = FileKind::kRaw;
    file.path = raw_path(key);
  }
  file.reads = record_reads(file.path);
  if (match.entity == nullptr) {
    file.reads.push_back(one_key(std::string(key)));
  } else {
    for (auto& range : entity_reads(*match.entity, std::string(match.prefix))) {
      file.reads.push_back(std::move(range));
    }
  }
  return file;
}

FileOf Mapping::file_at(std::string_view path) const {
  const PathOf where = parse_path(path);
  FileOf file{.kind = FileKind::kRecord, .path = std::string(path), .reads = record_reads(path)};
  if (where.kind == PathOf::Kind::kRawKey) file.kind = FileKind::kRaw;
  if (where.kind == PathOf::Kind::kDocument) file.kind = FileKind::kDocument;
  for (auto& range : reads_at(where)) file.reads.push_back(std::move(range));
  return file;
}

Result<std::optional<BuiltFile>> Mapping::build(const FileOf& file,
                                                std::span<const kv::KeyValue> read) const {
  std::optional<BuiltFile> built;
  const auto probe = [&](std::string_view key) -> Result<bool> {
    return std::ranges::any_of(
        read, [&](const kv::KeyValue& kv) { return kv.key == key && kv.lease.value == 0; });
  };
  TreeAssembler assembler(*this, probe, [&](const TreeFile& out) -> Status {
    if (out.path != file.path) return {};
    built = BuiltFile{.mode = out.mode,
                      .bytes = std::string(out.bytes),
                      .id = std::string(out.id),
                      .size = out.size};
    return {};
  });
  for (const kv::KeyValue& kv : read) {
    BENNU_TRY(kv.key.starts_with(kTreePrefix) ? assembler.add_record(kv.key, kv.value)
                                              : assembler.add(kv));
  }
  BENNU_TRY(assembler.finish());
  return built;
}

std::vector<kv::KeyRange> Mapping::record_ranges() {
  std::vector<kv::KeyRange> ranges;
  for (const RecordKind kind : kRecordOrder) {
    ranges.push_back(kv::prefix_range(record_key(kind, "")));
  }
  return ranges;
}

bool Mapping::keeps(std::string_view path, const KeyReader& find) {
  if (find(record_key(RecordKind::kEmpty, path)) == "") return true;
  if (!path.ends_with("/%v")) return false;
  if (find(record_key(RecordKind::kFile, path))) return true;
  const auto blob = find(record_key(RecordKind::kBlob, path));
  const auto link = find(record_key(RecordKind::kLink, path));
  return (blob && parse_blob_record(*blob)) || (link && is_object_id(*link));
}

std::size_t Mapping::byte_limit(std::string_view path) const {
  PathOf ignored;
  return parse_document_path(path, ignored) ? document_limits_.max_bytes : limits::kMaxValueBytes;
}

std::optional<UniqueEntry> Mapping::unique_entry(std::string_view key,
                                                 std::string_view value) const {
  const KeyMatch match = match_key(key);
  if (match.entity == nullptr || !match.entity->field(match.field).unique) return std::nullopt;
  if (match.entity->field(match.field).traits.secret && sealed_epoch(value)) return std::nullopt;
  UniqueEntry entry{.key = unique_index_key(match.entity->name, match.field, value), .id = {}};
  for (std::size_t i = 0; i < match.parameter_count; ++i) {
    if (i > 0) entry.id += '/';
    entry.id += match.parameters[i];
  }
  return entry;
}

std::string unique_index_key(std::string_view entity, std::string_view field,
                             std::string_view value) {
  std::string key = fmt::format("{}unique/{}/{}/", kLocalPrefix, entity, field);
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '%' || c == '/' || byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(key), "%{:02X}", byte);
    } else {
      key += c;
    }
  }
  return key;
}

}  // namespace bennu::sync
