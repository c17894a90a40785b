#include "env/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace bennu::env {

namespace fs = std::filesystem;

void File::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Error file_error(std::string_view what, const fs::path& path, int number) {
  const std::string message = "cannot " + std::string(what) + " `" + path.string() +
                              "`: " + std::generic_category().message(number);
  if (number == ENOSPC || number == EDQUOT || number == EFBIG)
    return make_error(Code::kResourceExhausted, message + "; free some space and run again",
                      kNoSpace);
  if (number == EACCES || number == EPERM)
    return make_error(Code::kPermissionDenied,
                      message + "; run it as the account that owns it, or check the permissions");
  if (number == EROFS) return make_error(Code::kPermissionDenied, message);
  if (number == EISDIR) return make_error(Code::kInvalidArgument, message);
  return make_error(Code::kUnavailable, message);
}

Result<File> create_file(const fs::path& path) {
  File file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (file.fd() < 0) return file_error("make", path, errno);
  return file;
}

Result<File> open_file(const fs::path& path) {
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.is_open()) return file;
  const int number = errno;
  Error error = file_error("open", path, number);
  if (number == ENOENT) error.code = Code::kNotFound;
  return error;
}

Result<std::string> read_all(const File& file, const fs::path& path, std::size_t max_bytes) {
  std::string bytes;
  std::array<char, 65536> buffer{};
  while (bytes.size() <= max_bytes) {
    const ssize_t got = ::read(file.fd(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", path, errno);
    if (got == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return make_error(Code::kInvalidArgument, "`" + path.string() + "` is larger than " +
                                                std::to_string(max_bytes) + " bytes");
}

Status write_all(const File& file, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.fd(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error("write", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status sync_file(const File& file, const fs::path& path) {
  if (::fsync(file.fd()) != 0) return file_error("sync", path, errno);
  return {};
}

Status sync_folder(const fs::path& path) {
  const fs::path folder = path.empty() ? fs::path(".") : path;
  const File file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.fd() < 0) return file_error("open", folder, errno);
  return sync_file(file, folder);
}

Status sync_folder_tree(const fs::path& path) {
  std::error_code failed;
  for (fs::recursive_directory_iterator it(path, failed), end; !failed && it != end;
       it.increment(failed)) {
    if (it->is_directory()) {
      BENNU_TRY(sync_folder(it->path()));
    } else if (it->is_regular_file()) {
      BENNU_ASSIGN(const File file, open_file(it->path()));
      BENNU_TRY(sync_file(file, it->path()));
    }
  }
  if (failed) return file_error("sync", path, failed.value());
  return sync_folder(path);
}

namespace {

Status write_synced(const fs::path& path, std::string_view bytes, mode_t mode) {
  // What somebody left there may be a link, or readable by others.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return file_error("replace", path, errno);
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.fd() < 0) return file_error("make", path, errno);
  BENNU_TRY(write_all(file, bytes, path));
  return sync_file(file, path);
}

}  // namespace

Status replace_file(const fs::path& path, std::string_view bytes, mode_t mode) {
  fs::path temporary = path;
  temporary += ".new";
  Status done = write_synced(temporary, bytes, mode);
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0)
    done = file_error("replace", path, errno);
  if (!done) {
    ::unlink(temporary.c_str());
    return done;
  }
  return sync_folder(path.parent_path());
}

namespace {

bool is_still_at(const File& folder, const fs::path& path) {
  struct stat held{};
  struct stat there{};
  return ::fstat(folder.fd(), &held) == 0 && ::stat(path.c_str(), &there) == 0 &&
         held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

}  // namespace

Result<std::optional<File>> lock_folder(const fs::path& path, Hold hold) {
  const int operation = (hold == Hold::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  while (true) {
    File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.is_open()) return file_error("open", path, errno);
    if (::flock(folder.fd(), operation) != 0) {
      if (errno == EWOULDBLOCK) return std::nullopt;
      return file_error("lock", path, errno);
    }
    // Who had it before may have removed it meanwhile, and a third one made it anew.
    if (is_still_at(folder, path)) return folder;
  }
}

Status make_folders(const fs::path& path) {
  std::error_code error;
  const fs::path clean = path.has_filename() ? path : path.parent_path();
  if (clean.empty() || fs::is_directory(clean, error)) return {};
  BENNU_TRY(make_folders(clean.parent_path()));
  if (::mkdir(clean.c_str(), 0777) != 0 && errno != EEXIST)
    return file_error("make the folder", clean, errno);
  if (!fs::is_directory(clean, error)) return file_error("make the folder", clean, ENOTDIR);
  return sync_folder(clean.parent_path());
}

}  // namespace bennu::env
