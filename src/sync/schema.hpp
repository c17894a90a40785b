#pragma once
// What   Schema: what the file `.bennu/schema.json` declares: entities, their fields, and classes
//        of prefixes.
// Why    Which keys make up one document, what is secret and what never goes to Git is data of the
//        network, in its tree.
// Use    `parse_schema(bytes)`; a tree without the file has `Schema{}`: everything raw and desired.
// Units  At most 1 MiB of JSON, 64 entities, 256 fields each, 1024 prefixes, 8 segments in a path.
// Errors kInvalidArgument (kBadSchema), one line `.bennu/schema.json:LINE:COLUMN: what is wrong;
//        what to do`; kFailedPrecondition (kUnknownFormat) for a version that this binary does not
//        know.
// Threads Plain values.
// Source own design, docs/formats/schema.md; decisions 3 to 5 of ARCHITECTURE.md.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bennu::sync {

enum class KeyClass : std::uint8_t {
  kDesired,      ///< both ways
  kOperational,  ///< to Git; back only at restore or rollback
  kDerived,      ///< never in Git, rebuilt and checked
  kEphemeral,    ///< never in Git
  kLocal,        ///< under /_bennu/local/: this store's own, never in Git
};
/// `desired`, `operational`, …
[[nodiscard]] std::string_view class_name(KeyClass key_class);

/// What the schema says of a key. The file's class `secret` is desired and secret; an operational
/// key can be secret, too.
struct KeyTraits {
  KeyClass key_class = KeyClass::kDesired;
  bool secret = false;  ///< sealed in Git
  friend bool operator==(const KeyTraits&, const KeyTraits&) = default;
};

enum class FieldType : std::uint8_t { kString, kInt, kBool, kTime, kSet, kJson };

struct Field {
  FieldType type = FieldType::kString;
  KeyTraits traits;
  bool unique = false;
};

/// One segment of an entity's path.
struct PatternSegment {
  std::string text;  ///< the literal, or the parameter's name
  bool parameter = false;
  bool secret = false;  ///< of a parameter: the tree has a keyed hash of it
  unsigned shard_digits =
      0;  ///< of a parameter: hex digits of a directory before it in the tree, 0: none
};

struct Entity {
  std::string name;
  std::string key_prefix;  ///< before the first segment: the root, or `/` for an absolute path
  std::vector<PatternSegment> segments;
  KeyTraits traits;  ///< of fields that say nothing else
  std::map<std::string, Field, std::less<>> fields;

  /// The declared field, or what an undeclared one is: a string of the entity's class.
  [[nodiscard]] Field field(std::string_view name) const;
  [[nodiscard]] bool has_secret_name() const;
};

struct PrefixClass {
  std::string prefix;
  KeyTraits traits;
};

struct Schema {
  int version = 1;
  int mapping = 1;
  std::string root = "/";
  std::vector<Entity> entities;
  std::vector<PrefixClass> prefixes;  ///< longest first
  /// Whether anything in it is secret: then a key ring is needed to export.
  [[nodiscard]] bool has_secrets() const;
  [[nodiscard]] const Entity* find(std::string_view entity) const;
};

[[nodiscard]] Result<Schema> parse_schema(std::string_view bytes);

/// The schema file of a new network: users, devices, nodes, cells, links and the rest, under
/// `/net/`.
[[nodiscard]] std::string_view default_schema_text();

}  // namespace bennu::sync
