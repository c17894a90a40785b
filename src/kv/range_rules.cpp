#include "kv/range_rules.hpp"

#include <algorithm>
#include <utility>

namespace bennu::kv {
namespace {

bool filters(const RangeRequest& request) {
  return request.min_mod_revision.value != 0 || request.max_mod_revision.value != 0 ||
         request.min_create_revision.value != 0 || request.max_create_revision.value != 0;
}

bool passes(const RangeRequest& request, const KeyValue& kv) {
  const auto within = [](Revision revision, Revision min, Revision max) {
    return (min.value == 0 || revision >= min) && (max.value == 0 || revision <= max);
  };
  return within(kv.mod_revision, request.min_mod_revision, request.max_mod_revision) &&
         within(kv.create_revision, request.min_create_revision, request.max_create_revision);
}

bool less(SortTarget target, const KeyValue& a, const KeyValue& b) {
  switch (target) {
    case SortTarget::kKey:
      return a.key < b.key;
    case SortTarget::kVersion:
      return a.version < b.version;
    case SortTarget::kCreateRevision:
      return a.create_revision < b.create_revision;
    case SortTarget::kModRevision:
      return a.mod_revision < b.mod_revision;
    case SortTarget::kValue:
      return a.value < b.value;
  }
  return false;
}

// The answer comes in key order. etcd sorts ascending when a target is named without an order, but
// only what the limit let through, since it decides about the limit by the order alone.
void sort(const RangeRequest& request, std::vector<KeyValue>& kvs) {
  const bool descend = request.sort_order == SortOrder::kDescend;
  if (request.sort_target == SortTarget::kKey) {
    if (descend) std::reverse(kvs.begin(), kvs.end());
    return;
  }
  std::stable_sort(kvs.begin(), kvs.end(), [&](const KeyValue& a, const KeyValue& b) {
    return descend ? less(request.sort_target, b, a) : less(request.sort_target, a, b);
  });
}

}  // namespace

std::int64_t fetch_limit(const RangeRequest& request) {
  if (request.limit <= 0 || request.sort_order != SortOrder::kNone || filters(request)) return 0;
  return request.limit + 1;
}

void finish_range(const RangeRequest& request, RangeResponse& response) {
  if (filters(request)) {
    std::erase_if(response.kvs, [&](const KeyValue& kv) { return !passes(request, kv); });
  }
  sort(request, response.kvs);
  response.more = false;
  if (request.limit > 0 && std::cmp_greater(response.kvs.size(), request.limit)) {
    response.kvs.resize(static_cast<std::size_t>(request.limit));
    response.more = true;
  }
  if (request.keys_only) {
    for (KeyValue& kv : response.kvs) kv.value.clear();
  }
}

}  // namespace bennu::kv
