#include "cli/input.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace bennu::cli {
namespace {

Error failed(const std::string& file, int number) {
  const Code code = number == ENOENT                      ? Code::kNotFound
                    : number == EACCES || number == EPERM ? Code::kPermissionDenied
                                                          : Code::kInvalidArgument;
  return make_error(
      code, fmt::format("cannot read {}: {}", file, std::generic_category().message(number)));
}

}  // namespace

Result<std::string> read_input(const std::string& file, std::size_t max_bytes) {
  const bool is_stdin = file == "-";
  const int fd = is_stdin ? STDIN_FILENO : ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(file, errno);
  std::string bytes;
  std::array<char, 65536> buffer{};
  int number = 0;
  while (bytes.size() <= max_bytes) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) number = errno;
    if (got <= 0) break;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (!is_stdin) ::close(fd);
  if (number != 0) return failed(file, number);
  if (bytes.size() <= max_bytes) return bytes;
  return make_error(Code::kInvalidArgument,
                    fmt::format("{} is larger than {} bytes", file, max_bytes));
}

}  // namespace bennu::cli
