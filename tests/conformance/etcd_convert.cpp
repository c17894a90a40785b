#include "etcd_convert.hpp"

#include <grpc/support/time.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kv/reasons.hpp"

namespace bennu::kv::etcd {
namespace {

namespace pb = etcdserverpb;

// The contract's enumerations have etcd's order on purpose; these hold it to that.
static_assert(static_cast<int>(SortOrder::kDescend) == pb::RangeRequest::DESCEND);
static_assert(static_cast<int>(SortTarget::kValue) == pb::RangeRequest::VALUE);
static_assert(static_cast<int>(CompareResult::kNotEqual) == pb::Compare::NOT_EQUAL);
static_assert(static_cast<int>(CompareTarget::kValue) == pb::Compare::VALUE);
static_assert(static_cast<int>(CompareTarget::kLease) == pb::Compare::LEASE);

template <class Message>
void set_range(Message& message, const KeyRange& range) {
  message.set_key(range.key);
  message.set_range_end(range.end);
}

pb::Compare to_wire(const Compare& compare) {
  pb::Compare out;
  set_range(out, compare.range);
  out.set_result(static_cast<pb::Compare::CompareResult>(compare.result));
  out.set_target(static_cast<pb::Compare::CompareTarget>(compare.target));
  switch (compare.target) {
    case CompareTarget::kVersion:
      out.set_version(compare.number);
      break;
    case CompareTarget::kCreateRevision:
      out.set_create_revision(compare.number);
      break;
    case CompareTarget::kModRevision:
      out.set_mod_revision(compare.number);
      break;
    case CompareTarget::kValue:
      out.set_value(compare.value);
      break;
    case CompareTarget::kLease:
      out.set_lease(compare.number);
      break;
  }
  return out;
}

pb::RequestOp to_wire(const Op& op) {
  pb::RequestOp out;
  if (const auto* range = std::get_if<RangeRequest>(&op.request)) {
    *out.mutable_request_range() = etcd::to_wire(*range);
  } else if (const auto* put = std::get_if<PutRequest>(&op.request)) {
    *out.mutable_request_put() = etcd::to_wire(*put);
  } else if (const auto* erase = std::get_if<DeleteRangeRequest>(&op.request)) {
    *out.mutable_request_delete_range() = etcd::to_wire(*erase);
  } else {
    *out.mutable_request_txn() = etcd::to_wire(std::get<TxnRequest>(op.request));
  }
  return out;
}

TxnResponse txn_from_wire(pb::TxnResponse&& message, Revision revision) {
  TxnResponse out{.revision = revision, .succeeded = message.succeeded(), .responses = {}};
  out.responses.reserve(static_cast<std::size_t>(message.responses_size()));
  for (auto& response : *message.mutable_responses()) {
    switch (response.response_case()) {
      case pb::ResponseOp::kResponseRange:
        out.responses.push_back({from_wire(std::move(*response.mutable_response_range()))});
        break;
      case pb::ResponseOp::kResponsePut:
        out.responses.push_back({from_wire(std::move(*response.mutable_response_put()))});
        break;
      case pb::ResponseOp::kResponseDeleteRange:
        out.responses.push_back({from_wire(std::move(*response.mutable_response_delete_range()))});
        break;
      case pb::ResponseOp::kResponseTxn:
        out.responses.push_back(
            {txn_from_wire(std::move(*response.mutable_response_txn()), revision)});
        break;
      case pb::ResponseOp::RESPONSE_NOT_SET:
        break;
    }
  }
  return out;
}

struct Text {
  std::string_view text;
  Code code;
  Reason reason;
};

constexpr std::array kTexts = {
    Text{"etcdserver: key is not provided", Code::kInvalidArgument, reason::kEmptyKey},
    Text{"etcdserver: key not found", Code::kInvalidArgument, reason::kKeyNotFound},
    Text{"etcdserver: value is provided", Code::kInvalidArgument, reason::kValueProvided},
    Text{"etcdserver: lease is provided", Code::kInvalidArgument, reason::kLeaseProvided},
    Text{"etcdserver: too many operations in txn request", Code::kInvalidArgument, {}},
    Text{"etcdserver: duplicate key given in txn request", Code::kInvalidArgument,
         reason::kDuplicateKey},
    Text{"etcdserver: request is too large", Code::kInvalidArgument, reason::kTooLarge},
    Text{"etcdserver: mvcc: required revision has been compacted", Code::kOutOfRange,
         reason::kCompacted},
    Text{"etcdserver: mvcc: required revision is a future revision", Code::kOutOfRange,
         reason::kFutureRevision},
    Text{"etcdserver: mvcc: database space exceeded", Code::kResourceExhausted, reason::kNoSpace},
    Text{"etcdserver: requested lease not found", Code::kNotFound, reason::kLeaseNotFound},
    Text{"etcdserver: lease already exists", Code::kFailedPrecondition, reason::kLeaseExists},
    Text{"etcdserver: too large lease TTL", Code::kOutOfRange, reason::kLeaseTtlTooLarge},
    Text{"etcdserver: corrupt cluster", Code::kDataLoss, reason::kCorrupt},
    // Of watches.
    Text{"mvcc: duplicate watch ID provided on the WatchStream", Code::kInvalidArgument, {}},
    Text{"mvcc: watcher range is empty", Code::kInvalidArgument, {}},
};

// gRPC itself refuses what is larger than etcd's request limit and its slack; the code is gRPC's,
// not etcd's.
constexpr std::string_view kGrpcTooLarge = "received message larger than max";

bool leaves_open(Code code) {
  switch (code) {
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kInternal:
      return true;
    default:
      return false;
  }
}

}  // namespace

pb::RangeRequest to_wire(const RangeRequest& request) {
  pb::RangeRequest out;
  set_range(out, request.range);
  out.set_limit(request.limit);
  out.set_revision(request.revision.value);
  out.set_sort_order(static_cast<pb::RangeRequest::SortOrder>(request.sort_order));
  out.set_sort_target(static_cast<pb::RangeRequest::SortTarget>(request.sort_target));
  out.set_serializable(request.serializable);
  out.set_keys_only(request.keys_only);
  out.set_count_only(request.count_only);
  out.set_min_mod_revision(request.min_mod_revision.value);
  out.set_max_mod_revision(request.max_mod_revision.value);
  out.set_min_create_revision(request.min_create_revision.value);
  out.set_max_create_revision(request.max_create_revision.value);
  return out;
}

pb::PutRequest to_wire(const PutRequest& request) {
  pb::PutRequest out;
  out.set_key(request.key);
  out.set_value(request.value);
  out.set_lease(request.lease.value);
  out.set_prev_kv(request.prev_kv);
  out.set_ignore_value(request.ignore_value);
  out.set_ignore_lease(request.ignore_lease);
  return out;
}

pb::DeleteRangeRequest to_wire(const DeleteRangeRequest& request) {
  pb::DeleteRangeRequest out;
  set_range(out, request.range);
  out.set_prev_kv(request.prev_kv);
  return out;
}

pb::TxnRequest to_wire(const TxnRequest& request) {
  pb::TxnRequest out;
  for (const auto& compare : request.compares) *out.add_compare() = to_wire(compare);
  for (const auto& op : request.success) *out.add_success() = to_wire(op);
  for (const auto& op : request.failure) *out.add_failure() = to_wire(op);
  return out;
}

pb::WatchRequest to_wire(const WatchRequest& request) {
  pb::WatchRequest out;
  auto& create = *out.mutable_create_request();
  set_range(create, request.range);
  create.set_start_revision(request.start_revision.value);
  create.set_progress_notify(request.progress_notify);
  create.set_prev_kv(request.prev_kv);
  create.set_watch_id(request.id);
  if (request.no_put) create.add_filters(pb::WatchCreateRequest::NOPUT);
  if (request.no_delete) create.add_filters(pb::WatchCreateRequest::NODELETE);
  return out;
}

KeyValue from_wire(mvccpb::KeyValue&& message) {
  return KeyValue{.key = std::move(*message.mutable_key()),
                  .create_revision = Revision{message.create_revision()},
                  .mod_revision = Revision{message.mod_revision()},
                  .version = message.version(),
                  .value = std::move(*message.mutable_value()),
                  .lease = LeaseId{message.lease()}};
}

RangeResponse from_wire(pb::RangeResponse&& message) {
  RangeResponse out{.revision = Revision{message.header().revision()},
                    .kvs = {},
                    .more = message.more(),
                    .count = message.count()};
  out.kvs.reserve(static_cast<std::size_t>(message.kvs_size()));
  for (auto& kv : *message.mutable_kvs()) out.kvs.push_back(from_wire(std::move(kv)));
  return out;
}

PutResponse from_wire(pb::PutResponse&& message) {
  PutResponse out{.revision = Revision{message.header().revision()}, .prev_kv = {}};
  if (message.has_prev_kv())
    out.prev_kv.push_back(from_wire(std::move(*message.mutable_prev_kv())));
  return out;
}

DeleteRangeResponse from_wire(pb::DeleteRangeResponse&& message) {
  DeleteRangeResponse out{.revision = Revision{message.header().revision()},
                          .deleted = message.deleted(),
                          .prev_kvs = {}};
  for (auto& kv : *message.mutable_prev_kvs()) out.prev_kvs.push_back(from_wire(std::move(kv)));
  return out;
}

TxnResponse from_wire(pb::TxnResponse&& message) {
  const Revision revision{message.header().revision()};
  return txn_from_wire(std::move(message), revision);
}

WatchResponse from_wire(pb::WatchResponse&& message) {
  WatchResponse out{.id = message.watch_id(),
                    .revision = Revision{message.header().revision()},
                    .compact_revision = Revision{message.compact_revision()},
                    .cancel_reason = message.cancel_reason()};
  if (message.canceled()) {
    out.kind = WatchResponse::Kind::kCanceled;
  } else if (message.created()) {
    out.kind = WatchResponse::Kind::kCreated;
  } else if (message.events().empty()) {
    out.kind = WatchResponse::Kind::kProgress;
  }
  for (auto& event : *message.mutable_events()) {
    Event converted{
        .type = event.type() == mvccpb::Event::DELETE ? EventType::kDelete : EventType::kPut,
        .kv = from_wire(std::move(*event.mutable_kv()))};
    if (event.has_prev_kv())
      converted.prev_kv.push_back(from_wire(std::move(*event.mutable_prev_kv())));
    out.events.push_back(std::move(converted));
  }
  return out;
}

Error to_error(std::string_view text) {
  const auto* found = std::ranges::find(kTexts, text, &Text::text);
  if (found == kTexts.end()) return make_error(Code::kUnknown, std::string(text));
  return make_error(found->code, std::string(text), found->reason);
}

Error to_error(const grpc::Status& status, Kind kind) {
  Error error = to_error(status.error_message());
  if (error.code != Code::kUnknown) return error;
  error.code = static_cast<Code>(status.error_code());
  if (status.error_message().find(kGrpcTooLarge) != std::string::npos) {
    return make_error(Code::kInvalidArgument, status.error_message(), reason::kTooLarge);
  }
  if (kind == Kind::kWrite && leaves_open(error.code)) error.effect = Effect::kUnknown;
  return error;
}

void set_timeout(grpc::ClientContext& context, std::chrono::milliseconds timeout) {
  context.set_deadline(gpr_time_from_millis(timeout.count(), GPR_TIMESPAN));
}

}  // namespace bennu::kv::etcd
