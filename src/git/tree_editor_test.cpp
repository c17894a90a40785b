#include "git/tree_editor.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "env/temp_dir.hpp"
#include "git/bulk_tree_writer.hpp"
#include "git/git_program_for_tests.hpp"
#include "git/pack_writer.hpp"
#include "git/reasons.hpp"
#include "git/tree.hpp"
#include "git/tree_walk.hpp"

namespace bennu::git {
namespace {

using ::testing::HasSubstr;

struct Leaf {
  std::uint32_t mode = mode::kFile;
  std::string bytes;  // of a submodule: its 20 id bytes
};
// The state as logical paths: a path may be a file and have files below it. Empty directories
// apart.
struct State {
  std::map<std::string, Leaf> leaves;
  std::set<std::string> empties;
};

class TreeWriting : public ::testing::Test {
 protected:
  TreeWriting() : repository_(std::move(*Repository::init_bare(dir_.path() / "repo.git"))) {}

  std::unique_ptr<PackWriter> begin() {
    auto writer = PackWriter::begin(repository_);
    EXPECT_TRUE(writer);
    return std::move(*writer);
  }

  static ObjectId id_of_leaf(const Leaf& leaf) {
    return leaf.mode == mode::kSubmodule ? ObjectId::from_raw(leaf.bytes)
                                         : hash_object(ObjectKind::kBlob, leaf.bytes);
  }

  static Result<ObjectId> fill(BulkTreeWriter& bulk, const State& state, bool empties_early) {
    for (const auto& path : state.empties) {
      if (empties_early) BENNU_TRY(bulk.add_early(path, mode::kTree, empty_tree_id()));
    }
    for (const auto& [path, leaf] : state.leaves) {
      BENNU_TRY(leaf.mode == mode::kSubmodule ? bulk.add_id(path, leaf.mode, id_of_leaf(leaf))
                                              : bulk.add(path, leaf.mode, leaf.bytes));
    }
    for (const auto& path : state.empties) {
      if (!empties_early) BENNU_TRY(bulk.add_id(path, mode::kTree, empty_tree_id()));
    }
    return bulk.finish();
  }

  static Result<ObjectId> prove(const State& state, bool empties_early = true) {
    BulkTreeWriter bulk(BulkOptions{.rules = {.leaf_name = "%v"}, .threads = 2});
    return fill(bulk, state, empties_early);
  }

  ObjectId write(const State& state) {
    const auto writer = begin();
    Result<ObjectId> root;
    {
      BulkTreeWriter bulk(*writer, {.rules = {.leaf_name = "%v"}, .threads = 2});
      root = fill(bulk, state, false);
    }
    EXPECT_TRUE(root) << root.error().message;
    EXPECT_TRUE(writer->finish());
    return *root;
  }

  env::TempDir dir_;
  Repository repository_;
};

std::string random_path(std::mt19937& random) {
  static const std::vector<std::string> kNames = {"a",        "a-",   "a.b", "a0",      "b", "%2F",
                                                  "\xc3\xa9", "\xff", "x y", ".hidden", "Z"};
  std::string path;
  const auto depth = 1 + random() % 4;
  for (unsigned i = 0; i < depth; ++i)
    path += (i == 0 ? "" : "/") + kNames[random() % kNames.size()];
  return path;
}

Leaf random_leaf(std::mt19937& random) {
  static const std::vector<std::uint32_t> kModes = {mode::kFile,    mode::kFile,
                                                    mode::kFile,    mode::kExecutable,
                                                    mode::kSymlink, mode::kGroupWritable};
  if (random() % 12 == 0)
    return {.mode = mode::kSubmodule,
            .bytes = std::string(20, static_cast<char>('a' + random() % 20))};
  return {.mode = kModes[random() % kModes.size()],
          .bytes = "value " + std::to_string(random() % 1000)};
}

// git's own index is the judge (it takes neither empty directories nor mode 100664, nor files that
// are directories too).
TEST_F(TreeWriting, BulkTreesAreThoseOfWriteTree) {
  std::mt19937 random(3);
  for (int round = 0; round < 5; ++round) {
    State state;
    std::string index;
    std::set<std::string> directories;
    for (int i = 0; i < 200; ++i) {
      const std::string path = random_path(random);
      bool clash = directories.contains(path) || state.leaves.contains(path);
      for (auto slash = path.find('/'); slash != std::string::npos;
           slash = path.find('/', slash + 1)) {
        clash = clash || state.leaves.contains(path.substr(0, slash));
      }
      Leaf leaf = random_leaf(random);
      if (clash || leaf.mode == mode::kGroupWritable) continue;
      for (auto slash = path.find('/'); slash != std::string::npos;
           slash = path.find('/', slash + 1))
        directories.insert(path.substr(0, slash));
      index += mode::to_text(leaf.mode) + " " + id_of_leaf(leaf).hex() + "\t" + path +
               std::string(1, '\0');
      state.leaves.emplace(path, std::move(leaf));
    }
    const ObjectId root = write(state);
    EXPECT_EQ(prove(state).value(), root);
    std::filesystem::remove(repository_.path() / "index");
    git(repository_.path(), {"update-index", "-z", "--index-info"}, index);
    EXPECT_EQ(root.hex(), git(repository_.path(), {"write-tree"}));
    std::filesystem::remove(repository_.path() / "index");
    expect_clean(repository_.path());
  }
}

// The central property: whatever order changes come in, editing gives the tree that building from
// nothing gives.
TEST_F(TreeWriting, EditingGivesTheTreeThatBuildingGives) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    std::mt19937 random(seed);
    State state;
    ObjectId root = empty_tree_id();
    const auto writer = begin();
    for (int step = 0; step < 25; ++step) {
      TreeEditor editor(*writer, root, {.leaf_name = "%v", .keep = [&](std::string_view path) {
                                          return state.empties.contains(std::string(path));
                                        }});
      const auto changes = 1 + random() % (step % 5 == 0 ? 40 : 4);
      for (unsigned i = 0; i < changes; ++i) {
        const std::string path = random_path(random);
        switch (random() % 8) {
          case 0:
            state.empties.insert(path);
            break;
          case 1:
            state.empties.erase(path);
            break;
          case 2:
          case 3:
          case 4:
            state.leaves[path] = random_leaf(random);
            break;
          default:
            // Removing something that is there most of the time.
            if (const auto at = state.leaves.lower_bound(path); at != state.leaves.end()) {
              const std::string gone = at->first;
              state.leaves.erase(at);
              ASSERT_TRUE(state.empties.contains(gone)
                              ? editor.set(gone, mode::kTree, empty_tree_id())
                              : editor.remove(gone));
            }
            continue;
        }
        const auto leaf = state.leaves.find(path);
        if (leaf != state.leaves.end()) {
          if (leaf->second.mode != mode::kSubmodule) {
            ASSERT_TRUE(writer->add(ObjectKind::kBlob, leaf->second.bytes));
          }
          ASSERT_TRUE(editor.set(path, leaf->second.mode, id_of_leaf(leaf->second)));
        } else if (state.empties.contains(path)) {
          ASSERT_TRUE(editor.set(path, mode::kTree, empty_tree_id()));
        } else {
          ASSERT_TRUE(editor.remove(path));
        }
      }
      const auto edited = editor.finish();
      ASSERT_TRUE(edited) << "seed " << seed << " step " << step << ": " << edited.error().message;
      root = *edited;
      ASSERT_EQ(root, prove(state, true).value()) << "seed " << seed << " step " << step;
      ASSERT_EQ(root, prove(state, false).value())
          << "late empties, seed " << seed << " step " << step;
    }
    ASSERT_TRUE(writer->finish());
    if (!state.leaves.empty()) {
      EXPECT_EQ(write(state), root);
    }
  }
  expect_clean(repository_.path());
}

TEST_F(TreeWriting, FilesInAnyOrderGiveTheSameTree) {
  std::mt19937 random(11);
  State state;
  for (int i = 0; i < 300; ++i) state.leaves[random_path(random)] = random_leaf(random);
  const ObjectId expected = prove(state).value();
  std::vector<std::pair<std::string, Leaf>> shuffled(state.leaves.begin(), state.leaves.end());
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  BulkTreeWriter proof(BulkOptions{.rules = {.leaf_name = "%v"}});
  const auto writer = begin();
  BulkTreeWriter bulk(*writer, {.rules = {.leaf_name = "%v"}});
  for (const auto& [path, leaf] : shuffled) {
    for (BulkTreeWriter* target : {&proof, &bulk}) {
      ASSERT_TRUE(leaf.mode == mode::kSubmodule ? target->add_id(path, leaf.mode, id_of_leaf(leaf))
                                                : target->add(path, leaf.mode, leaf.bytes));
    }
  }
  EXPECT_EQ(proof.finish().value(), expected);
  EXPECT_EQ(bulk.finish().value(), expected);
  ASSERT_TRUE(writer->finish());
  expect_clean(repository_.path());
}

TEST_F(TreeWriting, ManyBatchesAndWideDirectories) {
  State state;
  for (int i = 0; i < 30'000; ++i) {
    const std::string n = std::to_string(i);
    state.leaves["wide/" + n] = {.bytes = n};
    if (i % 3 == 0)
      state.leaves["deep/" + n.substr(0, 1) + "/" + n + "/value"] = {.bytes =
                                                                         std::string(200, 'v') + n};
  }
  const ObjectId root = write(state);
  EXPECT_EQ(prove(state).value(), root);
  std::size_t files = 0;
  ASSERT_TRUE(walk_tree(repository_, root,
                        [&](std::string_view path, const TreeEntry& entry) -> Result<Walk> {
                          if (!entry.is_tree()) {
                            ++files;
                            EXPECT_EQ(entry.id, id_of_leaf(state.leaves.at(std::string(path))));
                          }
                          return Walk::kContinue;
                        }));
  EXPECT_EQ(files, state.leaves.size());
  expect_clean(repository_.path());
}

TEST_F(TreeWriting, LateFilesWithoutKeptTreesAreNamed) {
  BulkTreeWriter proof(BulkOptions{.rules = {.leaf_name = "%v"}, .proof_tree_bytes = 10});
  for (const char* path : {"a/1", "b/1", "a/2"}) ASSERT_TRUE(proof.add(path, mode::kFile, "x"));
  const auto root = proof.finish();
  ASSERT_FALSE(root);
  EXPECT_EQ(root.error().reason, reason::kOutOfOrder);
  EXPECT_THAT(root.error().message, HasSubstr("`a/2`"));
}

TEST_F(TreeWriting, RefusesWhatNoTreeMayHold) {
  const auto writer = begin();
  const ObjectId blob = writer->add(ObjectKind::kBlob, "x").value();
  for (const char* path :
       {"", "/a", "a/", "a//b", "a/../b", ".git/config", "x/.GIT", "a/git~1/b", ".gitmodules/x"}) {
    BulkTreeWriter bulk(*writer, {.rules = {.leaf_name = "%v"}});
    auto refused = bulk.add(path, mode::kFile, "x");
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().reason, reason::kBadName) << path;
    TreeEditor editor(*writer, {}, {});
    ASSERT_FALSE(editor.set(path, mode::kFile, blob)) << path;
  }
  TreeEditor editor(*writer, {}, {});
  EXPECT_FALSE(editor.set("a", 0100600, blob));
  EXPECT_FALSE(editor.set("a", mode::kFile, ObjectId{}));
  EXPECT_FALSE(editor.set(".gitmodules", mode::kSymlink, blob));
  BulkTreeWriter bulk(*writer, {.rules = {.leaf_name = "%v"}});
  ASSERT_TRUE(bulk.add("a", mode::kFile, "x"));
  ASSERT_TRUE(bulk.add("a", mode::kFile, "y"));
  EXPECT_THAT(bulk.finish().error().message, HasSubstr("given twice"));
}

TEST_F(TreeWriting, RefusesWhatIsTooDeep) {
  std::string path = "a";
  for (int i = 0; i < 3000; ++i) path += "/a";
  const auto writer = begin();
  const ObjectId blob = writer->add(ObjectKind::kBlob, "x").value();
  BulkTreeWriter bulk(*writer, {});
  EXPECT_EQ(bulk.add(path, mode::kFile, "x").error().reason, reason::kBadTree);
  TreeEditor editor(*writer, {}, {});
  EXPECT_EQ(editor.set(path, mode::kFile, blob).error().reason, reason::kBadTree);
  ObjectId tree = blob;
  for (int i = 0; i < 3000; ++i) {
    const TreeEntry entry{.name = "a", .mode = i == 0 ? mode::kFile : mode::kTree, .id = tree};
    tree = writer->add(ObjectKind::kTree, serialise_tree({entry})).value();
  }
  ASSERT_TRUE(writer->finish());
  const auto go_on = [](auto&&...) -> Result<Walk> { return Walk::kContinue; };
  EXPECT_EQ(walk_tree(repository_, tree, go_on).error().reason, reason::kBadTree);
  EXPECT_EQ(diff_trees(repository_, {}, tree, go_on).error().reason, reason::kBadTree);
  const auto visit = [](const FileVisit&) -> Status { return {}; };
  EXPECT_EQ(walk_files(repository_, tree, {}, visit).error().reason, reason::kBadTree);
}

TEST_F(TreeWriting, SpecialFilesAreJudgedByTheirContent) {
  const std::string good = "[submodule \"x\"]\n\tpath = x\n\turl = https://example.org/x\n";
  const std::string evil = "[submodule \"../x\"]\n\tpath = x\n\turl = -u./x\n";
  const std::string long_line(5000, 'a');
  const std::vector<std::tuple<std::string, std::string, bool>> cases = {
      {".gitmodules", good, true},          {".gitmodules", evil, false},
      {"sub/.GitModules", evil, false},     {".gitattributes", "* -text\n", true},
      {".gitattributes", long_line, false}, {"gitattributes", long_line, true}};
  for (const auto& [path, bytes, accepted] : cases) {
    const auto writer = begin();
    Result<ObjectId> root;
    {
      BulkTreeWriter bulk(*writer, {});
      ASSERT_TRUE(bulk.add(path, mode::kFile, bytes));
      root = bulk.finish();
    }
    EXPECT_EQ(root.has_value(), accepted) << path << " " << bytes.substr(0, 40);
    if (!root) {
      EXPECT_THAT(root.error().message, HasSubstr("`" + path + "`"));
    }
    TreeEditor editor(*writer, {}, {});
    const ObjectId blob = writer->add(ObjectKind::kBlob, bytes).value();
    EXPECT_EQ(editor.set(path, mode::kFile, blob).has_value(), accepted) << path;
    if (accepted) {
      EXPECT_TRUE(writer->finish());
    }
  }
  expect_clean(repository_.path());
}

// Hands on, and counts the trees that are read and written.
class CountingSink final : public ObjectSink {
 public:
  explicit CountingSink(PackWriter& pack) : pack_(pack) {}
  Result<ObjectId> add(ObjectKind kind, std::string_view bytes) override {
    written += kind == ObjectKind::kTree ? 1 : 0;
    return pack_.add(kind, bytes);
  }
  [[nodiscard]] Result<Object> read(const ObjectId& id) override {
    auto object = pack_.read(id);
    read_trees += object && object->kind == ObjectKind::kTree ? 1 : 0;
    return object;
  }
  [[nodiscard]] bool keeps_blobs() const override { return true; }

  int written = 0;
  int read_trees = 0;

 private:
  PackWriter& pack_;
};

TEST_F(TreeWriting, AChangeTouchesOnlyTheTreesOnItsWay) {
  State state;
  for (int i = 0; i < 6 * 6 * 6 * 6; ++i) {
    const std::string path = fmt::format("a{}/b{}/c{}/d{}", i / 216, i / 36 % 6, i / 6 % 6, i % 6);
    state.leaves[path] = {.bytes = std::to_string(i)};
  }
  ObjectId root = write(state);
  // The paths that change, and how many directories lead to them.
  const std::vector<std::pair<std::vector<std::string>, int>> cases = {
      {{"a1/b2/c3/d4"}, 4},
      {{"a1/b2/c3/d0", "a1/b2/c3/d5"}, 4},
      {{"a1/b2/c3/d1", "a1/b2/c0/d1", "a5/b5/c5/d5"}, 8},
      {{"a0/new/new"}, 3},
      {{"at the root"}, 1}};
  for (const auto& [paths, trees] : cases) {
    SCOPED_TRACE(paths[0]);
    const auto pack = begin();
    CountingSink sink(*pack);
    TreeEditor editor(sink, root, {.leaf_name = "%v"});
    for (const auto& path : paths) {
      state.leaves[path] = {.bytes = path};
      ASSERT_TRUE(editor.set(path, mode::kFile, sink.add(ObjectKind::kBlob, path).value()));
    }
    root = editor.finish().value();
    EXPECT_EQ(root, prove(state).value());
    EXPECT_EQ(sink.written, trees);
    EXPECT_LE(sink.read_trees, trees);
    EXPECT_EQ(pack->finish()->objects, paths.size() + static_cast<std::size_t>(trees));
  }
}

TEST_F(TreeWriting, ALeafMovesBelowItsDirectoryAndBack) {
  const auto writer = begin();
  const ObjectId one = writer->add(ObjectKind::kBlob, "1").value();
  const TreeRules rules{.leaf_name = "%v"};
  const auto edit = [&](const ObjectId& base,
                        const std::vector<std::pair<std::string, bool>>& changes) {
    TreeEditor editor(*writer, base, rules);
    for (const auto& [path, there] : changes)
      EXPECT_TRUE(there ? editor.set(path, mode::kFile, one) : editor.remove(path));
    return editor.finish().value();
  };
  const ObjectId leaf = edit({}, {{"a", true}});
  const ObjectId both = edit(leaf, {{"a/b", true}});
  EXPECT_EQ(edit({}, {{"a/b", true}, {"a", true}}), both);
  EXPECT_EQ(edit(both, {{"a/b", false}}), leaf);
  EXPECT_EQ(edit(both, {{"a", false}}), edit({}, {{"a/b", true}}));
  EXPECT_EQ(edit(both, {{"a", false}, {"a/b", false}}), empty_tree_id());
  EXPECT_EQ(edit(both, {{"a/none/deeper", false}}), both);
  // A file really called `%v` stays where the state says so.
  TreeEditor literal(*writer, {}, rules);
  ASSERT_TRUE(literal.set("a/%v", mode::kFile, one));
  ASSERT_TRUE(literal.set("z", mode::kFile, one));
  const ObjectId base = literal.finish().value();
  TreeEditor keeps(*writer, base, {.leaf_name = "%v", .keep = [](std::string_view path) {
                                     return path == "a/%v";
                                   }});
  ASSERT_TRUE(keeps.remove("a/x"));
  EXPECT_EQ(keeps.finish().value(), base);
  TreeEditor refuses(*writer, leaf, {});
  ASSERT_TRUE(refuses.set("a/b", mode::kFile, one));
  EXPECT_FALSE(refuses.finish());
}

}  // namespace
}  // namespace bennu::git
