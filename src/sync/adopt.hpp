#pragma once
// What   Makes a store and a branch belong together that the guards keep apart.
// Why    Every guard must leave a way on: a rewound copy, a rewritten history, a store that never
//        met this repository.
// Use    `adopt(link, {})` after a refusal; the message of the refusal says which side to take.
// Errors kFailedPrecondition: `take` is needed, no guard stands, or Git holds nothing to adopt;
//        those of import and export.
// Threads As Link.
// Source decisions 7 and 9 of ARCHITECTURE.md.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "kv/audit.hpp"
#include "sync/export.hpp"
#include "sync/link.hpp"

namespace bennu::sync {

enum class Take : std::uint8_t {
  kNeither,  ///< keep the recorded base, only take a new lineage: for a rewound copy
  kGit,      ///< this store's state becomes Git's
  kKv,       ///< this store's state becomes a commit on top of Git's
};

struct AdoptOptions {
  Take take = Take::kNeither;
  bool deletes_confirmed = false;
  bool push = true;
  std::optional<kv::AuditContext> audit;  ///< who adopts; without: Bennu itself
};

struct AdoptReport {
  std::string lineage;  ///< the new one
  git::ObjectId base;
  Revision revision;
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;
  ExportReport exported;  ///< of kKv
};

[[nodiscard]] Result<AdoptReport> adopt(const Link& link, const AdoptOptions& options);

}  // namespace bennu::sync
