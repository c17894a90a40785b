#pragma once
// What   One entity's fields <-> the canonical JSON document in Git. No secrets here: values are
//        what stands in the file.
// Why    People read and edit this file; Bennu must give the same bytes for the same fields,
//        always.
// Use    `append_document(entity, fields, out)`; `parse_document(entity, path, bytes)`.
// Units  Documents up to 16 MiB, nesting up to 32, 4096 fields.
// Errors kInvalidArgument (kBadDocument), one line `PATH:LINE:COLUMN: what is wrong; what to do`.
// Threads Pure functions.
// Source own design, docs/formats/tree.md; JSON: RFC 8259.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sync/schema.hpp"

namespace bennu::sync {

inline constexpr std::size_t kMaxDocumentBytes = 16UL * 1024 * 1024;
inline constexpr std::size_t kMaxFieldNameBytes = 255;

/// A field as it goes into a document. `sealed`: the value is sealed text, and stands as a string
/// whatever its type.
struct DocumentField {
  std::string name;
  std::string value;
  bool sealed = false;
  friend bool operator==(const DocumentField&, const DocumentField&) = default;
};

struct ParsedDocument {
  std::vector<DocumentField> fields;  ///< sorted by name
  bool exact = false;                 ///< append_document of the fields gives the same bytes
};

/// Whether a key's last segment can be a field of a document: UTF-8, 1 to 255 bytes, not starting
/// with `$`.
[[nodiscard]] bool is_field_name(std::string_view name);

/// Appends the document's bytes. `fields` sorted by name, no name twice.
void append_document(const Entity& entity, std::span<const DocumentField> fields, std::string& out);

[[nodiscard]] Result<ParsedDocument> parse_document(const Entity& entity, std::string_view path,
                                                    std::string_view bytes);

}  // namespace bennu::sync
