#include "env/process.hpp"

#include <gtest/gtest.h>

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
