#pragma once
// What   One entity's fields <-> the canonical JSON document in Git. No secrets here: values are
//        what stands in the file.
// Why    People read and edit this file; Bennu must give the same bytes for the same fields,
//        always.
// Use    `append_document(entity, fields, out)`; `parse_document(entity, path, bytes)`. Whoever
//        writes asks `over_limit` first, as whoever reads does.
// Units  DocumentLimits; nesting up to 32.
// Errors kInvalidArgument (kBadDocument), one line `PATH:LINE:COLUMN: what is wrong; what to do`.
// Threads Pure functions.
// Source own design, docs/formats/tree.md; JSON: RFC 8259.

#include <cstddef>
#include <optional>
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

/// What one document may be. What is over it is neither written nor read.
struct DocumentLimits {
  std::size_t max_bytes = kMaxDocumentBytes;
  std::size_t max_fields = 4096;
  std::size_t max_values = 400'000;  ///< of JSON, in all depths
};

struct DocumentSize {
  std::size_t bytes = 0;
  std::size_t fields = 0;
  std::size_t values = 0;
};

/// Whether a document can be read: nothing, or what it has too much of ("5000 fields, 4096 are the
/// limit"). The one rule for the whole export, the export of a change, and every import.
[[nodiscard]] std::optional<std::string> over_limit(const DocumentSize& size,
                                                    const DocumentLimits& limits);

struct ParsedDocument {
  std::vector<DocumentField> fields;  ///< sorted by name
  bool exact = false;                 ///< append_document of the fields gives the same bytes
  std::vector<std::string> exposed;   ///< fields with a sealed value that are not secret
};

/// Whether a key's last segment can be a field of a document: UTF-8, 1 to 255 bytes, not starting
/// with `$`.
[[nodiscard]] bool is_field_name(std::string_view name);

/// Appends the document's bytes, and says what they are. `fields` sorted by name, no name twice.
DocumentSize append_document(const Entity& entity, std::span<const DocumentField> fields,
                             std::string& out);

/// Refuses also what could be read but not be written again.
[[nodiscard]] Result<ParsedDocument> parse_document(const Entity& entity, std::string_view path,
                                                    std::string_view bytes,
                                                    const DocumentLimits& limits = {});

}  // namespace bennu::sync
