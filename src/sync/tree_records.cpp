#include "sync/tree_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "sync/mapping.hpp"
#include "sync/raw_path.hpp"

namespace bennu::sync {
namespace {

constexpr std::array<std::pair<std::string_view, RecordKind>, 5> kKinds = {{
    {"mode/", RecordKind::kMode},
    {"link/", RecordKind::kLink},
    {"blob/", RecordKind::kBlob},
    {"empty/", RecordKind::kEmpty},
    {"file/", RecordKind::kFile},
}};

}  // namespace

std::optional<RecordName> parse_record(std::string_view key) {
  if (!key.starts_with(kTreePrefix)) return std::nullopt;
  key.remove_prefix(kTreePrefix.size());
  for (const auto& [name, kind] : kKinds) {
    if (!key.starts_with(name)) continue;
    key.remove_prefix(name.size());
    if (!is_valid_tree_path(key)) return std::nullopt;
    return RecordName{.kind = kind, .path = key};
  }
  return std::nullopt;
}

std::string record_key(RecordKind kind, std::string_view path) {
  std::string key(kTreePrefix);
  for (const auto& [name, of] : kKinds) {
    if (of == kind) key += name;
  }
  key += path;
  return key;
}

std::optional<FileMode> parse_mode(std::string_view value) {
  for (const FileMode mode :
       {FileMode::kExecutable, FileMode::kSymlink, FileMode::kGroupWritable}) {
    if (value == format_mode(mode)) return mode;
  }
  return std::nullopt;
}

std::string format_mode(FileMode mode) {
  return fmt::format("{:06o}", static_cast<std::uint32_t>(mode));
}

std::optional<BlobRecord> parse_blob_record(std::string_view value) {
  if (value.size() < 6 + 1 + 40 + 2) return std::nullopt;
  BlobRecord record{.id = value.substr(7, 40)};
  const std::string_view mode = value.substr(0, 6);
  if (const auto odd = parse_mode(mode)) {
    record.mode = *odd;
  } else if (mode != format_mode(FileMode::kRegular)) {
    return std::nullopt;
  }
  const std::string_view size = value.substr(48);
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), record.size);
  if (error != std::errc{} || end != size.data() + size.size()) return std::nullopt;
  if (format_blob_record(record) != value || !is_object_id(record.id)) return std::nullopt;
  return record;
}

std::string format_blob_record(const BlobRecord& record) {
  return fmt::format("{} {} {}", format_mode(record.mode), record.id, record.size);
}

bool is_object_id(std::string_view text) {
  return text.size() == 40 &&
         std::ranges::all_of(
             text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }) &&
         !std::ranges::all_of(text, [](char c) { return c == '0'; });
}

}  // namespace bennu::sync
