#pragma once
// What   Changes that make KV equal to something else, in one transaction that overwrites nobody.
// Why    Import, adoption and unsealing plan at a revision and write later; what another client
//        wrote to one of their keys in between must stop them, not be lost.
// Use    `begin(link, revision that was planned at)`, then put and erase, then `commit` once.
// Errors kCancelled; kAborted (kStageConflict: a key or the base was changed meanwhile, nothing was
//        written).
// Threads One thread. The link must outlive it.
// Source own design: decisions 3 and 8 of ARCHITECTURE.md.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/store.hpp"
#include "sync/link.hpp"

namespace bennu::sync {

class StagedChanges {
 public:
  [[nodiscard]] static Result<StagedChanges> begin(const Link& link, Revision planned);

  [[nodiscard]] Status put(std::string_view key, std::string_view value);
  [[nodiscard]] Status erase(std::string_view key);
  /// `extra`: puts and deletes that are not compared.
  [[nodiscard]] Result<Revision> commit(const std::vector<kv::Compare>& compares,
                                        std::vector<kv::Op> extra);

 private:
  StagedChanges(const Link& link, std::unique_ptr<kv::StagedTxn> staged)
      : link_(&link), staged_(std::move(staged)) {}
  [[nodiscard]] Status count();

  const Link* link_;
  std::unique_ptr<kv::StagedTxn> staged_;
  std::uint64_t done_ = 0;
};

/// Says that what is derived from the inventory no longer fits; goes into the same transaction.
[[nodiscard]] kv::Op derived_put();

}  // namespace bennu::sync
