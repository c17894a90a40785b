#include "kv/embedded/store_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <system_error>

#include "env/files.hpp"
#include "kv/embedded/wal_check.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatFile = "FORMAT";
constexpr std::string_view kFormatPrefix = "bennu kv store, format ";

Status write_format(const fs::path& folder) {
  return env::replace_file(folder / kFormatFile,
                           fmt::format("{}{}\n", kFormatPrefix, kFormatVersion), 0644);
}

Status check_format(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  if (in.bad() || (!in && line.empty()))
    return env::file_error("read", file, errno == 0 ? EIO : errno);
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
  bool format = false;
  bool current = false;
  bool data = false;     // tables, or a log that holds something
  bool foreign = false;  // anything, when there is no format file
};

Result<FolderContents> look_into(const fs::path& folder) {
  FolderContents found;
  std::error_code error;
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
  if (error) return env::file_error("look into", folder, error.value());
  return found;
}

Error no_store(const fs::path& folder) {
  return make_error(
      Code::kNotFound,
      fmt::format("there is no store in {}: create one with `bennu init` or `bennu restore`",
                  folder.string()),
      reason::kNoStore);
}

Result<env::File> take_lock(const fs::path& folder, env::Hold hold) {
  BENNU_ASSIGN(auto lock, env::lock_folder(folder, hold));
  if (lock) return std::move(*lock);
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("cannot open the store in {}: another process has it open: stop it, or talk to "
                  "it instead",
                  folder.string()),
      reason::kLocked);
}

// Decides whether RocksDB may create, and makes the format file if so.
Result<bool> check_contents(const fs::path& folder, bool may_create) {
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
    if (!may_create) return no_store(folder);
    return true;  // a creation that was killed half-way
  }
  if (found.current) {
    return make_error(Code::kDataLoss,
                      fmt::format("{} is missing: restore the store from Git or a backup",
                                  (folder / kFormatFile).string()),
                      reason::kCorrupt);
  }
  if (!may_create) return no_store(folder);
  if (found.foreign) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("{} holds files that are not a store: choose an empty folder",
                                  folder.string()));
  }
  BENNU_TRY(write_format(folder));
  return true;
}

Status cut(const fs::path& file, std::uint64_t size) {
  const env::File log(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!log.is_open()) return env::file_error("open", file, errno);
  if (::ftruncate(log.fd(), static_cast<off_t>(size)) != 0)
    return env::file_error("cut the torn end of", file, errno);
  return env::sync_file(log, file);
}

// The logs by number, oldest first, but for empty ones: of processes that only read. RocksDB keeps
// those until something is written.
Result<std::map<std::uint64_t, fs::path>> find_logs(const fs::path& folder, bool read_only) {
  std::map<std::uint64_t, fs::path> logs;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".log") continue;
    if (it->file_size(error) == 0 && !error) {
      if (!read_only && ::unlink(it->path().c_str()) != 0) {
        return env::file_error("remove", it->path(), errno);
      }
      continue;
    }
    const std::string stem = it->path().stem().string();
    std::uint64_t number = 0;
    std::from_chars(stem.data(), stem.data() + stem.size(), number);
    logs.emplace(number, it->path());
  }
  if (error) return env::file_error("look into", folder, error.value());
  return logs;
}

// Everything in a log is synced, and a torn end cut off, before the next log gets its first record.
Result<std::vector<TornLog>> check_logs(const fs::path& folder, bool read_only) {
  BENNU_ASSIGN(const auto logs, find_logs(folder, read_only));
  std::vector<TornLog> torn;
  for (const auto& [number, file] : logs) {
    BENNU_ASSIGN(const WalCheck check, check_wal(file));
    if (!check.torn_at) continue;
    if (number != logs.rbegin()->first) {
      torn.push_back({.file = file, .number = number, .at = *check.torn_at});
    } else if (!read_only) {
      BENNU_TRY(cut(file, *check.torn_at));
    }
  }
  return torn;
}

}  // namespace

Result<PreparedFolder> prepare_folder(const fs::path& folder, bool create_if_missing,
                                      bool read_only) {
  const bool may_create = create_if_missing && !read_only;
  std::error_code error;
  if (fs::status(folder, error).type() == fs::file_type::not_found) {
    if (!may_create) return no_store(folder);
    BENNU_TRY(env::make_folders(folder));
  }
  // Before anything is looked at: a log that somebody is writing looks torn.
  BENNU_ASSIGN(auto lock, take_lock(folder, read_only ? env::Hold::kShared : env::Hold::kAlone));
  BENNU_ASSIGN(const bool create, check_contents(folder, may_create));
  std::vector<TornLog> torn;
  if (!create) {
    BENNU_ASSIGN(torn, check_logs(folder, read_only));
  }
  return PreparedFolder{.lock = std::move(lock), .create = create, .torn = std::move(torn)};
}

}  // namespace bennu::kv::embedded
