#include "cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.hpp"
#include "env/clock.hpp"

namespace bennu::cli {
namespace {

constexpr std::size_t kProgressColumns = 68;  // and the seconds behind
constexpr std::chrono::milliseconds kBeat{500};

bool wants_colours() {
  // NOLINTBEGIN(concurrency-mt-unsafe): nobody changes the environment.
  const char* term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr && term != nullptr &&
         std::string_view(term) != "dumb";
  // NOLINTEND(concurrency-mt-unsafe)
}

std::string_view escape_of(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kBold:
      return "\x1b[1m";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kGreen:
      return "\x1b[32m";
    case Style::kRed:
      return "\x1b[31m";
    case Style::kYellow:
      return "\x1b[33m";
    case Style::kCyan:
      return "\x1b[36m";
  }
  return "";
}

void write_all(std::FILE* stream, std::string_view bytes) {
  std::fwrite(bytes.data(), 1, bytes.size(), stream);
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;  // every byte but UTF-8 continuations
  }));
}

}  // namespace

Output::Output(Format format)
    : format_(format), colours_(wants_colours()), stderr_terminal_(::isatty(STDERR_FILENO) == 1) {}

std::string Output::styled(Style style, std::string_view text) const {
  if (!colours_ || style == Style::kPlain) return std::string(text);
  return fmt::format("{}{}\x1b[0m", escape_of(style), text);
}

void Output::result(const nlohmann::json& document, std::string_view text) const {
  end_progress();
  const bool lacks_newline = !text.empty() && text.back() != '\n';
  print(json() ? to_text(document) + "\n" : std::string(text) + (lacks_newline ? "\n" : ""));
}

void Output::print(std::string_view bytes) const {
  if (lost_ != 0) return;
  errno = 0;
  const bool whole = std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
  if (whole && std::fflush(stdout) == 0) return;
  lost_ = errno == 0 ? EIO : errno;
  if (on_lost_) on_lost_();
}

void Output::raw(std::string_view bytes) const {
  end_progress();
  print(bytes);
}

void Output::note(std::string_view line) const {
  end_progress();
  write_all(stderr, std::string(line) + "\n");
}

void Output::warn(std::string_view line) const { note(fmt::format("bennu: warning: {}", line)); }

void Output::error(const Error& error) const {
  note(fmt::format("bennu: {}", error.message));
  if (!json()) return;
  result({{"error",
           {{"code", code_name(error.code)},
            {"reason", error.reason},
            {"effect", error.effect == Effect::kNone ? "none" : "unknown"},
            {"message", error.message}}}},
         "");
}

void Output::progress(std::string_view what, std::uint64_t done, std::uint64_t total) const {
  if (!stderr_terminal_) return;
  const std::scoped_lock lock(mutex_);
  const auto now = env::system_clock().monotonic();
  const bool begins = done > 0 && what != progress_of_;
  if (!begins && now - last_progress_ < std::chrono::milliseconds{100}) return;
  progress_of_ = what;
  last_progress_ = now;
  std::string line(what);
  if (total > 0) {
    line += fmt::format(" {}/{} ({}%)", done, total, done * 100 / total);
  } else if (done > 0) {
    line += fmt::format(" {}", done);
  }
  // A line that the terminal wraps could not be taken away again.
  progress_line_ = printable(line, kProgressColumns);
  draw(progress_line_);
  if (!seconds_.joinable()) {
    seconds_ = std::jthread([this](const std::stop_token& stop) { count_seconds(stop); });
  }
}

// With the mutex held.
void Output::draw(std::string_view line) const {
  progress_shown_ = true;
  write_all(stderr, fmt::format("\r{}\x1b[K", line));
}

void Output::count_seconds(const std::stop_token& stop) const {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, stop, kBeat, [&] { return stop.stop_requested(); })) {
    const auto quiet = env::system_clock().monotonic() - last_progress_;
    if (!progress_shown_ || quiet < kBeat) continue;
    draw(fmt::format("{} {:.1f} s", progress_line_, std::chrono::duration<double>(quiet).count()));
  }
}

void Output::end_progress() const {
  const std::scoped_lock lock(mutex_);
  if (!progress_shown_) return;
  progress_shown_ = false;
  write_all(stderr, "\r\x1b[K");
}

std::string to_text(const nlohmann::json& document, int indent) {
  return document.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    out += line + "\n";
  }
  return out;
}

}  // namespace bennu::cli
