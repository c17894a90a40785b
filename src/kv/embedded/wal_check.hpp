#pragma once
// What   Tells a damaged write-ahead log from one whose last write was cut off by a crash.
// Why    RocksDB takes a damaged length near the end of a log for a torn end, and would silently
//        drop the acknowledged writes behind it. Every one of our writes is synced before the next
//        is begun, so anything whole behind the first bad record proves damage.
// Use    For each log file before RocksDB opens the store. It changes nothing itself. The last
//        write may be cut off or, after a power failure, have zeros where its data should be: cut
//        the file at `torn_at` then, before it is opened for writing. Only the newest log can be
//        torn so.
// Units  RocksDB's log: blocks of 32 KiB; a record has crc32c (4), length (2), type (1), then data;
//        recyclable types have the log's number (4) before the data.
// Errors kDataLoss (kCorrupt), with file and offset; kUnavailable if it cannot be read.
// Threads Pure but for reading the file.
// Source RocksDB 7.8 db/log_format.h and db/log_reader.cc; LevelDB doc/log_format.md.

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/result.hpp"

namespace bennu::kv::embedded {

struct WalCheck {
  /// Where a last write begins that is not all there; nothing if the log can be opened as it is.
  std::optional<std::uint64_t> torn_at;
};
[[nodiscard]] Result<WalCheck> check_wal(const std::filesystem::path& file);

}  // namespace bennu::kv::embedded
