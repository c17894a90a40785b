#include "git/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "git/reasons.hpp"

namespace bennu::git {

void File::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Error file_error(std::string_view what, const std::filesystem::path& path) {
  const int number = errno;
  const std::string message = fmt::format("cannot {} `{}`: {}", what, path.string(),
                                          std::generic_category().message(number));
  if (number == ENOSPC || number == EDQUOT || number == EFBIG) {
    return make_error(Code::kResourceExhausted, message + "; free some space and run again",
                      reason::kNoSpace);
  }
  if (number == EACCES || number == EPERM || number == EROFS)
    return make_error(Code::kPermissionDenied, message);
  return make_error(Code::kUnavailable, message);
}

Result<File> create_file(const std::filesystem::path& path) {
  File file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (file.fd() < 0) return file_error("make", path);
  return file;
}

Result<File> open_file(const std::filesystem::path& path) {
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return file_error("open", path);
  return file;
}

Status write_all(const File& file, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.fd(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status sync_file(const File& file, const std::filesystem::path& path) {
  if (::fsync(file.fd()) != 0) return file_error("sync", path);
  return {};
}

Status sync_folder(const std::filesystem::path& path) {
  const File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd() < 0) return file_error("open", path);
  return sync_file(folder, path);
}

Status sync_folder_tree(const std::filesystem::path& path) {
  std::error_code failed;
  for (std::filesystem::recursive_directory_iterator it(path, failed), end; !failed && it != end;
       it.increment(failed)) {
    if (it->is_directory()) {
      BENNU_TRY(sync_folder(it->path()));
    } else if (it->is_regular_file()) {
      BENNU_ASSIGN(const File file, open_file(it->path()));
      BENNU_TRY(sync_file(file, it->path()));
    }
  }
  if (failed)
    return make_error(Code::kUnavailable,
                      fmt::format("cannot sync `{}`: {}", path.string(), failed.message()));
  return sync_folder(path);
}

}  // namespace bennu::git
