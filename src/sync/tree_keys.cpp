#include "sync/tree_keys.hpp"

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

// The keys that one entry of a tree stands for; none for no entry. False in `exact` if an export
// would write it otherwise.
Status add_entry(const git::Repository& repository, const Mapping& mapping,
                 const git::ObjectId& tree, std::string_view path, const git::TreeEntry* entry,
                 KeyValues& keys, bool& exact) {
  if (entry == nullptr) return {};
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
  BENNU_ASSIGN(const auto stats, parser.finish());
  exact = stats.exact();
  return {};
}

}  // namespace

Status diff_keys(const git::Repository& repository, const std::stop_token& stop,
                 const Mapping& before_mapping, const Mapping& after_mapping,
                 const git::ObjectId& before, const git::ObjectId& after, ChangedKeys& changed) {
  return git::diff_trees(
      repository, before, after, [&](const git::TreeChange& change) -> Result<git::Walk> {
        if (stop.stop_requested())
          return make_error(Code::kCancelled, "interrupted; nothing was changed");
        bool exact = true;
        BENNU_TRY(add_entry(repository, before_mapping, before, change.path, change.before,
                            changed.before, exact));
        exact = true;
        BENNU_TRY(add_entry(repository, after_mapping, after, change.path, change.after,
                            changed.after, exact));
        if (!exact) changed.normalised.emplace_back(change.path);
        return git::Walk::kContinue;
      });
}

}  // namespace bennu::sync
