#pragma once
// What   Names what looks like a credential in a file.
// Why    `import --path` takes files from a repository that may hold keys in clear; the operator
//        must be told which.
// Use    `find_credentials(path, bytes)` on each file whose key is not of class secret.
// Units  Looks at the first 1 MiB; reports at most kMaxFindings. Binary files are skipped.
// Errors None. It can miss and it can be wrong: it warns, it does not protect.
// Threads Pure function.
// Source own design; token forms as their makers publish them (GitHub, GitLab, AWS, Slack, Stripe,
//        Google, npm, Docker, Vault).

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bennu::sync {

struct Finding {
  std::string kind;  ///< `a private key (PEM)`, `an age identity`, …; never the credential itself
  std::size_t line = 0;  ///< from 1; 0: the path
  friend bool operator==(const Finding&, const Finding&) = default;
};
inline constexpr std::size_t kMaxFindings = 100;

[[nodiscard]] std::vector<Finding> find_credentials(std::string_view path, std::string_view bytes);

}  // namespace bennu::sync
