#include "kv/embedded/log_reader.hpp"

#include "base/bytes.hpp"

namespace bennu::kv::embedded {

LogCursor::LogCursor(const Database& database, const View& view, Revision from)
    : it_(database.db().NewIterator(view.read_options(), database.family(Family::kLog))),
      from_(from.value) {
  // A record is kept under the last of its revisions, so the first at or after `from` may hold it.
  it_->Seek(be64_key(static_cast<std::uint64_t>(from.value)));
  if (it_->Valid()) rest_ = it_->value().ToStringView();
  read();
}

void LogCursor::next() { read(); }

void LogCursor::read() {
  valid_ = false;
  while (status_) {
    if (rest_.empty()) {
      if (!it_->Valid()) {
        if (!it_->status().ok()) status_ = to_error(it_->status(), "cannot read the log");
        return;
      }
      it_->Next();
      if (it_->Valid()) rest_ = it_->value().ToStringView();
      continue;
    }
    auto entry = take_log_entry(rest_);
    if (!entry || it_->key().size() != 8) {
      status_ = corrupt_record("log", it_->key().ToStringView());
      return;
    }
    if (entry->revision < from_) continue;
    entry_ = std::move(*entry);
    record_revision_ = static_cast<std::int64_t>(read_be64(it_->key().ToStringView()));
    valid_ = true;
    return;
  }
}

StageListCursor::StageListCursor(const Database& database, const View& view, std::uint64_t stage,
                                 std::uint64_t from)
    : it_(database.db().NewIterator(view.read_options(), database.family(Family::kStageLog))),
      prefix_(be64_key(stage)) {
  it_->Seek(prefix_ + be64_key(from));
  read();
}

void StageListCursor::next() {
  it_->Next();
  read();
}

void StageListCursor::read() {
  valid_ = false;
  if (!it_->Valid()) {
    if (!it_->status().ok()) status_ = to_error(it_->status(), "cannot read a stage's list");
    return;
  }
  std::string_view key = it_->key().ToStringView();
  if (!key.starts_with(prefix_)) return;
  key.remove_prefix(prefix_.size());
  std::string_view value = it_->value().ToStringView();
  const auto change = take_change(value);
  if (key.size() != 8 || !change) {
    status_ = corrupt_record("stagelog", it_->key().ToStringView());
    return;
  }
  index_ = read_be64(key);
  change_ = *change;
  valid_ = true;
}

}  // namespace bennu::kv::embedded
