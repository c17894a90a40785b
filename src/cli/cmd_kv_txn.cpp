#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <span>

#include "base/bytes.hpp"
#include "cli/app.hpp"
#include "cli/broken_rules.hpp"
#include "cli/file_records.hpp"
#include "cli/input.hpp"
#include "cli/kv_json.hpp"
#include "cli/secrecy.hpp"
#include "cli/session.hpp"
#include "inventory/derived.hpp"
#include "sync/state_tree.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

Error bad(std::string_view what) {
  return make_error(Code::kInvalidArgument,
                    fmt::format("the transaction {}; `bennu kv txn --help` shows the form", what));
}

constexpr std::size_t kMaxTxnBytes = 64UL << 20;

// A misspelt condition must not become an unconditional write.
Status check_members(const json& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return bad("holds something that is no object");
  for (const auto& [name, value] : object.items()) {
    if (std::ranges::find(known, name) == known.end())
      return bad(fmt::format("has an unknown member `{}`", name));
  }
  return {};
}

Result<kv::Compare> parse_compare(const json& item) {
  static const std::map<std::string, kv::CompareTarget> targets = {
      {"version", kv::CompareTarget::kVersion},
      {"create_revision", kv::CompareTarget::kCreateRevision},
      {"mod_revision", kv::CompareTarget::kModRevision},
      {"value", kv::CompareTarget::kValue},
      {"lease", kv::CompareTarget::kLease}};
  static const std::map<std::string, kv::CompareResult> results = {
      {"=", kv::CompareResult::kEqual},
      {"!=", kv::CompareResult::kNotEqual},
      {">", kv::CompareResult::kGreater},
      {"<", kv::CompareResult::kLess}};
  BENNU_TRY(check_members(item, {"key", "target", "is", "to"}));
  kv::Compare compare;
  BENNU_ASSIGN(compare.range.key, bytes_from_json(item.at("key")));
  const auto target = targets.find(item.at("target").get<std::string>());
  const auto result = results.find(item.value("is", "="));
  if (target == targets.end() || result == results.end()) return bad("has an unknown compare");
  compare.target = target->second;
  compare.result = result->second;
  if (compare.target == kv::CompareTarget::kValue) {
    BENNU_ASSIGN(compare.value, bytes_from_json(item.at("to")));
  } else {
    compare.number = item.at("to").get<std::int64_t>();
  }
  return compare;
}

Result<kv::Op> parse_op(const json& item) {
  BENNU_TRY(check_members(item, {"op", "key", "value"}));
  const std::string op = item.at("op").get<std::string>();
  BENNU_ASSIGN(auto key, bytes_from_json(item.at("key")));
  if (op != "get" && key.starts_with("/_bennu/")) return bad("changes a key of Bennu's own");
  if (op == "get") return kv::Op{kv::RangeRequest{.range = {.key = std::move(key)}}};
  if (op == "del") return kv::Op{kv::DeleteRangeRequest{.range = {.key = std::move(key)}}};
  if (op != "put") return bad(fmt::format("has an unknown op {}", op));
  BENNU_ASSIGN(auto value, bytes_from_json(item.at("value")));
  return kv::Op{kv::PutRequest{.key = std::move(key), .value = std::move(value)}};
}

Status parse_branch(const json& document, const char* name, std::vector<kv::Op>& ops) {
  for (const json& item : document.value(name, json::array())) {
    BENNU_ASSIGN(auto op, parse_op(item));
    ops.push_back(std::move(op));
  }
  return {};
}

Result<kv::TxnRequest> parse_txn(const std::string& text) {
  try {
    const json document = json::parse(text);
    BENNU_TRY(check_members(document, {"compares", "success", "failure"}));
    kv::TxnRequest request;
    for (const json& item : document.value("compares", json::array())) {
      BENNU_ASSIGN(auto compare, parse_compare(item));
      request.compares.push_back(std::move(compare));
    }
    BENNU_TRY(parse_branch(document, "success", request.success));
    BENNU_TRY(parse_branch(document, "failure", request.failure));
    return request;
  } catch (const json::parse_error& error) {
    return bad(fmt::format("is not JSON (byte {})", error.byte));
  } catch (const json::exception&) {
    return bad("lacks a member, or has one of the wrong kind");
  }
}

json response_json(const kv::OpResponse& response) {
  if (const auto* range = std::get_if<kv::RangeResponse>(&response.response)) {
    json items = json::array();
    for (const kv::KeyValue& kv : range->kvs) items.push_back(kv_json(kv, true));
    return {{"op", "get"}, {"items", items}};
  }
  if (const auto* deleted = std::get_if<kv::DeleteRangeResponse>(&response.response)) {
    return {{"op", "del"}, {"deleted", deleted->deleted}};
  }
  return {{"op", "put"}};
}

bool writes(const std::vector<kv::Op>& branch) {
  return std::ranges::any_of(branch, [](const kv::Op& op) {
    return !std::holds_alternative<kv::RangeRequest>(op.request);
  });
}

// The key that a branch writes twice, as etcd refuses it.
const std::string* written_twice(std::span<const kv::Op> branch) {
  std::vector<const kv::KeyRange*> deleted;
  for (const kv::Op& op : branch) {
    if (const auto* del = std::get_if<kv::DeleteRangeRequest>(&op.request))
      deleted.push_back(&del->range);
  }
  std::set<std::string_view> seen;
  for (const kv::Op& op : branch) {
    const auto* put = std::get_if<kv::PutRequest>(&op.request);
    if (put == nullptr) continue;
    const bool gone = std::ranges::any_of(
        deleted, [&](const kv::KeyRange* range) { return contains(*range, put->key); });
    if (gone || !seen.insert(put->key).second) return &put->key;
  }
  return nullptr;
}

// A branch that changes something says who did it, and has derived keys made anew where it must.
Status sign(WriteSession& session, std::vector<kv::Op>& branch) {
  if (!writes(branch)) return {};
  std::optional<kv::Op> forget;  // once, however many keys are the inventory's
  std::vector<kv::Op> records;
  BENNU_ASSIGN(const auto mapping, sync::mapping_of_state(session.store(), {}, {}));
  for (const kv::Op& op : branch) {
    kv::KeyRange range;
    RecordChanges changes;
    if (const auto* put = std::get_if<kv::PutRequest>(&op.request)) {
      range.key = put->key;
      BENNU_ASSIGN(changes, records_of_put(session.store(), mapping, put->key));
    }
    if (const auto* del = std::get_if<kv::DeleteRangeRequest>(&op.request)) {
      range = del->range;
      BENNU_ASSIGN(changes, records_of_delete(session.store(), mapping, range));
    }
    if (range.key.empty()) continue;
    std::ranges::move(changes.ops, std::back_inserter(records));
    for (kv::Op& derived : inventory::forget_derived(inventory::Layout(), range)) {
      forget = std::move(derived);
    }
  }
  std::ranges::move(records, std::back_inserter(branch));
  if (forget) branch.push_back(std::move(*forget));
  BENNU_ASSIGN(auto audit, session.audit_put("kv.txn", "kv txn"));
  branch.push_back(std::move(audit));
  return {};
}

Result<int> txn(const Context& context, const std::string& file) {
  BENNU_ASSIGN(const auto text, read_input(file, kMaxTxnBytes));
  BENNU_ASSIGN(auto request, parse_txn(text));
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  Secrecy secrecy(session.store(), session.link().identity);
  BENNU_TRY(secrecy.may_write(request));
  for (const auto* branch : {&request.success, &request.failure}) {
    const std::string* key = written_twice(*branch);
    if (key == nullptr) continue;
    BENNU_ASSIGN(const auto name, secrecy.shown(*key));
    return bad(fmt::format("writes {} twice in one list", name));
  }
  const std::array<std::size_t, 2> asked = {request.failure.size(), request.success.size()};
  BENNU_TRY(sign(session, request.success));
  BENNU_TRY(sign(session, request.failure));
  BENNU_ASSIGN(auto answer, session.store().txn(request));
  answer.responses.resize(asked[answer.succeeded ? 1 : 0]);
  const auto& taken = answer.succeeded ? request.success : request.failure;
  json broken = json::array();
  if (writes(taken)) {
    broken = broken_rules(context, session.store(), answer.revision);
  }
  json responses = json::array();
  for (const kv::OpResponse& response : answer.responses)
    responses.push_back(response_json(response));
  const json document = {{"succeeded", answer.succeeded},
                         {"revision", answer.revision.value},
                         {"responses", responses},
                         {"broken_rules", broken}};
  context.out.result(document, to_text(document) + "\n");
  return answer.succeeded ? kExitDone : kExitDifferent;
}

}  // namespace

void add_kv_txn_command(Registry& registry, CLI::App& kv) {
  auto file = std::make_shared<std::string>("-");
  auto* command = registry.add(
      kv, "txn", "Compare and change several keys at once, from JSON; status 2 if a compare failed",
      "echo '{\"compares\": [{\"key\": \"/a\", \"target\": \"version\", \"is\": \"=\", \"to\": "
      "0}],\n"
      "         \"success\": [{\"op\": \"put\", \"key\": \"/a\", \"value\": \"1\"}],\n"
      "         \"failure\": [{\"op\": \"get\", \"key\": \"/a\"}]}' | bennu kv txn --data net",
      [file](const Context& c) { return txn(c, *file); });
  command->add_option("FILE", *file, "The transaction (default: stdin)");
}

}  // namespace bennu::cli
