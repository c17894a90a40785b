#pragma once
// What   Finds out, at open, which state the database holds, and gives a new one its first state.
// Why    What is true after a crash is decided in one place, from what is on disk alone.
// Use    Once, after open_database and before anything else.
// Errors kDataLoss (kCorrupt), and what reading reports.
// Threads One thread.
// Source own design, docs/formats/rocksdb.md.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/database.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

/// Keys of the meta family.
namespace meta {
inline constexpr std::string_view kInitial = "initial";      ///< be64: the revision it began with
inline constexpr std::string_view kCompacted = "compacted";  ///< be64; absent: 0
inline constexpr std::string_view kReclaimed = "reclaimed";  ///< be64: compaction is done to here
inline constexpr std::string_view kCounts = "counts";        ///< see CountIndex::save
/// + be64 id -> be64 revision, then 1 byte: 1 while older versions of its keys are not in hist yet.
inline constexpr std::string_view kStagePrefix = "stage/";
/// + be64 id -> nothing: a stage whose records may be in the tables, but which is not committed.
inline constexpr std::string_view kOpenStagePrefix = "openstage/";
}  // namespace meta

/// A be64 of the meta family; nothing if it is absent.
[[nodiscard]] Result<std::optional<std::int64_t>> read_meta(const Database& database,
                                                            std::string_view key);

/// Writes the first record of a new store. Does nothing if there is one.
[[nodiscard]] Status initialise(Database& database, Revision initial);

[[nodiscard]] std::string stage_meta_key(std::string_view prefix, std::uint64_t stage);
[[nodiscard]] std::string stage_meta_value(Revision revision, bool unclean);

struct Recovered {
  std::shared_ptr<const View> view;
  Revision counts_saved;
  std::vector<std::uint64_t> unclean_stages;  ///< committed, with older versions still in cur
  std::vector<std::uint64_t> dead_stages;     ///< never committed
  std::uint64_t next_stage = 1;
};

/// The state that is on disk.
[[nodiscard]] Result<Recovered> recover(const Database& database);

}  // namespace bennu::kv::embedded
