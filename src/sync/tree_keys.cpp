#include "sync/tree_keys.hpp"

#include <optional>
#include <set>

#include "git/tree_walk.hpp"
#include "sync/raw_path.hpp"
#include "sync/state_tree.hpp"

namespace bennu::sync {
namespace {

// Whether the file's directory has other entries; it matters for `%v` alone.
Result<bool> has_siblings(const git::Repository& repository, const git::ObjectId& tree,
                          std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || path.substr(slash + 1) != kLeafName) return false;
  BENNU_ASSIGN(const auto folder, repository.find_path(tree, path.substr(0, slash)));
  if (!folder) return false;
  BENNU_ASSIGN(const auto entries, repository.read_tree(folder->id, path.substr(0, slash)));
  return entries.size() > 1;
}

// The keys that one entry of a tree stands for; none for no entry.
Result<ParseStats> add_entry(const git::Repository& repository, const Mapping& mapping,
                             const git::ObjectId& tree, std::string_view path,
                             const git::TreeEntry* entry, KeyValues& keys) {
  if (entry == nullptr) return ParseStats();
  TreeParser parser(mapping, [&](std::string_view key, std::string_view value) -> Status {
    keys.insert_or_assign(std::string(key), std::string(value));
    return {};
  });
  git::FileVisit visit{.path = path, .mode = entry->mode, .id = entry->id};
  std::string bytes;
  if (git::mode::is_blob(entry->mode)) {
    BENNU_ASSIGN(const auto header, repository.read_header(entry->id));
    visit.size_bytes = header.size_bytes;
    if (header.size_bytes <= mapping.byte_limit(path)) {
      BENNU_ASSIGN(bytes, repository.read_blob(entry->id));
      visit.bytes = bytes;
    }
  }
  std::string id_hex;
  TreeFile file = tree_file(mapping, visit, id_hex);
  BENNU_ASSIGN(file.has_siblings, has_siblings(repository, tree, path));
  BENNU_TRY(parser.add(file));
  return parser.finish();
}

// The `%v` beside a file that came or went, and those of the folders that came or went with it.
void add_leaves(std::string_view path, std::set<std::string, std::less<>>& leaves) {
  for (std::size_t slash = path.rfind('/'); slash != std::string_view::npos;
       slash = slash == 0 ? std::string_view::npos : path.rfind('/', slash - 1)) {
    leaves.insert(std::string(path.substr(0, slash + 1)) + std::string(kLeafName));
  }
}

Result<std::optional<git::TreeEntry>> entry_at(const git::Repository& repository,
                                               const git::ObjectId& tree, std::string_view path) {
  if (tree.is_null()) return std::nullopt;
  return repository.find_path(tree, path);
}

}  // namespace

Status diff_keys(const git::Repository& repository, const std::stop_token& stop,
                 const Mapping& before_mapping, const Mapping& after_mapping,
                 const git::ObjectId& before, const git::ObjectId& after, ChangedKeys& changed) {
  const auto take = [&](std::string_view path, const git::TreeEntry* old_entry,
                        const git::TreeEntry* new_entry) -> Status {
    BENNU_TRY(add_entry(repository, before_mapping, before, path, old_entry, changed.before));
    BENNU_ASSIGN(const auto stats,
                 add_entry(repository, after_mapping, after, path, new_entry, changed.after));
    if (!stats.exact()) changed.normalised.emplace_back(path);
    if (stats.plaintext_count > 0) changed.plaintext.emplace_back(path);
    return {};
  };
  std::set<std::string, std::less<>>
      leaves;  // `%v` whose meaning may have changed with a neighbour
  BENNU_TRY(git::diff_trees(
      repository, before, after, [&](const git::TreeChange& change) -> Result<git::Walk> {
        if (stop.stop_requested()) {
          return make_error(Code::kCancelled, "interrupted; nothing was changed");
        }
        if (change.before == nullptr || change.after == nullptr) add_leaves(change.path, leaves);
        BENNU_TRY(take(change.path, change.before, change.after));
        return git::Walk::kContinue;
      }));
  for (const std::string& path : leaves) {
    BENNU_ASSIGN(const auto old_entry, entry_at(repository, before, path));
    BENNU_ASSIGN(const auto new_entry, entry_at(repository, after, path));
    BENNU_TRY(take(path, old_entry ? &*old_entry : nullptr, new_entry ? &*new_entry : nullptr));
  }
  return {};
}

}  // namespace bennu::sync
