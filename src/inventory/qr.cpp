#include "inventory/qr.hpp"

#include <fmt/format.h>
#include <qrencode.h>

#include <memory>

namespace bennu::inventory {
namespace {

constexpr int kQuietModules = 4;

// The modules of a code with its quiet zone; light outside.
class Matrix {
 public:
  explicit Matrix(QRcode* code) : code_(code) {}
  [[nodiscard]] int size() const { return code_->width + 2 * kQuietModules; }
  [[nodiscard]] bool dark(int row, int column) const {
    const int y = row - kQuietModules;
    const int x = column - kQuietModules;
    if (y < 0 || x < 0 || y >= code_->width || x >= code_->width) return false;
    return (code_->data[y * code_->width + x] & 1U) != 0;
  }

 private:
  struct Free {
    void operator()(QRcode* code) const { QRcode_free(code); }
  };
  std::unique_ptr<QRcode, Free> code_;
};

// One character cell shows two modules, one above the other.
std::string_view half_block(bool upper, bool lower) {
  if (upper && lower) return "█";
  if (upper) return "▀";
  return lower ? "▄" : " ";
}

std::vector<std::string> half_blocks(const Matrix& matrix, bool draw_dark) {
  std::vector<std::string> lines;
  for (int row = 0; row < matrix.size(); row += 2) {
    std::string line;
    for (int column = 0; column < matrix.size(); ++column) {
      const bool upper = matrix.dark(row, column) == draw_dark;
      // Below the last row of an odd size is light.
      const bool lower = (row + 1 < matrix.size() && matrix.dark(row + 1, column)) == draw_dark;
      line += half_block(upper, lower);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> ascii(const Matrix& matrix) {
  std::vector<std::string> lines;
  for (int row = 0; row < matrix.size(); ++row) {
    std::string line;
    for (int column = 0; column < matrix.size(); ++column) {
      line += matrix.dark(row, column) ? "##" : "  ";
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

Result<std::vector<std::string>> qr_lines(std::string_view text, QrStyle style) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  QRcode* code = text.empty() ? nullptr
                              : QRcode_encodeData(static_cast<int>(text.size()), bytes,
                                                  /*version=*/0, QR_ECLEVEL_M);
  if (code == nullptr) {
    return make_error(
        Code::kInvalidArgument,
        fmt::format("no QR code can hold {} bytes: use the link itself", text.size()));
  }
  const Matrix matrix(code);
  if (style == QrStyle::kAscii) return ascii(matrix);
  if (style == QrStyle::kUtf8) return half_blocks(matrix, /*draw_dark=*/false);
  auto lines = half_blocks(matrix, /*draw_dark=*/true);
  // Colours 16 and 231 of the 256 are black and white whatever theme the terminal has.
  for (std::string& line : lines) line = "\x1b[38;5;16;48;5;231m" + line + "\x1b[0m";
  return lines;
}

}  // namespace bennu::inventory
