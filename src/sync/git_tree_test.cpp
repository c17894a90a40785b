// The mapping on real Git trees: what the Git layer makes of the files (the leaf rule, empty
// directories, order) must come back, and a change of some keys must give the tree that the whole
// state gives.

#include <gtest/gtest.h>

#include <set>

#include "base/bytes.hpp"
#include "env/temp_dir.hpp"
#include "git/bulk_tree_writer.hpp"
#include "git/repository.hpp"
#include "git/tree_editor.hpp"
#include "git/tree_walk.hpp"
#include "sync/mapping_for_tests.hpp"

namespace bennu::sync {
namespace {

std::uint32_t git_mode(FileMode mode) { return static_cast<std::uint32_t>(mode); }

git::ObjectId entry_id(const TreeFile& file) {
  if (file.mode == FileMode::kEmptyTree) return git::empty_tree_id();
  return *git::ObjectId::from_hex(file.id);
}

class GitTree : public testing::TestWithParam<unsigned> {
 protected:
  GitTree() : repository_(std::move(*git::Repository::init_bare(dir_.path() / "repo.git"))) {
    auto ring = std::make_shared<KeyRing>();
    ring->add(1, "0123456789abcdef0123456789abcdef");
    documents_ = *Mapping::open(std::string(default_schema_text()), ring);
  }

  // The tree of a state, in the repository.
  git::ObjectId write(const Mapping& mapping, const State& state) {
    auto pack = std::move(*git::PackWriter::begin(repository_));
    git::ObjectId root;
    {
      TreeAssembler* asked = nullptr;
      const auto keep = [&](std::string_view path) { return asked->keeps(path); };
      git::BulkTreeWriter bulk(*pack, {.rules = {.leaf_name = "%v", .keep = keep}, .threads = 1});
      TreeAssembler assembler(mapping, probe_of(state), [&](const TreeFile& file) -> Status {
        return put(bulk, *pack, file);
      });
      asked = &assembler;
      for (const kv::KeyValue& kv : read(state, Mapping::record_ranges())) {
        expect(assembler.add_record(kv.key, kv.value));
      }
      for (const auto& [key, value] : state) expect(assembler.add(key, value, false));
      expect(assembler.finish());
      auto finished = bulk.finish();
      expect(finished);
      if (finished) root = *finished;
    }
    expect(pack->finish());
    return root;
  }

  static Status put(git::BulkTreeWriter& bulk, git::PackWriter& pack, const TreeFile& file) {
    if (!file.early) return bulk.add(file.path, git_mode(file.mode), file.bytes);
    if (!file.id.empty() || file.mode == FileMode::kEmptyTree) {
      return bulk.add_early(file.path, git_mode(file.mode), entry_id(file));
    }
    BENNU_ASSIGN(const auto id, pack.add(git::ObjectKind::kBlob, file.bytes));
    return bulk.add_early(file.path, git_mode(file.mode), id);
  }

  State parse_tree(const Mapping& mapping, const git::ObjectId& root) {
    State state;
    TreeParser parser(mapping, [&](std::string_view key, std::string_view value) -> Status {
      EXPECT_TRUE(state.emplace(key, value).second) << printable(key) << " twice";
      return {};
    });
    expect(git::walk_tree(
        repository_, root,
        [&](std::string_view path, const git::TreeEntry& entry) -> Result<git::Walk> {
          const bool empty = entry.id == git::empty_tree_id();
          if (entry.is_tree() && !empty) return git::Walk::kContinue;
          TreeFile file{.path = path, .mode = static_cast<FileMode>(entry.mode)};
          std::string bytes;
          const std::string id = entry.id.hex();
          if (entry.mode == git::mode::kSubmodule || !repository_.contains(entry.id)) {
            file.id = id;
            file.size = 2'000'000;
          } else if (!entry.is_tree()) {
            BENNU_ASSIGN(bytes, repository_.read_blob(entry.id));
            file.bytes = bytes;
          }
          BENNU_TRY(parser.add(file));
          return git::Walk::kContinue;
        }));
    expect(parser.finish());
    return state;
  }

  // What the driver does with changed keys.
  git::ObjectId edit(const Mapping& mapping, const git::ObjectId& base, const State& state,
                     const std::set<std::string>& changed) {
    auto pack = std::move(*git::PackWriter::begin(repository_));
    const auto find = [&](std::string_view key) -> std::optional<std::string> {
      const auto found = state.find(key);
      return found == state.end() ? std::nullopt : std::optional(found->second);
    };
    const auto keep = [&](std::string_view path) { return Mapping::keeps(path, find); };
    git::TreeEditor editor(*pack, base, {.leaf_name = "%v", .keep = keep});
    std::map<std::string, FileOf> files;
    for (const std::string& key : changed) {
      auto file = mapping.file_of(key);
      expect(file);
      if (file->kind != FileKind::kNone) files.emplace(file->path, std::move(*file));
    }
    for (const auto& [path, file] : files) {
      const auto built = mapping.build(file, read(state, file.reads));
      expect(built);
      if (!*built) {
        expect(editor.remove(path));
        continue;
      }
      const TreeFile out{.path = path, .mode = (*built)->mode, .id = (*built)->id};
      git::ObjectId id;
      if (out.id.empty() && out.mode != FileMode::kEmptyTree) {
        id = *pack->add(git::ObjectKind::kBlob, (*built)->bytes);
      } else {
        id = entry_id(out);
      }
      expect(editor.set(path, git_mode(out.mode), id));
    }
    auto root = editor.finish();
    expect(root);
    expect(pack->finish());
    return root ? *root : git::ObjectId{};
  }

  // Paths of which only one tree has this entry: `-` the first, `+` the second.
  std::string differences(const git::ObjectId& a, const git::ObjectId& b) {
    std::string out;
    expect(
        git::diff_trees(repository_, a, b, [&](const git::TreeChange& change) -> Result<git::Walk> {
          out += change.before != nullptr ? "\n-" : "\n+";
          out += change.after != nullptr && change.before != nullptr ? "+ " : " ";
          out += printable(change.path);
          return git::Walk::kContinue;
        }));
    return out;
  }

  template <class T>
  static void expect(const Result<T>& result) {
    EXPECT_TRUE(result) << result.error().message;
  }

  env::TempDir dir_;
  git::Repository repository_;
  Mapping raw_;
  Mapping documents_;
};
INSTANTIATE_TEST_SUITE_P(Seeds, GitTree, testing::Range(100U, 104U));

// fsck looks into these; the random values are no such content.
State without_special_files(State state) {
  std::erase_if(state, [](const auto& entry) {
    return entry.first.starts_with(kTreePrefix) && (entry.first.find(".git") != std::string::npos ||
                                                    entry.first.starts_with("/_bennu/tree/blob/"));
  });
  return state;
}

TEST_P(GitTree, StatesComeBackFromRealTrees) {
  const State state = without_special_files(random_state(GetParam(), 600));
  for (const Mapping* mapping : {&raw_, &documents_}) {
    const git::ObjectId root = write(*mapping, state);
    const State back = parse_tree(*mapping, root);
    for (const auto& [key, value] : back) {
      const auto found = state.find(key);
      ASSERT_TRUE(found != state.end() && found->second == value) << printable(key);
    }
    for (const auto& [key, value] : state) {
      if (key.starts_with(kTreePrefix)) continue;
      ASSERT_EQ(back.contains(key), Mapping::is_in_tree(mapping->classify(key).key_class))
          << printable(key);
    }
    EXPECT_EQ(write(*mapping, back), root);
  }
}

TEST_P(GitTree, ForeignTreesKeepTheirId) {
  Files files = random_tree(GetParam(), 600);
  std::erase_if(files, [](const auto& entry) {
    return entry.first.find(".git") != std::string::npos || entry.second.size > 0;
  });
  auto pack = std::move(*git::PackWriter::begin(repository_));
  git::ObjectId root;
  {
    git::BulkTreeWriter bulk(*pack, {.threads = 1});
    for (const auto& [path, file] : files) {
      TreeFile entry{.path = path, .mode = file.mode, .bytes = file.bytes, .id = file.id};
      if (!file.id.empty() || file.mode == FileMode::kEmptyTree) {
        expect(bulk.add_id(path, git_mode(file.mode), entry_id(entry)));
      } else {
        expect(put(bulk, *pack, entry));
      }
    }
    root = *bulk.finish();
  }
  expect(pack->finish());
  EXPECT_EQ(write(raw_, parse_tree(raw_, root)), root);
}

TEST_P(GitTree, SomeChangedKeysGiveTheTreeOfTheWholeState) {
  for (const Mapping* mapping : {&raw_, &documents_}) {
    State state = without_special_files(random_state(GetParam(), 300));
    git::ObjectId root = write(*mapping, state);
    std::mt19937 random(GetParam());
    for (int round = 0; round < 20; ++round) {
      std::set<std::string> changed;
      for (int i = 0; i < 10; ++i) {
        auto at = state.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random() % state.size()));
        changed.insert(at->first);
        if (random() % 2 == 0) {
          at->second = random_value(random);
        } else {
          state.erase(at);
        }
      }
      for (const auto& [key, value] :
           without_special_files(random_state(static_cast<unsigned>(random()), 10))) {
        changed.insert(key);
        state.insert_or_assign(key, value);
      }
      root = edit(*mapping, root, state, changed);
      const git::ObjectId whole = write(*mapping, state);
      ASSERT_EQ(root, whole) << "round " << round << differences(root, whole);
    }
  }
}

}  // namespace
}  // namespace bennu::sync
