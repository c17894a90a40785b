#include "sync/tree_assembler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "sync/document.hpp"
#include "sync/entity_names.hpp"
#include "sync/raw_path.hpp"
#include "sync/reasons.hpp"
#include "sync/seal.hpp"
#include "sync/shown_key.hpp"
#include "sync/tree_records.hpp"

namespace bennu::sync {
namespace {

constexpr std::string_view kLeafEnd = "/%v";

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
using PathSet = std::unordered_set<std::string, StringHash, std::equal_to<>>;
using ModeMap = std::unordered_map<std::string, FileMode, StringHash, std::equal_to<>>;

// An entity of which more keys may come.
struct OpenDocument {
  const Entity* entity = nullptr;
  std::string prefix;  // of its keys
  std::string path;
  std::vector<std::string> parameters;  // as in the key
  std::vector<DocumentField> fields;
  std::size_t bytes = 0;
};

}  // namespace

class TreeAssembler::Impl {
 public:
  Impl(const Mapping& mapping, KeyProbe probe, FileSink sink)
      : mapping_(mapping), probe_(std::move(probe)), sink_(std::move(sink)) {}

  [[nodiscard]] bool keeps(std::string_view path) const {
    return path.ends_with(kLeafEnd) &&
           leaf_records_.contains(path.substr(0, path.size() - kLeafEnd.size()));
  }

  Status add_record(std::string_view key, std::string_view value) {
    const auto record = parse_record(key);
    if (!record) return {};
    switch (record->kind) {
      case RecordKind::kMode:
        if (const auto mode = parse_mode(value)) {
          modes_.emplace(record->path, *mode);
        } else {
          ++stats_.inert_records;
        }
        return {};
      case RecordKind::kEmpty:
        return emit_early({.path = record->path, .mode = FileMode::kEmptyTree}, value.empty());
      case RecordKind::kLink:
        return emit_early({.path = record->path, .mode = FileMode::kSubmodule, .id = value},
                          is_object_id(value));
      case RecordKind::kBlob: {
        const auto blob = parse_blob_record(value);
        if (!blob) return emit_early({}, false);
        return emit_early(
            {.path = record->path, .mode = blob->mode, .id = blob->id, .size = blob->size}, true);
      }
      case RecordKind::kFile:
        return add_file_record(record->path, value);
    }
    return {};
  }

  Status add(std::string_view key, std::string_view value, bool leased) {
    if (leased || key.starts_with(kLocalPrefix)) {
      ++stats_.skipped;
      return {};
    }
    while (!open_.empty() && !key.starts_with(open_.back().prefix)) BENNU_TRY(close_document());
    if (!open_.empty()) {
      const std::string_view field = key.substr(open_.back().prefix.size());
      if (is_field_name(field)) return add_field(field, value);
    }
    if (key.starts_with(kTreePrefix)) {
      if (!parse_record(key)) ++stats_.inert_records;
      return {};
    }
    const KeyMatch match = mapping_.match_key(key);
    if (match.entity == nullptr) return add_raw(key, value);
    if (open_.empty() || open_.back().prefix != match.prefix) {
      if (!is_exported(*match.entity, match.field)) {
        ++stats_.skipped;
        return {};
      }
      BENNU_TRY(open_document(match));
    }
    return add_field(match.field, value);
  }

  Result<AssemblyStats> finish() {
    while (!open_.empty()) BENNU_TRY(close_document());
    stats_.inert_records += modes_.size() - modes_used_;
    return stats_;
  }

 private:
  // What is kept by id, before the keys, unless a key or an earlier record has its place.
  Status emit_early(TreeFile file, bool good) {
    if (good) {
      BENNU_ASSIGN(good, is_free(file.path));
    }
    if (!good || !early_.emplace(file.path).second) {
      ++stats_.inert_records;
      return {};
    }
    note_leaf(file.path);
    file.early = true;
    ++stats_.files;
    return sink_(file);
  }

  Result<bool> is_free(std::string_view path) {
    const PathOf where = mapping_.parse_path(path);
    if (where.kind == PathOf::Kind::kDocument) return false;
    const bool raw = where.kind == PathOf::Kind::kRawKey;
    BENNU_ASSIGN(const bool taken, probe_(raw ? where.key : record_key(RecordKind::kFile, path)));
    return !taken;
  }

  void note_leaf(std::string_view path) {
    if (path.ends_with(kLeafEnd))
      leaf_records_.emplace(path.substr(0, path.size() - kLeafEnd.size()));
  }

  Status add_file_record(std::string_view path, std::string_view value) {
    if (mapping_.parse_path(path).kind != PathOf::Kind::kFileRecord) {
      ++stats_.inert_records;
      return {};
    }
    note_leaf(path);
    ++stats_.keys;
    return emit({.path = path, .bytes = value, .early = true});
  }

  Status add_raw(std::string_view key, std::string_view value) {
    const KeyTraits traits = mapping_.prefix_traits(key);
    if (!Mapping::is_in_tree(traits.key_class)) {
      ++stats_.skipped;
      return {};
    }
    mapping_.raw_path(key, path_);
    ++stats_.keys;
    if (!traits.secret) return emit({.path = path_, .bytes = value});
    BENNU_ASSIGN(std::string text, seal_value(key, value));
    text += '\n';
    return emit({.path = path_, .bytes = text});
  }

  Status open_document(const KeyMatch& match) {
    OpenDocument document{.entity = match.entity, .prefix = std::string(match.prefix)};
    BENNU_ASSIGN(document.path, mapping_.document_path(match));
    for (std::size_t i = 0; i < match.parameter_count; ++i) {
      document.parameters.emplace_back(match.parameters[i]);
    }
    open_.push_back(std::move(document));
    return {};
  }

  // A `$name` always is: it says which entity this is.
  static bool is_exported(const Entity& entity, std::string_view field) {
    return field.starts_with('$') || Mapping::is_in_tree(entity.field(field).traits.key_class);
  }

  Status add_field(std::string_view name, std::string_view value) {
    OpenDocument& document = open_.back();
    if (!is_exported(*document.entity, name)) {
      ++stats_.skipped;
      return {};
    }
    document.bytes += name.size() + value.size();  // its text is no shorter
    ++stats_.keys;
    document.fields.push_back({.name = std::string(name), .value = std::string(value)});
    // Only what can be read again is held in memory; how many there are is counted to the end.
    if (document.bytes > mapping_.document_limits().max_bytes)
      return check_size(document, {.bytes = document.bytes});
    return {};
  }

  // What no restore would read is not written.
  Status check_size(const OpenDocument& document, const DocumentSize& size) const {
    const auto over = over_limit(size, mapping_.document_limits());
    if (!over) return {};
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("{}: this {} has {} in one document: delete or shorten fields beside {}, or "
                    "move them out of it; nothing is exported before, or no restore could read it",
                    document.path, document.entity->name, *over,
                    shown_key(mapping_, document.prefix + document.fields.front().name)),
        reason::kTooLargeForGit);
  }

  Status close_document() {
    OpenDocument document = std::move(open_.back());
    open_.pop_back();
    if (document.fields.empty()) return {};
    BENNU_ASSIGN(const EntityNames names,
                 names_for_export(mapping_.ring(), *document.entity, document.parameters,
                                  document.prefix, document.fields));
    for (DocumentField& field : document.fields) {
      if (field.name.starts_with('$')) {
        field.sealed = true;
        ++stats_.sealed;
        continue;
      }
      if (!document.entity->field(field.name).traits.secret) continue;
      BENNU_ASSIGN(field.value, seal_value(names.prefix + field.name, field.value, names.known));
      field.sealed = true;
    }
    if (document.entity->has_secret_name()) {
      for (const DocumentField& name : names.fields) document.fields.push_back(name);
      std::ranges::sort(document.fields, {}, &DocumentField::name);
      if (!mapping_.ring().empty() && !documents_.insert(document.path).second) {
        return make_error(Code::kInvalidArgument,
                          fmt::format("{}: two {}s of one name, one of them still sealed; remove "
                                      "the keys under {}",
                                      document.path, document.entity->name,
                                      shown_key(mapping_, document.prefix)));
      }
    }
    bytes_.clear();
    BENNU_TRY(check_size(document, append_document(*document.entity, document.fields, bytes_)));
    return emit({.path = document.path, .bytes = bytes_});
  }

  // The text in the tree. What is sealed already stays so, in the current epoch if it opens.
  Result<std::string> seal_value(std::string_view path, std::string_view value,
                                 bool path_known = true) {
    const KeyRing& ring = mapping_.ring();
    if (const auto epoch = sealed_epoch(value)) {
      if (!path_known || ring.find(*epoch) == nullptr) {
        ++stats_.sealed;
        return std::string(value);
      }
      if (const auto opened = open_sealed(ring, path, value)) {
        ++stats_.sealed;
        return seal(ring, path, *opened);
      }
    }
    auto sealed = seal(ring, path, value);
    if (!sealed) return std::move(sealed).error().with_context(shown_key(mapping_, path));
    return sealed;
  }

  Status emit(TreeFile file) {
    if (!modes_.empty()) {
      if (const auto mode = modes_.find(file.path); mode != modes_.end()) {
        file.mode = mode->second;
        ++modes_used_;
      }
    }
    if (!leaf_records_.empty() && leaf_records_.contains(file.path)) {
      return make_error(Code::kInvalidArgument,
                        fmt::format("{}: both a key's file and `{}{}/%v` claim this place; delete "
                                    "one of the two keys",
                                    file.path, kFileRecordPrefix, file.path));
    }
    ++stats_.files;
    return sink_(file);
  }

  const Mapping& mapping_;
  KeyProbe probe_;
  FileSink sink_;
  AssemblyStats stats_;
  ModeMap modes_;
  std::uint64_t modes_used_ = 0;
  PathSet early_;         // submodules, blobs by id and empty trees
  PathSet leaf_records_;  // directories with a record for a file called `%v`
  PathSet documents_;     // of entities with secret names, to find the same one twice
  std::vector<OpenDocument> open_;
  std::string path_;
  std::string bytes_;
};

TreeAssembler::TreeAssembler(const Mapping& mapping, KeyProbe probe, FileSink sink)
    : impl_(std::make_unique<Impl>(mapping, std::move(probe), std::move(sink))) {}
TreeAssembler::~TreeAssembler() = default;
TreeAssembler::TreeAssembler(TreeAssembler&&) noexcept = default;
TreeAssembler& TreeAssembler::operator=(TreeAssembler&&) noexcept = default;

Status TreeAssembler::add_record(std::string_view key, std::string_view value) {
  return impl_->add_record(key, value);
}
Status TreeAssembler::add(std::string_view key, std::string_view value, bool leased) {
  return impl_->add(key, value, leased);
}
bool TreeAssembler::keeps(std::string_view path) const { return impl_->keeps(path); }
Result<AssemblyStats> TreeAssembler::finish() { return impl_->finish(); }

}  // namespace bennu::sync
