#pragma once
// What   Reads one key, or walks a range of keys, at one revision of a view.
// Why    A key's versions lie in cur, staged and hist, and pending ones in overlays; one place
//        merges them.
// Use    `find_key` for one key; a Cursor for ranges: `for (; cursor.valid(); cursor.next())`, then
//        `cursor.status()`. The database, view and overlays must outlive the cursor.
// Units  `at`: a revision of the view, not above it and not below its compacted revision.
// Errors kDataLoss (kCorrupt), kUnavailable: what RocksDB reports, or a record that does not
//        decode.
// Threads A cursor: one thread. Functions: safe for all.
// Source own design, docs/formats/rocksdb.md.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/codec.hpp"
#include "kv/embedded/overlay.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

/// A record and where it lies.
struct Located {
  RecordView record;  ///< mod and create resolved; of a tombstone, create 0: nothing was there
  std::uint64_t stage = 0;  ///< 0: in cur
  std::string bytes;        ///< what `record.value` points into
};

/// Every committed version of a key in cur and staged, newest first. More than one only until the
/// clean-up of a stage has moved the older ones to hist.
[[nodiscard]] Result<std::vector<std::unique_ptr<Located>>> locate(const Database& database,
                                                                   const View& view,
                                                                   std::string_view key);

/// The key's record at a revision; nothing if it did not exist then.
[[nodiscard]] Result<std::optional<Record>> find_key(const Database& database, const View& view,
                                                     std::string_view key, Revision at);

/// How many keys of a range exist at the view's revision: by the count index, and a scan of at most
/// two of its blocks.
[[nodiscard]] Result<std::int64_t> count_keys(const Database& database, const View& view,
                                              const KeyRange& range);

/// The keys of a range at the view's revision; `status` is set if they could not all be read.
[[nodiscard]] std::vector<std::string> keys_of(const Database& database, const View& view,
                                               const KeyRange& range, Status& status);

/// The keys of a range that exist at a revision, in key order.
class Cursor {
 public:
  /// `overlays`: newest first; only with `at` == the view's revision.
  Cursor(const Database& database, const View& view, std::vector<const Overlay*> overlays,
         const KeyRange& range, Revision at);
  ~Cursor();
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  [[nodiscard]] bool valid() const;
  void next();
  /// Goes to the first key not below `key`, which must not be below the current one. Only without
  /// overlays.
  void seek(std::string_view key);
  /// Valid until the next call of next().
  [[nodiscard]] std::string_view key() const;
  [[nodiscard]] const RecordView& record() const;
  [[nodiscard]] Status status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bennu::kv::embedded
