#include "env/process.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <stop_token>

#include "env/random.hpp"
#include "env/temp_dir.hpp"

namespace bennu::env {
namespace {

TEST(Process, PassesInputAndCapturesBothStreams) {
  const std::string large(1'000'000, 'x');
  const auto result = run({.argv = {"sh", "-c", "cat; echo oops >&2; exit 3"}, .input = large});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 3);
  EXPECT_EQ(result->output, large);
  EXPECT_EQ(result->error_output, "oops\n");
}

TEST(Process, SetsAndUnsetsTheEnvironment) {
  const auto result = run({.argv = {"sh", "-c", "echo $BENNU_X; echo ${HOME-none}"},
                           .environment = {{"BENNU_X", "1"}, {"HOME", ""}}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output, "1\nnone\n");
}

TEST(Process, SaysWhenTheProgramIsMissing) {
  const auto result = run({.argv = {"bennu-no-such-program"}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kNotFound);
}

TEST(Process, EndsAChildThatTakesTooLong) {
  const auto result = run({.argv = {"sleep", "100"}, .timeout = std::chrono::milliseconds{50}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(result.error().effect, Effect::kUnknown);
}

TEST(Process, EndsWithItsChildThoughAnotherProcessKeepsThePipes) {
  // The grandchild holds stdout and stderr until somebody removes its file or much time passed.
  const TempDir dir;
  const std::string script =
      "(while [ -e hold ]; do sleep 0.05; done; sleep 0.05; touch gone) & echo said; exit 7";
  ASSERT_EQ(run({.argv = {"touch", "hold"}, .directory = dir.path()})->status, 0);
  const auto result = run({.argv = {"sh", "-c", script}, .directory = dir.path()});
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "gone"));
  std::filesystem::remove(dir.path() / "hold");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 7);
  EXPECT_EQ(result->output, "said\n");
  ASSERT_EQ(
      run({.argv = {"sh", "-c", "until [ -e gone ]; do sleep 0.01; done"}, .directory = dir.path()})
          ->status,
      0);
}

TEST(Process, KillsAChildThatDoesNotWantToEnd) {
  const auto result =
      run({.argv = {"sh", "-c", "trap '' TERM; echo ready >&2; while :; do sleep 0.05; done"},
           .timeout = std::chrono::milliseconds{300},
           .grace = std::chrono::milliseconds{100}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kDeadlineExceeded);
}

TEST(Process, AskedToStopItEndsTheChild) {
  std::stop_source source;
  const auto result = run({.argv = {"sh", "-c", "echo here >&2; exec sleep 100"},
                           .on_stderr = [&](std::string_view) { source.request_stop(); },
                           .stop = source.get_token()});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kCancelled);
}

TEST(Process, AChildThatIgnoresItsInputIsNoError) {
  const auto result = run({.argv = {"true"}, .input = std::string(1'000'000, 'x')});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 0);
}

TEST(TempDir, IsGoneWithItsOwner) {
  std::filesystem::path path;
  {
    const TempDir dir;
    path = dir.path();
    EXPECT_TRUE(std::filesystem::is_directory(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Random, UuidsHaveVersionAndVariant) {
  const std::string uuid = random_uuid(system_random());
  ASSERT_EQ(uuid.size(), 36U);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
  EXPECT_NE(uuid, random_uuid(system_random()));
}

}  // namespace
}  // namespace bennu::env
