#pragma once
// What   The watches of one store: streams of cursors over its changes, woken when a matching
//        change is published.
// Why    A slow or stuck watcher must cost nobody else anything, so nothing is ever queued for one:
//        each stream pulls, from a small shared ring of recent changes or, once that has moved on,
//        from the ChangeSource.
// Use    The engine owns one. After each group commit is visible in the source it calls publish;
//        before that it asks wants() whether handing over the changes is worth building them.
//        close() first when the store ends: streams then answer kUnavailable and no longer touch
//        the source. Streams may outlive the hub.
// Units  Bytes count keys and values. Beyond the ring and as much again for reads in progress, a
//        stream holds about 200 bytes per watch and its range.
// Errors Streams: see kv::WatchStream; next also passes on what the source fails with, and may be
//        called again.
// Threads Safe for all. publish never blocks on disk or on watchers. One thread of its own finds
//         the streams that a change concerns and wakes them.
// Source etcd v3.5 server/storage/mvcc/watchable_store.go and api/v3rpc/watch.go for the semantics;
//        own design.

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "env/clock.hpp"
#include "kv/embedded/change_source.hpp"
#include "kv/store.hpp"

namespace bennu::kv::embedded {

class WatchCore;

struct WatchOptions {
  /// Between empty responses of a watch with progress_notify on which nothing happens (etcd's
  /// default).
  std::chrono::milliseconds progress_interval = std::chrono::minutes{10};
  std::size_t ring_bytes = 4UL * 1024 * 1024;
  /// Whole revisions are put together up to this; a revision that alone is larger is streamed in
  /// fragments.
  std::size_t response_bytes = 1024UL * 1024;
};

class WatchHub {
 public:
  /// What publish should be given. Reading it costs nothing; it may be out of date by the time of
  /// publish, which is fine.
  struct Wants {
    bool changes = false;
    bool prev = false;  ///< previous values, too
  };

  /// `source` and `clock` must live until close() has returned.
  WatchHub(const ChangeSource& source, const env::Clock& clock, WatchOptions options);
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  [[nodiscard]] Wants wants() const;
  /// Makes every revision up to `newest` known. `recent` are whole revisions in order, ending at
  /// `newest`; what is left out (nobody wants it, too large) is read from the source when needed.
  /// Calls must come in the order of revisions.
  void publish(Revision newest, std::vector<ChangeBlock> recent);

  /// Errors: kUnavailable (closed).
  [[nodiscard]] Result<std::unique_ptr<WatchStream>> open();
  /// Ends every stream with kUnavailable and waits until none reads from the source. May be called
  /// twice.
  void close();

 private:
  std::shared_ptr<WatchCore> core_;
  const env::Clock& clock_;
};

}  // namespace bennu::kv::embedded
