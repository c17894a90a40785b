#pragma once
// What   A tree with some paths changed: reads and writes only the trees on the way to them, each
//        once.
// Why    An export of c changed keys must cost c, not the size of the state.
// Use    `TreeEditor edit(writer, base, options); edit.set(...); edit.remove(...); edit.finish()`
//        -> the new root's id. Order of calls does not matter; the last call for a path wins. The
//        result is the tree that BulkTreeWriter makes of the same paths.
// Units  Paths are relative, components joined by `/`, any bytes but NUL.
// Errors kInvalidArgument `git.bad_name` (path named); those of reading trees and of the sink.
// Threads One thread.
// Source own design (ADR of the mapping): the leaf-name rule, see TreeRules.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "git/object_sink.hpp"

namespace bennu::git {

/// How paths that are a file and a directory at once stand in a tree.
struct TreeRules {
  /// With `%v` here, a file `a` beside files `a/…` stands at `a/%v`, and back at `a` once it is
  /// alone. Empty: such a clash is refused.
  std::string leaf_name;
  /// Asked when a directory has become empty (its path), or only holds the leaf name (`a/%v`): true
  /// keeps it as it is (an empty tree that the state names, a file really called `%v`). Empty:
  /// never kept.
  std::function<bool(std::string_view path)> keep = {};
};

class TreeEditor {
 public:
  /// `base`: the root tree to start from; the null id is the empty tree. `sink` must outlive this.
  TreeEditor(ObjectSink& sink, const ObjectId& base, TreeRules rules);
  ~TreeEditor();

  /// Puts a file, link or submodule at a path. mode::kTree with the empty tree's id makes an
  /// explicit empty directory (and changes nothing where there is content); other trees are
  /// refused.
  Status set(std::string_view path, std::uint32_t mode, const ObjectId& id);
  /// Removes what stands at the path as a file (its `path/%v` if it is a directory too) or as an
  /// empty directory. Not there: no effect.
  Status remove(std::string_view path);
  /// Writes the changed trees. The empty tree's id if nothing is left. Call once.
  Result<ObjectId> finish();

 private:
  struct Node;
  ObjectSink& sink_;
  ObjectId base_;
  TreeRules rules_;
  std::unique_ptr<Node> root_;
  friend class TreeApply;
};

}  // namespace bennu::git
