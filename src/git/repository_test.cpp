#include "git/repository.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <latch>
#include <thread>

#include "env/temp_dir.hpp"
#include "git/git_program_for_tests.hpp"
#include "git/history.hpp"
#include "git/reasons.hpp"
#include "git/tree_walk.hpp"

namespace bennu::git {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

void write(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

// A clone with a work tree, made by git: three commits on main, a merge, a tag, a nested folder, a
// link.
class MadeByGit : public ::testing::Test {
 protected:
  MadeByGit() {
    git(path(), {"init", "-q", "."});
    write(path() / "users/1.json", "one");
    write(path() / "users/2.json", "two");
    write(path() / "readme", "hello");
    std::filesystem::create_symlink("readme", path() / "link");
    first_ = commit("first", 1'700'000'000);
    write(path() / "users/1.json", "changed");
    second_ = commit("second", 1'700'000'100);
    git(path(), {"checkout", "-q", "-b", "side", first_});
    write(path() / "side", "side");
    side_ = commit("side", 1'700'000'200);
    git(path(), {"checkout", "-q", "main"});
    git(path(), {"merge", "-q", "--no-edit", "side"});
    git(path(), {"tag", "-a", "v1", "-m", "tagged", second_});
    head_ = git(path(), {"rev-parse", "HEAD"});
  }

  [[nodiscard]] const std::filesystem::path& path() const { return dir_.path(); }

  std::string commit(const std::string& message, int time_s) {
    git(path(), {"add", "-A"});
    const std::string date = "@" + std::to_string(time_s) + " +0000";
    git(path(), {"-c", "core.commentChar=;", "commit", "-q", "-m", message, "--date", date});
    return git(path(), {"rev-parse", "HEAD"});
  }

  Repository open() {
    auto repository = Repository::open(path());
    EXPECT_TRUE(repository) << (repository ? "" : repository.error().message);
    return std::move(*repository);
  }

  env::TempDir dir_;
  std::string first_;
  std::string second_;
  std::string side_;
  std::string head_;
};

TEST_F(MadeByGit, ResolvesEveryWayToNameACommit) {
  const Repository repository = open();
  for (const std::string& revision :
       {head_, head_.substr(0, 8), std::string("main"), std::string("HEAD")}) {
    EXPECT_EQ(repository.resolve_commit(revision).value().hex(), head_) << revision;
  }
  EXPECT_EQ(repository.resolve_commit("v1").value().hex(), second_);
  EXPECT_EQ(repository.resolve_commit("HEAD^2").value().hex(), side_);
  for (const char* unknown :
       {"nope", "deadbeef", "", "a b", "0123456789012345678901234567890123456789", "HEAD:users"}) {
    const auto result = repository.resolve_commit(unknown);
    ASSERT_FALSE(result) << unknown;
    EXPECT_EQ(result.error().reason, reason::kNotFound) << unknown;
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  }
}

TEST_F(MadeByGit, ReadsObjectsTreesAndPaths) {
  const Repository repository = open();
  const auto commit = repository.read_commit(id_of(head_));
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->parents.size(), 2U);
  EXPECT_EQ(commit->tree.hex(), git(path(), {"rev-parse", "HEAD^{tree}"}));
  const auto found = repository.find_path(commit->tree, "users/1.json");
  ASSERT_TRUE(found && found->has_value());
  EXPECT_EQ(repository.read_blob((*found)->id).value(), "changed");
  EXPECT_EQ(repository.read_header((*found)->id)->size_bytes, 7U);
  EXPECT_FALSE(repository.find_path(commit->tree, "users/1.json/x").value());
  EXPECT_FALSE(repository.find_path(commit->tree, "none").value());
  EXPECT_TRUE(repository.contains((*found)->id));
  EXPECT_FALSE(repository.contains(hash_object(ObjectKind::kBlob, "never")));
  EXPECT_EQ(repository.read(hash_object(ObjectKind::kBlob, "never")).error().reason,
            reason::kCorrupt);
}

TEST_F(MadeByGit, WalksAndDiffsAsGitDoes) {
  const Repository repository = open();
  const ObjectId before = repository.read_commit(id_of(first_))->tree;
  const ObjectId after = repository.read_commit(id_of(head_))->tree;
  std::string walked;
  ASSERT_TRUE(walk_tree(repository, after,
                        [&](std::string_view path, const TreeEntry& entry) -> Result<Walk> {
                          walked += std::string(path) + " " + entry.id.hex() + "\n";
                          return Walk::kContinue;
                        }));
  EXPECT_EQ(walked,
            git(path(), {"ls-tree", "-r", "-t", "--format=%(path) %(objectname)", "HEAD"}) + "\n");
  std::string diff;
  ASSERT_TRUE(diff_trees(repository, before, after, [&](const TreeChange& change) -> Result<Walk> {
    diff += std::string(change.before == nullptr  ? "A"
                        : change.after == nullptr ? "D"
                                                  : "M") +
            "\t" + std::string(change.path) + "\n";
    return Walk::kContinue;
  }));
  EXPECT_EQ(diff,
            git(path(), {"diff-tree", "-r", "--name-status", before.hex(), after.hex()}) + "\n");
}

TEST_F(MadeByGit, LogsAsGitDoes) {
  const Repository repository = open();
  for (const std::string filter : {"", "users/1.json", "users", "side", "readme", "none"}) {
    std::string ours;
    ASSERT_TRUE(
        log(repository, id_of(head_), {.path = filter}, [&](const LogEntry& entry) -> Result<Walk> {
          ours += entry.id.hex() + "\n";
          return Walk::kContinue;
        }));
    std::vector<std::string> arguments = {"log", "--format=%H", head_, "--"};
    if (!filter.empty()) arguments.push_back(filter);
    const std::string expected = git(path(), arguments);
    EXPECT_EQ(ours, expected.empty() ? "" : expected + "\n") << filter;
  }
  int count = 0;
  ASSERT_TRUE(log(repository, id_of(head_), {.until = id_of(second_)},
                  [&](const LogEntry&) -> Result<Walk> {
                    ++count;
                    return Walk::kContinue;
                  }));
  EXPECT_EQ(std::to_string(count), git(path(), {"rev-list", "--count", second_ + ".." + head_}));
}

TEST_F(MadeByGit, KnowsAncestors) {
  const Repository repository = open();
  EXPECT_TRUE(repository.is_ancestor(id_of(first_), id_of(head_)).value());
  EXPECT_TRUE(repository.is_ancestor(id_of(head_), id_of(head_)).value());
  EXPECT_FALSE(repository.is_ancestor(id_of(side_), id_of(second_)).value());
  EXPECT_EQ(repository.merge_base(id_of(side_), id_of(second_)).value()->hex(), first_);
}

TEST(Repository, SaysWhenThereIsNone) {
  const env::TempDir dir;
  const auto result = Repository::open(dir.path());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, reason::kNotARepository);
  EXPECT_FALSE(Repository::open(dir.path() / "missing"));
}

TEST(Repository, NamesARepositoryOfTheOtherHash) {
  const env::TempDir dir;
  git(dir.path(), {"init", "-q", "--bare", "--object-format=sha256", "."});
  const auto result = Repository::open(dir.path());
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("SHA-256"));
}

TEST(Repository, ANewOneIsBareCleanAndOpensAgain) {
  const env::TempDir dir;
  const auto path = dir.path() / "deep" / "repo.git";
  const auto made = Repository::init_bare(path, "trunk");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->head_branch().value(), "trunk");
  EXPECT_EQ(git(path, {"rev-parse", "--is-bare-repository"}), "true");
  EXPECT_EQ(git(path, {"config", "gc.auto"}), "0");
  EXPECT_EQ(Repository::init_bare(path, "other")->head_branch().value(), "trunk");
  write(dir.path() / "full" / "file", "x");
  EXPECT_FALSE(Repository::init_bare(dir.path() / "full"));
}

TEST(Repository, TheOwnerRemovesWhatAKilledProcessLeft) {
  const env::TempDir dir;
  const auto path = dir.path() / "repo.git";
  ASSERT_TRUE(Repository::init_bare(path));
  for (const char* name : {"bennu_tmp_1", "tmp_pack_a1b2c3", "tmp_idx_a1b2c3"})
    write(path / "objects/pack" / name, "x");
  const auto graphs = path / "objects/info/commit-graphs";
  std::filesystem::create_directories(graphs);
  for (const char* name : {"commit-graph-chain.lock", "tmp_graph_a1b2c3"})
    write(graphs / name, "x");
  for (const char* name : {"refs/heads/main.lock", "HEAD.lock"}) write(path / name, "");
  ASSERT_TRUE(Repository::open(path, OpenMode::kReader));
  EXPECT_TRUE(std::filesystem::exists(path / "refs/heads/main.lock"));
  ASSERT_TRUE(Repository::open(path, OpenMode::kOwner));
  EXPECT_FALSE(std::filesystem::exists(path / "refs/heads/main.lock"));
  EXPECT_FALSE(std::filesystem::exists(path / "HEAD.lock"));
  EXPECT_TRUE(std::filesystem::is_empty(graphs));
  EXPECT_TRUE(std::filesystem::is_empty(path / "objects/pack"));
}

TEST_F(MadeByGit, RefsMoveOnlyFromWhereTheCallerSawThem) {
  Repository repository = open();
  const std::string name = "refs/heads/new/branch";
  EXPECT_EQ(repository.find_ref(name).value(), std::nullopt);
  EXPECT_EQ(repository.update_ref(name, id_of(first_), id_of(head_)).error().reason,
            reason::kRefMoved);
  ASSERT_TRUE(repository.update_ref(name, id_of(first_), std::nullopt));
  EXPECT_EQ(repository.update_ref(name, id_of(second_), std::nullopt).error().reason,
            reason::kRefMoved);
  ASSERT_TRUE(repository.update_ref(name, id_of(second_), id_of(first_)));
  EXPECT_EQ(git(path(), {"rev-parse", name}), second_);
  EXPECT_FALSE(repository.delete_ref(name, id_of(first_)));
  ASSERT_TRUE(repository.delete_ref(name, id_of(second_)));
  EXPECT_EQ(repository.find_ref(name).value(), std::nullopt);
  git(path(), {"pack-refs", "--all"});
  EXPECT_EQ(repository.update_ref("refs/heads/side", id_of(first_), std::nullopt).error().reason,
            reason::kRefMoved);
  EXPECT_TRUE(repository.update_ref("refs/heads/side", id_of(first_), id_of(side_)));
  const auto refs = repository.list_refs("refs/heads/");
  ASSERT_TRUE(refs);
  EXPECT_EQ(refs->size(), 2U);
}

TEST_F(MadeByGit, OfManyWhoMoveARefAtOnceOneWins) {
  const Repository repository = open();
  constexpr int kThreads = 8;
  for (const auto& expected : {std::optional<ObjectId>(), std::optional<ObjectId>(id_of(first_))}) {
    std::latch start(kThreads);
    std::atomic<int> wins = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        auto mine = repository.another_handle();
        ASSERT_TRUE(mine);
        start.arrive_and_wait();
        const ObjectId target = id_of(expected ? second_ : first_);
        if (mine->update_ref("refs/heads/raced", target, expected)) ++wins;
      });
    }
    threads.clear();
    EXPECT_EQ(wins, 1);
  }
}

}  // namespace
}  // namespace bennu::git
