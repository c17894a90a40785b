#pragma once
// What   TreeParser: the files of a tree become the keys and values of its state.
// Why    Restore and import are this; canonical(parse(tree)) == tree is the proof of a restore.
// Use    The schema comes from the very tree (Mapping::open). add() each file, whole trees in Git's
//        order so that `%v` can be told (or with TreeFile::has_siblings set); finish(). For a
//        changed file parse the old and the new one.
// Units  Blobs up to Mapping::byte_limit come with bytes, larger ones with id and size.
// Errors kInvalidArgument (kBadTree: git itself refuses the path or the entry; kBadDocument with
//        line and column); kDataLoss (kTampered: a sealed value was changed or moved). All name the
//        path. Useless afterwards.
// Threads One thread.
// Source own design, docs/formats/tree.md.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sync/mapping.hpp"
#include "sync/tree_file.hpp"

namespace bennu::sync {

/// Sealed values where the schema says that nothing is secret: somebody took the class away, and
/// the values would be taken for what they stand for.
struct Exposed {
  std::uint64_t count = 0;
  std::vector<std::string> examples;  ///< `PATH: field`, at most ParseStats::kMaxExamples
};

struct ParseStats {
  std::uint64_t files = 0;
  std::uint64_t keys = 0;
  std::uint64_t normalised = 0;       ///< files whose bytes an export would write differently
  std::uint64_t sealed = 0;           ///< values kept sealed, for want of a key
  std::set<std::uint32_t> epochs;     ///< of the data keys that would open them
  std::vector<std::string> examples;  ///< paths of the first normalised files, at most kMaxExamples
  std::vector<std::string>
      plaintext;  ///< paths with a secret in clear (in history already), at most kMaxExamples
  std::uint64_t plaintext_count = 0;
  Exposed exposed;
  static constexpr std::size_t kMaxExamples = 20;
  /// Whether an export of what was parsed gives the same bytes again.
  [[nodiscard]] bool exact() const { return normalised == 0; }
};

/// The refusal of a document that is in a tree under its hash and, at `path`, in clear.
[[nodiscard]] Error here_twice(std::string_view path);

class TreeParser {
 public:
  /// `mapping` must outlive this.
  TreeParser(const Mapping& mapping, KeyValueSink sink);
  ~TreeParser();
  TreeParser(TreeParser&&) noexcept;
  TreeParser& operator=(TreeParser&&) noexcept;

  [[nodiscard]] Status add(const TreeFile& file);
  [[nodiscard]] Result<ParseStats> finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bennu::sync
