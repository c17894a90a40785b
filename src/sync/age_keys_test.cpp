#include "sync/age_keys.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "env/process.hpp"
#include "env/temp_dir.hpp"
#include "sync/reasons.hpp"
#include "sync/seal.hpp"

namespace bennu::sync {
namespace {

class AgeKeys : public testing::Test {
 protected:
  std::string identity(std::string_view name) {
    const std::string path = (dir_.path() / name).string();
    auto made = ensure_identity(path);
    EXPECT_TRUE(made) << made.error().message;
    recipients_.push_back({.key = made ? made->recipient : "", .note = std::string(name)});
    return path;
  }
  std::string key_file(std::uint32_t epoch) {
    auto file = new_key_file(epoch, recipients_, env::system_random());
    EXPECT_TRUE(file) << file.error().message;
    return file ? *file : "";
  }

  env::TempDir dir_;
  std::vector<Recipient> recipients_;
};

TEST_F(AgeKeys, EveryRecipientOpensTheSameKey) {
  const std::string root = identity("root");
  const std::string offline = identity("offline");
  const std::string file = key_file(1);
  const auto by_root = unlock({{1, file}}, root);
  const auto by_offline = unlock({{1, file}}, offline);
  ASSERT_TRUE(by_root) << by_root.error().message;
  ASSERT_TRUE(by_offline) << by_offline.error().message;
  const auto text = seal(**by_root, "/a", "value");
  ASSERT_TRUE(text);
  EXPECT_EQ(open_sealed(**by_offline, "/a", *text).value(), "value");
}

TEST_F(AgeKeys, StockAgeOpensTheFile) {
  const std::string root = identity("root");
  identity("offline");
  const auto opened = env::run({.argv = {"age", "-d", "-i", root}, .input = key_file(7)});
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->status, 0);
  EXPECT_TRUE(opened->output.starts_with("bennu-data-key:1:7:")) << "(not printed)";
}

TEST_F(AgeKeys, IdentitiesArePrivateAndNeverOverwritten) {
  const std::string path = identity("root");
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const auto again = ensure_identity(path);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->made);
  EXPECT_EQ(again->recipient, recipients_[0].key);
  EXPECT_EQ(recipient_of(path).value(), recipients_[0].key);
}

TEST_F(AgeKeys, WhatIsThereAndNoIdentityStaysAsItIs) {
  const std::filesystem::path path = dir_.path() / "notes";
  std::ofstream(path) << "mine";
  EXPECT_FALSE(ensure_identity(path));
  EXPECT_EQ(std::filesystem::file_size(path), 4U);
  EXPECT_FALSE(ensure_identity(dir_.path() / "nowhere" / "id"));
  std::ofstream(dir_.path() / "id.new") << "of a run that was killed";
  EXPECT_TRUE(ensure_identity(dir_.path() / "id"));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "id.new"));
}

TEST_F(AgeKeys, AStrangerIsToldSo) {
  identity("root");
  identity("offline");
  const std::string file = key_file(1);
  const std::string stranger = identity("stranger");
  const auto ring = unlock({{1, file}}, stranger);
  ASSERT_FALSE(ring);
  EXPECT_EQ(ring.error().reason, reason::kNotARecipient);
  EXPECT_EQ(ring.error().message.find('\n'), std::string::npos);
}

TEST_F(AgeKeys, ALaterRecipientNeedsOnlyTheNewestEpoch) {
  identity("root");
  identity("offline");
  const std::string first = key_file(1);
  const std::string late = identity("late");
  const std::string second = key_file(2);
  const auto ring = unlock({{1, first}, {2, second}}, late);
  ASSERT_TRUE(ring) << ring.error().message;
  EXPECT_EQ((*ring)->current(), 2U);
  EXPECT_EQ((*ring)->find(1), nullptr);
  EXPECT_FALSE(unlock({{1, second}}, late));  // another epoch's file in its place
}

TEST_F(AgeKeys, BadInputIsOneLine) {
  const std::string root = identity("root");
  const std::vector<Recipient> one = {recipients_[0], recipients_[0]};
  const std::vector<Recipient> wrong = {recipients_[0], {.key = "age1nope"}};
  for (const auto& result :
       {new_key_file(1, one, env::system_random()), new_key_file(1, wrong, env::system_random()),
        recipient_of((dir_.path() / "missing").string())}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos) << result.error().message;
  }
  for (const std::string garbage : {"", "not age", "-----BEGIN AGE ENCRYPTED FILE-----\n"}) {
    const auto ring = unlock({{1, garbage}}, root);
    ASSERT_FALSE(ring);
    EXPECT_EQ(ring.error().message.find('\n'), std::string::npos) << ring.error().message;
  }
  EXPECT_EQ(unlock({}, root).error().reason, reason::kNoKey);
}

TEST_F(AgeKeys, RecipientsAreALineEach) {
  identity("root");
  identity("offline safe");
  recipients_[0].note.clear();
  const std::string text = format_recipients(recipients_);
  EXPECT_EQ(text, recipients_[0].key + "\n# offline safe\n" + recipients_[1].key + "\n");
  EXPECT_EQ(parse_recipients(text).value(), recipients_);
  const auto bad = parse_recipients("\n# x\nssh-rsa AAAA\n");
  ASSERT_FALSE(bad);
  EXPECT_TRUE(bad.error().message.starts_with(".bennu/recipients:3: ")) << bad.error().message;
}

TEST(AgeKeyPaths, NameTheEpoch) {
  EXPECT_EQ(key_file_path(3), ".bennu/keys/3.age");
  EXPECT_EQ(epoch_of_path(".bennu/keys/3.age"), 3U);
  for (const std::string_view path :
       {".bennu/keys/03.age", ".bennu/keys/0.age", ".bennu/keys/x.age", ".bennu/keys/3", "3.age"}) {
    EXPECT_EQ(epoch_of_path(path), 0U) << path;
  }
}

}  // namespace
}  // namespace bennu::sync
