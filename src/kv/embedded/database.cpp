#include "kv/embedded/database.hpp"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, kFamilyCount> kFamilyNames = {
    "default", "cur", "hist", "log", "staged", "stagelog", "lease"};
rocksdb::CompressionType compression() {
  const auto supported = rocksdb::GetSupportedCompressions();
  const bool lz4 =
      std::find(supported.begin(), supported.end(), rocksdb::kLZ4Compression) != supported.end();
  return lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
}

rocksdb::DBOptions database_options(const DatabaseOptions& options, bool create,
                                    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::DBOptions db;
  db.create_if_missing = create;
  db.create_missing_column_families = create;
  db.paranoid_checks = true;
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(options.memory_budget_bytes / 2, cache);
  // What is replayed after a kill: a fraction of a second.
  db.max_total_wal_size = options.memory_budget_bytes / 2;
  db.max_background_jobs = 2;
  db.bytes_per_sync = 1UL << 20;
  db.max_open_files = 256;
  db.keep_log_file_num = 2;
  db.max_log_file_size = 1UL << 20;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

rocksdb::ColumnFamilyOptions family_options(const DatabaseOptions& options,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  table.block_size = 8UL << 10;
  rocksdb::ColumnFamilyOptions family;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.compression = compression();
  family.write_buffer_size = options.memory_budget_bytes / 8;
  family.level_compaction_dynamic_level_bytes = true;
  // Most writes ask first whether their key exists, and most new keys do not.
  family.memtable_prefix_bloom_size_ratio = 0.05;
  family.memtable_whole_key_filtering = true;
  return family;
}

}  // namespace

Database::Database(FolderLock lock, std::unique_ptr<rocksdb::DB> db, fs::path path,
                   std::vector<rocksdb::ColumnFamilyHandle*> handles)
    : lock_(std::move(lock)),
      db_(std::move(db)),
      path_(std::move(path)),
      handles_(std::move(handles)) {}

Database::~Database() {
  for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  db_->Close().PermitUncheckedError();
}

std::shared_ptr<const rocksdb::Snapshot> Database::snapshot() const {
  return {db_->GetSnapshot(),
          [db = db_.get()](const rocksdb::Snapshot* snapshot) { db->ReleaseSnapshot(snapshot); }};
}

Result<std::unique_ptr<Database>> open_database(const DatabaseOptions& options) {
  BENNU_ASSIGN(auto folder,
               prepare_folder(options.path, options.create_if_missing, options.read_only));
  const auto cache = rocksdb::NewLRUCache(options.memory_budget_bytes);
  const auto family = family_options(options, cache);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : kFamilyNames) families.emplace_back(name, family);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto db_options = database_options(options, folder.create, cache);
  const auto status =
      options.read_only
          ? rocksdb::DB::OpenForReadOnly(db_options, options.path.string(), families, &handles, &db)
          : rocksdb::DB::Open(db_options, options.path.string(), families, &handles, &db);
  if (!status.ok()) {
    return to_error(status, fmt::format("cannot open the store in {}", options.path.string()));
  }
  return std::make_unique<Database>(std::move(folder.lock), std::unique_ptr<rocksdb::DB>(db),
                                    options.path, std::move(handles));
}

Error to_error(const rocksdb::Status& status, std::string_view context) {
  std::string text = fmt::format("{}: {}", context, status.ToString());
  const auto says = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  if (status.IsNoSpace() || says("No space left") || says("File too large") || says("Disk quota")) {
    return make_error(Code::kResourceExhausted, text + ": free some disk space and try again",
                      reason::kNoSpace);
  }
  if (says("While lock file") || says("lock hold by current process")) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("{}: another process has it open: stop it, or talk to it instead", context),
        reason::kLocked);
  }
  if (status.IsCorruption() || (status.IsIOError() && says("No such file"))) {
    return make_error(Code::kDataLoss, text + ": restore the store from Git or a backup",
                      reason::kCorrupt);
  }
  if (says("Permission denied") || says("Read-only file system")) {
    return make_error(Code::kPermissionDenied, text);
  }
  return make_error(Code::kUnavailable, std::move(text));
}

Error corrupt_record(std::string_view family, std::string_view key) {
  return make_error(Code::kDataLoss,
                    fmt::format("a record of {} under {} is malformed: restore the store from Git "
                                "or a backup",
                                family, printable(key)),
                    reason::kCorrupt);
}

}  // namespace bennu::kv::embedded
