#pragma once
// What   BENNU_CHECK: an invariant that ends the process when broken, in every build.
// Why    A broken invariant must stop before it writes. Never for user input, which gets an Error.
// Threads Safe for all.
// Source own design (CONTRIBUTING.md).

#include <string_view>

namespace bennu {

/// Prints file, line and the condition to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view note);

}  // namespace bennu

#define BENNU_CHECK(condition, note)                                                 \
  do {                                                                               \
    if (!(condition)) ::bennu::check_failed(__FILE__, __LINE__, #condition, (note)); \
  } while (false)
