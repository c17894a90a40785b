#pragma once
// What   Between the contract's plain values and etcd's messages; gRPC status to Error.
// Why    Apart from the calls, because the messages nest and the tables are long.
// Threads Pure functions.
// Source proto/etcd/rpc.proto; error texts: api/v3rpc/rpctypes/error.go of etcd.

#include <chrono>

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include "base/error.hpp"
#include "etcd/rpc.pb.h"
#include "kv/types.hpp"

namespace bennu::kv::etcd {

[[nodiscard]] etcdserverpb::RangeRequest to_wire(const RangeRequest& request);
[[nodiscard]] etcdserverpb::PutRequest to_wire(const PutRequest& request);
[[nodiscard]] etcdserverpb::DeleteRangeRequest to_wire(const DeleteRangeRequest& request);
[[nodiscard]] etcdserverpb::TxnRequest to_wire(const TxnRequest& request);
[[nodiscard]] etcdserverpb::WatchRequest to_wire(const WatchRequest& request);

/// The messages are moved from: values may be large.
[[nodiscard]] KeyValue from_wire(mvccpb::KeyValue&& message);
[[nodiscard]] RangeResponse from_wire(etcdserverpb::RangeResponse&& message);
[[nodiscard]] PutResponse from_wire(etcdserverpb::PutResponse&& message);
[[nodiscard]] DeleteRangeResponse from_wire(etcdserverpb::DeleteRangeResponse&& message);
/// etcd leaves the revision of a nested answer at 0; it becomes that of the whole transaction.
[[nodiscard]] TxnResponse from_wire(etcdserverpb::TxnResponse&& message);
[[nodiscard]] WatchResponse from_wire(etcdserverpb::WatchResponse&& message);

enum class Kind : std::uint8_t { kRead, kWrite };

/// The Error of a failed call. Requires `!status.ok()`.
[[nodiscard]] Error to_error(const grpc::Status& status, Kind kind);
/// The Error that one of etcd's texts stands for (watches carry the text alone); kUnknown where it
/// is not known.
[[nodiscard]] Error to_error(std::string_view text);

/// A deadline this far from now, without reading a clock here: gRPC adds it to its own.
void set_timeout(grpc::ClientContext& context, std::chrono::milliseconds timeout);

}  // namespace bennu::kv::etcd
