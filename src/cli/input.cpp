#include "cli/input.hpp"

#include <unistd.h>

#include "env/files.hpp"

namespace bennu::cli {

Result<std::string> read_input(const std::string& file, std::size_t max_bytes) {
  if (file == "-") return env::read_all(env::File(::dup(STDIN_FILENO)), "stdin", max_bytes);
  BENNU_ASSIGN(const auto opened, env::open_file(file));
  return env::read_all(opened, file, max_bytes);
}

}  // namespace bennu::cli
