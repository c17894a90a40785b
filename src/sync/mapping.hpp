#pragma once
// What   Mapping: which file of the tree a key belongs to, and what class it has; for one schema
//        and one key ring.
// Why    tree = canonical(state, key ring) is decided here, once, for whole exports, for single
//        changes and for imports.
// Use    `Mapping::open(schema bytes of the state or tree, key ring)`; TreeAssembler and TreeParser
//        work on it. A change of one key: `file_of(key)`, read `reads` at the pinned revision,
//        `build`.
// Units  Keys are any bytes; paths relative to the tree's root, before the leaf rule (see
//        tree_file.hpp).
// Errors Named at each function; a schema's reasons in schema.hpp.
// Threads Immutable: safe for all.
// Source own design, docs/formats/tree.md; decisions 2 to 5 and 10 of ARCHITECTURE.md.

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/types.hpp"
#include "sync/document.hpp"
#include "sync/key_ring.hpp"
#include "sync/schema.hpp"
#include "sync/tree_file.hpp"

namespace bennu::sync {

inline constexpr std::string_view kTreePrefix = "/_bennu/tree/";
inline constexpr std::string_view kLocalPrefix = "/_bennu/local/";
inline constexpr std::string_view kFileRecordPrefix = "/_bennu/tree/file/";
/// Where the schema's bytes are in state, and in the tree.
inline constexpr std::string_view kSchemaKey = "/_bennu/tree/file/.bennu/schema.json";
inline constexpr std::string_view kSchemaPath = ".bennu/schema.json";

enum class FileKind : std::uint8_t {
  kNone,      ///< the key is never in Git
  kRaw,       ///< one key, exact bytes (sealed if secret)
  kDocument,  ///< the fields of one entity
  kRecord,    ///< what a tree record says
};

/// The file that a key belongs to, and the keys from which it is rebuilt.
struct FileOf {
  FileKind kind = FileKind::kNone;
  std::string path;
  /// To be read at one revision and given to `build`, in this order. May hold keys of other files;
  /// build skips them.
  std::vector<kv::KeyRange> reads;
};

/// A file with its own bytes, from `build`.
struct BuiltFile {
  FileMode mode = FileMode::kRegular;
  std::string bytes;
  std::string id;
  std::uint64_t size = 0;
};

/// What a path of a tree stands for.
struct PathOf {
  enum class Kind : std::uint8_t { kRawKey, kDocument, kFileRecord };
  Kind kind = Kind::kFileRecord;
  std::string key;                      ///< of kRawKey
  const Entity* entity = nullptr;       ///< of kDocument; lives as long as the Mapping
  std::vector<std::string> parameters;  ///< of kDocument: as in the path (hashes for secret names)
  /// Of kDocument: a secret name stands in clear. An export writes it elsewhere.
  bool clear_name = false;
};

/// The entity and field that a key belongs to. Views into the key.
struct KeyMatch {
  static constexpr std::size_t kMaxParameters = 8;
  const Entity* entity = nullptr;  ///< nullptr: a raw key
  std::string_view prefix;         ///< up to and with the slash before the field
  std::string_view field;          ///< may be `$name` of a sealed name, see docs/formats/sealed.md
  std::array<std::string_view, kMaxParameters> parameters;
  std::size_t parameter_count = 0;
};

/// An entry of a derived unique index: put `key` = `id` in the transaction that puts the field.
struct UniqueEntry {
  std::string key;
  std::string id;
};

/// A key's value in the state, nothing if it is not there (or has a lease).
using KeyReader = std::function<std::optional<std::string>(std::string_view key)>;

class Mapping {
 public:
  /// Everything raw: what a tree without a schema file has.
  Mapping();
  Mapping(Schema schema, std::shared_ptr<const KeyRing> ring);
  /// From the schema file's bytes; nothing means no schema. Errors: as parse_schema.
  [[nodiscard]] static Result<Mapping> open(const std::optional<std::string>& schema_bytes,
                                            std::shared_ptr<const KeyRing> ring);

  [[nodiscard]] const Schema& schema() const { return *schema_; }
  [[nodiscard]] const KeyRing& ring() const { return *ring_; }
  [[nodiscard]] std::shared_ptr<const KeyRing> shared_ring() const { return ring_; }

  /// What its documents may be; tests make it small.
  [[nodiscard]] const DocumentLimits& document_limits() const { return document_limits_; }
  void set_document_limits(const DocumentLimits& limits) { document_limits_ = limits; }

  /// The key's class, and whether it is secret. A leased key is never in Git, whatever its class.
  [[nodiscard]] KeyTraits classify(std::string_view key) const;
  /// Whether a key of this class, without a lease, is part of the tree.
  [[nodiscard]] static bool is_in_tree(KeyClass key_class);

  /// Errors: kFailedPrecondition (kNoKey: the key's name is secret and the ring has no key).
  [[nodiscard]] Result<FileOf> file_of(std::string_view key) const;
  /// The same for a path of a tree; kNone never. For a document with a secret name `reads` is its
  /// whole collection.
  [[nodiscard]] FileOf file_at(std::string_view path) const;
  /// The file from what was read; nothing if it does not exist in this state. Errors: as
  /// TreeAssembler.
  [[nodiscard]] Result<std::optional<BuiltFile>> build(const FileOf& file,
                                                       std::span<const kv::KeyValue> read) const;

  /// What a path (without a trailing `/%v`) stands for, whether or not it exists.
  [[nodiscard]] PathOf parse_path(std::string_view path) const;
  /// The same into a value that is reused.
  void parse_path(std::string_view path, PathOf& where) const;
  /// The entity of a key, if it is a field of one.
  [[nodiscard]] KeyMatch match_key(std::string_view key) const;
  /// The path of an entity's document. Errors: kNoKey.
  [[nodiscard]] Result<std::string> document_path(const KeyMatch& match) const;

  /// What must be read, in this order, and given to TreeAssembler::add_record before the state is
  /// assembled.
  [[nodiscard]] static std::vector<kv::KeyRange> record_ranges();
  /// The Git layer asks whether a directory that became empty, or an only `a/%v`, stays as it is
  /// (git::TreeRules::keep): it does if a record says so. `find` reads a key of the state.
  [[nodiscard]] static bool keeps(std::string_view path, const KeyReader& find);
  /// From which size on a blob at this path is kept by id (its bytes need not be read). Documents:
  /// refused above it.
  [[nodiscard]] std::size_t byte_limit(std::string_view path) const;

  /// The index entry of a field declared unique; nothing for every other key and for values that
  /// are sealed.
  [[nodiscard]] std::optional<UniqueEntry> unique_entry(std::string_view key,
                                                        std::string_view value) const;

  /// What the schema's prefixes say of a key that is no field of an entity.
  [[nodiscard]] KeyTraits prefix_traits(std::string_view key) const;
  /// The path of a key that is no field of an entity.
  [[nodiscard]] std::string raw_path(std::string_view key) const;
  /// The same into a buffer that is reused.
  void raw_path(std::string_view key, std::string& path) const;

 private:
  [[nodiscard]] bool is_claimed(std::string_view natural_path) const;
  bool parse_document_path(std::string_view path, PathOf& where) const;
  [[nodiscard]] std::vector<kv::KeyRange> reads_at(const PathOf& where) const;
  [[nodiscard]] std::vector<kv::KeyRange> entity_reads(const Entity& entity,
                                                       std::string prefix) const;
  std::shared_ptr<const Schema> schema_;
  std::shared_ptr<const KeyRing> ring_;
  std::vector<std::string> heads_;  // `/net/users/`: a key without one of these is raw
  DocumentLimits document_limits_;
  std::vector<std::string> tree_tops_;  // `users/`: a path without one of these is no document
};

/// Says that everything derived from the inventory is complete. An import empties it in its own
/// transaction, and the inventory mends its indexes and routes, or makes them anew.
inline constexpr std::string_view kDerivedCompleteKey = "/_bennu/local/unique/complete";
/// `/_bennu/local/unique/<entity>/<field>/<value>`.
[[nodiscard]] std::string unique_index_key(std::string_view entity, std::string_view field,
                                           std::string_view value);

}  // namespace bennu::sync
