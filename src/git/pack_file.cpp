#include "git/pack_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <libdeflate.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "git/reasons.hpp"
#include "git/repository.hpp"
#include "git/sha1.hpp"

namespace bennu::git {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kIdBytes = 20;
constexpr std::size_t kMaxObjectHeaderBytes = 10;
constexpr std::uint64_t kLargeOffset = 0x80000000U;
// How much is written before the kernel is asked to begin: the sync at the end then finds little
// left.
constexpr std::uint64_t kWritebackBytes = 8UL * 1024 * 1024;

std::string pack_header(std::uint32_t count) {
  std::string out = "PACK";
  append_be32(out, 2);
  append_be32(out, count);
  return out;
}

// gitformat-pack: 3 bits of kind and 4 of size, then 7 bits of size a time, least significant
// first.
void append_object_header(std::string& out, ObjectKind kind, std::size_t size) {
  auto byte = static_cast<unsigned>((static_cast<unsigned>(kind) << 4) | (size & 0xf));
  for (size >>= 4; size != 0; size >>= 7) {
    out.push_back(static_cast<char>(byte | 0x80));
    byte = static_cast<unsigned>(size & 0x7f);
  }
  out.push_back(static_cast<char>(byte));
}

struct ObjectStart {
  ObjectKind kind = ObjectKind::kBlob;
  std::size_t size = 0;
  std::size_t header_bytes = 0;
};

ObjectStart read_object_header(std::string_view bytes) {
  ObjectStart start;
  std::size_t at = 0;
  auto byte = static_cast<unsigned char>(bytes[at++]);
  start.kind = static_cast<ObjectKind>((byte >> 4) & 7);
  start.size = byte & 0xf;
  for (unsigned shift = 4; (byte & 0x80) != 0 && at < bytes.size(); shift += 7) {
    byte = static_cast<unsigned char>(bytes[at++]);
    start.size |= static_cast<std::size_t>(byte & 0x7f) << shift;
  }
  start.header_bytes = at;
  return start;
}

Status write_at(const env::File& file, std::string_view bytes, std::uint64_t offset,
                const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(file.fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return env::file_error("write", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

Result<std::string> read_at(const env::File& file, std::uint64_t offset, std::size_t size,
                            const std::filesystem::path& path) {
  std::string out(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(file.fd(), out.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return env::file_error("read", path, errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  out.resize(done);
  return out;
}

std::uint32_t table_hash(const ObjectId& id) {
  std::uint32_t value = 0;
  std::memcpy(&value, id.bytes.data() + 4, sizeof value);
  return value;
}

}  // namespace

PackEncoder::PackEncoder(int level) : compressor_(libdeflate_alloc_compressor(level)) {
  BENNU_CHECK(compressor_ != nullptr, "libdeflate takes levels 0 to 12");
}

PackEncoder::~PackEncoder() { libdeflate_free_compressor(compressor_); }

void PackEncoder::encode(PackSlot slot, ObjectKind kind, std::string_view bytes, EncodedRun& run) {
  const std::size_t begin = run.bytes.size();
  append_object_header(run.bytes, kind, bytes.size());
  const std::size_t body = run.bytes.size();
  const std::size_t bound = libdeflate_zlib_compress_bound(compressor_, bytes.size());
  run.bytes.resize_and_overwrite(body + bound, [&](char* data, std::size_t) {
    return body +
           libdeflate_zlib_compress(compressor_, bytes.data(), bytes.size(), data + body, bound);
  });
  const std::uint32_t crc = libdeflate_crc32(0, run.bytes.data() + begin, run.bytes.size() - begin);
  run.members.push_back({.slot = slot, .crc = crc, .begin = begin});
}

std::uint32_t* PackFile::Shard::find(const ObjectId& id) {
  const std::size_t mask = table.size() - 1;
  for (std::size_t at = table_hash(id) & mask;; at = (at + 1) & mask) {
    if (table[at] == 0 || entries[table[at] - 1].id == id) return &table[at];
  }
}

void PackFile::Shard::grow() {
  table.assign(std::max<std::size_t>(table.size() * 2, 64), 0);
  for (std::uint32_t i = 0; i < entries.size(); ++i) *find(entries[i].id) = i + 1;
}

PackFile::PackFile(std::filesystem::path folder, std::filesystem::path path, env::File file)
    : folder_(std::move(folder)),
      path_(std::move(path)),
      file_(std::move(file)),
      end_(kHeaderBytes),
      shards_(std::make_unique<std::array<Shard, 256>>()) {}

Result<std::unique_ptr<PackFile>> PackFile::create(const std::filesystem::path& folder) {
  static std::atomic<std::uint64_t> next = 0;
  const auto path = folder / fmt::format("{}{}_{}.pack", kTemporaryPrefix, ::getpid(), next++);
  BENNU_ASSIGN(env::File file, env::create_file(path));
  std::unique_ptr<PackFile> pack(new PackFile(folder, path, std::move(file)));
  BENNU_TRY(write_at(pack->file_, pack_header(0), 0, path));
  return pack;
}

PackFile::~PackFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

std::optional<PackSlot> PackFile::claim(const ObjectId& id) {
  Shard& shard = (*shards_)[id.bytes[0]];
  const std::lock_guard lock(shard.mutex);
  if ((shard.entries.size() + 1) * 2 > shard.table.size()) shard.grow();
  std::uint32_t* const place = shard.find(id);
  if (*place != 0) return std::nullopt;
  shard.entries.push_back({.offset = 0, .id = id, .crc = 0});
  *place = static_cast<std::uint32_t>(shard.entries.size());
  ++objects_;
  return PackSlot{.index = *place - 1, .shard = id.bytes[0]};
}

bool PackFile::has(const ObjectId& id) {
  Shard& shard = (*shards_)[id.bytes[0]];
  const std::lock_guard lock(shard.mutex);
  return !shard.table.empty() && *shard.find(id) != 0;
}

Status PackFile::append(const EncodedRun& run) {
  if (run.bytes.empty()) return {};
  const std::uint64_t begin = end_.fetch_add(run.bytes.size());
  for (const auto& member : run.members) {
    Shard& shard = (*shards_)[member.slot.shard];
    const std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[member.slot.index];
    entry.offset = begin + member.begin;
    entry.crc = member.crc;
  }
  BENNU_TRY(write_at(file_, run.bytes, begin, path_));
  const std::uint64_t end = begin + run.bytes.size();
  if (begin / kWritebackBytes != end / kWritebackBytes) {
    // Only a hint; a failure shows at the sync.
    (void)::sync_file_range(file_.fd(), 0, static_cast<off_t>(begin), SYNC_FILE_RANGE_WRITE);
  }
  return {};
}

Result<std::optional<Object>> PackFile::read(const ObjectId& id) {
  Shard& shard = (*shards_)[id.bytes[0]];
  std::uint64_t offset = 0;
  {
    const std::lock_guard lock(shard.mutex);
    if (shard.table.empty()) return std::nullopt;
    const std::uint32_t at = *shard.find(id);
    if (at == 0) return std::nullopt;
    offset = shard.entries[at - 1].offset;
  }
  if (offset == 0) return std::nullopt;  // claimed and not appended
  BENNU_ASSIGN(const std::string head, read_at(file_, offset, kMaxObjectHeaderBytes, path_));
  if (head.empty())
    return make_error(Code::kInternal, fmt::format("`{}` is cut short", path_.string()));
  const ObjectStart start = read_object_header(head);
  const std::size_t bound =
      start.header_bytes + libdeflate_zlib_compress_bound(nullptr, start.size);
  BENNU_ASSIGN(const std::string packed, read_at(file_, offset, bound, path_));
  Object object{.kind = start.kind, .bytes = std::string(start.size, '\0')};
  const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> decompressor(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  std::size_t used = 0;
  const auto result = libdeflate_zlib_decompress_ex(
      decompressor.get(), packed.data() + start.header_bytes, packed.size() - start.header_bytes,
      object.bytes.data(), object.bytes.size(), &used, nullptr);
  if (result != LIBDEFLATE_SUCCESS) {
    return make_error(Code::kDataLoss,
                      fmt::format("`{}` does not hold what was written", path_.string()),
                      reason::kCorrupt);
  }
  return object;
}

// The count stands in the first bytes, so the checksum can only be taken once all is there.
Result<std::string> PackFile::write_trailer() {
  BENNU_TRY(write_at(file_, pack_header(static_cast<std::uint32_t>(objects_.load())), 0, path_));
  Sha1 sum;
  constexpr std::size_t kPieceBytes = 1UL * 1024 * 1024;
  for (std::uint64_t at = 0; at < end_; at += kPieceBytes) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, end_ - at));
    BENNU_ASSIGN(const std::string piece, read_at(file_, at, size, path_));
    if (piece.size() != size)
      return make_error(Code::kInternal, fmt::format("`{}` is cut short", path_.string()));
    sum.update(piece);
  }
  std::string checksum(sum.finish().raw());
  BENNU_TRY(write_at(file_, checksum, end_, path_));
  end_ += checksum.size();
  return checksum;
}

std::string PackFile::index_bytes(std::string_view pack_checksum) {
  // Shards are in the order of the first byte, so only the inside of each is to be sorted.
  std::atomic<std::size_t> next = 0;
  const auto sort_some = [&] {
    for (std::size_t i = next++; i < shards_->size(); i = next++) {
      auto& entries = (*shards_)[i].entries;
      std::sort(entries.begin(), entries.end(),
                [](const Entry& a, const Entry& b) { return a.id < b.id; });
    }
  };
  {
    std::vector<std::jthread> helpers;
    const unsigned cores =
        objects_ < 50'000 ? 1 : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 1; i < cores; ++i) helpers.emplace_back(sort_some);
    sort_some();
  }
  std::string out("\377tOc", 4);
  out.reserve(8 + 1024 + objects_ * 28 + 2 * kIdBytes);
  append_be32(out, 2);
  std::uint32_t total = 0;
  for (const auto& shard : *shards_)
    append_be32(out, total += static_cast<std::uint32_t>(shard.entries.size()));
  const auto each = [&](const auto& visit) {
    for (const auto& shard : *shards_) {
      for (const auto& entry : shard.entries) visit(entry);
    }
  };
  each([&](const Entry& entry) { out.append(entry.id.raw()); });
  each([&](const Entry& entry) { append_be32(out, entry.crc); });
  std::vector<std::uint64_t> large;
  each([&](const Entry& entry) {
    if (entry.offset < kLargeOffset) {
      append_be32(out, static_cast<std::uint32_t>(entry.offset));
    } else {
      append_be32(out, static_cast<std::uint32_t>(kLargeOffset + large.size()));
      large.push_back(entry.offset);
    }
  });
  for (const std::uint64_t offset : large) append_be64(out, offset);
  out.append(pack_checksum);
  Sha1 sum;
  sum.update(out);
  out.append(sum.finish().raw());
  return out;
}

Result<std::filesystem::path> PackFile::write_index(std::string_view pack_checksum) {
  std::filesystem::path path = path_;
  path.replace_extension(".idx");
  BENNU_ASSIGN(const env::File file, env::create_file(path));
  Status written = env::write_all(file, index_bytes(pack_checksum), path);
  if (written) written = env::sync_file(file, path);
  if (!written) {
    ::unlink(path.c_str());
    return std::move(written).error();
  }
  return path;
}

Result<std::string> PackFile::finish() {
  for (auto& shard : *shards_) shard.table = {};  // the index needs the memory more
  BENNU_ASSIGN(const std::string checksum, write_trailer());
  BENNU_TRY(env::sync_file(file_, path_));
  BENNU_ASSIGN(const auto index, write_index(checksum));
  std::string name = "pack-" + to_hex(checksum);
  const auto final_pack = folder_ / (name + ".pack");
  if (::rename(path_.c_str(), final_pack.c_str()) != 0) {
    Error error = env::file_error("rename", path_, errno);
    ::unlink(index.c_str());
    return error;
  }
  path_.clear();
  if (::rename(index.c_str(), (folder_ / (name + ".idx")).c_str()) != 0) {
    Error error = env::file_error("rename", index, errno);
    ::unlink(index.c_str());
    ::unlink(final_pack.c_str());
    return error;
  }
  BENNU_TRY(env::sync_folder(folder_));
  return name;
}

}  // namespace bennu::git
