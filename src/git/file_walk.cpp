#include "git/tree_walk.hpp"
namespace bennu::git {
Status walk_files(const Repository& repository, const ObjectId& tree, const ReadOptions& options,
                  const FileVisitor& visitor) {
  return walk_tree(repository, tree,
                   [&](std::string_view path, const TreeEntry& entry) -> Result<Walk> {
                     if (entry.is_tree() && entry.id != empty_tree_id()) return Walk::kContinue;
                     FileVisit visit{.path = path, .mode = entry.mode, .id = entry.id};
                     std::string bytes;
                     if (mode::is_blob(entry.mode)) {
                       BENNU_ASSIGN(const auto header, repository.read_header(entry.id));
                       visit.size_bytes = header.size_bytes;
                       if (header.size_bytes <= options.max_blob_bytes) {
                         BENNU_ASSIGN(bytes, repository.read_blob(entry.id));
                         visit.bytes = bytes;
                       }
                     }
                     BENNU_TRY(visitor(visit));
                     return Walk::kContinue;
                   });
}
}  // namespace bennu::git
