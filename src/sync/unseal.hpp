#pragma once
// What   Opens what was restored sealed, once the identity is there.
// Why    A restore must not wait for the identity; when it comes, the names and values become clear
//        without a commit.
// Use    `unseal(link)` with the identity in the link.
// Errors kPermissionDenied (kNotARecipient), kFailedPrecondition (kNoKey: no identity file),
//        kDataLoss (kTampered).
// Threads As Link. Goes over all documents once; one transaction.
// Source decision 10 of ARCHITECTURE.md; docs/formats/sealed.md.

#include <cstdint>

#include "base/result.hpp"
#include "sync/link.hpp"

namespace bennu::sync {

struct UnsealReport {
  Revision revision;  ///< 0: nothing was sealed
  std::uint64_t puts = 0;
  std::uint64_t deletes = 0;  ///< keys whose name was sealed
};

[[nodiscard]] Result<UnsealReport> unseal(const Link& link);

}  // namespace bennu::sync
