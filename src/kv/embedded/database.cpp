#include "kv/embedded/database.hpp"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <cstdarg>
#include <system_error>

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

// RocksDB's own messages. A file of them on a full disk makes it abort (an assertion of Debian's
// 7.8 in WritableFileWriter): what matters comes as a status.
class NoLog final : public rocksdb::Logger {
 public:
  NoLog() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

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
  // Otherwise each open writes what it replays to tables of its own; see merge_small_files.
  db.avoid_flush_during_recovery = true;
  db.max_background_jobs = 2;
  db.bytes_per_sync = 1UL << 20;
  db.max_open_files = 256;
  db.manifest_preallocation_size = 64UL << 10;
  db.info_log = std::make_shared<NoLog>();
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

struct Opened {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
};

Result<Opened> open_rocksdb(const DatabaseOptions& options, bool create) {
  const auto cache = rocksdb::NewLRUCache(options.memory_budget_bytes);
  const auto family = family_options(options, cache);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : kFamilyNames) families.emplace_back(name, family);
  Opened opened;
  rocksdb::DB* db = nullptr;
  const auto db_options = database_options(options, create, cache);
  const std::string path = options.path.string();
  const auto status =
      options.read_only
          ? rocksdb::DB::OpenForReadOnly(db_options, path, families, &opened.handles, &db)
          : rocksdb::DB::Open(db_options, path, families, &opened.handles, &db);
  if (!status.ok()) return to_error(status, fmt::format("cannot open the store in {}", path));
  opened.db.reset(db);
  return opened;
}

// Asked of a database that is open to read only: opening it to write may drop what is damaged.
Status check_torn(DatabaseOptions options, const std::vector<TornLog>& torn) {
  options.read_only = true;
  const auto damage = [](const TornLog& log) {
    return make_error(Code::kDataLoss,
                      fmt::format("{} is damaged at offset {}: its end is missing, though later "
                                  "logs follow; restore the store from Git or a backup",
                                  log.file.string(), log.at),
                      reason::kCorrupt);
  };
  auto opened = open_rocksdb(options, false);
  if (!opened) {
    return opened.error().reason == reason::kCorrupt ? damage(torn.front()) : opened.error();
  }
  const Database database(env::File(), std::move(opened->db), options.path,
                          std::move(opened->handles));
  std::uint64_t needed = 0;
  database.db().GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &needed);
  for (const TornLog& log : torn) {
    if (log.number >= needed) return damage(log);
  }
  return {};
}

}  // namespace

Database::Database(env::File lock, std::unique_ptr<rocksdb::DB> db, fs::path path,
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
  if (!folder.torn.empty()) BENNU_TRY(check_torn(options, folder.torn));
  BENNU_ASSIGN(auto opened, open_rocksdb(options, folder.create));
  return std::make_unique<Database>(std::move(folder.lock), std::move(opened.db), options.path,
                                    std::move(opened.handles));
}

Status merge_small_files(const Database& database) {
  constexpr std::size_t kManyLogs = 8;
  constexpr std::size_t kManyTables = 8;
  constexpr std::uint64_t kSmallBytes = 1UL << 20;
  rocksdb::CompactionOptions options;
  options.compression = rocksdb::kDisableCompressionOption;  // as the family's
  std::size_t logs = 0;
  std::uint64_t log_bytes = 0;
  std::error_code error;
  for (fs::directory_iterator it(database.path(), error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != ".log") continue;
    ++logs;
    log_bytes += it->file_size(error);
  }
  // RocksDB takes no writes after it had no room for a table, though there is some in its log.
  const std::uint64_t room = fs::space(database.path(), error).available;
  if (error || room < 2 * log_bytes + kSmallBytes) return {};
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    auto* const family = database.family(static_cast<Family>(i));
    rocksdb::Status status;
    if (logs >= kManyLogs) status = database.db().Flush({}, family);
    rocksdb::ColumnFamilyMetaData about;
    database.db().GetColumnFamilyMetaData(family, &about);
    std::vector<std::string> small;
    for (const auto& level : about.levels) {
      for (const auto& file : level.files) {
        if (file.size < kSmallBytes) small.push_back(file.name);
      }
    }
    if (status.ok() && small.size() >= kManyTables) {
      status = database.db().CompactFiles(options, family, small, about.levels.back().level);
    }
    // Aborted: RocksDB is at it itself.
    if (!status.ok() && !status.IsAborted()) return to_error(status, "cannot merge small files");
  }
  return {};
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
  // A manifest that was cut knows of no families after the cut.
  if (status.IsCorruption() || says("Column family not found") ||
      (status.IsIOError() && says("No such file"))) {
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
