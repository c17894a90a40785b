#include "kv/embedded/wal_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>

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

// The end of the last record that is whole, from the start on without a gap.
std::size_t whole_until(std::string_view log) {
  std::size_t whole = 0;
  for (std::size_t at = 0; at < log.size();) {
    const std::size_t left_in_block = kBlock - at % kBlock;
    if (left_in_block < kHeader) {
      at += left_in_block;  // the tail of a block that no header fits in
      continue;
    }
    const Fragment fragment = fragment_at(log.substr(at, left_in_block));
    if (fragment.size == 0) break;
    at += fragment.size;
    if (fragment.ends()) whole = at;
  }
  return whole;
}

// Where a write that began after `from` starts, if there is one.
std::size_t later_start(std::string_view log, std::size_t from) {
  for (std::size_t at = from; at + kHeader <= log.size(); ++at) {
    const std::size_t left_in_block = kBlock - at % kBlock;
    const auto type = static_cast<unsigned char>(log[at + 6]);
    if (left_in_block < kHeader || !Fragment{.type = type}.starts()) continue;
    if (fragment_at(log.substr(at, left_in_block)).starts()) return at;
  }
  return std::string_view::npos;
}

// Whether sectors, or the end, were never written: zeros are there instead.
bool has_hole(std::string_view log, std::size_t from) {
  constexpr std::size_t kSector = 512;
  constexpr std::size_t kTell = 16;
  const auto zeros = [&](std::size_t at, std::size_t size) {
    return size >= kTell && log.substr(at, size).find_first_not_of('\0') == std::string_view::npos;
  };
  if (log.size() - from >= kTell && zeros(log.size() - kTell, kTell)) return true;
  for (std::size_t at = from; at < log.size();) {
    const std::size_t size = std::min(kSector - at % kSector, log.size() - at);
    if (zeros(at, size)) return true;
    at += size;
  }
  return false;
}

}  // namespace

Result<WalCheck> check_wal(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string log((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad() || !in.is_open()) {
    const bool denied = errno == EACCES;
    return make_error(
        denied ? Code::kPermissionDenied : Code::kUnavailable,
        fmt::format("cannot read {}: {}", file.string(), std::generic_category().message(errno)));
  }
  const std::size_t whole = whole_until(log);
  if (whole == log.size()) return WalCheck{};
  // The write that was cut off begins here itself.
  const std::size_t later = later_start(log, whole + 1);
  if (later == std::string_view::npos) {
    if (!has_hole(log, whole)) return WalCheck{};
    return WalCheck{.torn_at = whole};
  }
  return make_error(Code::kDataLoss,
                    fmt::format("{} is damaged at offset {}: whole records follow at {}; restore "
                                "the store from Git or a backup",
                                file.string(), whole, later),
                    reason::kCorrupt);
}

}  // namespace bennu::kv::embedded
