#pragma once
// What   What a change of the user's keys does to the tree records of the same files: modes, links
//        and large files.
// Why    A record that outlives its key would bring back a file that somebody has deleted, or give
//        the next value another file's mode.
// Use    `records_of_put` and `records_of_delete`; their ops go into the change's own transaction.
// Errors Those of the store.
// Threads One thread.
// Source docs/formats/tree.md, Records.

#include <cstdint>
#include <string_view>
#include <vector>

#include "kv/store.hpp"
#include "sync/mapping.hpp"

namespace bennu::cli {

struct RecordChanges {
  std::vector<kv::Op> ops;
  std::int64_t files = 0;  ///< files without a key that go: large ones, submodules, empty folders
};

/// The key takes the place of a large file, a submodule or an empty folder. A new key is no
/// symbolic link, whatever the one before it was; it is executable if that was.
[[nodiscard]] Result<RecordChanges> records_of_put(kv::Reader& reader, const sync::Mapping& mapping,
                                                   std::string_view key);
/// Nothing stays of the files of these keys, nor of the files in the range that have no key.
[[nodiscard]] Result<RecordChanges> records_of_delete(kv::Reader& reader,
                                                      const sync::Mapping& mapping,
                                                      const kv::KeyRange& range);

}  // namespace bennu::cli
