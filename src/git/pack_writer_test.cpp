#include "git/pack_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "env/temp_dir.hpp"
#include "git/commit.hpp"
#include "git/git_program_for_tests.hpp"
#include "git/reasons.hpp"
#include "git/tree.hpp"
#include "git/tree_editor.hpp"

namespace bennu::git {
namespace {

namespace fs = std::filesystem;

class PackWriterTest : public ::testing::Test {
 protected:
  PackWriterTest() : repository_(std::move(*Repository::init_bare(dir_.path() / "repo.git"))) {}

  [[nodiscard]] fs::path path() const { return repository_.path(); }

  [[nodiscard]] std::vector<std::string> pack_files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path() / "objects" / "pack"))
      names.push_back(entry.path().filename());
    return names;
  }

  std::unique_ptr<PackWriter> begin(const PackOptions& options = {}) {
    auto writer = PackWriter::begin(repository_, options);
    EXPECT_TRUE(writer);
    return std::move(*writer);
  }

  env::TempDir dir_;
  Repository repository_;
};

TEST_F(PackWriterTest, GitReadsEveryByteAndFindsNothingWrong) {
  std::mt19937 random(7);
  std::vector<std::string> contents = {"", "x", std::string(3'000'000, 'a')};
  for (int i = 0; i < 300; ++i) {
    std::string bytes(random() % 5000, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % (i % 2 == 0 ? 256 : 4));
    contents.push_back(bytes);
  }
  const auto writer = begin();
  for (const auto& bytes : contents) {
    const auto id = writer->add(ObjectKind::kBlob, bytes);
    ASSERT_TRUE(id);
    EXPECT_EQ(*id, hash_object(ObjectKind::kBlob, bytes));
    if (bytes.size() % 7 == 0) {
      EXPECT_EQ(writer->read(*id)->bytes, bytes);
    }
  }
  EXPECT_THAT(pack_files(), ::testing::Each(::testing::StartsWith("bennu_tmp_")));
  const auto result = writer->finish();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->objects, contents.size());
  ASSERT_EQ(pack_files().size(), 2U);
  for (const auto& name : pack_files()) {
    if (name.ends_with(".idx")) git(path(), {"verify-pack", "objects/pack/" + name});
    if (name.ends_with(".pack")) git(path(), {"index-pack", "--verify", "objects/pack/" + name});
  }
  expect_clean(path());
  for (const auto& bytes : contents) {
    EXPECT_EQ(repository_.read_blob(hash_object(ObjectKind::kBlob, bytes)).value(), bytes);
  }
}

TEST_F(PackWriterTest, TheIndexIsTheOneGitMakes) {
  const auto writer = begin();
  for (int i = 0; i < 1000; ++i)
    ASSERT_TRUE(writer->add(ObjectKind::kBlob, "blob " + std::to_string(i)));
  ASSERT_TRUE(writer->finish());
  for (const auto& name : pack_files()) {
    if (!name.ends_with(".pack")) continue;
    const fs::path pack = path() / "objects" / "pack" / name;
    git(path(), {"index-pack", "-o", (dir_.path() / "theirs.idx").string(), pack.string()});
    fs::path ours = pack;
    EXPECT_EQ(git(path(), {"hash-object", ours.replace_extension(".idx").string()}),
              git(path(), {"hash-object", (dir_.path() / "theirs.idx").string()}));
  }
}

TEST_F(PackWriterTest, WritesAnObjectOnceAndNotWhatIsThere) {
  const auto first = begin();
  ASSERT_TRUE(first->add(ObjectKind::kBlob, "twice"));
  ASSERT_TRUE(first->add(ObjectKind::kBlob, "twice"));
  EXPECT_EQ(first->finish()->objects, 1U);
  const auto second = begin();
  ASSERT_TRUE(second->add(ObjectKind::kBlob, "twice"));
  EXPECT_EQ(second->finish()->objects, 0U);
  EXPECT_EQ(pack_files().size(), 2U);
  const auto unchecked = begin({.skip_existing = false});
  ASSERT_TRUE(unchecked->add(ObjectKind::kBlob, "twice"));
  EXPECT_EQ(unchecked->finish()->objects, 1U);
  expect_clean(path());
}

TEST_F(PackWriterTest, AnUnfinishedPackLeavesNothing) {
  {
    const auto writer = begin();
    ASSERT_TRUE(writer->add(ObjectKind::kBlob, std::string(2'000'000, 'q')));
    EXPECT_EQ(pack_files().size(), 1U);
  }
  EXPECT_TRUE(pack_files().empty());
}

TEST_F(PackWriterTest, AChainOfCommitsIsOnePackWithoutLooseObjects) {
  const auto writer = begin();
  ObjectId tree;
  CommitInfo commit{.author = {.name = "A", .email = "a@b", .time_s = 1},
                    .committer = {.name = "A", .email = "a@b"}};
  for (int i = 0; i < 20; ++i) {
    TreeEditor editor(*writer, tree, {});
    const auto blob = writer->add(ObjectKind::kBlob, std::to_string(i));
    ASSERT_TRUE(editor.set("dir/" + std::to_string(i % 7), mode::kFile, *blob));
    tree = editor.finish().value();
    commit.tree = tree;
    commit.message = "commit " + std::to_string(i);
    const auto id = writer->add(ObjectKind::kCommit, format_commit(commit).value());
    commit.parents = {*id};
  }
  ASSERT_TRUE(writer->finish());
  ASSERT_TRUE(repository_.update_ref("refs/heads/main", commit.parents[0], std::nullopt));
  EXPECT_EQ(git(path(), {"rev-list", "--count", "main"}), "20");
  EXPECT_EQ(git(path(), {"show", "main:dir/5"}), "19");
  EXPECT_EQ(pack_files().size(), 2U);
  EXPECT_THAT(git(path(), {"count-objects"}), ::testing::StartsWith("0 objects"));
  expect_clean(path());
}

TEST_F(PackWriterTest, OffsetsAndSlotsSurviveManyObjects) {
  const auto writer = begin({.skip_existing = false});
  constexpr int kCount = 60'000;
  for (int i = 0; i < kCount; ++i) ASSERT_TRUE(writer->add(ObjectKind::kBlob, std::to_string(i)));
  EXPECT_EQ(writer->finish()->objects, static_cast<std::uint64_t>(kCount));
  expect_clean(path());
}

// Killed again and again at another point: what was finished stays whole, the rest leaves no trace.
TEST_F(PackWriterTest, AKilledWriterLeavesACleanRepository) {
  for (int round = 0; round < 4; ++round) {
    std::array<int, 2> progress{};
    ASSERT_EQ(::pipe(progress.data()), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int pack = 0;; ++pack) {
        auto writer = PackWriter::begin(repository_, {.skip_existing = false});
        for (int i = 0; writer && i < 5000; ++i) {
          if (!(*writer)->add(
                  ObjectKind::kBlob,
                  std::to_string(round) + "/" + std::to_string(pack) + "/" + std::to_string(i))) {
            ::_exit(1);
          }
          if (i % 1000 == 0 && ::write(progress[1], "x", 1) != 1) ::_exit(1);
        }
        if (!writer || !(*writer)->finish()) ::_exit(1);
      }
    }
    ::close(progress[1]);
    char byte = 0;
    for (int i = 0; i < 5 + round * 3; ++i) ASSERT_EQ(::read(progress[0], &byte, 1), 1);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(progress[0]);
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_TRUE(Repository::open(path(), OpenMode::kOwner));
    EXPECT_THAT(pack_files(),
                ::testing::Not(::testing::Contains(::testing::StartsWith("bennu_tmp_"))));
    expect_clean(path());
  }
}

// A limit on file sizes stands for a full disk: the same path through the code.
TEST_F(PackWriterTest, AFullDiskLeavesNothing) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 3'000'000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::mt19937 random(1);
  std::optional<Error> error;
  {
    const auto writer = begin();
    for (int i = 0; i < 100 && !error; ++i) {
      std::string bytes(100'000, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
      const auto id = writer->add(ObjectKind::kBlob, bytes);
      if (!id) error = id.error();
    }
    EXPECT_FALSE(writer->finish());
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::kResourceExhausted);
  EXPECT_EQ(error->reason, reason::kNoSpace);
  EXPECT_TRUE(pack_files().empty());
  expect_clean(path());
}

TEST_F(PackWriterTest, SaysWhenTheFolderIsGone) {
  fs::remove_all(path() / "objects" / "pack");
  const auto writer = PackWriter::begin(repository_);
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, Code::kUnavailable);
  EXPECT_THAT(writer.error().message, ::testing::HasSubstr("objects/pack"));
}

}  // namespace
}  // namespace bennu::git
