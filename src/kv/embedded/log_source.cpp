#include "kv/embedded/log_source.hpp"

#include <algorithm>

#include "kv/embedded/log_reader.hpp"
#include "kv/embedded/reader.hpp"
#include "kv/errors.hpp"

namespace bennu::kv::embedded {
namespace {

// Finds versions of keys of which the log says that they exist, and when they were written: point
// reads, where a search by revision would need an iterator for each.
class VersionReader {
 public:
  VersionReader(const Database& database, const View& view)
      : database_(database), view_(view), options_(view.read_options()) {}

  // The version of the key that was written at `mod`; nothing if it is compacted.
  Result<std::optional<KeyValue>> read(std::string_view key, Revision mod) {
    // A stage that is not cleaned up yet has versions elsewhere.
    if (view_.stages->empty()) {
      // Neighbours in the log are mostly of one age.
      for (int i = 0; i < 2; ++i, history_first_ = !history_first_) {
        BENNU_ASSIGN(auto found, history_first_ ? in_history(key, mod) : in_cur(key, mod));
        if (found) return found;
      }
    }
    BENNU_ASSIGN(const auto record, find_key(database_, view_, key, mod));
    if (!record || record->mod != mod.value) return std::optional<KeyValue>{};
    return std::optional(to_key_value(key, record->view()));
  }

 private:
  Result<std::optional<KeyValue>> in_cur(std::string_view key, Revision mod) {
    return get(Family::kCur, encode_key(key), key, mod);
  }
  Result<std::optional<KeyValue>> in_history(std::string_view key, Revision mod) {
    return get(Family::kHist, history_key(key, mod.value), key, mod);
  }

  Result<std::optional<KeyValue>> get(Family family, const std::string& at, std::string_view key,
                                      Revision mod) {
    value_.Reset();
    const auto status = database_.db().Get(options_, database_.family(family), at, &value_);
    if (status.IsNotFound()) return std::optional<KeyValue>{};
    if (!status.ok()) return to_error(status, "cannot read a key");
    const auto record = decode_record(value_.ToStringView());
    if (!record) return corrupt_record(family == Family::kCur ? "cur" : "hist", key);
    if (record->mod != mod.value || record->tombstone) return std::optional<KeyValue>{};
    return std::optional(to_key_value(key, *record));
  }

  const Database& database_;
  const View& view_;
  const rocksdb::ReadOptions options_;
  rocksdb::PinnableSlice value_;
  bool history_first_ = false;
};

// Collects wanted changes, and knows where to stop.
class Collector {
 public:
  Collector(const Database& database, const View& view, std::size_t max_bytes,
            const ChangeFilter& filter)
      : database_(database),
        view_(view),
        versions_(database, view),
        max_bytes_(max_bytes),
        filter_(filter) {}

  void begin(Revision revision) {
    block_ = ChangeBlock{.revision = revision, .changes = {}, .last = true, .with_prev = false};
    block_bytes_ = 0;
  }

  // Takes one change, or says that it must stop before it.
  Result<bool> take(const ChangeView& change, bool staged) {
    if (change.type == EventType::kDelete && change.previous_mod == 0) return true;
    if (looks_ >= LogSource::kMaxLooks && block_.changes.empty()) return false;
    ++looks_;
    const Want want = filter_(block_.revision, change.type, change.key);
    if (want == Want::kSkip) return true;
    BENNU_ASSIGN(Event event, build(change, staged, want == Want::kChangeAndPrev));
    std::size_t bytes = event.kv.key.size() + event.kv.value.size();
    for (const KeyValue& prev : event.prev_kv) bytes += prev.key.size() + prev.value.size();
    const bool first_ever = blocks_.empty() && block_.changes.empty();
    if (!first_ever && bytes_ + block_bytes_ + bytes > max_bytes_) return false;
    block_bytes_ += bytes;
    block_.changes.push_back(std::move(event));
    return true;
  }

  // The revision is whole.
  void finish() {
    bytes_ += block_bytes_;
    if (!block_.changes.empty()) blocks_.push_back(std::move(block_));
  }

  // The revision goes on at `index`. Only the first block may be a part; a later one is left for
  // the next read.
  ChangeCursor stop(std::uint64_t start, std::uint64_t index) {
    const Revision revision = block_.revision;
    if (block_.changes.empty()) return {.revision = revision, .index = index};
    if (!blocks_.empty()) return {.revision = revision, .index = start};
    block_.last = false;
    blocks_.push_back(std::move(block_));
    return {.revision = revision, .index = index};
  }

  [[nodiscard]] bool full() const { return looks_ >= LogSource::kMaxLooks || bytes_ >= max_bytes_; }
  std::vector<ChangeBlock> take_blocks() { return std::move(blocks_); }

 private:
  // As it was before the revision.
  Result<std::optional<KeyValue>> previous(const ChangeView& change, bool staged) {
    const Revision before = block_.revision.previous();
    // What a stage remembers of the version before may be outdated by others' changes, and a key
    // changed twice in one revision names its own.
    if (!staged && change.previous_mod <= before.value) {
      return versions_.read(change.key, {change.previous_mod});
    }
    BENNU_ASSIGN(const auto record, find_key(database_, view_, change.key, before));
    if (!record) return std::optional<KeyValue>{};
    return std::optional(to_key_value(change.key, record->view()));
  }

  Result<Event> build(const ChangeView& change, bool staged, bool with_prev) {
    const Revision revision = block_.revision;
    Event event{.type = change.type, .kv = {.key = std::string(change.key)}, .prev_kv = {}};
    if (change.type == EventType::kDelete) {
      event.kv.mod_revision = revision;
    } else if (change.superseded) {
      event.kv = to_key_value(change.key, change.record);
    } else {
      BENNU_ASSIGN(auto kv, versions_.read(change.key, revision));
      if (!kv) return corrupt_record("log", change.key);
      event.kv = std::move(*kv);
    }
    if (with_prev && change.previous_mod != 0 && revision.previous() >= view_.compacted) {
      BENNU_ASSIGN(auto kv, previous(change, staged));
      if (kv) event.prev_kv.push_back(std::move(*kv));
    }
    return event;
  }

  const Database& database_;
  const View& view_;
  VersionReader versions_;
  const std::size_t max_bytes_;
  const ChangeFilter& filter_;
  std::size_t looks_ = 0;
  std::size_t bytes_ = 0;
  std::vector<ChangeBlock> blocks_;
  ChangeBlock block_;
  std::size_t block_bytes_ = 0;
};

// Reads one revision from its `start`-th change on. Nothing: it is whole; else where to go on.
Result<std::optional<ChangeCursor>> read_entry(const Database& database, const View& view,
                                               const LogEntryView& entry, std::uint64_t start,
                                               Collector& out) {
  out.begin({entry.revision});
  if (entry.stage != 0 && start < entry.stage_changes) {
    StageListCursor list(database, view, entry.stage, start);
    for (; list.valid(); list.next()) {
      BENNU_ASSIGN(const bool taken, out.take(list.change(), true));
      if (!taken) return std::optional(out.stop(start, list.index()));
    }
    BENNU_TRY(list.status());
  }
  const std::uint64_t skipped = std::max(start, entry.stage_changes) - entry.stage_changes;
  for (std::uint64_t i = skipped; i < entry.changes.size(); ++i) {
    BENNU_ASSIGN(const bool taken, out.take(entry.changes[i], false));
    if (!taken) return std::optional(out.stop(start, entry.stage_changes + i));
  }
  out.finish();
  return std::optional<ChangeCursor>{};
}

}  // namespace

Result<ChangeRead> LogSource::read(ChangeCursor from, Revision to, std::size_t max_bytes,
                                   const ChangeFilter& filter) const {
  const auto view = published_.get();
  if (from.revision < view->compacted) return errors::compacted();
  const Revision end = std::min(to, view->revision);
  ChangeRead read{.blocks = {}, .next = {.revision = end.next(), .index = 0}};
  Collector out(database_, *view, max_bytes, filter);
  LogCursor log(database_, *view, from.revision);
  for (; log.valid() && log.entry().revision <= end.value; log.next()) {
    const Revision revision{log.entry().revision};
    if (out.full()) {
      read.next = {.revision = revision, .index = 0};
      break;
    }
    const std::uint64_t start = revision == from.revision ? from.index : 0;
    BENNU_ASSIGN(const auto stopped, read_entry(database_, *view, log.entry(), start, out));
    if (stopped) {
      read.next = *stopped;
      break;
    }
  }
  BENNU_TRY(log.status());
  read.blocks = out.take_blocks();
  return read;
}

}  // namespace bennu::kv::embedded
