#pragma once
// What   A whole input file or stdin as bytes.
// Why    Streams throw on a directory and say nothing of why; a person needs the name and the
//        reason.
// Units  At most `max_bytes`; more is refused, not cut.
// Errors kNotFound, kInvalidArgument (a directory, too large), kPermissionDenied; each names the
//        file.
// Threads One thread; blocks.
// Source POSIX open(2), read(2).

#include <cstddef>
#include <string>

#include "base/result.hpp"

namespace bennu::cli {

/// `-` is stdin.
[[nodiscard]] Result<std::string> read_input(const std::string& file, std::size_t max_bytes);

/// For an option that is a revision or a number of things: empty, or what is wrong with the text.
[[nodiscard]] std::string check_count(const std::string& text);

}  // namespace bennu::cli
