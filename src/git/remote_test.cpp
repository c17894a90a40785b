#include "git/remote.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "env/temp_dir.hpp"
#include "git/commit.hpp"
#include "git/git_program.hpp"
#include "git/git_program_for_tests.hpp"
#include "git/maintenance.hpp"
#include "git/pack_writer.hpp"
#include "git/reasons.hpp"
#include "git/tree_editor.hpp"

namespace bennu::git {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Ours, a bare remote, and a colleague's clone of it.
class RemoteTest : public ::testing::Test {
 protected:
  RemoteTest() : ours_(std::move(*Repository::init_bare(dir_.path() / "ours.git"))) {
    git(dir_.path(), {"init", "-q", "--bare", "remote.git"});
    git(dir_.path(), {"clone", "-q", "remote.git", "colleague"});
    first_ = colleague_commits("first");
  }

  [[nodiscard]] fs::path remote() const { return dir_.path() / "remote.git"; }
  [[nodiscard]] fs::path colleague() const { return dir_.path() / "colleague"; }
  [[nodiscard]] std::string url() const { return remote().string(); }

  ObjectId colleague_commits(const std::string& text) {
    std::ofstream(colleague() / "file") << text;
    git(colleague(), {"add", "-A"});
    git(colleague(), {"commit", "-q", "-m", text});
    git(colleague(), {"push", "-q", "origin", "HEAD:main"});
    return id_of(git(colleague(), {"rev-parse", "HEAD"}));
  }

  ObjectId we_commit(const ObjectId& parent, const std::string& text) {
    const auto writer = std::move(*PackWriter::begin(ours_));
    const ObjectId base = ours_.read_commit(parent)->tree;
    TreeEditor editor(*writer, base, {});
    EXPECT_TRUE(
        editor.set("ours/" + text, mode::kFile, writer->add(ObjectKind::kBlob, text).value()));
    const Signature who{.name = "Bennu", .email = "bennu@example.org", .time_s = 1'700'000'000};
    const CommitInfo commit{.tree = editor.finish().value(),
                            .parents = {parent},
                            .author = who,
                            .committer = who,
                            .message = text};
    const ObjectId id = writer->add(ObjectKind::kCommit, format_commit(commit).value()).value();
    EXPECT_TRUE(writer->finish());
    return id;
  }

  static void expect_one_line(const Error& error) {
    EXPECT_THAT(error.message, AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\r"))));
  }

  env::TempDir dir_;
  Repository ours_;
  ObjectId first_;
};

TEST_F(RemoteTest, FetchesFirstAndThenWhatIsNew) {
  const auto first = fetch(ours_, url(), {});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->default_branch, "main");
  EXPECT_EQ(first->branches.at("main"), first_);
  EXPECT_EQ(ours_.resolve_commit("main").value(), first_);
  const ObjectId second = colleague_commits("second");
  git(colleague(), {"push", "-q", "origin", "HEAD:other"});
  const auto again = fetch(ours_, url(), {});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->branches.at("main"), second);
  EXPECT_EQ(again->branches.size(), 2U);
  EXPECT_EQ(again->default_branch, "main");
  EXPECT_EQ(ours_.find_ref("refs/remotes/origin/main").value(), second);
  git(colleague(), {"push", "-q", "origin", ":other"});
  EXPECT_EQ(fetch(ours_, url(), {})->branches.size(), 1U);
  EXPECT_EQ(fetch(ours_, url(), {}, "main")->branches.at("main"), second);
  EXPECT_EQ(fetch(ours_, url(), {}, "none").error().reason, reason::kNotFound);
  expect_clean(ours_.path());
}

TEST_F(RemoteTest, AFetchLeavesNoLooseObjects) {
  ASSERT_TRUE(fetch(ours_, "file://" + url(), {}));
  colleague_commits("second");
  ASSERT_TRUE(fetch(ours_, url(), {}));
  EXPECT_THAT(git(ours_.path(), {"count-objects"}), ::testing::StartsWith("0 objects"));
}

TEST_F(RemoteTest, FollowsARewrittenHistory) {
  ASSERT_TRUE(fetch(ours_, url(), {}));
  git(colleague(), {"commit", "-q", "--amend", "-m", "rewritten"});
  git(colleague(), {"push", "-q", "--force", "origin", "HEAD:main"});
  const auto result = fetch(ours_, url(), {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->branches.at("main").hex(), git(colleague(), {"rev-parse", "HEAD"}));
}

TEST_F(RemoteTest, AnEmptyRemoteHasNoBranches) {
  git(dir_.path(), {"init", "-q", "--bare", "empty.git"});
  const auto result = fetch(ours_, (dir_.path() / "empty.git").string(), {});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(result->branches.empty());
}

TEST_F(RemoteTest, PushesOnlyWhatAddsToTheRemote) {
  ASSERT_TRUE(fetch(ours_, url(), {}));
  const ObjectId mine = we_commit(first_, "mine");
  std::vector<std::string> progress;
  ASSERT_TRUE(push(ours_, url(), "main", mine,
                   {.on_progress = [&](std::string_view line) { progress.emplace_back(line); }}));
  EXPECT_EQ(git(remote(), {"rev-parse", "main"}), mine.hex());
  EXPECT_EQ(ours_.find_ref("refs/remotes/origin/main").value(), mine);
  EXPECT_FALSE(progress.empty());
  EXPECT_TRUE(push(ours_, url(), "main", mine, {}));
  EXPECT_TRUE(push(ours_, url(), "new", mine, {}));
  EXPECT_EQ(git(remote(), {"rev-parse", "new"}), mine.hex());

  git(colleague(), {"pull", "-q", "--rebase", "origin", "main"});
  const ObjectId theirs = colleague_commits("theirs");
  const auto rejected = push(ours_, url(), "main", we_commit(mine, "late"), {});
  ASSERT_FALSE(rejected);
  EXPECT_EQ(rejected.error().code, Code::kAborted);
  EXPECT_EQ(rejected.error().reason, reason::kNotFastForward);
  EXPECT_EQ(rejected.error().effect, Effect::kNone);
  expect_one_line(rejected.error());
  EXPECT_EQ(git(remote(), {"rev-parse", "main"}), theirs.hex());
  // Also with their commits here: theirs is not below ours.
  ASSERT_TRUE(fetch(ours_, url(), {}));
  EXPECT_EQ(push(ours_, url(), "main", mine, {}).error().reason, reason::kNotFastForward);
  expect_clean(remote());
}

TEST_F(RemoteTest, NamesWhyAPushWasRefused) {
  ASSERT_TRUE(fetch(ours_, url(), {}));
  const ObjectId mine = we_commit(first_, "mine");
  const fs::path hook = remote() / "hooks" / "pre-receive";
  fs::create_directories(hook.parent_path());
  std::ofstream(hook) << "#!/bin/sh\necho 'only on Tuesdays'\nexit 1\n";
  fs::permissions(hook, fs::perms::owner_all);
  const auto declined = push(ours_, url(), "main", mine, {});
  ASSERT_FALSE(declined);
  EXPECT_EQ(declined.error().reason, reason::kPushDeclined);
  EXPECT_THAT(declined.error().message, HasSubstr("only on Tuesdays"));
  expect_one_line(declined.error());

  const std::string branch = git(colleague(), {"rev-parse", "--abbrev-ref", "HEAD"});
  const auto checked_out = push(ours_, colleague().string(), branch, mine, {});
  ASSERT_FALSE(checked_out);
  EXPECT_EQ(checked_out.error().reason, reason::kCheckedOut) << checked_out.error().message;
  expect_one_line(checked_out.error());

  const auto missing = push(ours_, (dir_.path() / "nowhere").string(), "main", mine, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, reason::kNotARepository) << missing.error().message;
  expect_one_line(missing.error());
}

TEST_F(RemoteTest, NamesWhyARemoteCannotBeRead) {
  const auto missing = fetch(ours_, (dir_.path() / "nowhere").string(), {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, reason::kNotARepository) << missing.error().message;
  // Port 1 of this machine: nothing listens there.
  const auto refused = fetch(ours_, "git://127.0.0.1:1/x.git", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, reason::kRemoteUnreachable) << refused.error().message;
  std::ofstream(dir_.path() / "text") << "not a bundle";
  const auto text = fetch(ours_, (dir_.path() / "text").string(), {});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().reason, reason::kNotARepository) << text.error().message;
  git(dir_.path(), {"clone", "-q", "--depth=1", "file://" + url(), "shallow"});
  colleague_commits("second");
  git(dir_.path(), {"-C", "shallow", "fetch", "-q", "--depth=1"});
  git(dir_.path(), {"-C", "shallow", "reset", "-q", "--hard", "FETCH_HEAD"});
  const auto shallow = fetch(ours_, (dir_.path() / "shallow").string(), {});
  ASSERT_FALSE(shallow);
  EXPECT_EQ(shallow.error().reason, reason::kTruncated) << shallow.error().message;
  ASSERT_TRUE(fetch(ours_, url(), {}));
  colleague_commits("third");
  colleague_commits("fourth");
  git(dir_.path(), {"-C", "shallow", "fetch", "-q", "--depth=1"});
  git(dir_.path(), {"-C", "shallow", "reset", "-q", "--hard", "FETCH_HEAD"});
  const auto later = fetch(ours_, "file://" + (dir_.path() / "shallow").string(), {});
  for (const auto* result : {&missing, &refused, &text, &shallow}) expect_one_line(result->error());
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().reason, reason::kTruncated) << later.error().message;
}

TEST_F(RemoteTest, TakesABundleAndRefusesHalfOfOne) {
  for (int i = 0; i < 30; ++i) colleague_commits("commit " + std::to_string(i));
  const ObjectId head = id_of(git(colleague(), {"rev-parse", "HEAD"}));
  const fs::path bundle = dir_.path() / "all.bundle";
  git(colleague(), {"bundle", "create", "-q", bundle.string(), "main"});
  const std::uintmax_t size = fs::file_size(bundle);
  for (const std::uintmax_t cut :
       {size - 1, size - 30, size / 2, std::uintmax_t{150}, std::uintmax_t{30}}) {
    const fs::path part = dir_.path() / "part.bundle";
    fs::copy_file(bundle, part, fs::copy_options::overwrite_existing);
    fs::resize_file(part, cut);
    const auto result = fetch(ours_, part.string(), {});
    ASSERT_FALSE(result) << cut;
    EXPECT_EQ(result.error().reason, reason::kTruncated) << cut << ": " << result.error().message;
    expect_one_line(result.error());
    EXPECT_TRUE(ours_.list_refs("")->empty());
  }
  git(colleague(),
      {"bundle", "create", "-q", (dir_.path() / "tail.bundle").string(), "main", "^main~3"});
  EXPECT_EQ(fetch(ours_, (dir_.path() / "tail.bundle").string(), {}).error().reason,
            reason::kTruncated);
  const auto whole = fetch(ours_, bundle.string(), {});
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->default_branch, "main");
  EXPECT_EQ(whole->branches.at("main"), head);
  // The tail fits now.
  EXPECT_TRUE(fetch(ours_, (dir_.path() / "tail.bundle").string(), {}));
  expect_clean(ours_.path());
}

TEST_F(RemoteTest, StopsWhenAsked) {
  std::stop_source stop;
  stop.request_stop();
  const auto result = fetch(ours_, url(), {.stop = stop.get_token()});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kCancelled);
}

TEST_F(RemoteTest, MaintenanceMergesPacksAndLosesNothing) {
  ASSERT_TRUE(fetch(ours_, url(), {}));
  ObjectId head = first_;
  std::vector<ObjectId> commits;
  ASSERT_TRUE(ours_.update_ref("refs/heads/main", head, std::nullopt));
  for (int i = 0; i < 25; ++i) {
    const ObjectId next = we_commit(head, std::to_string(i));
    ASSERT_TRUE(ours_.update_ref("refs/heads/main", next, head));
    head = next;
    commits.push_back(next);
  }
  const ObjectId unreachable = we_commit(head, "named by an intent only");
  auto other = std::move(*ours_.another_handle());
  ASSERT_TRUE(other.read_commit(commits[3]));
  EXPECT_EQ(count_packs(ours_), 27U);
  EXPECT_EQ(maintain(ours_, {.max_packs = 100})->packs_after, 27U);
  const auto result = maintain(ours_, {.max_packs = 20});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->packs_before, 27U);
  EXPECT_LE(result->packs_after, 5U);
  EXPECT_TRUE(ours_.read_commit(unreachable));
  for (const auto& commit : commits) EXPECT_TRUE(other.read_commit(commit));
  EXPECT_TRUE(ours_.is_ancestor(first_, head).value());
  EXPECT_THAT(git(ours_.path(), {"count-objects"}), ::testing::StartsWith("0 objects"));
  git(ours_.path(), {"commit-graph", "verify"});
  expect_clean(ours_.path());
}

TEST_F(RemoteTest, PacksAreMergedWithoutGitToo) {
  colleague_commits("second");
  ASSERT_TRUE(fetch(ours_, "file://" + url(), {}));
  const ObjectId base = ours_.resolve_commit("main").value();
  std::vector<ObjectId> commits;
  for (int i = 0; i < 12; ++i) commits.push_back(we_commit(base, std::to_string(i)));
  ASSERT_EQ(count_packs(ours_), 13U);
  ASSERT_TRUE(merge_packs(ours_, {}));
  EXPECT_LE(count_packs(ours_), 2U);
  for (const auto& commit : commits) EXPECT_TRUE(ours_.read_commit(commit));
  EXPECT_TRUE(ours_.read_commit(base));
  const std::size_t merged = count_packs(ours_);
  ASSERT_TRUE(merge_packs(ours_, {}));
  EXPECT_EQ(count_packs(ours_), merged);
  expect_clean(ours_.path());
}

// A merge costs what is new, not what is there.
TEST_F(RemoteTest, ALargePackIsNotMergedWithSmallOnes) {
  ASSERT_TRUE(fetch(ours_, url(), {}));
  const auto writer = std::move(*PackWriter::begin(ours_));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(writer->add(ObjectKind::kBlob, "large " + std::to_string(i)));
  }
  const fs::path large = ours_.path() / "objects" / "pack" / (writer->finish()->name + ".pack");
  for (const bool by_git : {true, false}) {
    SCOPED_TRACE(by_git ? "by git" : "without git");
    for (int i = 0; i < 10; ++i) we_commit(first_, std::to_string(by_git ? i : 10 + i));
    EXPECT_GE(count_packs(ours_), 12U);
    ASSERT_TRUE(by_git ? maintain(ours_, {.max_packs = 5}).has_value()
                       : merge_packs(ours_, {}).has_value());
    EXPECT_TRUE(fs::exists(large));
    EXPECT_LE(count_packs(ours_), 4U);
  }
}

TEST(GitProgram, ShowsNoPasswords) {
  EXPECT_EQ(shown_url("https://ada:secret@example.org/x.git"), "https://…@example.org/x.git");
  EXPECT_EQ(shown_url("https://token@example.org/x.git"), "https://…@example.org/x.git");
  EXPECT_EQ(shown_url("https://me@corp:secret@example.org/x"), "https://…@example.org/x");
  EXPECT_EQ(shown_url("ssh://git@example.org/x.git"), "ssh://git@example.org/x.git");
  EXPECT_EQ(shown_url("https://example.org:8443/a@b"), "https://example.org:8443/a@b");
  EXPECT_EQ(shown_url("git@example.org:x.git"), "git@example.org:x.git");
}

TEST(GitProgram, QuotesNoPasswordsOfGit) {
  const auto said = git_error("x", "fatal: could not read Password for 'http://token@h': no\n");
  EXPECT_EQ(said.message.find("token"), std::string::npos) << said.message;
  EXPECT_EQ(without_credentials("to https://a:b@h/x.git and ssh://git@h/y, see http://h/@z"),
            "to https://…@h/x.git and ssh://git@h/y, see http://h/@z");
}

TEST(GitProgram, NamesTheUsualFailures) {
  const auto reason_of = [](std::string_view said) { return git_error("x", said).reason; };
  EXPECT_EQ(reason_of("git@github.com: Permission denied (publickey).\nfatal: Could not read from "
                      "remote repository.\n"),
            reason::kAuth);
  EXPECT_EQ(
      reason_of("fatal: could not read Username for 'https://h': terminal prompts disabled\n"),
      reason::kAuth);
  EXPECT_EQ(reason_of("fatal: unable to access 'https://h/': Could not resolve host: h\n"),
            reason::kRemoteUnreachable);
  EXPECT_EQ(
      reason_of("ERROR: Repository not found.\nfatal: Could not read from remote repository.\n"),
      reason::kNotARepository);
  EXPECT_EQ(reason_of("fatal: write error: No space left on device\nfatal: index-pack failed\n"),
            reason::kNoSpace);
  EXPECT_THAT(git_error("x",
                        "Cloning into bare repository 'x'...\nssh: Could not resolve hostname h: "
                        "Name or service not known\r\nfatal: Could not read from remote "
                        "repository.\n")
                  .message,
              HasSubstr("hostname h"));
  EXPECT_EQ(git_error("x", "something new\n").code, Code::kInternal);
}

}  // namespace
}  // namespace bennu::git
