#pragma once
// What   A stage's sorted changes as table files that RocksDB can take in whole.
// Why    Writing tables beside the database costs other clients nothing: no memtable, no log, no
//        lock.
// Use    `add` in strictly ascending key order, then `finish`; the files belong to the caller's
//        folder. What is there of each key is looked up at the view given.
// Units  A file is closed at about kFileBytes.
// Errors kResourceExhausted (kNoSpace), kUnavailable, and what reading reports. Nothing is visible.
// Threads One thread. Database and view must outlive it.
// Source RocksDB's SstFileWriter; docs/formats/rocksdb.md; ADR 0002.

#include <rocksdb/sst_file_writer.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/codec.hpp"
#include "kv/embedded/counts.hpp"
#include "kv/embedded/reader.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

/// Table files of one family, one after the other, in key order.
class TableWriter {
 public:
  static constexpr std::uint64_t kFileBytes = 32UL << 20;

  /// Files are `folder/name-N.sst`.
  TableWriter(const Database& database, Family family, std::filesystem::path folder,
              std::string name);
  [[nodiscard]] Status add(std::string_view key, std::string_view value);
  /// Syncs and closes the last file.
  [[nodiscard]] Status finish();
  [[nodiscard]] const std::vector<std::string>& files() const { return files_; }

 private:
  const std::filesystem::path folder_;
  const std::string name_;
  const rocksdb::Options options_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::uint64_t bytes_ = 0;
  std::vector<std::string> files_;
};

/// What exists of ascending keys: blocks that the counts call empty are not even looked into.
class AscendingLookup {
 public:
  AscendingLookup(const Database& database, const View& view);
  [[nodiscard]] Result<std::optional<RecordView>> find(std::string_view key);

 private:
  const Database& database_;
  const View& view_;
  const std::vector<CountIndex::Block> blocks_;
  std::size_t at_ = 0;
  std::unique_ptr<Cursor> cursor_;
};

class StageFiles {
 public:
  struct Written {
    std::vector<std::string> staged;
    std::vector<std::string> list;
    std::vector<CountInterval> intervals;
    std::uint64_t changes = 0;    ///< entries of the list
    std::uint64_t effective = 0;  ///< of those, not a delete of nothing
    std::uint64_t replaced = 0;  ///< keys of which an older version exists, or a tombstone was left
  };

  /// The list's entries are numbered from `first` on. `cuts`: the blocks that intervals keep to.
  StageFiles(const Database& database, const View& view, std::uint64_t stage, std::uint64_t first,
             const std::filesystem::path& folder, const std::string& name,
             std::vector<CountIndex::Block> cuts);
  /// No value: a delete.
  [[nodiscard]] Status add(std::string_view key, std::optional<std::string_view> value);
  [[nodiscard]] Result<Written> finish();
  [[nodiscard]] const std::string& last_key() const { return last_key_; }

 private:
  void count(std::string_view key, std::int64_t delta);

  const std::uint64_t stage_;
  const std::uint64_t first_;
  TableWriter staged_;
  TableWriter list_;
  AscendingLookup lookup_;
  Written written_;
  std::string last_key_;
  std::string key_buffer_;
  std::string value_buffer_;
  const std::vector<CountIndex::Block> cuts_;
  std::size_t cut_at_ = 0;
  std::size_t interval_block_ = 0;
  std::int64_t interval_keys_ = 0;
};

/// The bytes of a staged record and of its entry in the list, given what is there of the key.
[[nodiscard]] std::string staged_record(const std::optional<RecordView>& existing,
                                        std::optional<std::string_view> value);

}  // namespace bennu::kv::embedded
