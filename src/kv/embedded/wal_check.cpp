#include "kv/embedded/wal_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

constexpr std::size_t kBlock = 32768;
constexpr std::size_t kHeader = 7;
constexpr std::size_t kRecyclableHeader = 11;
constexpr unsigned kFull = 1;
constexpr unsigned kFirst = 2;
constexpr unsigned kLast = 4;
constexpr unsigned kRecyclableFull = 5;
constexpr unsigned kRecyclableFirst = 6;
constexpr unsigned kRecyclableLast = 8;

// CRC-32C, eight bytes at a time (polynomial 0x1EDC6F41, reflected).
class Crc32c {
 public:
  Crc32c() {
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
      table_[0][i] = crc;
    }
    for (std::size_t t = 1; t < 8; ++t) {
      for (std::size_t i = 0; i < 256; ++i) {
        table_[t][i] = (table_[t - 1][i] >> 8) ^ table_[0][table_[t - 1][i] & 0xff];
      }
    }
  }

  [[nodiscard]] std::uint32_t of(std::string_view bytes) const {
    std::uint32_t crc = 0xFFFFFFFFU;
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
      crc ^= static_cast<std::uint32_t>(at(0)) | static_cast<std::uint32_t>(at(1)) << 8 |
             static_cast<std::uint32_t>(at(2)) << 16 | static_cast<std::uint32_t>(at(3)) << 24;
      crc = table_[7][crc & 0xff] ^ table_[6][(crc >> 8) & 0xff] ^ table_[5][(crc >> 16) & 0xff] ^
            table_[4][crc >> 24] ^ table_[3][at(4)] ^ table_[2][at(5)] ^ table_[1][at(6)] ^
            table_[0][at(7)];
    }
    for (const char c : bytes) {
      crc = (crc >> 8) ^ table_[0][(crc ^ static_cast<unsigned char>(c)) & 0xff];
    }
    return crc ^ 0xFFFFFFFFU;
  }

 private:
  std::array<std::array<std::uint32_t, 256>, 8> table_{};
};

const Crc32c& crc32c() {
  static const Crc32c crc;
  return crc;
}

std::uint32_t read_le(std::string_view bytes, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

struct Fragment {
  unsigned type = 0;
  std::size_t size = 0;  // with its header
  [[nodiscard]] bool starts() const {
    return type == kFull || type == kFirst || type == kRecyclableFull || type == kRecyclableFirst;
  }
  [[nodiscard]] bool ends() const {
    return type == kFull || type == kLast || type == kRecyclableFull || type == kRecyclableLast;
  }
};

// The fragment at the front of what is left of a block; size 0 if there is no whole one.
Fragment fragment_at(std::string_view block) {
  if (block.size() < kHeader) return {};
  const std::size_t length = read_le(block.substr(4), 2);
  const auto type = static_cast<unsigned char>(block[6]);
  const std::size_t header = type >= kRecyclableFull ? kRecyclableHeader : kHeader;
  if (type == 0 || type > kRecyclableLast || header + length > block.size()) return {};
  // RocksDB masks checksums: rotated right by 15 bits, plus a constant.
  const std::uint32_t unmasked = read_le(block, 4) - 0xa282ead8U;
  const std::uint32_t stored = (unmasked >> 17) | (unmasked << 15);
  if (crc32c().of(block.substr(6, header - 6 + length)) != stored) return {};
  return {.type = type, .size = header + length};
}

// A log, one block at a time in memory.
class LogFile {
 public:
  static Result<LogFile> open(const std::filesystem::path& path) {
    LogFile file(path, ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat about{};
    if (file.fd_ < 0 || ::fstat(file.fd_, &about) != 0) return file.error();
    file.size_ = static_cast<std::uint64_t>(about.st_size);
    return file;
  }
  LogFile(LogFile&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}
  LogFile& operator=(LogFile&&) = delete;
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// What there is from `at` on of its block; valid until the next call.
  [[nodiscard]] Result<std::string_view> rest_of_block(std::uint64_t at) {
    const std::uint64_t start = at - at % kBlock;
    if (block_.empty() || start != start_) {
      block_.resize(std::min<std::uint64_t>(kBlock, size_ - start));
      start_ = start;
      for (std::size_t have = 0; have < block_.size();) {
        const ssize_t got = ::pread(fd_, block_.data() + have, block_.size() - have,
                                    static_cast<off_t>(start + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return error();
        if (got == 0) return make_error(Code::kUnavailable, path_.string() + " became shorter");
        have += static_cast<std::size_t>(got);
      }
    }
    return std::string_view(block_).substr(at - start);
  }

 private:
  LogFile(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  [[nodiscard]] Error error() const {
    const int number = errno;
    return make_error(
        number == EACCES ? Code::kPermissionDenied : Code::kUnavailable,
        fmt::format("cannot read {}: {}", path_.string(), std::generic_category().message(number)));
  }

  std::filesystem::path path_;
  int fd_;
  std::uint64_t size_ = 0;
  std::string block_;
  std::uint64_t start_ = 0;
};

// The end of the last record that is whole, from the start on without a gap.
Result<std::uint64_t> whole_until(LogFile& log) {
  std::uint64_t whole = 0;
  for (std::uint64_t at = 0; at < log.size();) {
    const std::size_t left_in_block = kBlock - at % kBlock;
    if (left_in_block < kHeader) {
      at += left_in_block;  // the tail of a block that no header fits in
      continue;
    }
    BENNU_ASSIGN(const std::string_view rest, log.rest_of_block(at));
    const Fragment fragment = fragment_at(rest);
    if (fragment.size == 0) break;
    at += fragment.size;
    if (fragment.ends()) whole = at;
  }
  return whole;
}

// Bytes that may be checksummed in search of a record that could begin anywhere: a tenth of a
// second. Records that a block's start leads to are found without.
constexpr std::uint64_t kSearchedBytes = 256UL << 20;

// Where a write that began after `from` starts, if there is one. Each block begins with a fragment,
// so behind the block with the damage there is no need to search for where one may begin, unless
// there is more damage.
Result<std::optional<std::uint64_t>> later_start(LogFile& log, std::uint64_t from) {
  std::uint64_t left_to_search = kSearchedBytes;
  for (std::uint64_t at = from; at < log.size(); at += kBlock - at % kBlock) {
    BENNU_ASSIGN(const std::string_view block, log.rest_of_block(at));
    std::size_t good = 0;
    if (at % kBlock == 0) {
      for (Fragment fragment = fragment_at(block); fragment.size != 0;
           fragment = fragment_at(block.substr(good))) {
        if (fragment.starts()) return std::optional(at + good);
        good += fragment.size;
      }
    }
    for (std::size_t i = good; i + kHeader <= block.size(); ++i) {
      const std::string_view rest = block.substr(i);
      if (!Fragment{.type = static_cast<unsigned char>(rest[6])}.starts()) continue;
      const std::size_t length = read_le(rest.substr(4), 2);
      if (length > rest.size()) continue;
      if (length > left_to_search) break;
      left_to_search -= length;
      if (fragment_at(rest).starts()) return std::optional(at + i);
    }
  }
  return std::optional<std::uint64_t>{};
}

// Whether sectors, or the end, were never written: zeros are there instead.
Result<bool> has_hole(LogFile& log, std::uint64_t from) {
  constexpr std::size_t kSector = 512;
  constexpr std::size_t kTell = 16;
  const auto zeros = [](std::string_view bytes) {
    return bytes.size() >= kTell && bytes.find_first_not_of('\0') == std::string_view::npos;
  };
  std::size_t zeros_at_end = 0;
  for (std::uint64_t at = from; at < log.size();) {
    BENNU_ASSIGN(const std::string_view rest, log.rest_of_block(at));
    const std::string_view sector = rest.substr(0, kSector - at % kSector);
    if (zeros(sector)) return true;
    const std::size_t last = sector.find_last_not_of('\0');
    zeros_at_end =
        last == std::string_view::npos ? zeros_at_end + sector.size() : sector.size() - last - 1;
    at += sector.size();
  }
  return zeros_at_end >= kTell;
}

// Whether the file ends in the middle of the write that begins at `at`.
Result<bool> is_cut_off(LogFile& log, std::uint64_t at) {
  while (at < log.size()) {
    BENNU_ASSIGN(const std::string_view rest, log.rest_of_block(at));
    if (const Fragment fragment = fragment_at(rest); fragment.size != 0) {
      at += fragment.size;
    } else if (at + rest.size() < log.size()) {
      if (kBlock - at % kBlock >= kHeader) return false;
      at += rest.size();  // the tail of a block that no header fits in
    } else {
      return rest.size() < kHeader || kHeader + read_le(rest.substr(4), 2) > rest.size();
    }
  }
  return true;
}

}  // namespace

Result<WalCheck> check_wal(const std::filesystem::path& file) {
  BENNU_ASSIGN(LogFile log, LogFile::open(file));
  BENNU_ASSIGN(const std::uint64_t whole, whole_until(log));
  if (whole == log.size()) return WalCheck{};
  // The write that was cut off begins here itself.
  BENNU_ASSIGN(const auto later, later_start(log, whole + 1));
  if (later) {
    return make_error(Code::kDataLoss,
                      fmt::format("{} is damaged at offset {}: whole records follow at {}; restore "
                                  "the store from Git or a backup",
                                  file.string(), whole, *later),
                      reason::kCorrupt);
  }
  BENNU_ASSIGN(const bool cut_off, is_cut_off(log, whole));
  BENNU_ASSIGN(const bool hole, has_hole(log, whole));
  return cut_off || hole ? WalCheck{.torn_at = whole} : WalCheck{};
}

}  // namespace bennu::kv::embedded
