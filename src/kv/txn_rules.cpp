#include "kv/txn_rules.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "kv/errors.hpp"

namespace bennu::kv {
namespace {

// Only what is stored is bounded: asking for a longer key is a question with an answer.
Status check_range(const KeyRange& range) {
  if (range.key.empty()) return errors::empty_key();
  return {};
}

using Puts = std::set<std::string_view>;
using Deletes = std::vector<const KeyRange*>;

// etcd's interval tree takes the end "\0" literally, so such a range meets no key
// (adt.NewStringAffineInterval).
bool meets(const Deletes& deletes, std::string_view key) {
  return std::any_of(deletes.begin(), deletes.end(), [&](const KeyRange* range) {
    return range->end.empty() ? key == range->key : range->key <= key && key < range->end;
  });
}

struct Touched {
  Puts puts;
  Deletes deletes;
};

Result<Touched> check_overlaps(const std::vector<Op>& ops);

// Adds what one nested transaction touches: its branches exclude each other, so they may put the
// same key.
Status add_nested(const TxnRequest& nested, Touched& touched) {
  BENNU_ASSIGN(const Touched then, check_overlaps(nested.success));
  BENNU_ASSIGN(const Touched otherwise, check_overlaps(nested.failure));
  for (const std::string_view key : then.puts) {
    if (touched.puts.contains(key) || meets(touched.deletes, key)) return errors::duplicate_key();
  }
  for (const std::string_view key : otherwise.puts) {
    if (touched.puts.contains(key) || meets(touched.deletes, key)) return errors::duplicate_key();
  }
  touched.puts.insert(then.puts.begin(), then.puts.end());
  touched.puts.insert(otherwise.puts.begin(), otherwise.puts.end());
  touched.deletes.insert(touched.deletes.end(), then.deletes.begin(), then.deletes.end());
  touched.deletes.insert(touched.deletes.end(), otherwise.deletes.begin(), otherwise.deletes.end());
  return {};
}

Result<Touched> check_overlaps(const std::vector<Op>& ops) {
  Touched touched;
  for (const Op& op : ops) {
    if (const auto* del = std::get_if<DeleteRangeRequest>(&op.request)) {
      touched.deletes.push_back(&del->range);
    }
  }
  for (const Op& op : ops) {
    if (const auto* nested = std::get_if<TxnRequest>(&op.request)) {
      BENNU_TRY(add_nested(*nested, touched));
    }
  }
  for (const Op& op : ops) {
    const auto* put = std::get_if<PutRequest>(&op.request);
    if (put == nullptr) continue;
    if (meets(touched.deletes, put->key) || !touched.puts.insert(put->key).second) {
      return errors::duplicate_key();
    }
  }
  return touched;
}

Status check_requests(const TxnRequest& request) {
  for (const Compare& compare : request.compares) BENNU_TRY(check_range(compare.range));
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const Op& op : *branch) {
      if (const auto* nested = std::get_if<TxnRequest>(&op.request)) {
        BENNU_TRY(check_requests(*nested));
      } else if (const auto* put = std::get_if<PutRequest>(&op.request)) {
        BENNU_TRY(validate(*put));
      } else if (const auto* range = std::get_if<RangeRequest>(&op.request)) {
        BENNU_TRY(validate(*range));
      } else if (const auto* del = std::get_if<DeleteRangeRequest>(&op.request)) {
        BENNU_TRY(validate(*del));
      }
    }
  }
  return {};
}

template <class T>
bool ordered(CompareResult result, const T& left, const T& right) {
  switch (result) {
    case CompareResult::kEqual:
      return left == right;
    case CompareResult::kGreater:
      return left > right;
    case CompareResult::kLess:
      return left < right;
    case CompareResult::kNotEqual:
      return left != right;
  }
  return false;
}

}  // namespace

Status validate(const RangeRequest& request) { return check_range(request.range); }

Status validate(const PutRequest& request) {
  if (request.key.empty()) return errors::empty_key();
  if (request.key.size() > limits::kMaxKeyBytes) return errors::key_too_large(request.key.size());
  if (request.ignore_value && !request.value.empty()) return errors::value_provided();
  if (request.ignore_lease && request.lease.value != 0) return errors::lease_provided();
  if (request.value.size() > limits::kMaxValueBytes) {
    return errors::value_too_large(request.value.size());
  }
  return {};
}

Status validate(const DeleteRangeRequest& request) { return check_range(request.range); }

Status validate(const TxnRequest& request) {
  BENNU_TRY(check_requests(request));
  BENNU_TRY(check_overlaps(request.success));
  BENNU_TRY(check_overlaps(request.failure));
  return {};
}

bool is_read_only(const TxnRequest& request) {
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const Op& op : *branch) {
      if (const auto* nested = std::get_if<TxnRequest>(&op.request)) {
        if (!is_read_only(*nested)) return false;
      } else if (!std::holds_alternative<RangeRequest>(op.request)) {
        return false;
      }
    }
  }
  return true;
}

bool compare_holds_for(const Compare& compare, const KeyValue& kv) {
  switch (compare.target) {
    case CompareTarget::kVersion:
      return ordered(compare.result, kv.version, compare.number);
    case CompareTarget::kCreateRevision:
      return ordered(compare.result, kv.create_revision.value, compare.number);
    case CompareTarget::kModRevision:
      return ordered(compare.result, kv.mod_revision.value, compare.number);
    case CompareTarget::kValue:
      return ordered(compare.result, kv.value, compare.value);
    case CompareTarget::kLease:
      return ordered(compare.result, kv.lease.value, compare.number);
  }
  return false;
}

bool compare_holds(const Compare& compare, std::span<const KeyValue> found) {
  if (found.empty()) {
    return compare.target != CompareTarget::kValue && compare_holds_for(compare, KeyValue{});
  }
  return std::all_of(found.begin(), found.end(),
                     [&](const KeyValue& kv) { return compare_holds_for(compare, kv); });
}

}  // namespace bennu::kv
