#include "inventory/qr.hpp"

#include <gtest/gtest.h>
#include <qrencode.h>

#include <memory>

namespace bennu::inventory {
namespace {

using Modules = std::vector<std::vector<bool>>;

const std::string kLink =
    "vless://6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11@e1.example.org:443?type=grpc&security=tls"
    "&serviceName=feed&fp=chrome&alpn=h2#phone";

// What   the library makes, with a quiet zone of 4 modules.
Modules expected(const std::string& text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const std::unique_ptr<QRcode, void (*)(QRcode*)> code(
      QRcode_encodeData(static_cast<int>(text.size()), bytes, 0, QR_ECLEVEL_M), QRcode_free);
  const auto width = static_cast<std::size_t>(code->width);
  Modules modules(width + 8, std::vector<bool>(width + 8, false));
  for (std::size_t y = 0; y < width; ++y) {
    for (std::size_t x = 0; x < width; ++x)
      modules[y + 4][x + 4] = (code->data[y * width + x] & 1U) != 0;
  }
  return modules;
}

// Reads half blocks back: each character is two modules.
Modules read_half_blocks(const std::vector<std::string>& lines, bool drawn) {
  Modules modules;
  for (const std::string& line : lines) {
    std::vector<bool> upper;
    std::vector<bool> lower;
    for (std::size_t i = 0; i < line.size();) {
      const std::string cell = line[i] == ' ' ? " " : line.substr(i, 3);
      i += cell.size();
      upper.push_back((cell == "█" || cell == "▀") == drawn);
      lower.push_back((cell == "█" || cell == "▄") == drawn);
    }
    modules.push_back(upper);
    modules.push_back(lower);
  }
  return modules;
}

TEST(Qr, AsciiShowsEveryModule) {
  const auto lines = qr_lines(kLink, QrStyle::kAscii);
  ASSERT_TRUE(lines.has_value());
  const Modules modules = expected(kLink);
  ASSERT_EQ(lines->size(), modules.size());
  for (std::size_t y = 0; y < modules.size(); ++y) {
    std::string row;
    for (const bool dark : modules[y]) row += dark ? "##" : "  ";
    EXPECT_EQ(lines->at(y), row);
  }
}

TEST(Qr, HalfBlocksDrawTheLightModules) {
  const auto lines = qr_lines(kLink, QrStyle::kUtf8);
  ASSERT_TRUE(lines.has_value());
  Modules read = read_half_blocks(*lines, /*drawn=*/false);
  Modules wanted = expected(kLink);
  if (wanted.size() % 2 != 0) wanted.emplace_back(wanted.front().size(), false);
  EXPECT_EQ(read, wanted);
}

TEST(Qr, ColourIsBlackOnWhiteWhateverTheTerminal) {
  const auto lines = qr_lines(kLink, QrStyle::kColor);
  ASSERT_TRUE(lines.has_value());
  std::vector<std::string> bare;
  const std::string begin = "\x1b[38;5;16;48;5;231m";
  const std::string end = "\x1b[0m";
  for (const std::string& line : *lines) {
    ASSERT_TRUE(line.starts_with(begin) && line.ends_with(end));
    bare.push_back(line.substr(begin.size(), line.size() - begin.size() - end.size()));
  }
  Modules wanted = expected(kLink);
  if (wanted.size() % 2 != 0) wanted.emplace_back(wanted.front().size(), false);
  EXPECT_EQ(read_half_blocks(bare, /*drawn=*/true), wanted);
}

TEST(Qr, RefusesWhatNoCodeHolds) {
  EXPECT_TRUE(qr_lines(std::string(2331, 'a'), QrStyle::kAscii).has_value());
  EXPECT_FALSE(qr_lines(std::string(2332, 'a'), QrStyle::kAscii).has_value());
  EXPECT_FALSE(qr_lines("", QrStyle::kAscii).has_value());
}

}  // namespace
}  // namespace bennu::inventory
