#pragma once
// What   Git to KV: applies the commits that the branch has beyond the base, in one transaction.
// Why    A change that a person pushed must arrive whole, once, and never over a change that KV has
//        made meanwhile.
// Use    `import_commits(link, {})`. `import_folder` takes files of any repository into an existing
//        store, once.
// Errors kFailedPrecondition: kBothChanged, kNoBase, kForeignLineage, kRewound, kBaseRewritten,
//        kDeleteBudget; kAborted: the store changed while planning; those of parsing the tree (with
//        the path).
// Threads As Link.
// Source decisions 3, 6, 8 and 9 of ARCHITECTURE.md.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kv/audit.hpp"
#include "sync/credentials.hpp"
#include "sync/export.hpp"
#include "sync/plan.hpp"

namespace bennu::sync {

struct ImportOptions {
  Fetch fetch = Fetch::kYes;
  bool deletes_confirmed = false;
  bool push = true;  ///< the commit that normalises, if one is needed
};

struct ImportReport {
  git::ObjectId commit;  ///< the base from now on
  Revision revision;     ///< 0: nothing changed
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  std::optional<git::ObjectId>
      normalised;          ///< the commit that brought documents into their canonical form
  std::uint64_t kept = 0;  ///< operational values that Git had changed and this store keeps
  std::optional<git::ObjectId> put_back;  ///< the commit that puts those back into Git
  std::string push_problem;               ///< why the remote does not have that commit
  std::vector<std::string> plaintext;     ///< files with a secret in clear: in history already
};

[[nodiscard]] Result<ImportReport> import_commits(const Link& link, const ImportOptions& options);

struct FolderOptions {
  std::string url;
  std::string revision;       ///< empty: the remote's own branch
  std::string path;           ///< folder in that tree; empty: all of it
  std::string prefix = "/";   ///< keys begin with this
  std::vector<kv::Op> audit;  ///< put in the same transaction
};

struct FolderReport {
  git::ObjectId commit;
  git::ObjectId tree;  ///< of the folder
  Revision revision;
  std::uint64_t keys = 0;
  struct Credential {
    std::string path;
    Finding finding;
  };
  std::vector<Credential> credentials;  ///< what looks like one, by file
};

/// Errors: kAlreadyExists, naming the first key that is there with another value; nothing is
/// written then.
[[nodiscard]] Result<FolderReport> import_folder(const Link& link, const FolderOptions& options);

}  // namespace bennu::sync
