#pragma once
// What   The RocksDB database of a store: its folder, column families, options and errors.
// Why    The only place that knows how RocksDB is opened and tuned, and what its errors mean to us.
// Use    `open_database`, then the handles; the database must outlive every iterator and snapshot.
// Units  memory_budget_bytes is for block cache and memtables together.
// Errors See open_database; everything else goes through `to_error`.
// Threads open: one thread. The rest is RocksDB's: safe for all.
// Source RocksDB 7.8 include/rocksdb/options.h; docs/formats/rocksdb.md.

#include <rocksdb/db.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/store_folder.hpp"

namespace bennu::kv::embedded {

enum class Family : std::uint8_t { kMeta, kCur, kHist, kLog, kStaged, kStageLog, kLease };
inline constexpr std::size_t kFamilyCount = 7;

struct DatabaseOptions {
  std::filesystem::path path;
  bool create_if_missing = false;
  bool read_only = false;
  std::size_t memory_budget_bytes = 0;
};

class Database {
 public:
  Database(env::File lock, std::unique_ptr<rocksdb::DB> db, std::filesystem::path path,
           std::vector<rocksdb::ColumnFamilyHandle*> handles);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] rocksdb::DB& db() const { return *db_; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* family(Family family) const {
    return handles_[static_cast<std::size_t>(family)];
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// A snapshot that is released with its last owner. The database must outlive it.
  [[nodiscard]] std::shared_ptr<const rocksdb::Snapshot> snapshot() const;

 private:
  env::File lock_;  // the last to go
  std::unique_ptr<rocksdb::DB> db_;
  std::filesystem::path path_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

/// Opens the store in a folder, or makes one where the folder is missing or empty.
/// Errors: kNotFound (kNoStore); kFailedPrecondition (kLocked: open elsewhere; kUnknownFormat: made
/// by a newer Bennu, nothing was touched; the folder holds something else); kDataLoss (kCorrupt);
/// kPermissionDenied; kResourceExhausted (kNoSpace).
[[nodiscard]] Result<std::unique_ptr<Database>> open_database(const DatabaseOptions& options);

/// Writes what many small logs hold to tables, and makes one of many small tables. Each open begins
/// a log, and many a process ends after one command.
[[nodiscard]] Status merge_small_files(const Database& database);

/// RocksDB's status as our error: `context: what RocksDB says`. The effect is kNone; a caller that
/// was writing sets kUnknown.
[[nodiscard]] Error to_error(const rocksdb::Status& status, std::string_view context);
/// A record that does not decode: kDataLoss (kCorrupt).
[[nodiscard]] Error corrupt_record(std::string_view family, std::string_view key);

}  // namespace bennu::kv::embedded
