#include "node/data_dir.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <system_error>
#include <utility>
#include <vector>

#include "env/files.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"
#include "sync/reasons.hpp"

namespace bennu::node {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStoreFolder = "kv";
constexpr const char* kRepositoryFolder = "repo.git";
// Stands while a create is under way; what is beside it then is nobody's data yet.
constexpr const char* kUnfinishedMarker = ".unfinished";

// What a create left that did not come to its end; never a file that somebody else put here.
Status remove_unfinished(const fs::path& path) {
  std::error_code error;
  std::vector<fs::path> ours;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    const bool staged = name.starts_with(fmt::format("{}.", kRepositoryFolder)) ||
                        name.starts_with(fmt::format("{}.", config::kSettingsFile));
    if (name == kStoreFolder || name == kRepositoryFolder || staged) ours.push_back(it->path());
  }
  for (const fs::path& each : ours) {
    if (!error) fs::remove_all(each, error);
  }
  return error ? Status(env::file_error("clean up", path, error.value())) : Status{};
}

// Leaves an empty folder with the marker, whatever an interrupted create left; refuses anything
// that is not ours.
Status prepare(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path / config::kSettingsFile, error)) {
    return make_error(
        Code::kAlreadyExists,
        fmt::format("{} already holds a store; choose another folder or remove it first",
                    path.string()));
  }
  if (fs::exists(path / kUnfinishedMarker, error)) return remove_unfinished(path);
  const bool empty = fs::is_empty(path, error);
  if (error) return env::file_error("read", path, error.value());
  if (!empty) {
    return make_error(Code::kAlreadyExists,
                      fmt::format("{} is not empty and not a data directory; choose a new folder",
                                  path.string()));
  }
  // Values lie here in clear: nobody else on this machine may read them.
  fs::permissions(path, fs::perms::owner_all, error);
  if (error) return env::file_error("close to others", path, error.value());
  // Durable before anything is beside it, so that a power loss never leaves parts without it.
  const fs::path marker = path / kUnfinishedMarker;
  BENNU_ASSIGN(const auto file, env::create_file(marker));
  BENNU_TRY(env::sync_file(file, marker));
  return env::sync_folder(path);
}

Result<env::File> take_lock(const fs::path& path) {
  BENNU_ASSIGN(auto lock, env::lock_folder(path, env::Hold::kAlone));
  if (lock) return std::move(*lock);
  return make_error(
      Code::kFailedPrecondition,
      fmt::format("{} is in use by another process; wait for it or stop it", path.string()),
      kv::reason::kLocked);
}

}  // namespace

void DataDir::abandon(DataDir directory) {
  const fs::path path = directory.path_;
  directory.store_.reset();
  directory.repository_.reset();
  std::error_code ignored;
  if (!remove_unfinished(path)) return;
  fs::remove(path / kUnfinishedMarker, ignored);
  if (directory.made_folder_) fs::remove(path, ignored);
}

DataDir::DataDir(fs::path path, config::Settings settings)
    : path_(std::move(path)), settings_(std::move(settings)) {}

Result<DataDir> DataDir::create(const fs::path& path, config::Settings settings) {
  if (path.empty())
    return make_error(Code::kInvalidArgument, "name the data directory with --data DIR");
  std::error_code ignored;
  const bool there = fs::exists(path, ignored);
  BENNU_TRY(env::make_folders(path));
  BENNU_ASSIGN(auto lock, take_lock(path));
  BENNU_TRY(prepare(path));
  DataDir directory(path, std::move(settings));
  directory.lock_ = std::move(lock);
  directory.made_folder_ = !there;
  if (auto opened = directory.open_parts(true); !opened) {
    abandon(std::move(directory));
    return opened.error();
  }
  return directory;
}

Result<DataDir> DataDir::open(const fs::path& path) {
  if (path.empty())
    return make_error(Code::kInvalidArgument, "name the data directory with --data DIR");
  std::error_code error;
  if (fs::exists(path / kUnfinishedMarker, error) &&
      !fs::exists(path / config::kSettingsFile, error)) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format("{} holds an interrupted restore; run `bennu restore` into it again",
                    path.string()),
        sync::reason::kUnfinishedRestore);
  }
  auto settings = config::load_settings(path / config::kSettingsFile);
  if (!settings && settings.error().code == Code::kNotFound) {
    return make_error(Code::kNotFound,
                      fmt::format("{} is not a data directory; make one with `bennu restore URL "
                                  "--data {}` or `bennu init`",
                                  path.string(), path.string()),
                      kv::reason::kNoStore);
  }
  BENNU_TRY(settings);
  BENNU_ASSIGN(auto lock, take_lock(path));
  fs::remove(path / kUnfinishedMarker, error);  // of a create that ended right before its last step
  DataDir directory(path, std::move(*settings));
  directory.lock_ = std::move(lock);
  BENNU_TRY(directory.open_parts(false));
  return directory;
}

// What the parts themselves would only say of some file of theirs.
Status check_parts(const fs::path& path) {
  std::error_code error;
  for (const char* name : {kStoreFolder, kRepositoryFolder}) {
    const fs::path part = path / name;
    if (!fs::is_directory(part, error)) {
      return make_error(
          Code::kDataLoss,
          fmt::format("{0} is missing: put it back from a backup{1}, or `bennu restore` into a new "
                      "folder",
                      part.string(),
                      name == kRepositoryFolder ? " or with `git clone --bare REMOTE " +
                                                      part.string() + "`, the keys are whole"
                                                : std::string()));
    }
    if (::access(part.c_str(), R_OK | W_OK | X_OK) != 0)
      return env::file_error("write in", part, errno);
  }
  return {};
}

Status DataDir::open_parts(bool create) {
  if (!create) BENNU_TRY(check_parts(path_));
  // The store's lock comes first: an owner of the repository may clean up after a killed process.
  BENNU_ASSIGN(store_, kv::open_embedded({.path = path_ / kStoreFolder,
                                          .create_if_missing = create,
                                          .memory_budget_bytes = settings_.memory_budget_bytes}));
  const fs::path repository = path_ / kRepositoryFolder;
  const std::string branch = settings_.branch.empty() ? "main" : settings_.branch;
  BENNU_ASSIGN(auto opened, create ? git::Repository::init_bare(repository, branch)
                                   : git::Repository::open(repository, git::OpenMode::kOwner));
  repository_ = std::make_unique<git::Repository>(std::move(opened));
  return {};
}

Status DataDir::commit(config::Settings settings) {
  settings_ = std::move(settings);
  BENNU_TRY(config::save_settings(path_ / config::kSettingsFile, settings_));
  std::error_code error;
  fs::remove(path_ / kUnfinishedMarker, error);
  if (error) return env::file_error("clean up", path_, error.value());
  return {};
}

sync::Link DataDir::link(const fs::path& identity, std::stop_token stop, sync::Progress progress) {
  fs::path file = identity.empty() ? fs::path(settings_.identity) : identity;
  if (identity.empty() && file.is_relative()) file = path_ / file;
  return sync::Link{
      .store = *store_,
      .repository = *repository_,
      .remote_url = settings_.remote_url,
      .branch = settings_.branch,
      .identity = std::move(file),
      .node_name = node_name(),
      .budget = {.keys = settings_.delete_budget_keys, .percent = settings_.delete_budget_percent},
      .clock = env::system_clock(),
      .random = env::system_random(),
      .stop = std::move(stop),
      .progress = std::move(progress)};
}

std::string DataDir::node_name() const {
  if (!settings_.node_name.empty()) return settings_.node_name;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace bennu::node
