#pragma once
// What   The store's folder before RocksDB sees it: whose it is, which format it has, and whether
//        its logs are whole.
// Why    Nothing of a store that another process has open, or of a newer format, may be touched.
// Use    `prepare_folder` first; keep its lock for as long as the database is open.
// Errors kNotFound (kNoStore); kFailedPrecondition (kLocked: open elsewhere; kUnknownFormat: made
//        by a newer Bennu; the folder holds something else); kDataLoss (kCorrupt);
//        kPermissionDenied; kResourceExhausted (kNoSpace).
// Threads Safe for all.
// Source flock(2); docs/formats/rocksdb.md.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/result.hpp"
#include "env/files.hpp"

namespace bennu::kv::embedded {

/// The newest layout this code writes and the only one it reads.
inline constexpr std::uint32_t kFormatVersion = 1;

/// A log that ends in the middle of a write.
struct TornLog {
  std::filesystem::path file;
  std::uint64_t number = 0;
  std::uint64_t at = 0;
};

struct PreparedFolder {
  env::File lock;       ///< against others that write, or all others
  bool create = false;  ///< there is nothing yet: RocksDB may create
  /// Logs that are torn though later ones hold something: damage, unless RocksDB needs them no more
  /// (a write failed, and what the log holds is in tables since).
  std::vector<TornLog> torn;
};

/// Takes the folder (makes it, where it is missing and may be made), checks its format and its
/// logs, and cuts a torn end off the newest unless `read_only`.
[[nodiscard]] Result<PreparedFolder> prepare_folder(const std::filesystem::path& folder,
                                                    bool create_if_missing, bool read_only);

}  // namespace bennu::kv::embedded
