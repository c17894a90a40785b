#include "cli/file_records.hpp"

#include <array>
#include <string>
#include <utility>

#include "sync/tree_records.hpp"

namespace bennu::cli {
namespace {

using sync::RecordKind;

// Of each file there are a few; `file/` is not among them, for it is never a key's.
constexpr std::array<RecordKind, 4> kKinds = {RecordKind::kMode, RecordKind::kBlob,
                                              RecordKind::kLink, RecordKind::kEmpty};

void forget(RecordKind kind, std::string record, RecordChanges& changes) {
  if (kind != RecordKind::kMode) ++changes.files;
  changes.ops.push_back(kv::Op{kv::DeleteRangeRequest{.range = {.key = std::move(record)}}});
}

// Calls `sink` for each record of the one key's file.
template <typename Sink>
Status each_record(kv::Reader& reader, const sync::Mapping& mapping, std::string_view key,
                   const Sink& sink) {
  if (mapping.match_key(key).entity != nullptr) return {};  // a document is an ordinary file
  const std::string path = mapping.raw_path(key);
  for (const RecordKind kind : kKinds) {
    BENNU_ASSIGN(auto found, reader.range({.range = {.key = sync::record_key(kind, path)}}));
    if (!found.kvs.empty()) sink(kind, path, std::move(found.kvs[0]));
  }
  return {};
}

}  // namespace

Result<RecordChanges> records_of_put(kv::Reader& reader, const sync::Mapping& mapping,
                                     std::string_view key) {
  BENNU_ASSIGN(const auto there,
               reader.range({.range = {.key = std::string(key)}, .count_only = true}));
  RecordChanges changes;
  if (there.count > 0) return changes;
  BENNU_TRY(each_record(
      reader, mapping, key, [&](RecordKind kind, const std::string& path, kv::KeyValue record) {
        if (kind == RecordKind::kMode) {
          if (sync::parse_mode(record.value) != sync::FileMode::kSymlink) return;
        } else if (const auto blob = sync::parse_blob_record(record.value);
                   kind == RecordKind::kBlob && blob && blob->mode == sync::FileMode::kExecutable) {
          changes.ops.push_back(
              kv::Op{kv::PutRequest{.key = sync::record_key(RecordKind::kMode, path),
                                    .value = sync::format_mode(blob->mode)}});
        }
        forget(kind, std::move(record.key), changes);
      }));
  return changes;
}

Result<RecordChanges> records_of_delete(kv::Reader& reader, const sync::Mapping& mapping,
                                        const kv::KeyRange& range) {
  RecordChanges changes;
  if (range.end.empty()) {
    BENNU_TRY(each_record(reader, mapping, range.key,
                          [&](RecordKind kind, const std::string&, kv::KeyValue record) {
                            forget(kind, std::move(record.key), changes);
                          }));
    return changes;
  }
  for (const RecordKind kind : kKinds) {
    BENNU_ASSIGN(auto found, reader.range({.range = kv::prefix_range(sync::record_key(kind, "")),
                                           .keys_only = true}));
    for (kv::KeyValue& record : found.kvs) {
      const auto name = sync::parse_record(record.key);
      if (!name) continue;
      const sync::PathOf where = mapping.parse_path(name->path);
      if (where.kind != sync::PathOf::Kind::kRawKey || !kv::contains(range, where.key)) continue;
      forget(kind, std::move(record.key), changes);
    }
  }
  return changes;
}

}  // namespace bennu::cli
