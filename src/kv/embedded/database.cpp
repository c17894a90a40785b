#include "kv/embedded/database.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <system_error>

#include "base/bytes.hpp"
#include "kv/embedded/wal_check.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, kFamilyCount> kFamilyNames = {
    "default", "cur", "hist", "log", "staged", "stagelog", "lease"};
constexpr std::string_view kFormatFile = "FORMAT";
constexpr std::string_view kFormatPrefix = "bennu kv store, format ";

Error io_error(const fs::path& path, std::string_view doing, int error) {
  const Code code = error == EACCES || error == EPERM || error == EROFS ? Code::kPermissionDenied
                    : error == ENOSPC || error == EDQUOT                ? Code::kResourceExhausted
                                                                        : Code::kUnavailable;
  return make_error(
      code,
      fmt::format("cannot {} {}: {}", doing, path.string(), std::generic_category().message(error)),
      code == Code::kResourceExhausted ? reason::kNoSpace : Reason{});
}

Status sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error(folder, "open", errno);
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0) return io_error(folder, "sync", error);
  return {};
}

Status write_format(const fs::path& folder) {
  const fs::path temporary = folder / "FORMAT.new";
  const std::string text = fmt::format("{}{}\n", kFormatPrefix, kFormatVersion);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return io_error(temporary, "create", errno);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool synced = written && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!synced) return io_error(temporary, "write", written ? error : ENOSPC);
  if (::rename(temporary.c_str(), (folder / kFormatFile).c_str()) != 0) {
    return io_error(folder / kFormatFile, "create", errno);
  }
  return sync_folder(folder);
}

Status check_format(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  if (in.bad() || (!in && line.empty())) return io_error(file, "read", errno == 0 ? EIO : errno);
  std::uint32_t version = 0;
  const bool known = line.starts_with(kFormatPrefix);
  const char* const begin = line.data() + (known ? kFormatPrefix.size() : 0);
  const char* const end = line.data() + line.size();
  const auto [rest, error] = std::from_chars(begin, end, version);
  if (!known || error != std::errc{} || rest != end) {
    return make_error(
        Code::kDataLoss,
        fmt::format("{} does not name a store format: restore the store from Git or a backup",
                    file.string()),
        reason::kCorrupt);
  }
  if (version != kFormatVersion) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("{} has store format {}, this Bennu knows {}: use a newer Bennu; "
                                  "nothing was changed",
                                  file.parent_path().string(), version, kFormatVersion),
                      reason::kUnknownFormat);
  }
  return {};
}

struct FolderContents {
  bool exists = false;
  bool format = false;
  bool current = false;
  bool data = false;     // tables, or a log that holds something
  bool foreign = false;  // anything, when there is no format file
};

Result<FolderContents> look_into(const fs::path& folder) {
  FolderContents found;
  std::error_code error;
  const auto type = fs::status(folder, error).type();
  if (type == fs::file_type::not_found) return found;
  if (error) return io_error(folder, "look into", error.value());
  if (type != fs::file_type::directory) return io_error(folder, "look into", ENOTDIR);
  found.exists = true;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const std::string extension = it->path().extension().string();
    std::error_code ignored;
    if (name == kFormatFile) found.format = true;
    if (name == "CURRENT") found.current = true;
    if (extension == ".sst" || (extension == ".log" && it->file_size(ignored) > 0))
      found.data = true;
    if (name != "FORMAT.new") found.foreign = true;
  }
  if (error) return io_error(folder, "look into", error.value());
  return found;
}

Error no_store(const fs::path& folder) {
  return make_error(
      Code::kNotFound,
      fmt::format("there is no store in {}: create one with `bennu init` or `bennu restore`",
                  folder.string()),
      reason::kNoStore);
}

// Decides whether RocksDB may create, and makes the folder and its format file if so.
Result<bool> prepare_folder(const DatabaseOptions& options) {
  const fs::path& folder = options.path;
  BENNU_ASSIGN(const FolderContents found, look_into(folder));
  if (found.format) {
    BENNU_TRY(check_format(folder / kFormatFile));
    if (found.current) return false;
    if (found.data) {
      return make_error(Code::kDataLoss,
                        fmt::format("{} is missing, though there is data beside it: restore the "
                                    "store from Git or a backup",
                                    (folder / "CURRENT").string()),
                        reason::kCorrupt);
    }
    if (!options.create_if_missing || options.read_only) return no_store(folder);
    return true;  // a creation that was killed half-way
  }
  if (found.current) {
    return make_error(Code::kDataLoss,
                      fmt::format("{} is missing: restore the store from Git or a backup",
                                  (folder / kFormatFile).string()),
                      reason::kCorrupt);
  }
  if (!options.create_if_missing || options.read_only) return no_store(folder);
  if (found.foreign) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("{} holds files that are not a store: choose an empty folder",
                                  folder.string()));
  }
  if (!found.exists) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return io_error(folder, "create", error.value());
    const fs::path parent = fs::absolute(folder, error).parent_path();
    if (!error) BENNU_TRY(sync_folder(parent));
  }
  BENNU_TRY(write_format(folder));
  return true;
}

Status cut(const fs::path& file, std::uint64_t size) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return io_error(file, "open", errno);
  const bool done = ::ftruncate(fd, static_cast<off_t>(size)) == 0 && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  return done ? Status{} : Status(io_error(file, "cut the torn end of", error));
}

Status check_logs(const fs::path& folder, bool read_only) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".log") continue;
    BENNU_ASSIGN(const WalCheck check, check_wal(it->path()));
    if (check.torn_at && !read_only) BENNU_TRY(cut(it->path(), *check.torn_at));
  }
  return error ? Status(io_error(folder, "look into", error.value())) : Status{};
}

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

Database::Database(std::unique_ptr<rocksdb::DB> db, fs::path path,
                   std::vector<rocksdb::ColumnFamilyHandle*> handles)
    : db_(std::move(db)), path_(std::move(path)), handles_(std::move(handles)) {}

Database::~Database() {
  for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  db_->Close().PermitUncheckedError();
}

std::shared_ptr<const rocksdb::Snapshot> Database::snapshot() const {
  return {db_->GetSnapshot(),
          [db = db_.get()](const rocksdb::Snapshot* snapshot) { db->ReleaseSnapshot(snapshot); }};
}

Result<std::unique_ptr<Database>> open_database(const DatabaseOptions& options) {
  BENNU_ASSIGN(const bool create, prepare_folder(options));
  if (!create) BENNU_TRY(check_logs(options.path, options.read_only));
  const auto cache = rocksdb::NewLRUCache(options.memory_budget_bytes);
  const auto family = family_options(options, cache);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : kFamilyNames) families.emplace_back(name, family);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto db_options = database_options(options, create, cache);
  const auto status =
      options.read_only
          ? rocksdb::DB::OpenForReadOnly(db_options, options.path.string(), families, &handles, &db)
          : rocksdb::DB::Open(db_options, options.path.string(), families, &handles, &db);
  if (!status.ok()) {
    return to_error(status, fmt::format("cannot open the store in {}", options.path.string()));
  }
  return std::make_unique<Database>(std::unique_ptr<rocksdb::DB>(db), options.path,
                                    std::move(handles));
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
