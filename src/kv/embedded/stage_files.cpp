#include "kv/embedded/stage_files.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace bennu::kv::embedded {
namespace {

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

rocksdb::Options table_options(const Database& database, Family family) {
  rocksdb::Options options = database.db().GetOptions(database.family(family));
  // A file is sent to the disk as it grows: one large sync at its end would hold up everyone's log.
  options.bytes_per_sync = 1UL << 20;
  return options;
}

}  // namespace

TableWriter::TableWriter(const Database& database, Family family, std::filesystem::path folder,
                         std::string name)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      options_(table_options(database, family)) {}

Status TableWriter::add(std::string_view key, std::string_view value) {
  if (!writer_) {
    rocksdb::EnvOptions env;
    env.bytes_per_sync = 1UL << 20;
    writer_ = std::make_unique<rocksdb::SstFileWriter>(env, options_, nullptr, false);
    const std::string path = (folder_ / fmt::format("{}-{}.sst", name_, files_.size())).string();
    const auto status = writer_->Open(path);
    if (!status.ok()) return to_error(status, "cannot write staged changes");
    files_.push_back(path);
    bytes_ = 0;
  }
  const auto status = writer_->Put(slice(key), slice(value));
  if (!status.ok()) return to_error(status, "cannot write staged changes");
  bytes_ += key.size() + value.size();
  return bytes_ >= kFileBytes ? finish() : Status{};
}

Status TableWriter::finish() {
  if (!writer_) return {};
  const auto status = writer_->Finish();
  writer_.reset();
  return status.ok() ? Status{} : to_error(status, "cannot write staged changes");
}

AscendingLookup::AscendingLookup(const Database& database, const View& view)
    : database_(database), view_(view), blocks_(view.counts->blocks()) {}

Result<std::optional<RecordView>> AscendingLookup::find(std::string_view key) {
  while (!blocks_[at_].end.empty() && key >= blocks_[at_].end) ++at_;
  if (blocks_[at_].count == 0) return std::optional<RecordView>{};
  if (!cursor_) {
    cursor_ = std::make_unique<Cursor>(
        database_, view_, std::vector<const Overlay*>{},
        KeyRange{.key = std::string(key), .end = std::string(1, '\0')}, view_.revision);
  }
  // Dense changes walk along with what exists, sparse ones jump.
  for (int steps = 0; cursor_->valid() && cursor_->key() < key; ++steps) {
    if (steps < 16) {
      cursor_->next();
    } else {
      cursor_->seek(key);
    }
  }
  BENNU_TRY(cursor_->status());
  if (!cursor_->valid() || cursor_->key() != key) return std::optional<RecordView>{};
  return std::optional(cursor_->record());
}

std::string staged_record(const std::optional<RecordView>& existing,
                          std::optional<std::string_view> value) {
  return encode(RecordView{.tombstone = !value.has_value(),
                           .create = existing ? existing->create : 0,
                           .mod = 0,
                           .version = value ? (existing ? existing->version + 1 : 1) : 0,
                           .lease = 0,
                           .value = value.value_or(std::string_view{})});
}

StageFiles::StageFiles(const Database& database, const View& view, std::uint64_t stage,
                       std::uint64_t first, const std::filesystem::path& folder,
                       const std::string& name, std::vector<CountIndex::Block> cuts)
    : stage_(stage),
      first_(first),
      staged_(database, Family::kStaged, folder, name + "-records"),
      list_(database, Family::kStageLog, folder, name + "-list"),
      lookup_(database, view),
      cuts_(std::move(cuts)) {}

Status StageFiles::add(std::string_view key, std::optional<std::string_view> value) {
  BENNU_ASSIGN(const auto existing, lookup_.find(key));
  key_buffer_.clear();
  append_encoded_key(key_buffer_, key);
  append_be64(key_buffer_, stage_);
  BENNU_TRY(staged_.add(key_buffer_, staged_record(existing, value)));
  key_buffer_ = be64_key(stage_);
  append_be64(key_buffer_, first_ + written_.changes);
  value_buffer_.clear();
  append_change(value_buffer_, {.type = value ? EventType::kPut : EventType::kDelete,
                                .key = key,
                                .previous_mod = existing ? existing->mod : 0,
                                .superseded = false,
                                .record = {}});
  BENNU_TRY(list_.add(key_buffer_, value_buffer_));
  ++written_.changes;
  if (value || existing) ++written_.effective;
  if (!value || existing) ++written_.replaced;
  const std::int64_t delta = (value ? 1 : 0) - (existing ? 1 : 0);
  if (delta != 0) count(key, delta);
  last_key_.assign(key);
  return {};
}

void StageFiles::count(std::string_view key, std::int64_t delta) {
  while (!cuts_[cut_at_].end.empty() && key >= cuts_[cut_at_].end) ++cut_at_;
  const CountIndex::Block& block = cuts_[cut_at_];
  auto& intervals = written_.intervals;
  const bool same_block = !intervals.empty() && interval_block_ == cut_at_;
  // Where nothing exists, the stage's own keys decide where blocks are cut.
  const bool cut = same_block && block.count == 0 && interval_keys_ >= CountIndex::kBlockKeys / 2;
  if (!same_block || cut) {
    if (cut) intervals.back().end = std::string(key);
    intervals.push_back(
        {.start = cut ? std::string(key) : block.start, .end = block.end, .delta = 0});
    interval_block_ = cut_at_;
    interval_keys_ = 0;
  }
  intervals.back().delta += delta;
  ++interval_keys_;
}

Result<StageFiles::Written> StageFiles::finish() {
  BENNU_TRY(staged_.finish());
  BENNU_TRY(list_.finish());
  written_.staged = staged_.files();
  written_.list = list_.files();
  return std::move(written_);
}

}  // namespace bennu::kv::embedded
