#pragma once
// What   The settings of a data directory, kept in its `bennu.toml`.
// Why    Typed values with defaults and reasons, read in one place, so that no other code parses
//        configuration.
// Use    `load_settings(dir / kSettingsFile)`; change the struct; `save_settings` replaces the file
//        atomically.
// Units  Bytes, counts and percent as the names say.
// Errors kNotFound: no such file; kInvalidArgument: not TOML, an unknown name, a wrong type or a
//        value out of range (with line and column); kUnavailable: cannot be read or written;
//        kPermissionDenied, kResourceExhausted.
// Threads Plain values and pure calls on the file system.
// Source TOML 1.0; git-check-ref-format(1) for branches; own names, documented in
//        docs/operations/settings.md.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace bennu::config {

inline constexpr std::string_view kSettingsFile = "bennu.toml";

struct Settings {
  /// Where the long memory is mirrored: anything `git fetch` takes. Empty: the local repository
  /// only.
  std::string remote_url;
  /// The branch that state is exported to and imported from.
  std::string branch = "main";
  /// The age identity that opens the key ring: a path, relative to the data directory if not
  /// absolute.
  std::string identity = "identity.txt";
  /// Name under which this machine signs its commits as committer; empty: the host name.
  std::string node_name;
  /// Block cache and memtables together. 16 MiB to 64 GiB.
  std::uint64_t memory_budget_bytes = 64ULL << 20;
  /// A sync that deletes more than both of these needs a confirmed plan.
  std::int64_t delete_budget_keys = 10;
  std::int64_t delete_budget_percent = 20;
  friend bool operator==(const Settings&, const Settings&) = default;
};

/// Whether git takes it as the name of a branch; the error says what is wrong with it.
[[nodiscard]] Status check_branch(std::string_view name);

[[nodiscard]] Result<Settings> load_settings(const std::filesystem::path& file);
/// Parses the text of a settings file; `origin` names it in messages.
[[nodiscard]] Result<Settings> parse_settings(std::string_view text, std::string_view origin);
/// Writes a temporary file beside it, syncs and renames. The folder must exist.
[[nodiscard]] Status save_settings(const std::filesystem::path& file, const Settings& settings);

}  // namespace bennu::config
