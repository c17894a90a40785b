#include "kv/embedded/stage_builder.hpp"

#include <fmt/format.h>
#include <rocksdb/sst_file_reader.h>

#include <algorithm>
#include <queue>
#include <system_error>

#include "kv/errors.hpp"

namespace bennu::kv::embedded {
namespace {

namespace fs = std::filesystem;

constexpr char kPut = 'p';
constexpr char kErase = 'e';

// The keys of several files that follow each other.
class FilesIterator {
 public:
  FilesIterator(const Database& database, Family family, std::vector<std::string> files)
      : options_(database.db().GetOptions(database.family(family))), files_(std::move(files)) {
    open_next();
  }
  [[nodiscard]] bool valid() const { return status_ && it_ && it_->Valid(); }
  [[nodiscard]] std::string_view key() const { return it_->key().ToStringView(); }
  [[nodiscard]] std::string_view value() const { return it_->value().ToStringView(); }
  [[nodiscard]] const Status& status() const { return status_; }
  void next() {
    it_->Next();
    if (!it_->Valid()) open_next();
  }

 private:
  void open_next() {
    if (it_ && !it_->status().ok()) {
      status_ = to_error(it_->status(), "cannot read staged changes");
      return;
    }
    it_.reset();
    if (next_ >= files_.size()) return;
    reader_ = std::make_unique<rocksdb::SstFileReader>(options_);
    const auto opened = reader_->Open(files_[next_++]);
    if (!opened.ok()) {
      status_ = to_error(opened, "cannot read staged changes");
      return;
    }
    it_.reset(reader_->NewIterator(rocksdb::ReadOptions()));
    it_->SeekToFirst();
  }

  const rocksdb::Options options_;
  const std::vector<std::string> files_;
  std::size_t next_ = 0;
  std::unique_ptr<rocksdb::SstFileReader> reader_;
  std::unique_ptr<rocksdb::Iterator> it_;
  Status status_;
};

Result<std::string> decode_key(std::string_view encoded) {
  std::string buffer;
  std::string_view bytes = encoded;
  const auto key = take_encoded_key(bytes, buffer);
  if (!key) return corrupt_record("staged", encoded);
  return std::string(*key);
}

}  // namespace

fs::path staging_folder(const Database& database) { return database.path() / "staging"; }

Result<std::unique_ptr<StageBuilder>> StageBuilder::create(const Database& database,
                                                           const View& view, std::uint64_t stage) {
  fs::path folder = staging_folder(database) / fmt::format("{}", stage);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return to_error(rocksdb::Status::IOError(error.message()),
                    fmt::format("cannot create {}", folder.string()));
  }
  return std::unique_ptr<StageBuilder>(new StageBuilder(database, view, stage, std::move(folder)));
}

StageBuilder::StageBuilder(const Database& database, const View& view, std::uint64_t stage,
                           fs::path folder)
    : database_(database),
      view_(view),
      stage_(stage),
      folder_(std::move(folder)),
      ordered_(database, view, stage, 0, folder_, "ordered", view.counts->blocks()) {}

StageBuilder::~StageBuilder() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Status StageBuilder::add(std::string_view key, std::optional<std::string_view> value) {
  buffer_bytes_ += key.size() + (value ? value->size() : 0) + sizeof(Change);
  buffer_.emplace_back(key, value ? std::optional<std::string>(*value) : std::nullopt);
  return buffer_bytes_ >= kBufferBytes ? flush() : Status{};
}

// What is above everything before goes straight to its place, the rest into a run.
Status StageBuilder::flush() {
  const auto less = [](const Change& a, const Change& b) { return a.first < b.first; };
  if (!std::is_sorted(buffer_.begin(), buffer_.end(), less)) {
    std::sort(buffer_.begin(), buffer_.end(), less);
  }
  const auto same = [](const Change& a, const Change& b) { return a.first == b.first; };
  if (std::adjacent_find(buffer_.begin(), buffer_.end(), same) != buffer_.end()) {
    return errors::duplicate_key();
  }
  auto late = buffer_.cbegin();
  if (any_ordered_) {
    late = std::upper_bound(buffer_.cbegin(), buffer_.cend(), ordered_.last_key(),
                            [](const std::string& key, const Change& c) { return key < c.first; });
    if (late != buffer_.cbegin() && std::prev(late)->first == ordered_.last_key()) {
      return errors::duplicate_key();
    }
  }
  BENNU_TRY(write_run(late));
  for (; late != buffer_.cend(); ++late) {
    BENNU_TRY(ordered_.add(
        late->first, late->second ? std::optional<std::string_view>(*late->second) : std::nullopt));
    any_ordered_ = true;
  }
  buffer_.clear();
  buffer_bytes_ = 0;
  return {};
}

Status StageBuilder::write_run(std::vector<Change>::const_iterator end) {
  if (end == buffer_.cbegin()) return {};
  TableWriter run(database_, Family::kStaged, folder_, fmt::format("run{}", runs_.size()));
  for (auto it = buffer_.cbegin(); it != end; ++it) {
    std::string value(1, it->second ? kPut : kErase);
    if (it->second) value += *it->second;
    BENNU_TRY(run.add(encode_key(it->first), value));
  }
  BENNU_TRY(run.finish());
  runs_.push_back(run.files());
  return {};
}

Result<StageFiles::Written> StageBuilder::merge_runs(const StageFiles::Written& ordered) {
  std::vector<std::unique_ptr<FilesIterator>> runs;
  for (const auto& files : runs_) {
    runs.push_back(std::make_unique<FilesIterator>(database_, Family::kStaged, files));
  }
  const auto later = [&](std::size_t a, std::size_t b) { return runs[a]->key() > runs[b]->key(); };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> queue(later);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    BENNU_TRY(runs[i]->status());
    if (runs[i]->valid()) queue.push(i);
  }
  Status looked;
  auto cuts = merge_intervals(
      view_.counts->blocks(), ordered.intervals,
      [&](const KeyRange& range) { return keys_of(database_, view_, range, looked); });
  BENNU_TRY(looked);
  StageFiles merged(database_, view_, stage_, ordered.changes, folder_, "merged", std::move(cuts));
  std::string last;
  while (!queue.empty()) {
    FilesIterator& run = *runs[queue.top()];
    const std::size_t number = queue.top();
    queue.pop();
    if (run.key() == last) return errors::duplicate_key();
    last.assign(run.key());
    BENNU_ASSIGN(const std::string key, decode_key(last));
    const std::string_view value = run.value();
    BENNU_TRY(
        merged.add(key, value.starts_with(kPut) ? std::optional(value.substr(1)) : std::nullopt));
    run.next();
    BENNU_TRY(run.status());
    if (run.valid()) queue.push(number);
  }
  return merged.finish();
}

// Both are sorted, so one walk along each finds a key that is in both.
Status StageBuilder::check_apart(const std::vector<std::string>& ordered,
                                 const std::vector<std::string>& merged) const {
  FilesIterator left(database_, Family::kStaged, ordered);
  FilesIterator right(database_, Family::kStaged, merged);
  while (left.valid() && right.valid()) {
    if (left.key() == right.key()) return errors::duplicate_key();
    (left.key() < right.key() ? left : right).next();
  }
  BENNU_TRY(left.status());
  return right.status();
}

Result<StageBuilder::Built> StageBuilder::finish() {
  BENNU_TRY(flush());
  buffer_.shrink_to_fit();
  Built built;
  BENNU_ASSIGN(auto ordered, ordered_.finish());
  built.parts.push_back(std::move(ordered));
  if (runs_.empty()) return built;
  BENNU_ASSIGN(auto merged, merge_runs(built.parts[0]));
  BENNU_TRY(check_apart(built.parts[0].staged, merged.staged));
  built.parts.push_back(std::move(merged));
  return built;
}

}  // namespace bennu::kv::embedded
