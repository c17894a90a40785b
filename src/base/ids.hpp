#pragma once
// What   Numbers that must not be mixed up, as types: Revision, LeaseId.
// Why    A revision passed as a lease compiles with plain integers and is a data bug; with these it
//        does not compile.
// Use    `Revision{5}.value`; compare with the usual operators; `next()` for the successor.
// Threads Plain values.
// Source own design (CONTRIBUTING.md).

#include <compare>
#include <cstdint>
#include <functional>

namespace bennu {

/// The count of a store's transactions that changed something (etcd's revision). 0 means "none" or
/// "the newest", as in etcd's requests. A new store is at 1. Only comparable within one lineage.
struct Revision {
  std::int64_t value = 0;
  friend auto operator<=>(const Revision&, const Revision&) = default;
  [[nodiscard]] constexpr Revision next() const { return Revision{value + 1}; }
  [[nodiscard]] constexpr Revision previous() const { return Revision{value - 1}; }
};

/// A lease's id, chosen by the client or the store. 0 means "no lease".
struct LeaseId {
  std::int64_t value = 0;
  friend auto operator<=>(const LeaseId&, const LeaseId&) = default;
};

}  // namespace bennu

template <>
struct std::hash<bennu::LeaseId> {
  std::size_t operator()(const bennu::LeaseId& id) const noexcept {
    return std::hash<std::int64_t>{}(id.value);
  }
};
