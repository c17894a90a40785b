#include "git/maintenance.hpp"

#include <fmt/format.h>

#include <system_error>

#include "git/git_program.hpp"
#include "git/reasons.hpp"

namespace bennu::git {

std::size_t count_packs(const Repository& repository) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator it(repository.path() / "objects" / "pack", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".idx") ++count;
  }
  return count;
}

Result<MaintenanceResult> maintain(Repository& repository, const MaintenanceOptions& options) {
  MaintenanceResult result{.packs_before = count_packs(repository), .packs_after = 0};
  const RemoteOptions run_options{.timeout = std::chrono::hours{6}, .stop = options.stop};
  const auto step = [&](std::vector<std::string> arguments) -> Status {
    const std::string context = fmt::format("cannot maintain `{}`", repository.path().string());
    BENNU_ASSIGN(const auto run, run_git(repository.path(), std::move(arguments), run_options));
    if (run.status != 0) return git_error(context, run.error_output);
    return {};
  };
  if (result.packs_before > options.max_packs) {
    // Whole packs are merged, so unreachable objects go along; -d removes packs only after the new
    // one is in place.
    BENNU_TRY(step({"repack", "--geometric=2", "-d", "-q", "--no-write-bitmap-index"}));
    BENNU_TRY(step(
        {"commit-graph", "write", "--reachable", "--changed-paths", "--split", "--no-progress"}));
  }
  BENNU_ASSIGN(repository, repository.another_handle());
  result.packs_after = count_packs(repository);
  return result;
}

}  // namespace bennu::git
