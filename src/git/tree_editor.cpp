#include "git/tree_editor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/bytes.hpp"
#include "git/reasons.hpp"
#include "git/tree.hpp"

namespace bennu::git {
namespace {

using OptionalEntry = std::optional<TreeEntry>;

std::string join(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return fmt::format("{}/{}", directory, name);
}

Error bad_path(std::string_view path, std::string_view what) {
  return make_error(Code::kInvalidArgument, fmt::format("path `{}` {}", printable(path), what),
                    reason::kBadName);
}

}  // namespace

// What   the calls said of one path: its own change, and those below it.
struct TreeEditor::Node {
  enum class Change : std::uint8_t { kNone, kSet, kMakeDirectory, kEnsure, kRemove };
  Change change = Change::kNone;
  std::uint32_t mode = 0;
  ObjectId id;
  std::map<std::string, std::unique_ptr<Node>, std::less<>> children;
};

// Applies the changes bottom up. One call of `apply` per touched path, one read and one write per
// touched tree.
class TreeApply {
 public:
  TreeApply(ObjectSink& sink, const TreeRules& rules) : sink_(sink), rules_(rules) {}

  Result<ObjectId> root(const TreeEditor::Node& node, const ObjectId& base) {
    Directory directory;
    if (!base.is_null()) {
      BENNU_ASSIGN(directory.entries, load(base, ""));
    }
    BENNU_TRY(children(node, directory, ""));
    return write(std::move(directory.entries));
  }

 private:
  using Node = TreeEditor::Node;

  // A path as the state sees it: perhaps a file, perhaps entries below, perhaps a directory kept
  // though empty.
  struct Directory {
    OptionalEntry leaf;
    std::vector<TreeEntry> entries;
    bool kept_empty = false;
  };

  Result<std::vector<TreeEntry>> load(const ObjectId& id, std::string_view path) {
    if (id == empty_tree_id()) return std::vector<TreeEntry>{};
    BENNU_ASSIGN(const Object object, sink_.read(id));
    if (object.kind != ObjectKind::kTree) {
      return make_error(Code::kDataLoss,
                        fmt::format("object {} at `{}` is a {}, not a tree", id.hex(),
                                    printable(path), kind_name(object.kind)),
                        reason::kCorrupt);
    }
    return parse_tree(object.bytes, path);
  }

  Result<ObjectId> write(std::vector<TreeEntry> entries) {
    sort_entries(entries);
    return sink_.add(ObjectKind::kTree, serialise_tree(entries));
  }

  static auto find(std::vector<TreeEntry>& entries, std::string_view name) {
    return std::find_if(entries.begin(), entries.end(),
                        [&](const TreeEntry& entry) { return entry.name == name; });
  }

  // What stands at the path before the changes.
  Result<Directory> open(const OptionalEntry& before, std::string_view path) {
    Directory directory;
    if (!before) return directory;
    if (!before->is_tree()) {
      directory.leaf = before;
      return directory;
    }
    directory.kept_empty = before->id == empty_tree_id();
    BENNU_ASSIGN(directory.entries, load(before->id, path));
    if (rules_.leaf_name.empty()) return directory;
    const auto leaf = find(directory.entries, rules_.leaf_name);
    if (leaf != directory.entries.end() && !leaf->is_tree()) {
      directory.leaf = std::move(*leaf);
      directory.entries.erase(leaf);
    }
    return directory;
  }

  Status change_own(const Node& node, Directory& directory) {
    switch (node.change) {
      case Node::Change::kNone:
        break;
      case Node::Change::kSet:
        directory.leaf = TreeEntry{.name = "", .mode = node.mode, .id = node.id};
        break;
      case Node::Change::kMakeDirectory:
        directory.leaf.reset();
        directory.kept_empty = true;
        break;
      case Node::Change::kEnsure:
        directory.kept_empty = true;
        break;
      case Node::Change::kRemove:
        directory.leaf.reset();
        directory.kept_empty = false;
        break;
    }
    return {};
  }

  Status children(const Node& node, Directory& directory, std::string_view path) {
    std::vector<TreeEntry>& entries = directory.entries;
    // A wide directory with many changes: one pass over both, not one search each.
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    std::vector<TreeEntry> merged;
    merged.reserve(entries.size() + node.children.size());
    auto old = entries.begin();
    for (const auto& [name, child] : node.children) {
      for (; old != entries.end() && old->name < name; ++old) merged.push_back(std::move(*old));
      OptionalEntry before;
      if (old != entries.end() && old->name == name) before = std::move(*old++);
      BENNU_ASSIGN(OptionalEntry after, apply(*child, std::move(before), name, join(path, name)));
      if (after) merged.push_back(std::move(*after));
    }
    std::move(old, entries.end(), std::back_inserter(merged));
    entries = std::move(merged);
    return {};
  }

  Result<OptionalEntry> apply(const Node& node, OptionalEntry before, const std::string& name,
                              const std::string& path) {
    // Nothing below and nothing but a file before: no tree is read.
    BENNU_ASSIGN(Directory directory, open(before, path));
    BENNU_TRY(change_own(node, directory));
    const bool names_leaf = !rules_.leaf_name.empty() && node.children.contains(rules_.leaf_name);
    bool literal_leaf = false;
    if (names_leaf) {
      // A file really called as the leaf name: it shares the place of the leaf.
      if (directory.leaf) {
        directory.leaf->name = rules_.leaf_name;
        directory.entries.push_back(std::move(*directory.leaf));
      }
      directory.leaf.reset();
    }
    BENNU_TRY(children(node, directory, path));
    if (names_leaf) {
      const auto leaf = find(directory.entries, rules_.leaf_name);
      if (leaf != directory.entries.end() && !leaf->is_tree()) {
        literal_leaf = node.children.at(rules_.leaf_name)->change == Node::Change::kSet;
        directory.leaf = std::move(*leaf);
        directory.entries.erase(leaf);
      }
    }
    return compose(std::move(directory), literal_leaf, name, path);
  }

  bool keep(std::string_view path) const { return rules_.keep && rules_.keep(path); }

  Result<OptionalEntry> compose(Directory directory, bool literal_leaf, const std::string& name,
                                const std::string& path) {
    if (directory.entries.empty()) {
      if (!directory.leaf) {
        if (!directory.kept_empty && !keep(path)) return OptionalEntry{};
        BENNU_ASSIGN(const ObjectId id, sink_.add(ObjectKind::kTree, ""));
        return OptionalEntry{TreeEntry{.name = name, .mode = mode::kTree, .id = id}};
      }
      const bool was_below = directory.leaf->name == rules_.leaf_name && !rules_.leaf_name.empty();
      if (!literal_leaf && !(was_below && keep(join(path, rules_.leaf_name)))) {
        directory.leaf->name = name;
        return std::move(directory.leaf);
      }
    }
    if (directory.leaf) {
      if (rules_.leaf_name.empty()) return bad_path(path, "is a file and a directory at once");
      if (find(directory.entries, rules_.leaf_name) != directory.entries.end()) {
        return bad_path(join(path, rules_.leaf_name),
                        "is a directory, and the file beside it needs that name");
      }
      directory.leaf->name = rules_.leaf_name;
      directory.entries.push_back(std::move(*directory.leaf));
    }
    BENNU_ASSIGN(const ObjectId id, write(std::move(directory.entries)));
    return OptionalEntry{TreeEntry{.name = name, .mode = mode::kTree, .id = id}};
  }

  ObjectSink& sink_;
  const TreeRules& rules_;
};

TreeEditor::TreeEditor(ObjectSink& sink, const ObjectId& base, TreeRules rules)
    : sink_(sink), base_(base), rules_(std::move(rules)), root_(std::make_unique<Node>()) {}

TreeEditor::~TreeEditor() = default;

Result<TreeEditor::Node*> TreeEditor::node_at(std::string_view path) {
  BENNU_TRY(check_depth(static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')), path));
  Node* node = root_.get();
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    const bool is_directory = end < path.size();
    BENNU_TRY(is_directory ? check_entry(name, mode::kTree, path) : check_name(name, path));
    auto found = node->children.find(name);
    if (found == node->children.end()) {
      found = node->children.emplace(std::string(name), std::make_unique<Node>()).first;
    }
    node = found->second.get();
    begin = end + 1;
  }
  return node;
}

Status TreeEditor::set(std::string_view path, std::uint32_t mode, const ObjectId& id) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  BENNU_TRY(check_entry(name, mode, path));
  if (id.is_null()) return bad_path(path, "would point at the null id");
  if (mode == mode::kTree && id != empty_tree_id())
    return bad_path(path, "is a tree with content: set its files");
  const bool has_content = mode::is_blob(mode) && mode != mode::kSymlink;
  if (has_content && is_special_name(name) && sink_.keeps_blobs()) {
    BENNU_ASSIGN(const Object blob, sink_.read(id));
    BENNU_TRY(check_special_blob(name, blob.bytes, path));
  }
  BENNU_ASSIGN(Node * node, node_at(path));
  node->change = mode == mode::kTree ? Node::Change::kMakeDirectory : Node::Change::kSet;
  node->mode = mode;
  node->id = id;
  return {};
}

Status TreeEditor::ensure(std::string_view path) {
  BENNU_TRY(check_entry(path.substr(path.rfind('/') + 1), mode::kTree, path));
  BENNU_ASSIGN(Node * node, node_at(path));
  node->change = Node::Change::kEnsure;
  return {};
}

Status TreeEditor::remove(std::string_view path) {
  BENNU_ASSIGN(Node * node, node_at(path));
  node->change = Node::Change::kRemove;
  return {};
}

Result<ObjectId> TreeEditor::finish() { return TreeApply(sink_, rules_).root(*root_, base_); }

}  // namespace bennu::git
