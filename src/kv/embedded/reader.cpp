#include "kv/embedded/reader.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "base/bytes.hpp"

namespace bennu::kv::embedded {
namespace {

using rocksdb::Iterator;
using rocksdb::Slice;

std::string_view to_view(const Slice& slice) { return {slice.data(), slice.size()}; }

bool is_to_the_end(const KeyRange& range) { return range.end == std::string_view("\0", 1); }

// The first byte string after every encoded key that starts with `encoded` (which ends in the end
// mark).
std::string after_key(std::string_view encoded) {
  std::string out(encoded);
  out.back() = '\x02';
  return out;
}

// Gives a staged record the revisions that only its stage's table entry knows.
void resolve(RecordView& record, std::int64_t revision) {
  record.mod = revision;
  if (record.create == 0 && !record.tombstone) record.create = revision;
}

// With more stages than this, one seek is cheaper than asking for each.
constexpr std::size_t kStagesTriedOneByOne = 4;

template <class Add>
Status for_each_staged(const Database& database, const View& view, const std::string& encoded,
                       const Add& add) {
  auto options = view.read_options();
  const std::string end = after_key(encoded);
  const Slice bound(end);
  options.iterate_upper_bound = &bound;
  const std::unique_ptr<Iterator> it(
      database.db().NewIterator(options, database.family(Family::kStaged)));
  for (it->Seek(encoded); it->Valid(); it->Next()) {
    const std::string_view suffix = to_view(it->key()).substr(encoded.size());
    if (suffix.size() != 8) return corrupt_record("staged", to_view(it->key()));
    const auto stage = view.stages->find(read_be64(suffix));
    if (stage == view.stages->end()) continue;
    BENNU_TRY(add(it->value().ToString(), stage->first, stage->second));
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot read a key");
  return {};
}

Result<std::optional<Record>> find_in_history(const Database& database, const View& view,
                                              std::string_view key, Revision at) {
  const std::unique_ptr<Iterator> it(
      database.db().NewIterator(view.read_options(), database.family(Family::kHist)));
  const std::string encoded = encode_key(key);
  it->Seek(history_key(key, at.value));
  if (!it->status().ok()) return to_error(it->status(), "cannot read history");
  if (!it->Valid() || !to_view(it->key()).starts_with(encoded)) return std::optional<Record>{};
  const auto record = decode_record(to_view(it->value()));
  if (!record) return corrupt_record("hist", to_view(it->key()));
  if (record->tombstone) return std::optional<Record>{};
  return std::optional(Record::from(*record));
}

}  // namespace

Result<std::vector<std::unique_ptr<Located>>> locate(const Database& database, const View& view,
                                                     std::string_view key) {
  std::vector<std::unique_ptr<Located>> found;
  auto options = view.read_options();
  const std::string encoded = encode_key(key);
  const auto add = [&](std::string bytes, std::uint64_t stage, std::int64_t revision) -> Status {
    auto located = std::make_unique<Located>();
    located->bytes = std::move(bytes);
    located->stage = stage;
    const auto record = decode_record(located->bytes);
    if (!record) return corrupt_record(stage == 0 ? "cur" : "staged", encoded);
    located->record = *record;
    if (stage != 0) resolve(located->record, revision);
    found.push_back(std::move(located));
    return {};
  };
  std::string bytes;
  auto status = database.db().Get(options, database.family(Family::kCur), encoded, &bytes);
  if (status.ok()) {
    BENNU_TRY(add(std::move(bytes), 0, 0));
  } else if (!status.IsNotFound()) {
    return to_error(status, "cannot read a key");
  }
  if (view.stages->size() > kStagesTriedOneByOne) {
    BENNU_TRY(for_each_staged(database, view, encoded, add));
  } else {
    for (const auto& [stage, revision] : *view.stages) {
      std::string staged;
      status = database.db().Get(options, database.family(Family::kStaged), staged_key(key, stage),
                                 &staged);
      if (status.ok()) {
        BENNU_TRY(add(std::move(staged), stage, revision));
      } else if (!status.IsNotFound()) {
        return to_error(status, "cannot read a key");
      }
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a->record.mod > b->record.mod; });
  return found;
}

Result<std::optional<Record>> find_key(const Database& database, const View& view,
                                       std::string_view key, Revision at) {
  BENNU_ASSIGN(const auto located, locate(database, view, key));
  for (const auto& one : located) {
    if (one->record.mod > at.value) continue;
    if (one->record.tombstone) return std::optional<Record>{};
    return std::optional(Record::from(one->record));
  }
  if (at >= view.revision) return std::optional<Record>{};
  return find_in_history(database, view, key, at);
}

Result<std::int64_t> count_keys(const Database& database, const View& view, const KeyRange& range) {
  CountIndex::Sum sum = view.counts->count(range);
  for (const KeyRange& part : sum.scan) {
    Cursor cursor(database, view, {}, part, view.revision);
    for (; cursor.valid(); cursor.next()) ++sum.whole;
    BENNU_TRY(cursor.status());
  }
  return sum.whole;
}

std::vector<std::string> keys_of(const Database& database, const View& view, const KeyRange& range,
                                 Status& status) {
  std::vector<std::string> keys;
  Cursor cursor(database, view, {}, range, view.revision);
  for (; cursor.valid(); cursor.next()) keys.emplace_back(cursor.key());
  if (status) status = cursor.status();
  return keys;
}

// Merges four sources by key. Each source stays where its record is until the next key is asked
// for, so that nothing is copied but what a later staged record would move away from.
class Cursor::Impl {
 public:
  Impl(const Database& database, const View& view, std::vector<const Overlay*> overlays,
       const KeyRange& range, Revision at)
      : view_(view), range_(range), at_(at) {
    auto options = view.read_options();
    lower_ = encode_key(range.key);
    if (range.end.empty()) {
      upper_ = after_key(lower_);
    } else if (!is_to_the_end(range)) {
      upper_ = encode_key(range.end);
    }
    // An iterator's upper bound is exclusive and kept by pointer.
    if (!upper_.empty()) {
      upper_slice_ = Slice(upper_);
      options.iterate_upper_bound = &upper_slice_;
    }
    const auto open = [&](Family family) {
      std::unique_ptr<Iterator> it(database.db().NewIterator(options, database.family(family)));
      it->Seek(lower_);
      return it;
    };
    sources_[kCur].it = open(Family::kCur);
    if (!view.stages->empty()) sources_[kStaged].it = open(Family::kStaged);
    if (at < view.revision) sources_[kHist].it = open(Family::kHist);
    for (const Overlay* overlay : overlays) add_overlay(*overlay);
    pending_ = overlay_.begin();
    for (Source& source : sources_) read_key(source);
    settle();
  }

  void seek(std::string_view key) {
    const std::string encoded = encode_key(key);
    for (Source& source : sources_) {
      if (!source.it) continue;
      source.it->Seek(encoded);
      read_key(source);
    }
    started_ = false;
    settle();
  }

  [[nodiscard]] bool valid() const { return valid_ && error_.has_value(); }
  void next() { settle(); }
  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] const RecordView& record() const { return best_; }
  [[nodiscard]] Status status() const { return error_; }

 private:
  enum : std::uint8_t { kCur, kStaged, kHist, kSources };

  struct Source {
    std::unique_ptr<Iterator> it;
    bool valid = false;
    std::string_view key;     // decoded
    std::string_view suffix;  // after the encoded key
    std::string buffer;
  };

  void add_overlay(const Overlay& overlay) {
    const auto& keys = overlay.keys();
    for (auto it = keys.lower_bound(range_.key); it != keys.end() && contains(range_, it->first);
         ++it) {
      overlay_.try_emplace(it->first, it->second ? &*it->second : nullptr);
    }
  }

  void fail(Error error) {
    if (error_) error_ = std::move(error);
    valid_ = false;
  }

  void read_key(Source& source) {
    source.valid = false;
    if (!source.it) return;
    if (!source.it->Valid()) {
      if (!source.it->status().ok()) fail(to_error(source.it->status(), "cannot read a range"));
      return;
    }
    source.suffix = to_view(source.it->key());
    const auto key = take_encoded_key(source.suffix, source.buffer);
    if (!key) return fail(corrupt_record("a range", to_view(source.it->key())));
    source.key = *key;
    source.valid = true;
  }

  void advance(Source& source) {
    source.it->Next();
    read_key(source);
  }

  // Moves every source past key_, to which `key_` has just been set by the last round.
  void leave_key() {
    if (!started_) {
      started_ = true;
      return;
    }
    for (Source& source : sources_) {
      int steps = 0;
      while (source.valid && source.key == key_) {
        // Many versions of one key: jump instead of walking.
        if (++steps > 4) {
          source.it->Seek(after_key(encode_key(key_)));
          read_key(source);
          break;
        }
        advance(source);
      }
    }
    if (pending_ != overlay_.end() && pending_->first == key_) ++pending_;
  }

  bool smallest_key() {
    bool found = false;
    const auto consider = [&](std::string_view key) {
      if (!found || key < next_key_) {
        next_key_ = key;
        found = true;
      }
    };
    for (const Source& source : sources_) {
      if (source.valid) consider(source.key);
    }
    if (pending_ != overlay_.end()) consider(pending_->first);
    if (found) key_.assign(next_key_);
    return found;
  }

  void consider(RecordView record, bool keep) {
    if (record.mod > at_.value || (has_best_ && record.mod < best_.mod)) return;
    best_ = record;
    has_best_ = true;
    if (keep) {
      best_value_.assign(record.value);
      best_.value = best_value_;
    }
  }

  void consider_cur() {
    Source& cur = sources_[kCur];
    if (!cur.valid || cur.key != key_) return;
    const auto record = decode_record(to_view(cur.it->value()));
    if (!record) return fail(corrupt_record("cur", key_));
    consider(*record, false);
  }

  void consider_staged() {
    Source& staged = sources_[kStaged];
    while (staged.valid && staged.key == key_) {
      if (staged.suffix.size() != 8) return fail(corrupt_record("staged", key_));
      const auto stage = view_.stages->find(read_be64(staged.suffix));
      if (stage != view_.stages->end() && stage->second <= at_.value) {
        auto record = decode_record(to_view(staged.it->value()));
        if (!record) return fail(corrupt_record("staged", key_));
        resolve(*record, stage->second);
        consider(*record, true);
      }
      advance(staged);
    }
  }

  void consider_history() {
    Source& hist = sources_[kHist];
    if (!hist.valid || hist.key != key_) return;
    if (hist.suffix.size() != 8) return fail(corrupt_record("hist", key_));
    if (static_cast<std::int64_t>(~read_be64(hist.suffix)) > at_.value) {
      hist.it->Seek(history_key(key_, at_.value));
      read_key(hist);
      if (!hist.valid || hist.key != key_) return;
    }
    const auto record = decode_record(to_view(hist.it->value()));
    if (!record) return fail(corrupt_record("hist", key_));
    consider(*record, false);
  }

  // Finds the next key that exists.
  void settle() {
    valid_ = false;
    while (error_) {
      leave_key();
      if (!error_ || !smallest_key()) return;
      has_best_ = false;
      if (pending_ != overlay_.end() && pending_->first == key_) {
        if (pending_->second == nullptr) continue;
        best_ = pending_->second->view();
        valid_ = true;
        return;
      }
      consider_cur();
      consider_staged();
      consider_history();
      if (error_ && has_best_ && !best_.tombstone) {
        valid_ = true;
        return;
      }
    }
  }

  const View& view_;
  const KeyRange range_;
  const Revision at_;
  std::string lower_;
  std::string upper_;
  Slice upper_slice_;
  std::array<Source, kSources> sources_;
  std::map<std::string_view, const Record*> overlay_;
  std::map<std::string_view, const Record*>::const_iterator pending_;
  bool started_ = false;
  bool valid_ = false;
  Status error_;
  std::string key_;
  std::string_view next_key_;
  bool has_best_ = false;
  RecordView best_;
  std::string best_value_;
};

Cursor::Cursor(const Database& database, const View& view, std::vector<const Overlay*> overlays,
               const KeyRange& range, Revision at)
    : impl_(std::make_unique<Impl>(database, view, std::move(overlays), range, at)) {}
Cursor::~Cursor() = default;
bool Cursor::valid() const { return impl_->valid(); }
void Cursor::next() { impl_->next(); }
void Cursor::seek(std::string_view key) { impl_->seek(key); }
std::string_view Cursor::key() const { return impl_->key(); }
const RecordView& Cursor::record() const { return impl_->record(); }
Status Cursor::status() const { return impl_->status(); }

}  // namespace bennu::kv::embedded
