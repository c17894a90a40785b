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

  /// The path holds this file, link or submodule; what lies below stays. mode::kTree with the empty
  /// tree's id: it holds no file and is a directory even if nothing is below. Other trees are
  /// refused.
  Status set(std::string_view path, std::uint32_t mode, const ObjectId& id);
  /// The path is an explicit empty directory unless something stands there.
  Status ensure(std::string_view path);
  /// The path holds neither a file (or its `path/%v`, if it is a directory too) nor an explicit
  /// empty directory. What lies below stays. Not there: no effect.
  Status remove(std::string_view path);
  /// Writes the changed trees. The empty tree's id if nothing is left. Call once.
  Result<ObjectId> finish();

 private:
  struct Node;
  Result<Node*> node_at(std::string_view path);
  ObjectSink& sink_;
  ObjectId base_;
  TreeRules rules_;
  std::unique_ptr<Node> root_;
  friend class TreeApply;
};

}  // namespace bennu::git
