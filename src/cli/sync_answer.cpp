#include "cli/sync_answer.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "sync/reasons.hpp"

namespace bennu::cli {

using nlohmann::json;

json id_or_null(const git::ObjectId& id) { return id.is_null() ? json(nullptr) : json(id.hex()); }

json id_or_null(const std::optional<git::ObjectId>& id) {
  return id ? json(id->hex()) : json(nullptr);
}

Result<int> different_if_both_changed(const Context& context, const Error& error) {
  if (error.reason != sync::reason::kBothChanged) return error;
  context.out.error(error);
  return kExitDifferent;
}

void remote_status(const Context& context, const std::string& problem) {
  if (problem.empty()) return;
  context.out.warn(fmt::format(
      "the remote does not answer, so this compares with what was last fetched: {}", problem));
}

void warn_of_plaintext(const Context& context, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    context.out.warn(
        fmt::format("{}: holds a secret in clear, also in the repository's history: change it",
                    printable(path)));
  }
}

int push_status(const Context& context, const std::string& problem) {
  if (problem.empty()) return kExitDone;
  context.out.warn(fmt::format(
      "not pushed; what is committed is safe here and goes with the next export: {}", problem));
  return kExitDifferent;
}

}  // namespace bennu::cli
