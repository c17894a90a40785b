#pragma once
// What   Between a store's state and a Git tree, whole: the mapping of either side, the tree of a
//        state, the keys of a tree.
// Why    Restore, first export and every proof go over everything; they share these streams and
//        hold no state in memory.
// Use    `mapping_of_state` or `mapping_of_tree` first; then `write_state`, `prove_state` or
//        `read_state`.
// Units  Revisions: 0 is the newest.
// Errors Those of the mapping (kBadSchema, kNoKey, kNotARecipient, …), the store and the
//        repository; kCancelled.
// Threads One thread; work inside uses all cores.
// Source decision 2 of ARCHITECTURE.md: tree = canonical(state, key ring).

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "git/bulk_tree_writer.hpp"
#include "git/repository.hpp"
#include "git/tree_walk.hpp"
#include "kv/store.hpp"
#include "sync/link.hpp"
#include "sync/mapping.hpp"
#include "sync/tree_assembler.hpp"
#include "sync/tree_parser.hpp"

namespace bennu::sync {

/// The mapping that a state declares, with the key ring opened by `identity` if that file is there
/// (else locked).
[[nodiscard]] Result<Mapping> mapping_of_state(kv::Reader& store, Revision revision,
                                               const std::filesystem::path& identity);
/// The mapping that a tree declares.
[[nodiscard]] Result<Mapping> mapping_of_tree(const git::Repository& repository,
                                              const git::ObjectId& tree,
                                              const std::filesystem::path& identity);

/// Every file of canonical(state at revision), in no particular order; views are valid during the
/// call.
[[nodiscard]] Result<AssemblyStats> each_file(const Link& link, const Mapping& mapping,
                                              Revision revision, const FileSink& sink);

/// How many keys a state has that are part of its tree (leased ones are counted, too): the measure
/// of the delete budget. Newest revision; costs the number of the schema's prefixes.
[[nodiscard]] Result<std::int64_t> keys_in_tree(kv::Reader& store, const Mapping& mapping);

struct StateTree {
  git::ObjectId tree;
  AssemblyStats stats;
};

/// canonical(state at revision), blobs and trees written into `pack`.
[[nodiscard]] Result<StateTree> write_state(const Link& link, const Mapping& mapping,
                                            Revision revision, git::PackWriter& pack);
/// The same id, computed only.
[[nodiscard]] Result<StateTree> prove_state(const Link& link, const Mapping& mapping,
                                            Revision revision);

/// What the git layer must leave as it is, in a state: empty directories and files really called
/// `%v`.
[[nodiscard]] git::TreeRules tree_rules(kv::Reader& store, Revision revision);

/// Every key and value of a tree's state, in the tree's order.
[[nodiscard]] Result<ParseStats> read_state(const git::Repository& repository,
                                            const git::ObjectId& tree, const Mapping& mapping,
                                            const std::stop_token& stop, const Progress& progress,
                                            const KeyValueSink& sink);

/// Errors: kExposed, if there are any; for whoever would take `commit` into a store that is in use.
[[nodiscard]] Status refuse_exposed(const git::ObjectId& commit, const Exposed& exposed);

/// Paths of the key files that these epochs need and the tree does not have.
[[nodiscard]] Result<std::vector<std::string>> missing_key_files(
    const git::Repository& repository, const git::ObjectId& tree,
    const std::set<std::uint32_t>& epochs);

/// canonical(parse(tree)): the tree's own id unless documents in it are formatted otherwise, or
/// secrets stand in clear. New objects go to `sink`.
[[nodiscard]] Result<git::ObjectId> canonical_tree(const git::Repository& repository,
                                                   const git::ObjectId& tree,
                                                   const Mapping& mapping, git::ObjectSink& sink);

/// One entry as the mapping takes it; the visit's bytes and `id_hex` must outlive the result.
[[nodiscard]] TreeFile tree_file(const Mapping& mapping, const git::FileVisit& visit,
                                 std::string& id_hex);

}  // namespace bennu::sync
