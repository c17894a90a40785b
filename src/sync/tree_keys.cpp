#include "sync/tree_keys.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "git/tree.hpp"
#include "git/tree_walk.hpp"
#include "sync/raw_path.hpp"
#include "sync/state_tree.hpp"

namespace bennu::sync {
namespace {

// Objects of a repository, and those that are about to be.
class Objects {
 public:
  Objects(const git::Repository& repository, git::ObjectSink* fresh)
      : repository_(repository), fresh_(fresh) {}

  [[nodiscard]] Result<std::vector<git::TreeEntry>> tree(const git::ObjectId& id,
                                                         std::string_view path) const {
    if (id == git::empty_tree_id()) return std::vector<git::TreeEntry>{};
    if (is_here(id)) return repository_.read_tree(id, path);
    BENNU_ASSIGN(const auto object, fresh_->read(id));
    return git::parse_tree(object.bytes, path);
  }

  [[nodiscard]] Result<std::optional<git::TreeEntry>> find(const git::ObjectId& root,
                                                           std::string_view path) const {
    if (fresh_ == nullptr && !root.is_null()) return repository_.find_path(root, path);
    git::TreeEntry at{.mode = git::mode::kTree, .id = root};
    while (true) {
      if (!at.is_tree() || at.id.is_null()) return std::nullopt;
      const std::size_t slash = path.find('/');
      const std::string_view name = path.substr(0, slash);
      BENNU_ASSIGN(const auto entries, tree(at.id, name));
      const auto found = std::ranges::find(entries, name, &git::TreeEntry::name);
      if (found == entries.end()) return std::nullopt;
      if (slash == std::string_view::npos) return *found;
      at = *found;
      path.remove_prefix(slash + 1);
    }
  }

  // The size, and the bytes if there are no more than `limit`.
  [[nodiscard]] Result<std::uint64_t> blob(const git::ObjectId& id, std::size_t limit,
                                           std::optional<std::string>& bytes) const {
    if (!is_here(id)) {
      BENNU_ASSIGN(auto object, fresh_->read(id));
      const std::uint64_t size = object.bytes.size();
      if (size <= limit) bytes = std::move(object.bytes);
      return size;
    }
    BENNU_ASSIGN(const auto header, repository_.read_header(id));
    if (header.size_bytes <= limit) {
      BENNU_ASSIGN(bytes, repository_.read_blob(id));
    }
    return header.size_bytes;
  }

 private:
  [[nodiscard]] bool is_here(const git::ObjectId& id) const {
    return fresh_ == nullptr || repository_.contains(id);
  }

  const git::Repository& repository_;
  git::ObjectSink* const fresh_;
};

// Whether the file's directory has other entries; it matters for `%v` alone.
Result<bool> has_siblings(const Objects& objects, const git::ObjectId& tree,
                          std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || path.substr(slash + 1) != kLeafName) return false;
  BENNU_ASSIGN(const auto folder, objects.find(tree, path.substr(0, slash)));
  if (!folder) return false;
  BENNU_ASSIGN(const auto entries, objects.tree(folder->id, path.substr(0, slash)));
  return entries.size() > 1;
}

// The keys that one entry of a tree stands for; none for no entry.
Result<ParseStats> add_entry(const Objects& objects, const CommitTree& from, std::string_view path,
                             const git::TreeEntry* entry, KeyValues& keys) {
  if (entry == nullptr) return ParseStats{};
  TreeParser parser(from.mapping, [&](std::string_view key, std::string_view value) -> Status {
    keys.insert_or_assign(std::string(key), std::string(value));
    return {};
  });
  git::FileVisit visit{.path = path, .mode = entry->mode, .id = entry->id};
  std::optional<std::string> bytes;
  if (git::mode::is_blob(entry->mode)) {
    BENNU_ASSIGN(visit.size_bytes, objects.blob(entry->id, from.mapping.byte_limit(path), bytes));
    if (bytes) visit.bytes = *bytes;
  }
  std::string id_hex;
  TreeFile file = tree_file(from.mapping, visit, id_hex);
  BENNU_ASSIGN(file.has_siblings, has_siblings(objects, from.tree, path));
  const Status added = parser.add(file);
  if (!added) return naming(from.commit, added.error());
  return parser.finish();
}

// The `%v` beside a file that came or went, and those of the folders that came or went with it.
void add_leaves(std::string_view path, std::set<std::string, std::less<>>& leaves) {
  for (std::size_t slash = path.rfind('/'); slash != std::string_view::npos;
       slash = slash == 0 ? std::string_view::npos : path.rfind('/', slash - 1)) {
    leaves.insert(std::string(path.substr(0, slash + 1)) + std::string(kLeafName));
  }
}

}  // namespace

Status diff_keys(const git::Repository& repository, const std::stop_token& stop,
                 const CommitTree& before, const CommitTree& after, ChangedKeys& changed,
                 git::ObjectSink* fresh) {
  const Objects objects(repository, fresh);
  const auto take = [&](std::string_view path, const git::TreeEntry* old_entry,
                        const git::TreeEntry* new_entry) -> Status {
    BENNU_TRY(add_entry(objects, before, path, old_entry, changed.before));
    BENNU_ASSIGN(auto stats, add_entry(objects, after, path, new_entry, changed.after));
    if (!stats.exact()) changed.normalised.emplace_back(path);
    std::ranges::move(stats.plaintext, std::back_inserter(changed.plaintext));
    changed.exposed.count += stats.exposed.count;
    std::ranges::move(stats.exposed.examples, std::back_inserter(changed.exposed.examples));
    return {};
  };
  std::set<std::string, std::less<>>
      leaves;  // `%v` whose meaning may have changed with a neighbour
  const git::TreeReader read = [&](const git::ObjectId& tree, std::string_view path) {
    return objects.tree(tree, path);
  };
  BENNU_TRY(git::diff_trees(
      read, before.tree, after.tree, [&](const git::TreeChange& change) -> Result<git::Walk> {
        if (stop.stop_requested()) {
          return make_error(Code::kCancelled, "interrupted; nothing was changed");
        }
        if (change.before == nullptr || change.after == nullptr) add_leaves(change.path, leaves);
        BENNU_TRY(take(change.path, change.before, change.after));
        return git::Walk::kContinue;
      }));
  for (const std::string& path : leaves) {
    BENNU_ASSIGN(const auto old_entry, objects.find(before.tree, path));
    BENNU_ASSIGN(const auto new_entry, objects.find(after.tree, path));
    BENNU_TRY(take(path, old_entry ? &*old_entry : nullptr, new_entry ? &*new_entry : nullptr));
  }
  return {};
}

}  // namespace bennu::sync
