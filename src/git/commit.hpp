#pragma once
// What   Commits as values: signatures, trailers, and the two directions between CommitInfo and a
//        commit's bytes.
// Why    Bennu writes commits into its own packs and reads its own trailers back; both need one
//        exact format.
// Use    `writer.add(ObjectKind::kCommit, *format_commit(info))`; `parse_commit(object.bytes)`.
// Units  Times in seconds since 1970 UTC; offsets in minutes east of UTC.
// Errors parse: kDataLoss `git.corrupt`; format: kInvalidArgument (NUL in the message, no tree).
// Threads Plain values; pure functions.
// Source Git's commit format as git-fsck(1) checks it; git-interpret-trailers(1).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "git/object.hpp"

namespace bennu::git {

struct Signature {
  std::string name;
  std::string email;
  std::int64_t time_s = 0;
  int offset_min = 0;

  friend bool operator==(const Signature&, const Signature&) = default;
};

struct CommitInfo {
  ObjectId tree;
  std::vector<ObjectId> parents;
  Signature author;
  Signature committer;
  /// Subject, body and trailers. Ends with a newline when it comes from `with_trailers`.
  std::string message;
};

struct Trailer {
  std::string token;
  std::string value;

  friend bool operator==(const Trailer&, const Trailer&) = default;
};

/// The commit's bytes. Names and addresses are cleaned as git does: newlines, NUL, `<` and `>` are
/// dropped, an empty name becomes the address or `unknown`; times before 1970 become 1970; offsets
/// are clamped to 14 hours.
[[nodiscard]] Result<std::string> format_commit(const CommitInfo& commit);

/// Reads any commit that Git reads; headers that Bennu does not use (encoding, gpgsig) are skipped.
[[nodiscard]] Result<CommitInfo> parse_commit(std::string_view bytes);

/// The message with the trailers as its last paragraph (joined to a trailer block that is there
/// already). Newlines inside values become continuation lines. Tokens must be letters, digits and
/// `-`.
[[nodiscard]] std::string with_trailers(std::string_view message,
                                        const std::vector<Trailer>& trailers);

/// The trailers of a message, in order, continuation lines unfolded.
[[nodiscard]] std::vector<Trailer> parse_trailers(std::string_view message);

/// The last trailer of that token (case-insensitive), so that a block appended by us wins over text
/// in the message.
[[nodiscard]] std::optional<std::string> find_trailer(std::string_view message,
                                                      std::string_view token);

/// The message without its trailer block.
[[nodiscard]] std::string without_trailers(std::string_view message);

/// The first line of a message.
[[nodiscard]] std::string subject(std::string_view message);

}  // namespace bennu::git
