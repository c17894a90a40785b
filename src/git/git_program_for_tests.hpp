#pragma once
// What   Runs the real `git` as the judge of our objects, and repositories made by it.
// Why    Every id and every byte must be git's own; no expectation in these tests is written by
//        hand.
// Use    Tests of this module only. Ignores the user's configuration.
// Threads One thread.
// Source own design.

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "env/process.hpp"
#include "git/object.hpp"

namespace bennu::git {

struct GitRun {
  int status = 0;
  std::string output;
  std::string error_output;
};

inline GitRun try_git(const std::filesystem::path& directory, std::vector<std::string> arguments,
                      std::string input = "") {
  arguments.insert(
      arguments.begin(),
      {"git", "-c", "user.name=Tess", "-c", "user.email=tess@example.org", "-c",
       "init.defaultBranch=main", "-c", "protocol.file.allow=always", "-c", "core.fsync=none"});
  const auto result = env::run({.argv = arguments,
                                .input = std::move(input),
                                .environment = {{"GIT_CONFIG_GLOBAL", "/dev/null"},
                                                {"GIT_CONFIG_SYSTEM", "/dev/null"},
                                                {"GIT_DIR", ""},
                                                {"LC_ALL", "C"}},
                                .directory = directory.string()});
  if (!result) return {.status = -1, .output = "", .error_output = result.error().message};
  return {.status = result->status, .output = result->output, .error_output = result->error_output};
}

/// Output without the last newline; the test fails if git does.
inline std::string git(const std::filesystem::path& directory, std::vector<std::string> arguments,
                       std::string input = "") {
  std::string shown;
  for (const auto& argument : arguments) shown += argument + " ";
  GitRun run = try_git(directory, std::move(arguments), std::move(input));
  EXPECT_EQ(run.status, 0) << "git " << shown << "\n" << run.error_output;
  if (run.output.ends_with('\n')) run.output.pop_back();
  return run.output;
}

/// Everything git can check. Mode 100664 is the one thing it may remark on.
inline void expect_clean(const std::filesystem::path& repository) {
  const GitRun run = try_git(repository, {"fsck", "--strict", "--full", "--no-dangling"});
  EXPECT_EQ(run.status, 0) << run.output << run.error_output;
  std::istringstream lines(run.error_output);
  for (std::string line; std::getline(lines, line);) {
    const bool remark = line.find("badFilemode") != std::string::npos;
    EXPECT_TRUE(remark || line.starts_with("notice:")) << line;
  }
}

inline ObjectId id_of(const std::string& hex) {
  const auto id = ObjectId::from_hex(hex);
  EXPECT_TRUE(id) << hex;
  return id.value_or(ObjectId{});
}

}  // namespace bennu::git
