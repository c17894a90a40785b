#include "cli/input.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "env/files.hpp"

namespace bennu::cli {

Result<std::string> read_input(const std::string& file, std::size_t max_bytes) {
  if (file == "-") return env::read_all(env::File(::dup(STDIN_FILENO)), "stdin", max_bytes);
  BENNU_ASSIGN(const auto opened, env::open_file(file));
  return env::read_all(opened, file, max_bytes);
}

std::string check_count(const std::string& text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (digits && text.size() < 19) return {};
  return fmt::format("{} is no whole number from 0, or too large", printable(text, 40));
}

}  // namespace bennu::cli
