#pragma once
// What   Byte strings: hex, big-endian integers, prefix ends, UTF-8 check, printable form.
// Why    Keys and values are any bytes; these few operations are needed by every module that
//        touches them.
// Use    Bytes are std::string, views are std::string_view; both may hold NUL and non-UTF-8.
// Units  Sizes in bytes. Big-endian so that byte order is number order.
// Threads Pure functions.
// Source own design; `prefix_end` is etcd's rule for range ends (api_guarantees: key + 1).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bennu {

/// Lower-case hex of any bytes.
[[nodiscard]] std::string to_hex(std::string_view bytes);

/// Bytes of a hex string of either case; nothing if the length is odd or a digit is not hex.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view hex);

/// Appends 8 bytes, most significant first.
void append_be64(std::string& out, std::uint64_t value);
/// Appends 4 bytes, most significant first.
void append_be32(std::string& out, std::uint32_t value);
/// Reads the first 8 bytes. Requires `bytes.size() >= 8`.
[[nodiscard]] std::uint64_t read_be64(std::string_view bytes);
/// Reads the first 4 bytes. Requires `bytes.size() >= 4`.
[[nodiscard]] std::uint32_t read_be32(std::string_view bytes);

/// The smallest string greater than every string with this prefix; `"\0"` (one NUL byte: etcd's "to
/// the end") where there is none, that is for an empty prefix or one of 0xff bytes only.
[[nodiscard]] std::string prefix_end(std::string_view prefix);

/// Whether the bytes are well-formed UTF-8 (no overlong forms, no surrogates; RFC 3629).
[[nodiscard]] bool is_utf8(std::string_view bytes);

/// For messages: UTF-8 text as it is with control characters escaped as `\xNN`, any other byte as
/// `\xNN`; cut after `max_bytes` input bytes with `…`.
[[nodiscard]] std::string printable(std::string_view bytes, std::size_t max_bytes = 200);

}  // namespace bennu
