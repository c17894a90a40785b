#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "env/temp_dir.hpp"
#include "git/bulk_tree_writer.hpp"
#include "git/git_program_for_tests.hpp"
#include "git/pack_set.hpp"
#include "git/reasons.hpp"
#include "git/tree_walk.hpp"

namespace bennu::git {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileWalk : public ::testing::Test {
 protected:
  FileWalk() : repository_(std::move(*Repository::init_bare(dir_.path() / "repo.git"))) {}

  ObjectId write(const std::map<std::string, std::string>& files) {
    const auto writer = std::move(*PackWriter::begin(repository_));
    BulkTreeWriter bulk(*writer, {});
    for (const auto& [path, bytes] : files) EXPECT_TRUE(bulk.add(path, mode::kFile, bytes));
    const ObjectId root = bulk.finish().value();
    EXPECT_TRUE(writer->finish());
    return root;
  }

  std::map<std::string, std::string> read(const ObjectId& root, const ReadOptions& options = {}) {
    std::map<std::string, std::string> files;
    std::string last;
    const Status status =
        walk_files(repository_, root, options, [&](const FileVisit& file) -> Status {
          files.emplace(file.path, file.bytes ? std::string(*file.bytes)
                                              : "size " + std::to_string(file.size_bytes));
          return {};
        });
    EXPECT_TRUE(status) << status.error().message;
    return files;
  }

  env::TempDir dir_;
  Repository repository_;
};

// Many similar files, so that git's repack makes long chains of deltas of blobs and trees.
std::map<std::string, std::string> similar_files() {
  std::mt19937 random(5);
  std::map<std::string, std::string> files;
  std::string text(3000, 'x');
  for (int i = 0; i < 3000; ++i) {
    text[random() % text.size()] = static_cast<char>('a' + random() % 26);
    files["dir" + std::to_string(i % 50) + "/file" + std::to_string(i)] =
        i % 7 == 0 ? std::to_string(i) : text;
  }
  return files;
}

TEST_F(FileWalk, ReadsEveryFileInOrder) {
  const auto files = similar_files();
  const ObjectId root = write(files);
  std::vector<std::string> order;
  ASSERT_TRUE(walk_tree(repository_, root,
                        [&](std::string_view path, const TreeEntry& entry) -> Result<Walk> {
                          if (!entry.is_tree()) order.emplace_back(path);
                          return Walk::kContinue;
                        }));
  std::vector<std::string> visited;
  ASSERT_TRUE(walk_files(repository_, root, {.threads = 3, .window_bytes = 100'000},
                         [&](const FileVisit& file) -> Status {
                           EXPECT_EQ(*file.bytes, files.at(std::string(file.path)));
                           visited.emplace_back(file.path);
                           return {};
                         }));
  EXPECT_EQ(visited, order);
}

TEST_F(FileWalk, ReadsDeltasLooseObjectsAndOldIndexes) {
  const auto files = similar_files();
  const ObjectId root = write(files);
  git(repository_.path(), {"update-ref", "refs/tags/root", root.hex()});
  git(repository_.path(), {"repack", "-adfq", "--depth=50", "--window=20"});
  const PackSet packs = PackSet::open(repository_);
  ASSERT_EQ(packs.packs().size(), 1U);
  PackReader reader(packs);
  for (const auto& [path, bytes] : files) {
    std::string out;
    ASSERT_TRUE(reader.read(hash_object(ObjectKind::kBlob, bytes), UINT64_MAX, out)) << path;
    ASSERT_EQ(out, bytes);
  }
  EXPECT_EQ(read(root), files);
  git(repository_.path(), {"-c", "pack.indexVersion=1", "repack", "-adfq"});
  EXPECT_TRUE(PackSet::open(repository_).packs().empty());
  EXPECT_EQ(read(root), files);
  const fs::path pack_folder = repository_.path() / "objects" / "pack";
  for (const auto& entry : fs::directory_iterator(pack_folder)) {
    if (entry.path().extension() != ".pack") continue;
    fs::rename(entry.path(), dir_.path() / "moved.pack");
    std::ifstream in(dir_.path() / "moved.pack", std::ios::binary);
    fs::remove_all(pack_folder);
    fs::create_directory(pack_folder);
    git(repository_.path(), {"unpack-objects", "-q"}, {std::istreambuf_iterator<char>(in), {}});
    break;
  }
  EXPECT_EQ(read(root), files);
}

TEST_F(FileWalk, LargeBlobsAreReportedBySize) {
  const std::string large(200'000, 'l');
  const ObjectId root = write({{"large", large}, {"small", "s"}});
  const std::map<std::string, std::string> expected = {{"large", "size 200000"}, {"small", "s"}};
  EXPECT_EQ(read(root, {.max_blob_bytes = 1000}), expected);
  EXPECT_EQ(read(root, {.window_bytes = 10}).at("large"), large);
}

TEST_F(FileWalk, ReportsSubmodulesAndEmptyTrees) {
  const auto writer = std::move(*PackWriter::begin(repository_));
  BulkTreeWriter bulk(*writer, {});
  ASSERT_TRUE(bulk.add_id("sub", mode::kSubmodule, ObjectId::from_raw(std::string(20, 's'))));
  ASSERT_TRUE(bulk.add_id("none", mode::kTree, empty_tree_id()));
  ASSERT_TRUE(bulk.add("link", mode::kSymlink, "sub"));
  const ObjectId root = bulk.finish().value();
  ASSERT_TRUE(writer->finish());
  std::string seen;
  ASSERT_TRUE(walk_files(repository_, root, {}, [&](const FileVisit& file) -> Status {
    seen += std::string(file.path) + " " + mode::to_text(file.mode) +
            (file.bytes ? " " + std::string(*file.bytes) : "") + "\n";
    return {};
  }));
  EXPECT_EQ(seen, "link 120000 sub\nnone 40000\nsub 160000\n");
}

TEST_F(FileWalk, TheVisitorsErrorEndsTheWalk) {
  const ObjectId root = write(similar_files());
  int visits = 0;
  const Status status = walk_files(repository_, root, {}, [&](const FileVisit&) -> Status {
    if (++visits == 100) return make_error(Code::kCancelled, "enough");
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "enough");
  EXPECT_EQ(visits, 100);
}

TEST_F(FileWalk, ADamagedBlobIsNamedByItsPath) {
  std::map<std::string, std::string> files;
  for (int i = 0; i < 500; ++i)
    files["d/" + std::to_string(1000 + i)] = "content " + std::to_string(i);
  const ObjectId root = write(files);
  for (const auto& entry : fs::directory_iterator(repository_.path() / "objects" / "pack")) {
    if (entry.path().extension() != ".pack") continue;
    fs::permissions(entry.path(), fs::perms::owner_all);
    std::fstream pack(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(pack), {}};
    const auto at = bytes.find("content 250");
    ASSERT_NE(at, std::string::npos);
    pack.seekp(static_cast<std::streamoff>(at));
    pack.write("CONTENT", 7);
  }
  int visits = 0;
  const Status status = walk_files(repository_, root, {}, [&](const FileVisit& file) -> Status {
    EXPECT_EQ(*file.bytes, files.at(std::string(file.path)));
    ++visits;
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, reason::kCorrupt) << status.error().message;
  EXPECT_THAT(status.error().message, HasSubstr("`d/1250`"));
  EXPECT_EQ(visits, 250);
}

TEST_F(FileWalk, ReadsGivenBlobsInTheirOrder) {
  const auto files = similar_files();
  write(files);
  std::vector<ObjectId> ids;
  std::vector<std::string> contents;
  for (const auto& [path, bytes] : files) {
    ids.insert(ids.begin(), hash_object(ObjectKind::kBlob, bytes));
    contents.insert(contents.begin(), bytes);
  }
  std::size_t next = 0;
  ASSERT_TRUE(read_blobs(
      repository_, ids, {.threads = 2},
      [&](std::size_t index, std::uint64_t size, std::optional<std::string_view> bytes) -> Status {
        EXPECT_EQ(index, next++);
        EXPECT_EQ(*bytes, contents.at(index));
        EXPECT_EQ(size, bytes->size());
        return {};
      }));
  EXPECT_EQ(next, ids.size());
  const std::vector<ObjectId> missing = {hash_object(ObjectKind::kBlob, "missing")};
  const Status status = read_blobs(repository_, missing, {}, [](auto...) -> Status { return {}; });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, reason::kCorrupt);
}

}  // namespace
}  // namespace bennu::git
