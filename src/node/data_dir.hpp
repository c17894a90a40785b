#pragma once
// What   A data directory: settings, the embedded store and the repository, opened and closed
//        together.
// Why    The only place that picks an engine and knows what lies where on disk.
// Use    `DataDir::create` for a new one, `DataDir::open` for what is there; `link()` for sync
//        operations. A directory holds bennu.toml, kv/ and repo.git/, and the identity files that
//        `bennu secret init` makes.
// Errors kNotFound (kv.no_store): not a data directory; kAlreadyExists: create over something;
//        kFailedPrecondition (kv.locked, sync.unfinished_restore); kPermissionDenied; kUnavailable.
// Threads Create, open and destroy on one thread; what is inside follows its own rules.
// Source own design: ARCHITECTURE.md.

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "config/settings.hpp"
#include "env/files.hpp"
#include "git/repository.hpp"
#include "kv/store.hpp"
#include "sync/link.hpp"

namespace bennu::node {

class DataDir {
 public:
  /// A new, empty data directory at `path` (made if missing; it must be empty). Its settings are
  /// written by `commit`, so that a crash before leaves something that only `create` with the same
  /// arguments goes on with.
  [[nodiscard]] static Result<DataDir> create(const std::filesystem::path& path,
                                              config::Settings settings);
  [[nodiscard]] static Result<DataDir> open(const std::filesystem::path& path);

  /// Makes a created directory valid: writes the settings, which become its own. The last step of
  /// init and restore.
  [[nodiscard]] Status commit(config::Settings settings);

  /// Removes what `create` made, for a step before `commit` that failed: the folder too, if it was
  /// not there before.
  static void abandon(DataDir directory);

  [[nodiscard]] kv::Store& store() { return *store_; }
  [[nodiscard]] git::Repository& repository() { return *repository_; }
  [[nodiscard]] const config::Settings& settings() const { return settings_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// For sync operations. `identity` overrides the settings' if not empty.
  [[nodiscard]] sync::Link link(const std::filesystem::path& identity, std::stop_token stop,
                                sync::Progress progress);
  /// The name that this machine goes by in commits and audit records.
  [[nodiscard]] std::string node_name() const;

 private:
  DataDir(std::filesystem::path path, config::Settings settings);
  [[nodiscard]] Status open_parts(bool create);

  env::File lock_;  ///< one process per data directory; last to go
  std::filesystem::path path_;
  bool made_folder_ = false;
  config::Settings settings_;
  std::unique_ptr<git::Repository> repository_;
  std::unique_ptr<kv::Store> store_;
};

}  // namespace bennu::node
