#pragma once
// What   Tree records: what the tree must hold but no value can say, as keys under `/_bennu/tree/`.
// Why    Assembler, parser and mapping must agree on their names and values to the byte.
// Use    `parse_record(key)`; `format_blob_record(...)`, `parse_mode(value)`, …
// Errors None: a record that says nothing valid has no effect in the tree.
// Threads Pure functions.
// Source own design, docs/formats/tree.md.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sync/tree_file.hpp"

namespace bennu::sync {

enum class RecordKind : std::uint8_t { kMode, kLink, kBlob, kEmpty, kFile };

struct RecordName {
  RecordKind kind = RecordKind::kFile;
  std::string_view path;
};

struct BlobRecord {
  FileMode mode = FileMode::kRegular;
  std::string_view id;
  std::uint64_t size = 0;
};

/// The kind and path of a key under `/_bennu/tree/`; nothing if it is no record's name.
[[nodiscard]] std::optional<RecordName> parse_record(std::string_view key);
[[nodiscard]] std::string record_key(RecordKind kind, std::string_view path);

/// `100755`, `120000` or `100664`.
[[nodiscard]] std::optional<FileMode> parse_mode(std::string_view value);
[[nodiscard]] std::string format_mode(FileMode mode);
/// `<mode> <40 hex> <size>`.
[[nodiscard]] std::optional<BlobRecord> parse_blob_record(std::string_view value);
[[nodiscard]] std::string format_blob_record(const BlobRecord& record);
/// Whether it is 40 lower-case hex digits, not all zero.
[[nodiscard]] bool is_object_id(std::string_view text);

}  // namespace bennu::sync
