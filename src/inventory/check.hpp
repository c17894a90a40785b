#pragma once
// What   Tells which rules of the inventory the stored entities break, each as one line.
// Why    Data also comes past the operations: by import from Git, by a merge, by a plain put.
// Use    `check(reader, layout)` after such a change; an empty answer is a clean inventory. Also on
//        a plain clone.
// Errors What the reader returns; a broken rule is an answer, not an error.
// Threads As the reader.
// Source The design's inventory, "Rules"; decision 6 (the rules are checked after a merge).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "inventory/entity.hpp"
#include "kv/store.hpp"

namespace bennu::inventory {

struct Violation {
  EntityId id;          ///< empty: of the counter of users
  EntityId other;       ///< what it refers to, or shares a value with; else as id
  std::string message;  ///< one line: what, where
};

/// In id order, kind by kind. A deactivated node may be referred to; an archived one may not.
[[nodiscard]] Result<std::vector<Violation>> check(kv::Reader& reader, const Layout& layout);
/// The same of these entities alone: what is not among them does not exist.
[[nodiscard]] std::vector<Violation> check(std::vector<Entity> entities);
/// What is wrong with this value of the counter of users, beside the users of the revision.
[[nodiscard]] Result<std::optional<std::string>> check_counter(kv::Reader& reader,
                                                               const Layout& layout,
                                                               std::string_view value,
                                                               Revision revision);

}  // namespace bennu::inventory
