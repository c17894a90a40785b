#pragma once
// What   Where watches read changes from: the newest revision, the compacted one, and the changes
//        between.
// Why    The watch hub must not know RocksDB, and its tests need a history that they can steer.
// Use    The engine implements it over its log; WatchHub is the only reader. It must outlive
//        WatchHub::close().
// Units  Revisions; bytes count keys and values of what is returned, previous values included.
// Errors kOutOfRange (kCompacted): `from` is below the compacted revision; kDataLoss (kCorrupt).
// Threads Safe for all; read may block on disk, and must not wait for the writer.
// Source own design; which revisions stay readable: etcd, server/storage/mvcc/watcher_group.go
//        (choose).

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kv/types.hpp"

namespace bennu::kv::embedded {

/// The place before one change: the `index`-th (from 0, in the order of the log) of a revision. {r,
/// 0} is before all of r.
struct ChangeCursor {
  Revision revision;
  std::uint64_t index = 0;
  friend auto operator<=>(const ChangeCursor&, const ChangeCursor&) = default;
};

/// Changes of one revision in order, all of them or a part, without those that nobody wants.
struct ChangeBlock {
  Revision revision;
  std::vector<Event> changes;  ///< kv as in a watch event: of a delete, key and mod_revision only
  bool last = true;            ///< no change of this revision follows in a later block
  bool with_prev =
      false;  ///< prev_kv is filled for every change that has one (not only where it was wanted)
};

/// Keys and values in the block, for bounds.
[[nodiscard]] std::size_t size_bytes(const ChangeBlock& block);

enum class Want : std::uint8_t { kSkip, kChange, kChangeAndPrev };

/// Asked for each change before its value is read, in order. It may take locks of its own, but must
/// not call the source.
using ChangeFilter = std::function<Want(Revision revision, EventType type, std::string_view key)>;

struct ChangeRead {
  std::vector<ChangeBlock> blocks;  ///< only those with a wanted change
  ChangeCursor
      next;  ///< read on from here; everything before it has been looked at; {to + 1, 0} at the end
};

class ChangeSource {
 public:
  virtual ~ChangeSource() = default;

  /// The newest visible revision.
  [[nodiscard]] virtual Revision current_revision() const = 0;
  /// 0 if nothing is compacted. The changes of this revision itself stay readable, those below do
  /// not (etcd's rule).
  [[nodiscard]] virtual Revision compacted_revision() const = 0;

  /// The changes from `from` to the end of revision `to` (at most the newest) that `filter` wants.
  /// Stops early after about `max_bytes`, or when it has looked at more than is good for one call,
  /// but always gets past `from`. Only the first block may start or end inside its revision; it
  /// ends inside only if that revision alone is larger than `max_bytes`. prev_kv is left out where
  /// it is compacted.
  [[nodiscard]] virtual Result<ChangeRead> read(ChangeCursor from, Revision to,
                                                std::size_t max_bytes,
                                                const ChangeFilter& filter) const = 0;
};

}  // namespace bennu::kv::embedded
