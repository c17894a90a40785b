#include "git/tree_walk.hpp"

#include <string>
#include <vector>

#include "git/tree.hpp"

namespace bennu::git {
namespace {

using Entries = std::vector<TreeEntry>;

class PathScope {
 public:
  PathScope(std::string& path, std::string_view name) : path_(path), size_(path.size()) {
    if (!path_.empty()) path_.push_back('/');
    path_.append(name);
  }
  PathScope(const PathScope&) = delete;
  PathScope& operator=(const PathScope&) = delete;
  ~PathScope() { path_.resize(size_); }

 private:
  std::string& path_;
  std::size_t size_;
};

Result<Walk> walk_entries(const Repository& repository, const ObjectId& tree, std::string& path,
                          std::size_t depth, const EntryVisitor& visitor) {
  BENNU_TRY(check_depth(depth, path));
  BENNU_ASSIGN(const Entries entries, repository.read_tree(tree, path));
  for (const auto& entry : entries) {
    const PathScope scope(path, entry.name);
    BENNU_ASSIGN(Walk walk, visitor(path, entry));
    if (walk == Walk::kContinue && entry.is_tree()) {
      BENNU_ASSIGN(walk, walk_entries(repository, entry.id, path, depth + 1, visitor));
    }
    if (walk == Walk::kStop) return Walk::kStop;
  }
  return Walk::kContinue;
}

class Differ {
 public:
  Differ(const TreeReader& read, const ChangeVisitor& visitor) : read_(read), visitor_(visitor) {}

  Result<Walk> trees(const ObjectId& before, const ObjectId& after) {
    if (before == after) return Walk::kContinue;
    BENNU_TRY(check_depth(depth_, path_));
    BENNU_ASSIGN(const Entries old_entries, load(before));
    BENNU_ASSIGN(const Entries new_entries, load(after));
    auto a = old_entries.begin();
    auto b = new_entries.begin();
    while (a != old_entries.end() || b != new_entries.end()) {
      const TreeEntry* old_entry = a != old_entries.end() ? &*a : nullptr;
      const TreeEntry* new_entry = b != new_entries.end() ? &*b : nullptr;
      if (old_entry != nullptr && new_entry != nullptr) {
        if (before_in_order(*old_entry, *new_entry)) {
          new_entry = nullptr;
        } else if (before_in_order(*new_entry, *old_entry)) {
          old_entry = nullptr;
        }
      }
      if (old_entry != nullptr) ++a;
      if (new_entry != nullptr) ++b;
      BENNU_ASSIGN(const Walk walk, pair(old_entry, new_entry));
      if (walk == Walk::kStop) return walk;
    }
    return Walk::kContinue;
  }

 private:
  static bool before_in_order(const TreeEntry& a, const TreeEntry& b) {
    return tree_order(a.name, a.is_tree(), b.name, b.is_tree());
  }

  Result<Entries> load(const ObjectId& id) const {
    if (id.is_null()) return Entries{};
    return read_(id, path_);
  }

  // Two entries of one name and kind, or one alone.
  Result<Walk> pair(const TreeEntry* before, const TreeEntry* after) {
    if (before != nullptr && after != nullptr && *before == *after) return Walk::kContinue;
    const PathScope scope(path_, before != nullptr ? before->name : after->name);
    const TreeEntry& any = before != nullptr ? *before : *after;
    if (!any.is_tree()) return visitor_({.path = path_, .before = before, .after = after});
    const TreeEntry* empty_before =
        before != nullptr && before->id == empty_tree_id() ? before : nullptr;
    const TreeEntry* empty_after =
        after != nullptr && after->id == empty_tree_id() ? after : nullptr;
    if (empty_before != nullptr || empty_after != nullptr) {
      BENNU_ASSIGN(const Walk walk,
                   visitor_({.path = path_, .before = empty_before, .after = empty_after}));
      if (walk == Walk::kStop) return walk;
    }
    ++depth_;
    auto walk = trees(before != nullptr ? before->id : ObjectId{},
                      after != nullptr ? after->id : ObjectId{});
    --depth_;
    return walk;
  }

  const TreeReader& read_;
  const ChangeVisitor& visitor_;
  std::string path_;
  std::size_t depth_ = 0;
};

}  // namespace

Status walk_tree(const Repository& repository, const ObjectId& tree, const EntryVisitor& visitor) {
  std::string path;
  BENNU_TRY(walk_entries(repository, tree, path, 0, visitor));
  return {};
}

Status diff_trees(const Repository& repository, const ObjectId& before, const ObjectId& after,
                  const ChangeVisitor& visitor) {
  return diff_trees(
      [&](const ObjectId& tree, std::string_view path) { return repository.read_tree(tree, path); },
      before, after, visitor);
}

Status diff_trees(const TreeReader& read, const ObjectId& before, const ObjectId& after,
                  const ChangeVisitor& visitor) {
  BENNU_TRY(Differ(read, visitor).trees(before, after));
  return {};
}

}  // namespace bennu::git
