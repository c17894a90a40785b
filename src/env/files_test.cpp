#include "env/files.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "env/temp_dir.hpp"

namespace bennu::env {
namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Files, ReplacesAFileAndLeavesNothingBesideIt) {
  const TempDir dir;
  const auto file = dir.path() / "settings";
  ASSERT_TRUE(replace_file(file, "one", 0600));
  ASSERT_TRUE(replace_file(file, "two", 0600));
  EXPECT_EQ(content(file), "two");
  struct stat info{};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

// A write that the disk takes only in part says so with its reason, and the old file stays.
TEST(Files, AShortWriteIsAFullDiskAndTheOldFileStays) {
  const TempDir dir;
  const auto file = dir.path() / "settings";
  ASSERT_TRUE(replace_file(file, "old", 0600));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 5, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto done = replace_file(file, "longer than five", 0600);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kResourceExhausted);
  EXPECT_NE(done.error().message.find("File too large"), std::string::npos) << done.error().message;
  EXPECT_EQ(content(file), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

// A secret never goes where somebody else's link or loose mode waits for it.
TEST(Files, ReplacingFollowsNoLinkAndKeepsNoOldMode) {
  const TempDir dir;
  const auto file = dir.path() / "identity";
  const auto elsewhere = dir.path() / "elsewhere";
  std::ofstream(elsewhere) << "theirs";
  std::filesystem::create_symlink(elsewhere, dir.path() / "identity.new");
  ASSERT_TRUE(replace_file(file, "secret", 0600));
  EXPECT_EQ(content(elsewhere), "theirs");
  EXPECT_FALSE(std::filesystem::is_symlink(file));
  std::ofstream(dir.path() / "identity.new") << "left";
  ASSERT_EQ(::chmod((dir.path() / "identity.new").c_str(), 0644), 0);
  ASSERT_TRUE(replace_file(file, "secret", 0600));
  struct stat info{};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(Files, AFolderIsHeldAloneOrShared) {
  const TempDir dir;
  const auto held = [&](Hold hold) {
    auto lock = lock_folder(dir.path(), hold);
    EXPECT_TRUE(lock);
    return std::move(*lock);
  };
  {
    const auto alone = held(Hold::kAlone);
    EXPECT_TRUE(alone);
    EXPECT_FALSE(held(Hold::kAlone));
    EXPECT_FALSE(held(Hold::kShared));
  }
  const auto reader = held(Hold::kShared);
  EXPECT_TRUE(held(Hold::kShared));
  EXPECT_FALSE(held(Hold::kAlone));
  const auto missing = lock_folder(dir.path() / "missing", Hold::kAlone);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("cannot open"), std::string::npos);
}

TEST(Files, MakesEveryMissingFolder) {
  const TempDir dir;
  ASSERT_TRUE(make_folders(dir.path() / "a/b/c/"));
  ASSERT_TRUE(make_folders(dir.path() / "a/b/c"));
  EXPECT_TRUE(std::filesystem::is_directory(dir.path() / "a/b/c"));
  std::ofstream(dir.path() / "file") << "x";
  const auto refused = make_folders(dir.path() / "file/below");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("Not a directory"), std::string::npos);
}

}  // namespace
}  // namespace bennu::env
