#pragma once
// What   Everything a command prints: results on stdout, everything else on stderr.
// Why    `-o json` must give one JSON document and nothing else on stdout, whatever the command.
// Use    Commands call `result(json, text)` exactly once; `note` and `warn` as often as they like;
//        `progress` in loops.
// Threads One thread, and one of its own for the seconds; progress is safe for all.
// Source own design: ARCHITECTURE.md; NO_COLOR (https://no-color.org).

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.hpp"

namespace bennu::cli {

enum class Format : std::uint8_t { kText, kJson };

/// Text with a terminal colour when stdout is one and colours are not refused, else as it is.
enum class Style : std::uint8_t { kPlain, kBold, kDim, kGreen, kRed, kYellow, kCyan };

class Output {
 public:
  explicit Output(Format format);

  [[nodiscard]] Format format() const { return format_; }
  [[nodiscard]] bool json() const { return format_ == Format::kJson; }
  /// Whether stdout is a terminal that takes colours.
  [[nodiscard]] bool colours() const { return colours_; }
  [[nodiscard]] std::string styled(Style style, std::string_view text) const;

  /// The command's answer: the document with `-o json`, else the text (a newline is added if it
  /// lacks one).
  void result(const nlohmann::json& document, std::string_view text) const;
  /// Raw bytes to stdout as they are (a value); for commands whose text form is exactly that.
  void raw(std::string_view bytes) const;
  /// Why stdout does not take what is printed (an errno), 0 while it does. Nothing more is written
  /// then, and `stop` has been called once.
  [[nodiscard]] int lost() const { return lost_; }
  void on_lost(std::function<void()> stop) { on_lost_ = std::move(stop); }
  /// One line to stderr, for people.
  void note(std::string_view line) const;
  void warn(std::string_view line) const;
  /// `bennu: <message>` to stderr and, with `-o json`, {"error":{…}} to stdout.
  void error(const Error& error) const;

  /// A progress line on stderr, only on a terminal: at once when other things are counted, else at
  /// most ten times a second. Total 0: unknown. In silence, the seconds are counted behind it.
  void progress(std::string_view what, std::uint64_t done, std::uint64_t total) const;
  /// Removes the progress line.
  void end_progress() const;

 private:
  void print(std::string_view bytes) const;
  void draw(std::string_view line) const;
  void count_seconds(const std::stop_token& stop) const;

  Format format_;
  bool colours_;
  bool stderr_terminal_;
  std::function<void()> on_lost_;
  mutable int lost_ = 0;
  mutable std::mutex mutex_;
  mutable std::chrono::nanoseconds last_progress_{0};
  mutable bool progress_shown_ = false;
  mutable std::string progress_of_;
  mutable std::string progress_line_;
  mutable std::condition_variable_any wake_;
  mutable std::jthread seconds_;  // from the first progress on; ends before what it reads
};

/// JSON text of a document that may hold any bytes: what is not UTF-8 is replaced, never thrown on.
[[nodiscard]] std::string to_text(const nlohmann::json& document, int indent = 2);

/// Columns aligned with two spaces; the first row is the heading. Widths count UTF-8 code points.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace bennu::cli
