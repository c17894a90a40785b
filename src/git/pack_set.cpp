#include "git/pack_set.hpp"

#include <fcntl.h>
#include <libdeflate.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "env/files.hpp"

namespace bennu::git {
namespace {

constexpr std::size_t kIndexHead = 8;
constexpr std::size_t kFanoutBytes = 1024;
constexpr std::size_t kIdBytes = 20;
constexpr std::uint32_t kLargeOffset = 0x80000000U;
constexpr unsigned kOffsetDelta = 6;
constexpr unsigned kNamedDelta = 7;
// git makes chains of 50 by default, 4095 at most.
constexpr int kMaxChain = 4096;
constexpr std::size_t kCacheSlots = 512;
constexpr std::size_t kMaxCachedBytes = 32UL * 1024;

unsigned char byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

// 7 bits a byte, least significant first. Nothing at the end of the bytes.
std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; !bytes.empty() && shift < 63; shift += 7) {
    const unsigned char byte = byte_at(bytes, 0);
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

// The bits of `flags` say which bytes of a number follow.
std::optional<std::size_t> take_sparse(std::string_view& bytes, unsigned flags, int count) {
  std::size_t value = 0;
  for (int i = 0; i < count; ++i) {
    if ((flags & (1U << i)) == 0) continue;
    if (bytes.empty()) return std::nullopt;
    value |= static_cast<std::size_t>(byte_at(bytes, 0)) << (8 * i);
    bytes.remove_prefix(1);
  }
  return value;
}

// gitformat-pack, "Deltified representation".
bool apply_delta(std::string_view base, std::string_view delta, std::string& out) {
  const auto base_size = take_varint(delta);
  const auto size = take_varint(delta);
  if (!base_size || !size || *base_size != base.size()) return false;
  const std::size_t begin = out.size();
  out.reserve(begin + *size);
  while (!delta.empty()) {
    const unsigned char op = byte_at(delta, 0);
    delta.remove_prefix(1);
    if ((op & 0x80) != 0) {
      const auto from = take_sparse(delta, op & 0xfU, 4);
      auto length = take_sparse(delta, (op >> 4) & 7U, 3);
      if (!from || !length) return false;
      if (*length == 0) length = 0x10000;
      if (*from > base.size() || *length > base.size() - *from) return false;
      out.append(base.substr(*from, *length));
    } else {
      if (op == 0 || op > delta.size()) return false;
      out.append(delta.substr(0, op));
      delta.remove_prefix(op);
    }
  }
  return out.size() - begin == *size;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const env::File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (file.fd() < 0 || ::fstat(file.fd(), &status) != 0 || status.st_size <= 0) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd(), 0);
  if (data == MAP_FAILED) return;
  data_ = static_cast<const char*>(data);
  size_ = size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);  // NOLINT: munmap's signature
}

PackSet::Pack PackSet::open_pack(std::filesystem::path path) {
  Pack pack;
  pack.index = MappedFile(path);
  pack.data = MappedFile(path.replace_extension(".pack"));
  const std::string_view index = pack.index.bytes();
  const bool known = index.size() >= kIndexHead + kFanoutBytes + 2 * kIdBytes &&
                     index.starts_with("\377tOc") && read_be32(index.substr(4)) == 2 &&
                     pack.data.bytes().size() > 12 + kIdBytes;
  if (!known) return {};
  pack.count = read_be32(index.substr(kIndexHead + kFanoutBytes - 4));
  const std::size_t least =
      kIndexHead + kFanoutBytes + pack.count * (kIdBytes + 8UL) + 2 * kIdBytes;
  if (index.size() < least) return {};
  return pack;
}

PackSet PackSet::open(const Repository& repository) {
  PackSet set;
  std::error_code error;
  for (std::filesystem::directory_iterator it(repository.path() / "objects" / "pack", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".idx") continue;
    Pack pack = open_pack(it->path());
    if (pack.count > 0) set.packs_.push_back(std::move(pack));
  }
  // The largest first: it has most of what is asked.
  std::sort(set.packs_.begin(), set.packs_.end(),
            [](const Pack& a, const Pack& b) { return a.count > b.count; });
  return set;
}

ObjectId PackSet::Pack::id_at(std::uint32_t at) const {
  const std::size_t begin = kIndexHead + kFanoutBytes + at * kIdBytes;
  return ObjectId::from_raw(index.bytes().substr(begin, kIdBytes));
}

std::uint64_t PackSet::Pack::find(const ObjectId& id) const {
  const std::string_view all = index.bytes();
  const auto fanout = [&](std::size_t i) { return read_be32(all.substr(kIndexHead + i * 4)); };
  const std::size_t first = id.bytes[0];
  std::uint32_t low = first == 0 ? 0 : fanout(first - 1);
  std::uint32_t high = std::min(fanout(first), count);
  const char* const ids = all.data() + kIndexHead + kFanoutBytes;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    const int order = std::memcmp(ids + middle * kIdBytes, id.bytes.data(), kIdBytes);
    if (order == 0) {
      const std::size_t offsets = kIndexHead + kFanoutBytes + count * (kIdBytes + 4UL);
      const std::uint32_t offset = read_be32(all.substr(offsets + middle * 4UL));
      if (offset < kLargeOffset) return offset;
      const std::size_t large = offsets + count * 4UL + (offset - kLargeOffset) * 8UL;
      return large + 8 <= all.size() ? read_be64(all.substr(large)) : 0;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return 0;
}

struct PackReader::Start {
  unsigned type = 0;
  std::uint64_t size = 0;  // of what is compressed: the object or its delta
  std::uint64_t body = 0;  // where that begins
  std::uint64_t base = 0;  // place of a delta's base in the same pack
  ObjectId base_id;        // name of a delta's base
};

PackReader::PackReader(const PackSet& packs)
    : packs_(packs), decompressor_(libdeflate_alloc_decompressor()), cache_(kCacheSlots) {
  BENNU_CHECK(decompressor_ != nullptr, "out of memory");
}

PackReader::~PackReader() { libdeflate_free_decompressor(decompressor_); }

std::optional<PackReader::Start> PackReader::start_of(const PackSet::Pack& pack,
                                                      std::uint64_t offset) const {
  const std::string_view all = pack.data.bytes();
  if (offset < 12 || offset >= all.size() - kIdBytes) return std::nullopt;
  std::string_view rest = all.substr(offset, all.size() - kIdBytes - offset);
  Start start;
  unsigned char byte = byte_at(rest, 0);
  rest.remove_prefix(1);
  start.type = (byte >> 4) & 7;
  start.size = byte & 0xf;
  for (unsigned shift = 4; (byte & 0x80) != 0; shift += 7) {
    if (rest.empty() || shift > 56) return std::nullopt;
    byte = byte_at(rest, 0);
    rest.remove_prefix(1);
    start.size |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
  }
  if (start.type == kOffsetDelta) {
    std::uint64_t back = 0;
    for (bool more = true; more;) {
      if (rest.empty() || back > offset) return std::nullopt;
      byte = byte_at(rest, 0);
      rest.remove_prefix(1);
      back = (back << 7) | (byte & 0x7f);
      more = (byte & 0x80) != 0;
      if (more) ++back;
    }
    if (back == 0 || back > offset) return std::nullopt;
    start.base = offset - back;
  } else if (start.type == kNamedDelta) {
    if (rest.size() < kIdBytes) return std::nullopt;
    start.base_id = ObjectId::from_raw(rest.substr(0, kIdBytes));
    rest.remove_prefix(kIdBytes);
  } else if (start.type < 1 || start.type > 4) {
    return std::nullopt;
  }
  start.body = all.size() - kIdBytes - rest.size();
  return start;
}

bool PackReader::inflate(const PackSet::Pack& pack, const Start& start, std::string& out) {
  const std::string_view all = pack.data.bytes();
  const std::size_t begin = out.size();
  // No honest object is compressed a thousand times and more; a damaged size must not cost the
  // memory.
  const std::uint64_t available = all.size() - start.body;
  if (start.size > available * 1100 + 4096) return false;
  bool done = false;
  // The size that libstdc++ 12 passes to the operation may be a larger capacity.
  out.resize_and_overwrite(begin + start.size, [&](char* data, std::size_t) {
    std::size_t used = 0;
    std::size_t made = 0;
    const auto result = libdeflate_zlib_decompress_ex(
        decompressor_, all.data() + start.body, available, data + begin, start.size, &used, &made);
    done = result == LIBDEFLATE_SUCCESS && made == start.size;
    return done ? begin + start.size : begin;
  });
  return done;
}

std::optional<ObjectKind> PackReader::resolve(const PackSet::Pack& pack, std::uint64_t offset,
                                              int depth, std::string& out) {
  const auto start = start_of(pack, offset);
  if (!start || depth > kMaxChain) return std::nullopt;
  if (start->type <= 4) {
    if (!inflate(pack, *start, out)) return std::nullopt;
    return static_cast<ObjectKind>(start->type);
  }
  const std::uint64_t base_at =
      start->type == kOffsetDelta ? start->base : pack.find(start->base_id);
  if (base_at == 0) return std::nullopt;
  std::string delta;
  if (!inflate(pack, *start, delta)) return std::nullopt;
  Cached& cached = cache_[(base_at * 0x9e3779b97f4a7c15ULL >> 32) % kCacheSlots];
  if (cached.pack == &pack && cached.offset == base_at) {
    if (!apply_delta(cached.bytes, delta, out)) return std::nullopt;
    return cached.kind;
  }
  std::string base;
  const auto kind = resolve(pack, base_at, depth + 1, base);
  if (!kind || !apply_delta(base, delta, out)) return std::nullopt;
  if (base.size() <= kMaxCachedBytes) {
    cached = {.pack = &pack, .offset = base_at, .kind = *kind, .bytes = std::move(base)};
  }
  return kind;
}

// A delta begins with the size of its base and of its result.
std::optional<std::uint64_t> PackReader::size_of(const PackSet::Pack& pack, const Start& start) {
  if (start.type <= 4) return start.size;
  std::string delta;
  if (!inflate(pack, start, delta)) return std::nullopt;
  std::string_view rest(delta);
  if (!take_varint(rest)) return std::nullopt;
  return take_varint(rest);
}

std::optional<PackReader::Found> PackReader::read(const ObjectId& id, std::uint64_t max_bytes,
                                                  std::string& out) {
  std::uint64_t offset = last_ != nullptr ? last_->find(id) : 0;
  for (const auto& pack : packs_.packs()) {
    if (offset != 0) break;
    if (&pack == last_) continue;
    offset = pack.find(id);
    if (offset != 0) last_ = &pack;
  }
  if (offset == 0) return std::nullopt;
  const auto start = start_of(*last_, offset);
  if (!start) return std::nullopt;
  Found found{.size_bytes = start->size};
  const bool whole = start->type <= 4;
  if (max_bytes != UINT64_MAX && (whole ? start->size > max_bytes : true)) {
    const auto size = size_of(*last_, *start);
    if (!size) return std::nullopt;
    found.size_bytes = *size;
    if (*size > max_bytes) return found;
  }
  const std::size_t begin = out.size();
  const auto kind = resolve(*last_, offset, 0, out);
  if (!kind || hash_object(*kind, std::string_view(out).substr(begin)) != id) {
    out.resize(begin);
    return std::nullopt;
  }
  return Found{.kind = *kind, .size_bytes = out.size() - begin, .appended = true};
}

}  // namespace bennu::git
