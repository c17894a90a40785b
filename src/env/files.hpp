#pragma once
// What   The few file calls that durability needs: sync a file, a folder, a small folder tree;
//        write a whole small file durably; hold a folder; an owning descriptor.
// Why    The order of syncs and renames is what survives a power loss; std::filesystem has no sync.
// Use    `replace_file(path, bytes, 0600)` for a small file that must be whole or not there;
//        `make_folders(path)` for folders whose names must last.
// Errors kResourceExhausted (kNoSpace) for a full disk, kPermissionDenied, kInvalidArgument
//        (a folder where a file is wanted), else kUnavailable. The message names the file and why.
// Threads Safe for all; blocks for the disk.
// Source fsync(2), rename(2), flock(2).

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace bennu::env {

inline constexpr Reason kNoSpace = "env.no_space";  ///< kResourceExhausted: the disk is full

/// Owns a descriptor, also one of a pipe or a process.
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
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// The Error for `number`, the `errno` of a failed call on a file.
[[nodiscard]] Error file_error(std::string_view what, const std::filesystem::path& path,
                               int number);

/// A new file for reading and writing; fails if it exists.
[[nodiscard]] Result<File> create_file(const std::filesystem::path& path);
/// For reading. Errors also: kNotFound.
[[nodiscard]] Result<File> open_file(const std::filesystem::path& path);
/// From its position to its end. kInvalidArgument: more than `max_bytes`; `path` is for messages.
[[nodiscard]] Result<std::string> read_all(const File& file, const std::filesystem::path& path,
                                           std::size_t max_bytes);
/// Writes all of it at the file's position.
[[nodiscard]] Status write_all(const File& file, std::string_view bytes,
                               const std::filesystem::path& path);
[[nodiscard]] Status sync_file(const File& file, const std::filesystem::path& path);
/// Empty: the working directory.
[[nodiscard]] Status sync_folder(const std::filesystem::path& path);
/// Every file and folder below, then the folder itself. For small trees.
[[nodiscard]] Status sync_folder_tree(const std::filesystem::path& path);

/// The file has exactly these bytes, durably, or is what it was before (also after a power loss).
[[nodiscard]] Status replace_file(const std::filesystem::path& path, std::string_view bytes,
                                  mode_t mode);
enum class Hold {
  kAlone,
  kShared,  ///< together with others that share it
};
/// Keeps the folder from others that hold it, for as long as the File lives. None: somebody has it.
[[nodiscard]] Result<std::optional<File>> lock_folder(const std::filesystem::path& path, Hold hold);
/// Makes what is missing of the path, each level durable in the one above. No error if it is there.
[[nodiscard]] Status make_folders(const std::filesystem::path& path);

}  // namespace bennu::env
