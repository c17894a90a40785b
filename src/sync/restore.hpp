#pragma once
// What   Raises a new store from a commit, and proves that it is what the commit says.
// Why    A restore that is only hoped for is none: the tree is rebuilt from the restored keys and
//        its id compared.
// Use    The link's store must be new and empty, its repository made; nothing else may use them
//        meanwhile.
// Units  `seconds` is the caller's to measure.
// Errors kFailedPrecondition: the store is not empty; those of git::fetch (kNotFound, kUnavailable,
//        kDataLoss), of resolve_commit, of parsing the tree; kCancelled. The store is unusable
//        then; the caller removes it. No error: secrets in clear and no key to seal them with. Then
//        no tree can be built: the store is whole but unproved, until a key ring is there.
// Threads One thread; uses all cores inside.
// Source decisions 2, 4 and 10 of ARCHITECTURE.md; docs/operations/recovery.md.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "git/object.hpp"
#include "sync/link.hpp"
#include "sync/tree_parser.hpp"

namespace bennu::sync {

enum class Verified : std::uint8_t {
  kExact,       ///< the rebuilt tree is the commit's tree
  kNormalised,  ///< it is canonical(parse(commit's tree)): documents were formatted otherwise
  kNo,          ///< it is another, or could not be built: `no_proof` says why
};
[[nodiscard]] std::string_view verified_name(Verified verified);

struct RestoreReport {
  git::ObjectId commit;
  git::ObjectId commit_tree;
  git::ObjectId tree;  ///< rebuilt from the store
  std::uint64_t keys = 0;
  std::uint64_t files = 0;
  std::uint64_t sealed = 0;             ///< values that stay sealed for want of the identity, or
  std::vector<std::string> no_key;      ///< of these key files, which the commit does not have
  std::vector<std::string> normalised;  ///< the first few such documents
  std::vector<std::string> plaintext;   ///< secrets that were found in clear in Git
  Exposed exposed;
  std::string no_proof;  ///< set where secrets in clear have no key to seal them with
  std::string branch;
  Verified verified = Verified::kNo;
};

/// Fetches `link.remote_url`, finds the commit (`revision`: anything Git resolves; empty: the head
/// of `link.branch`, or the remote's own default if that is empty) and loads its tree in one
/// transaction. Moves the local branch to the commit.
[[nodiscard]] Result<RestoreReport> restore(Link& link, const std::string& revision);

}  // namespace bennu::sync
