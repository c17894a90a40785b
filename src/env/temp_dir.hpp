#pragma once
// What   A folder that is gone when its owner is: for tests, and for staging files that must not
//        outlive a call.
// Use    `TempDir dir; dir.path() / "x"`. Made under TMPDIR, or beside `parent` when a rename must
//        stay on one disk.
// Errors Creation failure ends the process in tests' constructor; production code uses `make`.
// Threads One thread.
// Source own design.

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/check.hpp"
#include "base/result.hpp"

namespace bennu::env {

class TempDir {
 public:
  TempDir() {
    auto made = make(std::filesystem::temp_directory_path());
    BENNU_CHECK(made.has_value(), "cannot make a temporary folder");
    path_ = std::exchange(made->path_, {});
  }
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDir& operator=(TempDir&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  /// A new folder `bennu-XXXXXX` (or another beginning) in `parent`, mode 0700. Errors:
  /// kUnavailable.
  static Result<TempDir> make(const std::filesystem::path& parent,
                              std::string_view beginning = "bennu-") {
    std::string name = (parent / beginning).string() + "XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
      return make_error(Code::kUnavailable, "cannot make a folder in " + parent.string() + ": " +
                                                std::generic_category().message(errno));
    }
    TempDir dir{Adopt{}};
    dir.path_ = name;
    return dir;
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  struct Adopt {};
  explicit TempDir(Adopt) {}
  std::filesystem::path path_;
};

}  // namespace bennu::env
