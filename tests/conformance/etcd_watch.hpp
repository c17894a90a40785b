#pragma once
// What   kv::WatchStream on one Watch call of etcd.
// Why    Apart from the store: it has a thread and a queue.
// Use    `open_watch_stream(stub, timeout)`; must end before the channel that the stub is of.
// Units  At most kMaxQueuedResponses responses wait here; then etcd is no longer read from, and
//        holds the rest itself.
// Errors kUnavailable from every call once the stream is broken; create: etcd's answer.
// Threads As kv::WatchStream. One reader thread per stream.
// Source etcd v3 API, Watch.

#include <chrono>
#include <memory>

#include "base/result.hpp"
#include "etcd/rpc.grpc.pb.h"
#include "kv/store.hpp"

namespace bennu::kv::etcd {

inline constexpr std::size_t kMaxQueuedResponses = 256;

[[nodiscard]] std::unique_ptr<WatchStream> open_watch_stream(
    etcdserverpb::Watch::StubInterface& stub, std::chrono::milliseconds timeout);

}  // namespace bennu::kv::etcd
