#pragma once
// What   A text as a QR code for the terminal: lines to print one below the other.
// Why    A link is taken over by a phone's camera from the screen, without a picture file on the
//        way.
// Use    `qr_lines(uri, QrStyle::kColor)` if stdout is a terminal, kAscii where it may not show
//        UTF-8.
// Units  Up to 2,331 bytes of text (version 40, level M). A quiet zone of 4 modules on each side.
// Errors kInvalidArgument: empty, or too long for a QR code.
// Threads Pure.
// Source ISO/IEC 18004 (quiet zone); libqrencode.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bennu::inventory {

enum class QrStyle : std::uint8_t {
  kColor,  ///< half blocks, black on white by escape sequences: the same on dark and light
           ///< terminals
  kUtf8,   ///< half blocks without escapes, light modules drawn: for dark terminals and pagers
  kAscii,  ///< `##` for a dark module, two spaces for a light one: for light backgrounds, mail and
           ///< logs
};

/// Lines without line ends, all of one width on the screen.
[[nodiscard]] Result<std::vector<std::string>> qr_lines(std::string_view text, QrStyle style);

}  // namespace bennu::inventory
