#pragma once
// What   Names what looks like a credential in a file or value.
// Why    `import --path` takes files from a repository that may hold keys in clear; the operator
//        must be told which.
// Use    `find_credentials(bytes)` on each value that is not of class secret.
// Units  Looks at the first 1 MiB; reports at most kMaxFindings.
// Errors None. It can miss and it can be wrong: it warns, it does not protect.
// Threads Pure function.
// Source own design; token forms as published by their makers (see credentials.cpp).

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bennu::sync {

struct Finding {
  std::string kind;      ///< `private key (PEM)`, `age identity`, …
  std::size_t line = 0;  ///< from 1
  friend bool operator==(const Finding&, const Finding&) = default;
};
inline constexpr std::size_t kMaxFindings = 100;

[[nodiscard]] std::vector<Finding> find_credentials(std::string_view bytes);

}  // namespace bennu::sync
