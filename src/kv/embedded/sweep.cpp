#include "kv/embedded/sweep.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kv/embedded/reader.hpp"
#include "kv/embedded/stage_commit.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {
namespace {

using AddKey = std::function<Status(std::string_view)>;

bool deletes_range(const Op& op) {
  const auto* request = std::get_if<DeleteRangeRequest>(&op.request);
  return request != nullptr && !request->range.end.empty();
}

// One stage of the keys that `keys` names, committed with `request`.
struct Swept {
  Revision revision;
  TxnResponse response;
};
Result<Swept> commit_stage(const StageContext& context, const TxnRequest& request,
                           const StageRule& rule,
                           const std::function<Status(const View&, const AddKey&)>& keys) {
  struct OpenTicket {
    StageRegistry& registry;
    StageRegistry::Ticket ticket;
    ~OpenTicket() { registry.close(ticket); }
  };
  const OpenTicket open{*context.registry,
                        context.registry->open(context.published->get()->revision)};
  const auto view = context.published->get();
  BENNU_ASSIGN(const auto builder, StageBuilder::create(*context.database, *view, open.ticket.id));
  std::size_t found = 0;
  BENNU_TRY(keys(*view, [&](std::string_view key) {
    ++found;
    return builder->add(key, std::nullopt);
  }));
  if (found == 0) return make_error(Code::kAborted, "there is nothing left", kStageOutdated);
  BENNU_ASSIGN(const auto built, builder->finish());
  StageCommit commit(context, *view, open.ticket, built, &rule);
  BENNU_ASSIGN(const Revision revision, commit.run(request));
  return Swept{.revision = revision, .response = commit.take_response()};
}

Result<DeleteRangeResponse> answer(const Database& database, const View& before,
                                   const DeleteRangeRequest& request, Revision revision) {
  DeleteRangeResponse response{.revision = revision, .deleted = 0, .prev_kvs = {}};
  BENNU_ASSIGN(response.deleted, count_keys(database, before, request.range));
  if (!request.prev_kv) return response;
  Cursor cursor(database, before, {}, request.range, before.revision);
  for (; cursor.valid(); cursor.next()) {
    response.prev_kvs.push_back(to_key_value(cursor.key(), cursor.record()));
  }
  BENNU_TRY(cursor.status());
  return response;
}

}  // namespace

bool fits_a_sweep(const TxnRequest& request, std::size_t spill_changes) {
  if (!request.failure.empty()) return false;
  std::vector<const KeyRange*> ranges;
  std::vector<const std::string*> keys;
  for (const Op& op : request.success) {
    if (const auto* put = std::get_if<PutRequest>(&op.request)) {
      keys.push_back(&put->key);
    } else if (const auto* erase = std::get_if<DeleteRangeRequest>(&op.request)) {
      if (erase->range.end.empty()) {
        keys.push_back(&erase->range.key);
      } else {
        ranges.push_back(&erase->range);
      }
    } else {
      return false;
    }
  }
  if (ranges.empty() || keys.size() > spill_changes) return false;
  std::ranges::sort(ranges, {}, [](const KeyRange* range) { return std::string_view(range->key); });
  const auto overlap = [](const KeyRange* a, const KeyRange* b) { return contains(*a, b->key); };
  if (std::ranges::adjacent_find(ranges, overlap) != ranges.end()) return false;
  return std::ranges::none_of(keys, [&](const std::string* key) {
    return std::ranges::any_of(ranges, [&](const KeyRange* r) { return contains(*r, *key); });
  });
}

Result<TxnResponse> sweep(const StageContext& context, const TxnRequest& request) {
  std::vector<KeyRange> ranges;
  TxnRequest extra{.compares = request.compares, .success = {}, .failure = {}};
  for (const Op& op : request.success) {
    if (deletes_range(op)) {
      ranges.push_back(std::get<DeleteRangeRequest>(op.request).range);
    } else {
      extra.success.push_back(op);
    }
  }
  std::ranges::sort(ranges, {}, &KeyRange::key);
  std::shared_ptr<const View> before;  // what is there when it is committed
  const StageRule rule{.takes =
                           [&](std::string_view key, const Record& /*now*/) {
                             return std::ranges::any_of(ranges, [&](const KeyRange& range) {
                               return contains(range, key);
                             });
                           },
                       .last = [&](Evaluation& /*evaluation*/) -> Status {
                         before = context.published->get();
                         return {};
                       }};
  const auto keys = [&](const View& view, const AddKey& add) -> Status {
    for (const KeyRange& range : ranges) {
      Cursor cursor(*context.database, view, {}, range, view.revision);
      for (; cursor.valid(); cursor.next()) BENNU_TRY(add(cursor.key()));
      BENNU_TRY(cursor.status());
    }
    return {};
  };
  auto swept = commit_stage(context, extra, rule, keys);
  if (!swept) {
    if (swept.error().reason != reason::kStageConflict) return swept.error();
    return TxnResponse{
        .revision = context.published->get()->revision, .succeeded = false, .responses = {}};
  }
  TxnResponse response{.revision = swept->revision, .succeeded = true, .responses = {}};
  auto other = swept->response.responses.begin();
  for (const Op& op : request.success) {
    if (!deletes_range(op)) {
      response.responses.push_back(std::move(*other++));
      std::visit([&](auto& one) { one.revision = swept->revision; },
                 response.responses.back().response);
      continue;
    }
    BENNU_ASSIGN(auto one, answer(*context.database, *before,
                                  std::get<DeleteRangeRequest>(op.request), swept->revision));
    response.responses.push_back(OpResponse{std::move(one)});
  }
  return response;
}

Result<Revision> sweep_lease(const StageContext& context, LeaseId lease,
                             const std::function<Status(Evaluation&)>& take) {
  const StageRule rule{.takes = [&](std::string_view /*key*/,
                                    const Record& now) { return now.lease == lease.value; },
                       .last = take};
  const auto keys = [&](const View& view, const AddKey& add) -> Status {
    const std::string prefix = lease_key_key(lease.value, {});
    const std::unique_ptr<rocksdb::Iterator> it(context.database->db().NewIterator(
        view.read_options(), context.database->family(Family::kLease)));
    for (it->Seek(prefix); it->Valid() && it->key().ToStringView().starts_with(prefix);
         it->Next()) {
      const std::string_view key = it->key().ToStringView().substr(prefix.size());
      BENNU_ASSIGN(const auto record, find_key(*context.database, view, key, view.revision));
      if (record && record->lease == lease.value) BENNU_TRY(add(key));
    }
    if (!it->status().ok()) return to_error(it->status(), "cannot read the keys of a lease");
    return {};
  };
  BENNU_ASSIGN(const auto swept, commit_stage(context, {}, rule, keys));
  return swept.revision;
}

}  // namespace bennu::kv::embedded
