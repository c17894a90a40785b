#pragma once
// What   Walks the log: what each revision changed, revision by revision.
// Why    Watches, compaction, stages and recovery all follow what happened; one place reads it.
// Use    `valid()`, `next()`, `entry()`, then `status()`. The changes of a stage are read apart,
//        with StageListCursor. The database and view must outlive both.
// Errors kDataLoss (kCorrupt), and what reading reports.
// Threads One thread.
// Source own design, docs/formats/rocksdb.md.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "kv/embedded/codec.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

/// Entries from a revision on, to the view's revision.
class LogCursor {
 public:
  LogCursor(const Database& database, const View& view, Revision from);

  [[nodiscard]] bool valid() const { return valid_; }
  void next();
  /// Valid until next().
  [[nodiscard]] const LogEntryView& entry() const { return entry_; }
  /// The key of the log record that the entry is in: the last revision of that record.
  [[nodiscard]] std::int64_t record_revision() const { return record_revision_; }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  void read();

  std::unique_ptr<rocksdb::Iterator> it_;
  std::string_view rest_;
  const std::int64_t from_;
  std::int64_t record_revision_ = 0;
  LogEntryView entry_;
  bool valid_ = false;
  Status status_;
};

/// The changes of a stage, from the `from`-th on (from 0). A stage puts or deletes each key once.
class StageListCursor {
 public:
  StageListCursor(const Database& database, const View& view, std::uint64_t stage,
                  std::uint64_t from);

  [[nodiscard]] bool valid() const { return valid_; }
  void next();
  /// Valid until next(). A delete of a key that did not exist has previous_mod 0 and is no change.
  [[nodiscard]] const ChangeView& change() const { return change_; }
  [[nodiscard]] std::uint64_t index() const { return index_; }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  void read();

  std::unique_ptr<rocksdb::Iterator> it_;
  const std::string prefix_;
  ChangeView change_;
  std::uint64_t index_ = 0;
  bool valid_ = false;
  Status status_;
};

}  // namespace bennu::kv::embedded
