#pragma once
// What   Runs another program to its end: arguments, input, captured output, exit status.
// Why    `git` moves packs and `age` wraps keys; secrets go through pipes, never through arguments
//        or a shell.
// Use    `run({.argv = {"git", "fetch"}, .input = ""})`. argv[0] is searched in PATH. No shell is
//        involved.
// Units  Output capped at `max_output_bytes` per stream (the rest is read and dropped).
// Errors kNotFound: program missing; kDeadlineExceeded: ended after `timeout` (effect kUnknown);
//        kCancelled: `stop` was requested (effect kUnknown); kInternal: fork failed. A non-zero
//        exit is not an error here.
// Threads Safe for all; blocks until the child ends, not for processes that it leaves behind.
// Source own design; POSIX posix_spawn(3); Linux pidfd_open(2).

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace bennu::env {

struct ProcessRequest {
  std::vector<std::string> argv;
  std::string input;
  /// Added to this process's environment; an existing name is replaced. An empty value unsets.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string directory;
  std::chrono::milliseconds timeout = std::chrono::minutes{30};
  /// From asking a child to end (SIGTERM) to ending it (SIGKILL).
  std::chrono::milliseconds grace = std::chrono::seconds{3};
  std::size_t max_output_bytes = 64UL * 1024 * 1024;
  /// Called with each piece of the child's stderr as it comes, for progress. May be empty.
  std::function<void(std::string_view)> on_stderr = {};
  std::stop_token stop = {};
};

struct ProcessResult {
  /// Exit status, or 128 + the signal that ended it.
  int status = 0;
  std::string output;
  std::string error_output;
};

[[nodiscard]] Result<ProcessResult> run(const ProcessRequest& request);

}  // namespace bennu::env
