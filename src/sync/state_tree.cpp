#include "sync/state_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.hpp"
#include "base/limits.hpp"
#include "sync/age_keys.hpp"
#include "sync/document.hpp"
#include "sync/raw_path.hpp"
#include "sync/reasons.hpp"
#include "sync/seal.hpp"

namespace bennu::sync {
namespace {

constexpr std::uint64_t kProgressStep = 1024;

Error cancelled() { return make_error(Code::kCancelled, "interrupted; nothing was changed"); }

Result<std::shared_ptr<const KeyRing>> open_ring(const std::map<std::uint32_t, std::string>& files,
                                                 const std::filesystem::path& identity) {
  std::error_code ignored;
  if (files.empty() || identity.empty()) return std::make_shared<const KeyRing>();
  if (!std::filesystem::exists(identity, ignored)) {
    auto locked = std::make_shared<KeyRing>();
    locked->lock(why_locked(identity));
    return locked;
  }
  return unlock(files, identity.string());
}

// Where the bytes of a file go that is given to the writer by id.
using BlobSink = std::function<Result<git::ObjectId>(std::string_view bytes)>;

Result<git::ObjectId> id_of(const TreeFile& file, const BlobSink& blobs) {
  if (file.mode == FileMode::kEmptyTree) return git::empty_tree_id();
  if (file.id.empty()) return blobs(file.bytes);
  const auto id = git::ObjectId::from_hex(file.id);
  if (id) return *id;
  return make_error(Code::kDataLoss,
                    fmt::format("{}: its record names no object: {}", file.path, file.id));
}

Status add_to_writer(git::BulkTreeWriter& writer, const BlobSink& blobs, const TreeFile& file) {
  const auto mode = static_cast<std::uint32_t>(file.mode);
  const bool has_bytes = file.mode != FileMode::kEmptyTree && file.id.empty();
  if (!file.early && has_bytes) return writer.add(file.path, mode, file.bytes);
  BENNU_ASSIGN(const auto id, id_of(file, blobs));
  return file.early ? writer.add_early(file.path, mode, id) : writer.add_id(file.path, mode, id);
}

// What the state has under a key; a leased key is not part of it.
Result<std::optional<std::string>> find_value(kv::Reader& store, Revision revision,
                                              std::string_view key) {
  BENNU_ASSIGN(auto found, store.range({.range = {.key = std::string(key)}, .revision = revision}));
  if (found.kvs.empty() || found.kvs[0].lease.value != 0) return std::optional<std::string>();
  return std::optional(std::move(found.kvs[0].value));
}

// Blobs over this are not read: no value and no document is larger.
git::ReadOptions read_options(const Mapping& mapping) {
  const bool documents = !mapping.schema().entities.empty();
  return {.max_blob_bytes = documents ? kMaxDocumentBytes : limits::kMaxValueBytes};
}

Result<StateTree> build(const Link& link, const Mapping& mapping, Revision revision,
                        git::BulkTreeWriter& writer, const BlobSink& blobs) {
  StateTree built;
  BENNU_ASSIGN(built.stats, each_file(link, mapping, revision, [&](const TreeFile& file) {
                 return add_to_writer(writer, blobs, file);
               }));
  BENNU_ASSIGN(built.tree, writer.finish());
  return built;
}

struct FileIn {
  const git::Repository& repository;
  git::ObjectId tree;
  std::string_view path;
};

// Writes the file of these keys anew where it belongs: a secret name that stood in clear moves a
// document.
Status set_file(const Mapping& mapping, const FileIn& from, const std::vector<kv::KeyValue>& keys,
                git::ObjectSink& sink, git::TreeEditor& editor) {
  for (const kv::KeyValue& kv : keys) {
    BENNU_ASSIGN(const FileOf file, mapping.file_of(kv.key));
    if (kv.key.starts_with(kTreePrefix) || file.kind == FileKind::kNone) continue;
    BENNU_ASSIGN(const auto built, mapping.build(file, keys));
    if (!built) return {};
    BENNU_ASSIGN(const auto id, sink.add(git::ObjectKind::kBlob, built->bytes));
    if (file.path != from.path) {
      BENNU_ASSIGN(const auto there, from.repository.find_path(from.tree, file.path));
      if (there) return here_twice(from.path);
      BENNU_TRY(editor.remove(from.path));
    }
    return editor.set(file.path, static_cast<std::uint32_t>(built->mode), id);
  }
  return {};
}

bool is_secret_file(const Mapping& mapping, const PathOf& where) {
  return where.kind == PathOf::Kind::kRawKey && mapping.prefix_traits(where.key).secret;
}

// Whether a file may be written otherwise than it is: a document, or a secret that is in clear.
bool has_a_form(const Mapping& mapping, std::string_view path) {
  const PathOf where = mapping.parse_path(path);
  return where.kind == PathOf::Kind::kDocument || is_secret_file(mapping, where);
}

}  // namespace

Result<Mapping> mapping_of_state(kv::Reader& store, Revision revision,
                                 const std::filesystem::path& identity) {
  const std::string keys_prefix = std::string(kFileRecordPrefix) + std::string(kKeysFolder);
  std::optional<std::string> schema;
  std::map<std::uint32_t, std::string> files;
  BENNU_ASSIGN(const auto found,
               store.range({.range = {.key = std::string(kSchemaKey)}, .revision = revision}));
  if (!found.kvs.empty()) schema = found.kvs[0].value;
  BENNU_ASSIGN(const auto keys,
               store.range({.range = kv::prefix_range(keys_prefix), .revision = revision}));
  for (const kv::KeyValue& kv : keys.kvs) {
    const std::uint32_t epoch =
        epoch_of_path(std::string_view(kv.key).substr(kFileRecordPrefix.size()));
    if (epoch != 0) files[epoch] = kv.value;
  }
  BENNU_ASSIGN(auto ring, open_ring(files, identity));
  return Mapping::open(schema, std::move(ring));
}

Result<Mapping> mapping_of_tree(const git::Repository& repository, const git::ObjectId& tree,
                                const std::filesystem::path& identity) {
  std::optional<std::string> schema;
  std::map<std::uint32_t, std::string> files;
  BENNU_ASSIGN(const auto schema_entry, repository.find_path(tree, kSchemaPath));
  if (schema_entry && git::mode::is_blob(schema_entry->mode)) {
    BENNU_ASSIGN(schema, repository.read_blob(schema_entry->id));
  }
  const std::string_view keys_folder = kKeysFolder.substr(0, kKeysFolder.size() - 1);
  BENNU_ASSIGN(const auto folder, repository.find_path(tree, keys_folder));
  if (folder && folder->is_tree()) {
    BENNU_ASSIGN(const auto entries, repository.read_tree(folder->id, keys_folder));
    for (const git::TreeEntry& entry : entries) {
      const std::uint32_t epoch = epoch_of_path(std::string(kKeysFolder) + entry.name);
      if (epoch != 0 && git::mode::is_blob(entry.mode)) {
        BENNU_ASSIGN(files[epoch], repository.read_blob(entry.id));
      }
    }
  }
  BENNU_ASSIGN(auto ring, open_ring(files, identity));
  return Mapping::open(schema, std::move(ring));
}

git::TreeRules tree_rules(kv::Reader& store, Revision revision) {
  const auto keep = [&store, revision](std::string_view path) {
    return Mapping::keeps(path, [&](std::string_view key) {
      auto value = find_value(store, revision, key);
      return value ? std::move(*value) : std::nullopt;
    });
  };
  return {.leaf_name = std::string(kLeafName), .keep = keep};
}

Result<std::int64_t> keys_in_tree(kv::Reader& store, const Mapping& mapping) {
  const auto count = [&](const kv::KeyRange& range) -> Result<std::int64_t> {
    BENNU_ASSIGN(const auto found, store.range({.range = range, .count_only = true}));
    return found.count;
  };
  BENNU_ASSIGN(std::int64_t keys, count(kv::all_keys()));
  BENNU_ASSIGN(const std::int64_t local, count(kv::prefix_range(kLocalPrefix)));
  keys -= local;
  for (const PrefixClass& prefix : mapping.schema().prefixes) {
    if (Mapping::is_in_tree(prefix.traits.key_class)) continue;
    BENNU_ASSIGN(const std::int64_t outside, count(kv::prefix_range(prefix.prefix)));
    keys -= outside;
  }
  return std::max<std::int64_t>(keys, 0);
}

Result<AssemblyStats> each_file(const Link& link, const Mapping& mapping, Revision revision,
                                const FileSink& sink) {
  const auto probe = [&](std::string_view key) -> Result<bool> {
    BENNU_ASSIGN(const auto value, find_value(link.store, revision, key));
    return value.has_value();
  };
  TreeAssembler assembler(mapping, probe, sink);
  for (const kv::KeyRange& range : Mapping::record_ranges()) {
    BENNU_TRY(link.store.scan(
        range, revision, [&](kv::KeyValue& kv) { return assembler.add_record(kv.key, kv.value); }));
  }
  std::uint64_t keys = 0;
  BENNU_TRY(link.store.scan(kv::all_keys(), revision, [&](kv::KeyValue& kv) -> Status {
    if (++keys % kProgressStep == 0) {
      if (link.stop.stop_requested()) return cancelled();
      link.progress("keys to tree", keys, 0);
    }
    return assembler.add(kv);
  }));
  return assembler.finish();
}

Result<StateTree> write_state(const Link& link, const Mapping& mapping, Revision revision,
                              git::PackWriter& pack) {
  git::BulkTreeWriter writer(pack, {.rules = tree_rules(link.store, revision)});
  return build(link, mapping, revision, writer,
               [&](std::string_view bytes) { return pack.add(git::ObjectKind::kBlob, bytes); });
}

Result<StateTree> prove_state(const Link& link, const Mapping& mapping, Revision revision) {
  git::BulkTreeWriter writer({.rules = tree_rules(link.store, revision)});
  return build(link, mapping, revision, writer,
               [](std::string_view bytes) -> Result<git::ObjectId> {
                 return git::hash_object(git::ObjectKind::kBlob, bytes);
               });
}

TreeFile tree_file(const Mapping& mapping, const git::FileVisit& visit, std::string& id_hex) {
  TreeFile file{
      .path = visit.path, .mode = static_cast<FileMode>(visit.mode), .size = visit.size_bytes};
  bool fits = visit.size_bytes <= limits::kMaxValueBytes ||
              visit.size_bytes <= mapping.byte_limit(visit.path);
  // What could not be sealed again stays in Git by its id.
  if (fits && visit.size_bytes > kMaxSecretBytes && visit.bytes &&
      !visit.bytes->starts_with(kSealedPrefix)) {
    fits = !is_secret_file(mapping, mapping.parse_path(visit.path));
  }
  if (visit.bytes && fits) {
    file.bytes = *visit.bytes;
  } else if (visit.mode != git::mode::kTree) {
    id_hex = visit.id.hex();
    file.id = id_hex;
  }
  return file;
}

Result<ParseStats> read_state(const git::Repository& repository, const git::ObjectId& tree,
                              const Mapping& mapping, const std::stop_token& stop,
                              const Progress& progress, const KeyValueSink& sink) {
  TreeParser parser(mapping, sink);
  std::uint64_t files = 0;
  std::string id_hex;
  const git::ReadOptions options = read_options(mapping);
  BENNU_TRY(git::walk_files(repository, tree, options, [&](const git::FileVisit& visit) -> Status {
    if (++files % kProgressStep == 0) {
      if (stop.stop_requested()) return cancelled();
      progress("files to keys", files, 0);
    }
    return parser.add(tree_file(mapping, visit, id_hex));
  }));
  return parser.finish();
}

Result<git::ObjectId> canonical_tree(const git::Repository& repository, const git::ObjectId& tree,
                                     const Mapping& mapping, git::ObjectSink& sink) {
  git::TreeEditor editor(
      sink, tree,
      {.leaf_name = std::string(kLeafName),
       // A folder that a document leaves empty goes; what was empty before is not touched.
       .keep = [](std::string_view path) { return path.ends_with("/%v"); }});
  std::string id_hex;
  const git::ReadOptions options = read_options(mapping);
  BENNU_TRY(git::walk_files(repository, tree, options, [&](const git::FileVisit& visit) -> Status {
    if (!has_a_form(mapping, visit.path)) return {};
    std::vector<kv::KeyValue> keys;
    TreeParser parser(mapping, [&](std::string_view key, std::string_view value) -> Status {
      keys.push_back({.key = std::string(key), .value = std::string(value)});
      return {};
    });
    BENNU_TRY(parser.add(tree_file(mapping, visit, id_hex)));
    BENNU_ASSIGN(const auto stats, parser.finish());
    if (stats.exact()) return {};
    return set_file(mapping, {repository, tree, visit.path}, keys, sink, editor);
  }));
  return editor.finish();
}

Status refuse_exposed(const git::ObjectId& commit, const Exposed& exposed) {
  if (exposed.count == 0) return {};
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("{} is sealed, and .bennu/schema.json of commit {} does not make it secret "
                  "({} such values); nothing was changed. Revert that change of the schema and "
                  "push; this release makes a secret public only by removing its values before",
                  printable(exposed.examples.front()), commit.short_hex(), exposed.count),
      reason::kExposed);
}

Result<std::vector<std::string>> missing_key_files(const git::Repository& repository,
                                                   const git::ObjectId& tree,
                                                   const std::set<std::uint32_t>& epochs) {
  std::vector<std::string> missing;
  for (const std::uint32_t epoch : epochs) {
    BENNU_ASSIGN(const auto file, repository.find_path(tree, key_file_path(epoch)));
    if (!file) missing.push_back(key_file_path(epoch));
  }
  return missing;
}

}  // namespace bennu::sync
