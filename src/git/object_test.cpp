#include "git/object.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "env/temp_dir.hpp"
#include "git/commit.hpp"
#include "git/git_program_for_tests.hpp"
#include "git/reasons.hpp"
#include "git/tree.hpp"

namespace bennu::git {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string raw_tree(std::initializer_list<std::pair<std::string, std::string>> lines) {
  std::string out;
  for (const auto& [mode, name] : lines)
    out += mode + " " + name + std::string(1, '\0') + std::string(20, 'x');
  return out;
}

TEST(Object, IdsAreGits) {
  const env::TempDir dir;
  for (const std::string& bytes :
       {std::string(), std::string("a\0b\n", 4), std::string(100'000, 'z')}) {
    EXPECT_EQ(hash_object(ObjectKind::kBlob, bytes).hex(),
              git(dir.path(), {"hash-object", "--stdin"}, bytes));
  }
  EXPECT_EQ(empty_tree_id().hex(), git(dir.path(), {"hash-object", "-t", "tree", "--stdin"}, ""));
}

TEST(Object, IdsParseOnlyFortyHexDigits) {
  const std::string hex = empty_tree_id().hex();
  EXPECT_EQ(ObjectId::from_hex(hex), empty_tree_id());
  EXPECT_EQ(ObjectId::from_hex(hex.substr(1)), std::nullopt);
  EXPECT_EQ(ObjectId::from_hex(hex.substr(1) + "g"), std::nullopt);
}

TEST(Tree, BytesAreThoseOfMktree) {
  const env::TempDir dir;
  git(dir.path(), {"init", "--bare", "-q", "."});
  const ObjectId blob = id_of(git(dir.path(), {"hash-object", "-w", "--stdin"}, "x"));
  const ObjectId empty = id_of(git(dir.path(), {"hash-object", "-w", "-t", "tree", "--stdin"}, ""));
  std::vector<TreeEntry> entries = {
      {"a", mode::kTree, empty},
      {"a-b", mode::kFile, blob},
      {"a.b", mode::kExecutable, blob},
      {"a0", mode::kSymlink, blob},
      {"\xff\x01", mode::kFile, blob},
      {"sub", mode::kSubmodule, ObjectId::from_raw(std::string(20, 's'))}};
  std::string input;
  for (const auto& e : entries) {
    input += mode::to_text(e.mode) +
             (e.is_tree()                  ? " tree "
              : e.mode == mode::kSubmodule ? " commit "
                                           : " blob ") +
             e.id.hex() + "\t" + e.name + std::string(1, '\0');
  }
  sort_entries(entries);
  const std::string bytes = serialise_tree(entries);
  EXPECT_EQ(hash_object(ObjectKind::kTree, bytes).hex(), git(dir.path(), {"mktree", "-z"}, input));
  EXPECT_EQ(parse_tree(bytes, "").value(), entries);
}

TEST(Tree, KeepsTheGroupWritableModeOfOldRepositories) {
  const auto entries = parse_tree(raw_tree({{"100664", "old"}}), "");
  ASSERT_TRUE(entries);
  EXPECT_EQ(entries->at(0).mode, mode::kGroupWritable);
  EXPECT_EQ(serialise_tree(*entries), raw_tree({{"100664", "old"}}));
}

TEST(Tree, RefusesByNameWhatFsckRejects) {
  const std::string null_id = std::string("100644 n") + std::string(21, '\0');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {raw_tree({{"0100644", "padded"}}), "conf/padded"},
      {raw_tree({{"100600", "odd"}}), "conf/odd"},
      {raw_tree({{"100644", "b"}, {"100644", "a"}}), "conf/a"},
      {raw_tree({{"100644", "a"}, {"100644", "a"}}), "conf/a"},
      {raw_tree({{"100644", "a"}, {"100644", "a-b"}, {"40000", "a"}}), "conf/a"},
      {raw_tree({{"40000", ".git"}}), "conf/.git"},
      {raw_tree({{"100644", "GIT~1"}}), "conf/GIT~1"},
      {raw_tree({{"100644", ".g\xe2\x80\x8cit"}}), "conf/.g"},
      {raw_tree({{"100644", "x\\.git"}}), "conf/x\\.git"},
      {raw_tree({{"100644", "a/b"}}), "conf/a/b"},
      {raw_tree({{"100644", ""}}), "conf/"},
      {raw_tree({{"100644", ".."}}), "conf/.."},
      {raw_tree({{"120000", ".gitmodules"}}), "conf/.gitmodules"},
      {null_id, "conf/n"},
      {"100644 cut", "conf"},
      {"garbage", "conf"},
  };
  for (const auto& [bytes, path] : cases) {
    const auto entries = parse_tree(bytes, "conf");
    ASSERT_FALSE(entries) << path;
    EXPECT_EQ(entries.error().reason, reason::kBadTree);
    EXPECT_THAT(entries.error().message, HasSubstr("`" + path));
  }
}

// fsck itself is the judge of names: for each, it and we must say the same.
TEST(Tree, JudgesNamesAsFsckDoes) {
  const env::TempDir dir;
  git(dir.path(), {"init", "--bare", "-q", "."});
  git(dir.path(), {"hash-object", "-w", "--stdin"}, "");
  const std::string blob = hash_object(ObjectKind::kBlob, "").hex();
  const std::vector<std::string> names = {".git",
                                          ".GiT",
                                          ".git.",
                                          ".git ",
                                          ".git::$INDEX_ALLOCATION",
                                          ".git:",
                                          ".gitx",
                                          ".git\xff",
                                          "git~1",
                                          "git~2",
                                          "GIT~1 .",
                                          "git~1x",
                                          ".\xe2\x80\x8cgit",
                                          "\xe2\x80\x8d.git",
                                          ".gi\xe2\x81\xaat",
                                          ".gi\xef\xbb\xbft",
                                          "\xef\xbb\xbe.git",
                                          "a\\.git",
                                          "a\\.git\\b",
                                          "\\git~1",
                                          "a\\b",
                                          ".",
                                          "..",
                                          "...",
                                          ".gitmodules",
                                          "x.git",
                                          "git",
                                          ".g",
                                          "\xff",
                                          "%v",
                                          "~",
                                          "GI7EBA~1",
                                          ".gitattributes"};
  for (const auto& name : names) {
    const std::string tree = git(dir.path(), {"mktree", "-z"},
                                 "100644 blob " + blob + "\t" + name + std::string(1, '\0'));
    const GitRun fsck = try_git(dir.path(), {"fsck", "--strict", "--no-dangling", tree});
    const bool git_takes =
        (fsck.output + fsck.error_output).find("error in tree " + tree) == std::string::npos;
    EXPECT_EQ(check_entry(name, mode::kFile, name).has_value(), git_takes)
        << testing::PrintToString(name) << "\n"
        << fsck.output << fsck.error_output;
  }
}

CommitInfo sample_commit() {
  return {.tree = empty_tree_id(),
          .parents = {},
          .author = {.name = "Ada",
                     .email = "ada@example.org",
                     .time_s = 1'700'000'000,
                     .offset_min = -150},
          .committer = {.name = "Node 1",
                        .email = "node@example.org",
                        .time_s = 1'700'000'001,
                        .offset_min = 60},
          .message = "Add a user\n\nWhy not.\n"};
}

TEST(Commit, BytesAreThoseOfGit) {
  const env::TempDir dir;
  git(dir.path(), {"init", "--bare", "-q", "."});
  git(dir.path(), {"hash-object", "-w", "-t", "tree", "--stdin"}, "");
  const auto bytes = format_commit(sample_commit());
  ASSERT_TRUE(bytes);
  const std::string id = git(dir.path(), {"hash-object", "-w", "-t", "commit", "--stdin"}, *bytes);
  EXPECT_EQ(git(dir.path(),
                {"log", "-1", "--format=%an|%ae|%at|%ad|%cn|%ct|%s|%b", "--date=format:%z", id}),
            "Ada|ada@example.org|1700000000|-0230|Node 1|1700000001|Add a user|Why not.\n");
  const auto back = parse_commit(*bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->author, sample_commit().author);
  EXPECT_EQ(back->committer, sample_commit().committer);
  EXPECT_EQ(back->message, sample_commit().message);
}

TEST(Commit, NamesAreCleanedSoThatFsckIsContent) {
  const env::TempDir dir;
  git(dir.path(), {"init", "--bare", "-q", "."});
  git(dir.path(), {"hash-object", "-w", "-t", "tree", "--stdin"}, "");
  for (const std::string& name : {std::string(""), std::string("<evil>\ncommitter x <y> 0 +0000"),
                                  std::string("a\0b", 3), std::string(" . ")}) {
    CommitInfo commit = sample_commit();
    commit.author.name = name;
    commit.author.email = name;
    commit.author.time_s = -5;
    const auto bytes = format_commit(commit);
    ASSERT_TRUE(bytes);
    const std::string id =
        git(dir.path(), {"hash-object", "-w", "-t", "commit", "--stdin"}, *bytes);
    git(dir.path(), {"fsck", "--strict", "--no-dangling", id});
    EXPECT_EQ(parse_commit(*bytes)->committer, commit.committer);
  }
  CommitInfo commit = sample_commit();
  commit.message = std::string("a\0b", 3);
  EXPECT_FALSE(format_commit(commit));
}

TEST(Commit, TrailersAreThoseOfInterpretTrailers) {
  const env::TempDir dir;
  const std::vector<Trailer> trailers = {{"Bennu-Sync-Id", "7"},
                                         {"Bennu-Reason", "first line\n  second line"}};
  for (const std::string message :
       {"Subject", "Subject\n\nBody: this is\nno trailer block\n",
        "Subject\n\nBody\n\nSigned-off-by: A <a@b>\n", "Subject: odd\n",
        "Subject\n\nX-Y: 1\nZ: 2\n", "S\n\nSigned-off-by: A\nfree text\n"}) {
    const std::string full = with_trailers(message, trailers);
    const std::string parsed =
        git(dir.path(), {"interpret-trailers", "--parse", "--no-divider"}, full);
    std::string ours;
    for (const auto& [token, value] : parse_trailers(full)) ours += token + ": " + value + "\n";
    EXPECT_EQ(ours, parsed + "\n") << full;
    EXPECT_EQ(find_trailer(full, "bennu-sync-id"), "7");
    EXPECT_EQ(find_trailer(full, "Bennu-Reason"), "first line second line");
  }
  EXPECT_EQ(without_trailers(with_trailers("Subject\n\nBody", trailers)), "Subject\n\nBody");
  EXPECT_THAT(parse_trailers("Only: a subject"), ElementsAre());
}

TEST(Commit, TheLastTrailerWins) {
  const std::string forged = "Subject\n\nBennu-Sync-Id: forged";
  EXPECT_EQ(find_trailer(with_trailers(forged, {{"Bennu-Sync-Id", "real"}}), "Bennu-Sync-Id"),
            "real");
}

}  // namespace
}  // namespace bennu::git
