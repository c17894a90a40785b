#include "sync/raw_path.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "base/bytes.hpp"
#include "env/process.hpp"
#include "env/temp_dir.hpp"

namespace bennu::sync {
namespace {

using namespace std::string_literals;

std::string path_of(std::string_view key) {
  std::string path;
  append_path(key, path);
  return path;
}

std::string key_of(std::string_view path) {
  std::string key;
  return decode_path(path, key) ? key : "no key";
}

// Keys made to meet every rule: separators, marks, git's names, ill-formed UTF-8, long segments.
std::string random_key(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {"/",
                                                   "/",
                                                   "/",
                                                   "a",
                                                   "b",
                                                   "users",
                                                   "1.json",
                                                   "%",
                                                   "%2",
                                                   "%25",
                                                   "%v",
                                                   "%+",
                                                   "%-",
                                                   "%r",
                                                   ".",
                                                   "..",
                                                   ".git",
                                                   ".GIT",
                                                   "git~1",
                                                   ".git ",
                                                   ".git.",
                                                   ":$x",
                                                   "\xe2\x80\x8c",
                                                   ".g\xe2\x80\x8dit",
                                                   "\xef\xbb\xbf",
                                                   ".gitmodules",
                                                   "gi7eba~1",
                                                   "\\",
                                                   " ",
                                                   "\0"s,
                                                   "\x7f",
                                                   "\x1f",
                                                   "\xff",
                                                   "\xc3",
                                                   "\xc3\xa9",
                                                   "\xe2\x82\xac",
                                                   "\xf0\x9f\x90\xa6",
                                                   "\xed\xa0\x80",
                                                   "\xc0\x80",
                                                   std::string(100, 'x'),
                                                   std::string(126, '\xe9'),
                                                   std::string(251, 'y'),
                                                   std::string(600, '.')};
  std::string key = random() % 8 == 0 ? "" : "/";
  const std::size_t count = random() % 8;
  for (std::size_t i = 0; i < count; ++i) key += kPieces[random() % kPieces.size()];
  return key;
}

TEST(RawPath, OrdinaryKeysHaveTheirOwnName) {
  EXPECT_EQ(path_of("/a/b"), "a/b");
  EXPECT_EQ(path_of("/net/nodes/2001:db8::1/status"), "net/nodes/2001:db8::1/status");
  EXPECT_EQ(path_of("/caf\xc3\xa9 au lait"), "caf\xc3\xa9 au lait");
  EXPECT_EQ(path_of("/.gitignore"), ".gitignore");
  EXPECT_EQ(path_of("/github"), "github");
}

TEST(RawPath, EscapesAreAsDocumented) {
  EXPECT_EQ(path_of("a"), "%-/a");
  EXPECT_EQ(path_of(""), "%-/%");
  EXPECT_EQ(path_of("/"), "%");
  EXPECT_EQ(path_of("//"), "%/%");
  EXPECT_EQ(path_of("/a/"), "a/%");
  EXPECT_EQ(path_of("/100%"), "100%25");
  EXPECT_EQ(path_of("/a\\b"), "a%5Cb");
  EXPECT_EQ(path_of("/a\nb\0c"s), "a%0Ab%00c");
  EXPECT_EQ(path_of("/\xff\xc3"), "%FF%C3");
  EXPECT_EQ(path_of("/."), "%2E");
  EXPECT_EQ(path_of("/../x"), "%2E./x");
  EXPECT_EQ(path_of("/.git/config"), "%2Egit/config");
  EXPECT_EQ(path_of("/GIT~1"), "%47IT~1");
  EXPECT_EQ(path_of("/\xe2\x80\x8c.git"), "%E2%80%8C.git");
}

TEST(RawPath, NamesThatGitTakesForItsOwnAreUnsafe) {
  for (const std::string_view name : {".",
                                      "..",
                                      ".git",
                                      ".GIT",
                                      ".Git",
                                      ".git ",
                                      ".git.",
                                      ".git . .",
                                      ".git:",
                                      ".git::$INDEX_ALLOCATION",
                                      "git~1",
                                      "GIT~1",
                                      "git~1 ",
                                      "git~1::x",
                                      ".g\xe2\x80\x8cit",
                                      "\xe2\x80\x8e.git",
                                      ".git\xef\xbb\xbf",
                                      ".gi\xe2\x81\xaat",
                                      ".gitmodules",
                                      ".GitModules",
                                      ".gitmodules .",
                                      "gitmod~1",
                                      "GITMOD~4",
                                      "gi7eba~1",
                                      ".gitattributes",
                                      "gitatt~2",
                                      "gi7d29~9",
                                      ".git\xe2\x80\xaamodules"}) {
    EXPECT_TRUE(is_unsafe_component(name)) << name;
  }
  for (const std::string_view name : {"...", ".gitignore", ".git1", "git", "git~2", "xgit", ".gitx",
                                      "gitmod~5", ".github", "g", ".gi", "\xe2\x82\xac"}) {
    EXPECT_FALSE(is_unsafe_component(name)) << name;
  }
}

TEST(RawPath, LongSegmentsAreSplitAtWholeUnits) {
  EXPECT_EQ(path_of("/" + std::string(255, 'x')), std::string(255, 'x'));
  EXPECT_EQ(path_of("/" + std::string(256, 'x')), std::string(253, 'x') + "%+/xxx");
  // 252 bytes, then an escape that must not be torn.
  EXPECT_EQ(path_of("/" + std::string(252, 'x') + "%yy"), std::string(252, 'x') + "%+/%25yy");
  // What is left over may not be a name of git's.
  EXPECT_EQ(path_of("/" + std::string(253, 'x') + ".git"), std::string(253, 'x') + "%+/%2Egit");
  const std::string stream = "/" + std::string(253, 'x') + ".git:" + std::string(300, 'y');
  EXPECT_EQ(key_of(path_of(stream)), stream);
  EXPECT_TRUE(is_valid_tree_path(path_of(stream)));
}

TEST(RawPath, OnlyTheCanonicalPathHasAKey) {
  for (const std::string_view path :
       {"a%2fb", "%61",   "a%2F", "%",  "100%", "a%zz", "%e9",  "a/%v", "%v",     "a%+",  "x%+/y",
        "%-",    "%-//x", "a//b", "/a", "a/",   "",     ".git", "\xff", "%C3%A9", "%2E.."}) {
    std::string key;
    if (!decode_path(path, key)) continue;
    EXPECT_EQ(path_of(key), path) << path;
  }
  EXPECT_EQ(key_of("%61"), "no key");
  EXPECT_EQ(key_of("a%2fb"), "no key");
  EXPECT_EQ(key_of("%C3%A9"), "no key");  // is UTF-8, needs no escape
  EXPECT_EQ(key_of("a/%v"), "no key");
  EXPECT_EQ(key_of("x%+/y"), "no key");  // short enough for one component
  EXPECT_EQ(key_of(".gitmodules"), "no key");
  EXPECT_EQ(key_of("a//b"), "no key");
  EXPECT_EQ(key_of("%"), "/");
  EXPECT_EQ(key_of("a%2Fb"), "no key");  // a slash always separates
}

TEST(RawPath, EveryKeyComesBack) {
  std::mt19937 random(20240521);
  std::set<std::string> keys;
  std::set<std::string> paths;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = random_key(random);
    const std::string path = path_of(key);
    ASSERT_EQ(key_of(path), key) << printable(key) << " at " << path;
    ASSERT_TRUE(is_valid_tree_path(path)) << path;
    ASSERT_TRUE(is_utf8(path)) << printable(path);
    for (std::size_t start = 0; start < path.size();) {
      const std::size_t end = std::min(path.find('/', start), path.size());
      ASSERT_LE(end - start, kMaxComponentBytes);
      ASSERT_FALSE(is_unsafe_component(std::string_view(path).substr(start, end - start))) << path;
      start = end + 1;
    }
    keys.insert(key);
    paths.insert(path);
  }
  EXPECT_EQ(keys.size(), paths.size());
}

TEST(RawPath, ArbitraryBytesComeBack) {
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string key(random() % 24, '\0');
    for (char& c : key) c = static_cast<char>(random());
    ASSERT_EQ(key_of(path_of(key)), key) << to_hex(key);
  }
}

TEST(RawPath, APathHasAKeyOnlyIfItIsThatKeysPath) {
  std::mt19937 random(99);
  int with_key = 0;
  for (int i = 0; i < 40'000; ++i) {
    std::string path = random_key(random);
    if (path.starts_with('/')) path.erase(0, 1);
    std::string key;
    if (!decode_path(path, key)) continue;
    ++with_key;
    ASSERT_EQ(path_of(key), path) << printable(path);
  }
  EXPECT_GT(with_key, 1000);
}

TEST(RawPath, ComponentsDecodeAlone) {
  std::string segment;
  EXPECT_TRUE(decode_component("a%25", segment));
  EXPECT_EQ(segment, "a%");
  EXPECT_TRUE(decode_component("%", segment));
  EXPECT_EQ(segment, "");
  EXPECT_FALSE(decode_component("%61", segment));
  EXPECT_FALSE(decode_component("", segment));
  EXPECT_FALSE(decode_component("a%+", segment));
}

// The judge of our names is git itself: one tree with every odd name we make, and its fsck.
TEST(RawPath, GitAcceptsEveryPath) {
  const env::TempDir dir;
  const std::string repo = (dir.path() / "r").string();
  ASSERT_TRUE(env::run({.argv = {"git", "init", "-q", "--bare", repo}}));
  const auto blob =
      env::run({.argv = {"git", "-C", repo, "hash-object", "-w", "--stdin"}, .input = "[bad"});
  ASSERT_TRUE(blob);
  const std::string id = blob->output.substr(0, 40);
  std::mt19937 random(3);
  // One directory per key: `/a` beside `/a/b` is the Git layer's business.
  std::string listing;
  for (int i = 0; i < 3000; ++i) {
    listing +=
        "100644 blob " + id + "\tk" + std::to_string(i) + "/" + path_of(random_key(random)) + '\0';
  }
  const std::string index = (dir.path() / "index").string();
  const auto added = env::run({.argv = {"git", "-C", repo, "update-index", "-z", "--index-info"},
                               .input = listing,
                               .environment = {{"GIT_INDEX_FILE", index}}});
  ASSERT_TRUE(added);
  ASSERT_EQ(added->status, 0) << added->error_output;
  ASSERT_EQ(added->error_output, "");
  const auto tree = env::run(
      {.argv = {"git", "-C", repo, "write-tree"}, .environment = {{"GIT_INDEX_FILE", index}}});
  ASSERT_TRUE(tree);
  ASSERT_EQ(tree->status, 0) << tree->error_output;
  const auto fsck = env::run({.argv = {"git", "-C", repo, "fsck", "--strict", "--full"}});
  ASSERT_TRUE(fsck);
  EXPECT_EQ(fsck->status, 0) << fsck->error_output.substr(0, 1000);
  EXPECT_EQ(fsck->error_output.find("warning"), std::string::npos)
      << fsck->error_output.substr(0, 1000);
}

}  // namespace
}  // namespace bennu::sync
