#include "config/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace bennu::config {
namespace {

using ::testing::HasSubstr;

TEST(Settings, RoundTripThroughTheFile) {
  const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                     ("settings-test-" + std::to_string(::getpid()) + ".toml");
  Settings settings;
  settings.remote_url = "ssh://git@example.org/\"odd\" name.git";
  settings.branch = "live";
  settings.delete_budget_keys = 3;
  ASSERT_TRUE(save_settings(file, settings));
  const auto read = load_settings(file);
  std::filesystem::remove(file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, settings);
}

TEST(Settings, MissingFileIsNotFound) {
  EXPECT_EQ(load_settings("/nonexistent/bennu.toml").error().code, Code::kNotFound);
}

TEST(Settings, BadInputIsNamedWithItsPlace) {
  EXPECT_THAT(parse_settings("[remote]\nurl = 5\n", "f").error().message,
              HasSubstr("f: remote.url: line 2, column 7"));
  EXPECT_THAT(parse_settings("[remote]\nurll = \"\"\n", "f").error().message,
              HasSubstr("no setting `remote.urll`"));
  EXPECT_THAT(parse_settings("[remote\n", "f").error().message, HasSubstr("f: line 1, column"));
  EXPECT_THAT(parse_settings("[store]\nmemory_budget_bytes = 1\n", "f").error().message,
              HasSubstr("from 16777216"));
}

TEST(Settings, ABranchIsOneThatGitTakes) {
  for (const char* good : {"main", "live/west-2", "feature.x", "\u0101", "a@b", "x.locked"}) {
    EXPECT_TRUE(check_branch(good)) << good;
  }
  for (const char* bad : {"",       "a b",      "-x",   "a..b", "a~", "a^",   "a:b",  "a?",
                          "a*",     "a[",       "a\\b", "/a",   "a/", "a//b", ".a",   "a/.b",
                          "a.lock", "a.lock/b", "a.",   "a@{b", "@",  "HEAD", "a\tb", "a\x7f"}) {
    EXPECT_FALSE(check_branch(bad)) << bad;
  }
  EXPECT_THAT(parse_settings("[remote]\nbranch = \"a b\"\n", "f").error().message,
              HasSubstr("f: remote.branch: line 2, column 10: \"a b\" is no name"));
  EXPECT_THAT(parse_settings("[secrets]\nidentity = \"\"\n", "f").error().message,
              HasSubstr("line 2, column 12: this must name a file"));
}

}  // namespace
}  // namespace bennu::config
