#include "kv/embedded/evaluation.hpp"

#include <memory>
#include <set>
#include <utility>

#include "kv/errors.hpp"
#include "kv/range_rules.hpp"
#include "kv/txn_rules.hpp"

namespace bennu::kv::embedded {

std::vector<const Overlay*> Evaluation::overlays() const {
  std::vector<const Overlay*> out;
  for (const Overlay* overlay : {&overlay_, base_.open, base_.in_flight}) {
    if (overlay != nullptr && !overlay->keys().empty()) out.push_back(overlay);
  }
  return out;
}

Result<std::optional<Record>> Evaluation::find(std::string_view key) {
  for (const Overlay* overlay : overlays()) {
    if (const auto* found = overlay->find(key)) return *found;
  }
  return find_key(*base_.database, *base_.view, key, base_.view->revision);
}

void Evaluation::record_change(Change change) {
  overlay_.set(change.key,
               change.type == EventType::kPut ? std::optional(change.after) : std::nullopt);
  changes_.push_back(std::move(change));
}

Result<PutResponse> Evaluation::put(const PutRequest& request) {
  if (request.lease.value != 0 && !base_.lease_exists(request.lease))
    return errors::lease_not_found();
  BENNU_ASSIGN(auto before, find(request.key));
  if ((request.ignore_value || request.ignore_lease) && !before) return errors::key_not_found();
  const LeaseId lease = request.ignore_lease ? LeaseId{before->lease} : request.lease;
  const Revision revision = base_.newest.next();
  Change change{.type = EventType::kPut,
                .key = request.key,
                .before = std::nullopt,
                .after = {.create = before ? before->create : revision.value,
                          .mod = revision.value,
                          .version = before ? before->version + 1 : 1,
                          .lease = lease.value,
                          .value = request.ignore_value ? before->value : request.value}};
  PutResponse response{.revision = revision, .prev_kv = {}};
  if (request.prev_kv && before)
    response.prev_kv.push_back(to_key_value(request.key, before->view()));
  change.before = std::move(before);
  record_change(std::move(change));
  return response;
}

Result<DeleteRangeResponse> Evaluation::erase(const DeleteRangeRequest& request) {
  DeleteRangeResponse response;
  std::vector<Change> found;
  const auto add = [&](std::string_view key, Record record) {
    if (request.prev_kv) response.prev_kvs.push_back(to_key_value(key, record.view()));
    found.push_back(Change{.type = EventType::kDelete,
                           .key = std::string(key),
                           .before = std::move(record),
                           .after = {}});
  };
  if (request.range.end.empty()) {
    BENNU_ASSIGN(auto before, find(request.range.key));
    if (before) add(request.range.key, std::move(*before));
  } else {
    Cursor cursor(*base_.database, *base_.view, overlays(), request.range, base_.view->revision);
    for (; cursor.valid(); cursor.next()) {
      BENNU_TRY(take_room(cursor.key().size() + cursor.record().value.size()));
      add(cursor.key(), Record::from(cursor.record()));
    }
    BENNU_TRY(cursor.status());
  }
  for (Change& change : found) record_change(std::move(change));
  response.deleted = static_cast<std::int64_t>(found.size());
  response.revision = revision();
  return response;
}

Status Evaluation::take_room(std::size_t bytes) {
  if (!room_) return {};
  if (room_->keys == 0 || room_->bytes < bytes) {
    return make_error(Code::kResourceExhausted, "more is deleted at once than is held in memory",
                      kNeedsStage);
  }
  --room_->keys;
  room_->bytes -= bytes;
  return {};
}

Status Evaluation::erase_lease_keys(LeaseId lease) {
  std::set<std::string, std::less<>> keys;
  const std::string prefix = lease_key_key(lease.value, {});
  const std::unique_ptr<rocksdb::Iterator> it(base_.database->db().NewIterator(
      base_.view->read_options(), base_.database->family(Family::kLease)));
  for (it->Seek(prefix); it->Valid() && it->key().ToStringView().starts_with(prefix); it->Next()) {
    keys.emplace(it->key().ToStringView().substr(prefix.size()));
    if (room_ && keys.size() > room_->keys) return take_room(room_->bytes + 1);
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot read the keys of a lease");
  for (const Overlay* overlay : overlays()) {
    for (const auto& [key, record] : overlay->keys()) {
      if (record && record->lease == lease.value) keys.insert(key);
    }
  }
  for (const std::string& key : keys) {
    BENNU_ASSIGN(const auto record, find(key));
    if (!record || record->lease != lease.value) continue;
    BENNU_TRY(take_room(key.size() + record->value.size()));
    BENNU_TRY(erase({.range = {.key = key, .end = {}}}));
  }
  return {};
}

Status Evaluation::read_range(const RangeRequest& request, RangeResponse& response) {
  const Revision at = request.revision.value > 0 && request.revision < base_.view->revision
                          ? request.revision
                          : base_.view->revision;
  const bool newest = request.revision.value <= 0 || request.revision >= revision();
  if (request.range.end.empty()) {
    std::optional<Record> found;
    if (newest) {
      BENNU_ASSIGN(found, find(request.range.key));
    } else {
      BENNU_ASSIGN(found, find_key(*base_.database, *base_.view, request.range.key, at));
    }
    response.count = found ? 1 : 0;
    if (found && !request.count_only)
      response.kvs.push_back(to_key_value(request.range.key, found->view()));
    return {};
  }
  const bool counted = newest && overlays().empty();
  if (counted && request.count_only) {
    BENNU_ASSIGN(response.count, count_keys(*base_.database, *base_.view, request.range));
    return {};
  }
  const std::int64_t limit = fetch_limit(request);
  Cursor cursor(*base_.database, *base_.view, newest ? overlays() : std::vector<const Overlay*>{},
                request.range, at);
  for (; cursor.valid(); cursor.next()) {
    ++response.count;
    if (request.count_only || (limit > 0 && response.count > limit)) {
      if (counted) break;
      continue;
    }
    response.kvs.push_back(to_key_value(cursor.key(), cursor.record()));
  }
  BENNU_TRY(cursor.status());
  if (counted && cursor.valid()) {
    BENNU_ASSIGN(response.count, count_keys(*base_.database, *base_.view, request.range));
  }
  return {};
}

Result<RangeResponse> Evaluation::range(const RangeRequest& request) {
  // A future revision is judged by the state before the transaction, as etcd checks before it
  // applies.
  if (request.revision > base_.newest) return errors::future_revision();
  if (request.revision.value > 0 && request.revision < base_.compacted) {
    return errors::compacted();
  }
  RangeResponse response;
  BENNU_TRY(read_range(request, response));
  finish_range(request, response);
  response.revision = revision();
  return response;
}

Result<bool> Evaluation::holds(const Compare& compare) {
  if (compare.range.end.empty()) {
    BENNU_ASSIGN(const auto found, find(compare.range.key));
    if (!found) return compare_holds(compare, {});
    return compare_holds_for(compare, to_key_value(compare.range.key, found->view()));
  }
  bool any = false;
  Cursor cursor(*base_.database, *base_.view, overlays(), compare.range, base_.view->revision);
  for (; cursor.valid(); cursor.next()) {
    any = true;
    if (!compare_holds_for(compare, to_key_value(cursor.key(), cursor.record()))) return false;
  }
  BENNU_TRY(cursor.status());
  return any || compare_holds(compare, {});
}

Result<bool> Evaluation::holds(const std::vector<Compare>& compares) {
  for (const Compare& compare : compares) {
    BENNU_ASSIGN(const bool one, holds(compare));
    if (!one) return false;
  }
  return true;
}

// etcd decides every branch, nested ones too, by the state before the transaction (apply.go,
// compareToPath).
Status Evaluation::choose_branches(const TxnRequest& request, std::vector<bool>& path) {
  BENNU_ASSIGN(const bool succeeded, holds(request.compares));
  path.push_back(succeeded);
  for (const Op& op : succeeded ? request.success : request.failure) {
    if (const auto* nested = std::get_if<TxnRequest>(&op.request)) {
      BENNU_TRY(choose_branches(*nested, path));
    }
  }
  return {};
}

Result<TxnResponse> Evaluation::run(const TxnRequest& request, const std::vector<bool>& path,
                                    std::size_t& at) {
  TxnResponse response;
  response.succeeded = path[at++];
  for (const Op& op : response.succeeded ? request.success : request.failure) {
    if (const auto* put_request = std::get_if<PutRequest>(&op.request)) {
      // Where key and lease are both missing, etcd names the lease of a put of its own, but the key
      // of a put in a transaction (apply.go, Put and checkRequestPut).
      if (put_request->ignore_value || put_request->ignore_lease) {
        BENNU_ASSIGN(const auto before, find(put_request->key));
        if (!before) return errors::key_not_found();
      }
      BENNU_ASSIGN(auto one, put(*put_request));
      response.responses.push_back(OpResponse{std::move(one)});
    } else if (const auto* erase_request = std::get_if<DeleteRangeRequest>(&op.request)) {
      BENNU_ASSIGN(auto one, erase(*erase_request));
      response.responses.push_back(OpResponse{std::move(one)});
    } else if (const auto* range_request = std::get_if<RangeRequest>(&op.request)) {
      BENNU_ASSIGN(auto one, range(*range_request));
      response.responses.push_back(OpResponse{std::move(one)});
    } else if (const auto* nested = std::get_if<TxnRequest>(&op.request)) {
      BENNU_ASSIGN(auto one, run(*nested, path, at));
      response.responses.push_back(OpResponse{std::move(one)});
    }
  }
  response.revision = revision();
  return response;
}

Result<TxnResponse> Evaluation::txn(const TxnRequest& request) {
  std::vector<bool> path;
  BENNU_TRY(choose_branches(request, path));
  std::size_t at = 0;
  return run(request, path, at);
}

}  // namespace bennu::kv::embedded
