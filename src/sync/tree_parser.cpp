#include "sync/tree_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/bytes.hpp"
#include "base/limits.hpp"
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

// The directory of a path with the slash; empty for the root.
std::string_view directory_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1);
}

}  // namespace

class TreeParser::Impl {
 public:
  Impl(const Mapping& mapping, KeyValueSink sink) : mapping_(mapping), sink_(std::move(sink)) {}

  Status add(const TreeFile& file) {
    ++stats_.files;
    if (held_) BENNU_TRY(release_held(file.path));
    if (file.path.ends_with(kLeafEnd) && file.mode != FileMode::kEmptyTree) {
      const bool after_sibling = previous_.starts_with(directory_of(file.path));
      if (file.has_siblings.value_or(after_sibling)) return leaf(file);
      if (!file.has_siblings) return hold(file);
    }
    BENNU_TRY(place(file, file.path));
    previous_ = file.path;
    return {};
  }

  Result<ParseStats> finish() {
    if (held_) BENNU_TRY(release_held({}));
    return std::move(stats_);
  }

 private:
  struct Held {
    std::string path;
    std::string bytes;
    std::string id;
    TreeFile file;
  };

  // `a/%v` beside `a/…` is the value of `a`; alone it is a file of that name. The next file tells.
  Status hold(const TreeFile& file) {
    held_ = Held{.path = std::string(file.path),
                 .bytes = std::string(file.bytes),
                 .id = std::string(file.id),
                 .file = file};
    return {};
  }

  Status release_held(std::string_view next_path) {
    Held held = std::move(*held_);
    held_.reset();
    held.file.path = held.path;
    held.file.bytes = held.bytes;
    held.file.id = held.id;
    const bool sibling = next_path.starts_with(directory_of(held.path));
    BENNU_TRY(sibling ? leaf(held.file) : place(held.file, held.path));
    previous_ = held.path;
    return {};
  }

  Status leaf(const TreeFile& file) {
    previous_ = file.path;
    // A leaf whose own place is a directory again has moved down again.
    std::string_view path = file.path;
    while (path.ends_with(kLeafEnd)) path.remove_suffix(kLeafEnd.size());
    return place(file, path);
  }

  // `path`: the file's place before the leaf rule.
  Status place(const TreeFile& file, std::string_view path) {
    mapping_.parse_path(path, where_);
    const PathOf& where = where_;
    if (where.kind != PathOf::Kind::kRawKey && !is_valid_tree_path(path)) {
      return make_error(Code::kInvalidArgument,
                        fmt::format("{}: git refuses this name (`git fsck --strict`); rename it in "
                                    "the repository first",
                                    printable(path)),
                        reason::kBadTree);
    }
    if (where.kind == PathOf::Kind::kDocument) return document(file, path, where);
    switch (file.mode) {
      case FileMode::kEmptyTree:
        return put(record_key(RecordKind::kEmpty, path), "");
      case FileMode::kSubmodule:
        return put(record_key(RecordKind::kLink, path), file.id);
      default:
        break;
    }
    if (!file.id.empty()) {
      // Too large to be sealed.
      if (where.kind == PathOf::Kind::kRawKey && mapping_.prefix_traits(where.key).secret)
        note_in_clear(path);
      const BlobRecord blob{.mode = file.mode, .id = file.id, .size = file.size};
      return put(record_key(RecordKind::kBlob, path), format_blob_record(blob));
    }
    BENNU_TRY(put_mode(file.mode, path));
    if (where.kind == PathOf::Kind::kFileRecord) {
      return put(record_key(RecordKind::kFile, path), file.bytes);
    }
    if (!mapping_.prefix_traits(where.key).secret) {
      std::string_view text = file.bytes;
      if (text.ends_with('\n')) text.remove_suffix(1);
      if (sealed_epoch(text)) note_exposed(std::string(path));
      return put(where.key, file.bytes);
    }
    return secret_file(file, path, where.key);
  }

  Status put_mode(FileMode mode, std::string_view path) {
    if (mode == FileMode::kRegular) return {};
    return put(record_key(RecordKind::kMode, path), format_mode(mode));
  }

  Status secret_file(const TreeFile& file, std::string_view path, std::string_view key) {
    std::string_view text = file.bytes;
    if (text.ends_with('\n')) text.remove_suffix(1);
    const auto epoch = sealed_epoch(text);
    if (!epoch) {
      note_plaintext(path);
      return put(key, file.bytes);
    }
    const KeyRing& ring = mapping_.ring();
    if (text.size() == file.bytes.size()) note_normalised(path);
    if (ring.find(*epoch) == nullptr) {
      note_sealed(epoch);
      return put(key, text);
    }
    auto value = open_sealed(ring, key, text);
    if (!value) return std::move(value).error().with_context(path);
    if (*epoch != ring.current()) note_normalised(path);
    return put(key, *value);
  }

  Status document(const TreeFile& file, std::string_view path, const PathOf& where) {
    const Entity& entity = *where.entity;
    const bool odd = file.mode == FileMode::kSymlink || file.mode == FileMode::kSubmodule ||
                     file.mode == FileMode::kEmptyTree;
    if (odd || !file.id.empty()) {
      return make_error(
          Code::kInvalidArgument,
          fmt::format("{}: the document of a {} must be an ordinary file of at most {} MiB; move "
                      "it elsewhere",
                      path, entity.name, mapping_.document_limits().max_bytes >> 20U),
          reason::kBadDocument);
    }
    BENNU_ASSIGN(ParsedDocument parsed,
                 parse_document(entity, path, file.bytes, mapping_.document_limits()));
    BENNU_ASSIGN(const EntityNames names,
                 names_for_import(mapping_.ring(), entity, where.parameters, where.clear_name, path,
                                  parsed.fields));
    if (entity.has_secret_name()) BENNU_TRY(check_only_one(path, where, names));
    for (const std::string& name : parsed.exposed) {
      note_exposed(fmt::format("{}: {}", path, name));
    }
    bool exact = parsed.exact && names.current && !where.clear_name;
    bool plaintext = where.clear_name;
    for (const DocumentField& field : parsed.fields) {
      if (field.name.starts_with('$')) continue;
      const KeyTraits traits = entity.field(field.name).traits;
      if (!Mapping::is_in_tree(traits.key_class)) {
        exact = false;
        continue;
      }
      plaintext = plaintext || (traits.secret && !field.sealed);
      BENNU_TRY(put_field(field, names, path, exact));
    }
    for (const DocumentField& name : names.fields) {
      note_sealed(sealed_epoch(name.value));
      BENNU_TRY(put(names.prefix + name.name, name.value));
    }
    BENNU_TRY(put_mode(file.mode, path));
    if (plaintext) {
      note_plaintext(path);
    } else if (!exact) {
      note_normalised(path);
    }
    return {};
  }

  // One entity can stand here twice: under its hash, and in clear where a person added it.
  Status check_only_one(std::string_view path, const PathOf& where, const EntityNames& names) {
    std::string place(path);
    if (where.clear_name && !mapping_.ring().empty()) {
      // The path depends on the names alone, so any field will do.
      const std::string key = names.prefix + "x";
      BENNU_ASSIGN(place, mapping_.document_path(mapping_.match_key(key)));
    }
    if (secret_documents_.insert(std::hash<std::string>{}(place)).second) return {};
    return here_twice(path);
  }

  Status put_field(const DocumentField& field, const EntityNames& names, std::string_view path,
                   bool& exact) {
    const std::string key = names.prefix + field.name;
    if (!field.sealed) return put(key, field.value);
    const KeyRing& ring = mapping_.ring();
    const auto epoch = sealed_epoch(field.value);
    if (!names.known || !epoch || ring.find(*epoch) == nullptr) {
      note_sealed(epoch);
      return put(key, field.value);
    }
    auto value = open_sealed(ring, key, field.value);
    if (!value) {
      return std::move(value).error().with_context(field.name).with_context(path);
    }
    exact = exact && *epoch == ring.current();
    return put(key, *value);
  }

  Status put(std::string_view key, std::string_view value) {
    if (key.size() > limits::kMaxKeyBytes) {
      return make_error(Code::kInvalidArgument,
                        fmt::format("{}: a key of {} bytes would be too long, {} are the limit; "
                                    "rename it in the repository",
                                    shown_key(mapping_, key), key.size(), limits::kMaxKeyBytes),
                        reason::kBadTree);
    }
    ++stats_.keys;
    return sink_(key, value);
  }

  void note_sealed(std::optional<std::uint32_t> epoch) {
    ++stats_.sealed;
    if (epoch) stats_.epochs.insert(*epoch);
  }
  void note_normalised(std::string_view path) {
    ++stats_.normalised;
    if (stats_.examples.size() < ParseStats::kMaxExamples) stats_.examples.emplace_back(path);
  }
  void note_exposed(std::string place) {
    ++stats_.exposed.count;
    std::vector<std::string>& examples = stats_.exposed.examples;
    if (examples.size() < ParseStats::kMaxExamples) examples.push_back(std::move(place));
  }
  void note_plaintext(std::string_view path) {
    note_normalised(path);
    note_in_clear(path);
  }
  void note_in_clear(std::string_view path) {
    ++stats_.plaintext_count;
    if (stats_.plaintext.size() < ParseStats::kMaxExamples) stats_.plaintext.emplace_back(path);
  }

  const Mapping& mapping_;
  KeyValueSink sink_;
  ParseStats stats_;
  PathOf where_;                                      // reused
  std::string previous_;                              // path of the file before
  std::unordered_set<std::size_t> secret_documents_;  // hashes of the paths of secret names
  std::optional<Held> held_;
};

Error here_twice(std::string_view path) {
  return make_error(Code::kInvalidArgument,
                    fmt::format("{}:1:1: this document is here twice, once by its hash and once in "
                                "clear; delete the file in clear",
                                path),
                    reason::kBadDocument);
}

TreeParser::TreeParser(const Mapping& mapping, KeyValueSink sink)
    : impl_(std::make_unique<Impl>(mapping, std::move(sink))) {}
TreeParser::~TreeParser() = default;
TreeParser::TreeParser(TreeParser&&) noexcept = default;
TreeParser& TreeParser::operator=(TreeParser&&) noexcept = default;

Status TreeParser::add(const TreeFile& file) { return impl_->add(file); }
Result<ParseStats> TreeParser::finish() { return impl_->finish(); }

}  // namespace bennu::sync
