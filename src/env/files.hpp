#pragma once
// What   The few file calls that durability needs: sync a file, a folder, a whole small folder
//        tree; an owning descriptor.
// Why    The order of syncs and renames is the promise of PackWriter; std::filesystem has no sync.
// Use    Sources of this module only.
// Errors kResourceExhausted `git.no_space` for a full disk, else kUnavailable; the message names
//        the file.
// Threads Safe for all; blocks for the disk.
// Source fsync(2), rename(2).

#include <filesystem>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace bennu::git {

/// What every unfinished file's name starts with; swept when the owner opens the repository.
inline constexpr std::string_view kTemporaryPrefix = "bennu_tmp_";

class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(); }
  void close();
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

/// The Error for `errno` after a failed call on a file.
[[nodiscard]] Error file_error(std::string_view what, const std::filesystem::path& path);

/// A new file for reading and writing; fails if it exists.
[[nodiscard]] Result<File> create_file(const std::filesystem::path& path);
[[nodiscard]] Result<File> open_file(const std::filesystem::path& path);
/// Writes all of it at the file's position.
[[nodiscard]] Status write_all(const File& file, std::string_view bytes,
                               const std::filesystem::path& path);
[[nodiscard]] Status sync_file(const File& file, const std::filesystem::path& path);
[[nodiscard]] Status sync_folder(const std::filesystem::path& path);
/// Every file and folder below, then the folder itself. For small trees.
[[nodiscard]] Status sync_folder_tree(const std::filesystem::path& path);

}  // namespace bennu::git
