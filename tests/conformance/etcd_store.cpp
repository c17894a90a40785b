#include "etcd_store.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <utility>

#include "base/limits.hpp"
#include "etcd/rpc.grpc.pb.h"
#include "etcd_convert.hpp"
#include "etcd_watch.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::etcd {
namespace {

namespace pb = etcdserverpb;

// A scan asks for pages of about this size: the next page's number of keys follows from the bytes
// of the last.
constexpr std::size_t kScanPageBytes = 2UL * 1024 * 1024;
constexpr std::int64_t kScanFirstPage = 64;
constexpr std::int64_t kScanLargestPage = 10'000;

std::int64_t next_page(const RangeResponse& page) {
  std::size_t bytes = 1;
  for (const auto& kv : page.kvs) bytes += kv.key.size() + kv.value.size();
  const auto fitting = kScanPageBytes * page.kvs.size() / bytes;
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(fitting), 1, kScanLargestPage);
}

class EtcdStore final : public Store {
 public:
  EtcdStore(const std::shared_ptr<grpc::Channel>& channel, const Options& options)
      : timeout_(options.call_timeout),
        kv_(pb::KV::NewStub(channel)),
        watch_(pb::Watch::NewStub(channel)),
        lease_(pb::Lease::NewStub(channel)),
        maintenance_(pb::Maintenance::NewStub(channel)) {}

  Capabilities capabilities() const override {
    return {.max_txn_ops = limits::kEtcdTxnOps, .atomic_staging = false};
  }

  Status wait_until_up(std::chrono::milliseconds timeout) {
    grpc::ClientContext context;
    set_timeout(context, timeout);
    context.set_wait_for_ready(true);
    pb::StatusResponse response;
    const auto status = maintenance_->Status(&context, {}, &response);
    if (!status.ok()) return make_error(Code::kUnavailable, status.error_message());
    return {};
  }

  Result<RangeResponse> range(const RangeRequest& request) override {
    pb::RangeResponse response;
    BENNU_TRY(call(Kind::kRead, [&](auto* context) {
      return kv_->Range(context, to_wire(request), &response);
    }));
    return from_wire(std::move(response));
  }

  Result<Revision> scan(const KeyRange& range, Revision revision,
                        const std::function<Status(KeyValue&)>& visit) override {
    RangeRequest request{.range = range, .limit = kScanFirstPage, .revision = revision};
    while (true) {
      BENNU_ASSIGN(auto page, this->range(request));
      if (request.revision == Revision{}) request.revision = page.revision;
      if (page.more) {
        request.limit = next_page(page);
        request.range.key = page.kvs.back().key + '\0';
      }
      for (auto& kv : page.kvs) BENNU_TRY(visit(kv));
      if (!page.more) return request.revision;
    }
  }

  Result<PutResponse> put(const PutRequest& request) override {
    pb::PutResponse response;
    BENNU_TRY(call(Kind::kWrite,
                   [&](auto* context) { return kv_->Put(context, to_wire(request), &response); }));
    return from_wire(std::move(response));
  }

  Result<DeleteRangeResponse> delete_range(const DeleteRangeRequest& request) override {
    pb::DeleteRangeResponse response;
    BENNU_TRY(call(Kind::kWrite, [&](auto* context) {
      return kv_->DeleteRange(context, to_wire(request), &response);
    }));
    return from_wire(std::move(response));
  }

  Result<TxnResponse> txn(const TxnRequest& request) override {
    pb::TxnResponse response;
    BENNU_TRY(call(Kind::kWrite,
                   [&](auto* context) { return kv_->Txn(context, to_wire(request), &response); }));
    return from_wire(std::move(response));
  }

  Result<std::unique_ptr<StagedTxn>> stage() override {
    return make_error(Code::kUnimplemented, "etcd has no staged transactions; use txn() in chunks");
  }

  Result<Revision> compact(Revision revision, bool physical) override {
    pb::CompactionRequest request;
    request.set_revision(revision.value);
    request.set_physical(physical);
    pb::CompactionResponse response;
    BENNU_TRY(call(Kind::kWrite,
                   [&](auto* context) { return kv_->Compact(context, request, &response); }));
    return Revision{response.header().revision()};
  }

  Result<HashResponse> hash(Revision revision) override {
    pb::HashKVRequest request;
    request.set_revision(revision.value);
    pb::HashKVResponse response;
    BENNU_TRY(call(Kind::kRead, [&](auto* context) {
      return maintenance_->HashKV(context, request, &response);
    }));
    const Revision newest{response.header().revision()};
    // Before 3.6 etcd does not repeat the revision; and what it calls "nothing compacted" is -1.
    const Revision asked = revision == Revision{} ? newest : revision;
    return HashResponse{
        .revision = newest,
        .hash_revision = response.hash_revision() > 0 ? Revision{response.hash_revision()} : asked,
        .compact_revision = Revision{std::max<std::int64_t>(response.compact_revision(), 0)},
        .hash = response.hash()};
  }

  Result<std::unique_ptr<WatchStream>> watch() override {
    return open_watch_stream(*watch_, timeout_);
  }

  Result<LeaseGrantResponse> lease_grant(const LeaseGrantRequest& request) override {
    pb::LeaseGrantRequest message;
    message.set_id(request.id.value);
    message.set_ttl(request.ttl_s);
    pb::LeaseGrantResponse response;
    BENNU_TRY(call(Kind::kWrite,
                   [&](auto* context) { return lease_->LeaseGrant(context, message, &response); }));
    return LeaseGrantResponse{.revision = Revision{response.header().revision()},
                              .id = LeaseId{response.id()},
                              .ttl_s = response.ttl()};
  }

  Result<Revision> lease_revoke(LeaseId id) override {
    pb::LeaseRevokeRequest request;
    request.set_id(id.value);
    pb::LeaseRevokeResponse response;
    BENNU_TRY(call(Kind::kWrite, [&](auto* context) {
      return lease_->LeaseRevoke(context, request, &response);
    }));
    return Revision{response.header().revision()};
  }

  Result<LeaseKeepAliveResponse> lease_keep_alive(LeaseId id) override {
    pb::LeaseKeepAliveRequest request;
    request.set_id(id.value);
    pb::LeaseKeepAliveResponse response;
    BENNU_TRY(call(Kind::kWrite, [&](auto* context) {
      const auto stream = lease_->LeaseKeepAlive(context);
      const bool answered = stream->Write(request) && stream->Read(&response);
      stream->WritesDone();
      auto status = stream->Finish();
      if (status.ok() && !answered) return grpc::Status(grpc::UNAVAILABLE, "no answer from etcd");
      return status;
    }));
    // etcd answers a keep-alive of an unknown lease with a TTL of 0.
    if (response.ttl() <= 0) {
      return make_error(Code::kNotFound, "etcdserver: requested lease not found",
                        reason::kLeaseNotFound);
    }
    return LeaseKeepAliveResponse{.revision = Revision{response.header().revision()},
                                  .ttl_s = response.ttl()};
  }

  Result<LeaseTimeToLiveResponse> lease_time_to_live(LeaseId id, bool with_keys) override {
    pb::LeaseTimeToLiveRequest request;
    request.set_id(id.value);
    request.set_keys(with_keys);
    pb::LeaseTimeToLiveResponse response;
    BENNU_TRY(call(Kind::kRead, [&](auto* context) {
      return lease_->LeaseTimeToLive(context, request, &response);
    }));
    LeaseTimeToLiveResponse out{.revision = Revision{response.header().revision()},
                                .granted_ttl_s = response.grantedttl(),
                                .ttl_s = response.ttl(),
                                .keys = {response.keys().begin(), response.keys().end()}};
    std::ranges::sort(out.keys);
    return out;
  }

  Result<LeasesResponse> leases() override {
    pb::LeaseLeasesResponse response;
    BENNU_TRY(call(Kind::kRead,
                   [&](auto* context) { return lease_->LeaseLeases(context, {}, &response); }));
    LeasesResponse out{.revision = Revision{response.header().revision()}, .leases = {}};
    for (const auto& lease : response.leases()) out.leases.push_back(LeaseId{lease.id()});
    return out;
  }

 private:
  template <class Rpc>
  Status call(Kind kind, Rpc&& rpc) {
    grpc::ClientContext context;
    set_timeout(context, timeout_);
    const grpc::Status status = rpc(&context);
    if (status.ok()) return {};
    return to_error(status, kind);
  }

  std::chrono::milliseconds timeout_;
  std::unique_ptr<pb::KV::StubInterface> kv_;
  std::unique_ptr<pb::Watch::StubInterface> watch_;
  std::unique_ptr<pb::Lease::StubInterface> lease_;
  std::unique_ptr<pb::Maintenance::StubInterface> maintenance_;
};

}  // namespace

Result<std::unique_ptr<Store>> connect(const Options& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // The name that gRPC makes of a socket's path is one that Go's HTTP/2 refuses.
  if (options.target.starts_with("unix:"))
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Two stores to one etcd must not share a connection: one may be stopped while the other goes on.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel =
      grpc::CreateCustomChannel(options.target, grpc::InsecureChannelCredentials(), arguments);
  auto store = std::make_unique<EtcdStore>(channel, options);
  auto up = store->wait_until_up(options.connect_timeout);
  if (!up) return std::move(up).error().with_context("etcd at " + options.target);
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace bennu::kv::etcd
