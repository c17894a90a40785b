#include "sync/base_record.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace bennu::sync {
namespace {

using nlohmann::json;

Error unreadable(std::string_view key, std::string_view why) {
  return make_error(Code::kDataLoss, fmt::format("the record {} cannot be read: {}", key, why));
}

Result<git::ObjectId> id_field(const json& record, const char* name) {
  const auto text = record.at(name).get<std::string>();
  if (text.empty()) return git::ObjectId{};
  const auto id = git::ObjectId::from_hex(text);
  if (!id) return make_error(Code::kDataLoss, fmt::format("`{}` is not an object id", name));
  return *id;
}

// 0: the record's own.
std::vector<Revision> revisions_field(const json& record, const char* name, Revision own) {
  std::vector<Revision> revisions;
  for (const json& number : record.value(name, json::array())) {
    const Revision at{number.get<std::int64_t>()};
    revisions.push_back(at.value == 0 ? own : at);
  }
  return revisions;
}

json numbers_of(const std::vector<Revision>& revisions) {
  json numbers = json::array();
  for (const Revision at : revisions) numbers.push_back(at.value);
  return numbers;
}

std::string hex_or_empty(const git::ObjectId& id) {
  return id.is_null() ? std::string() : id.hex();
}

Result<Base> parse_base(const kv::KeyValue& kv) {
  try {
    const json record = json::parse(kv.value);
    Base base;
    BENNU_ASSIGN(base.commit, id_field(record, "commit"));
    BENNU_ASSIGN(base.tree, id_field(record, "tree"));
    base.revision = Revision{record.at("revision").get<std::int64_t>()};
    if (base.revision.value == 0) base.revision = kv.mod_revision;
    base.applied = revisions_field(record, "applied", kv.mod_revision);
    base.unsealed = revisions_field(record, "unsealed", kv.mod_revision);
    for (const json& entry : record.at("exceptions")) {
      base.exceptions.push_back({.key = entry.at("key").get<std::string>(),
                                 .base_id = entry.at("base").get<std::string>(),
                                 .git_id = entry.at("git").get<std::string>(),
                                 .kv_id = entry.at("kv").get<std::string>()});
    }
    return base;
  } catch (const json::exception& error) {
    return unreadable(kv.key, error.what());
  }
}

Result<Intent> parse_intent(const kv::KeyValue& kv) {
  try {
    const json record = json::parse(kv.value);
    Intent intent{.sync_id = kv.key.substr(kIntentPrefix.size())};
    BENNU_ASSIGN(intent.parent, id_field(record, "parent"));
    BENNU_ASSIGN(intent.commit, id_field(record, "commit"));
    BENNU_ASSIGN(intent.tree, id_field(record, "tree"));
    intent.revision = Revision{record.at("revision").get<std::int64_t>()};
    return intent;
  } catch (const json::exception& error) {
    return unreadable(kv.key, error.what());
  }
}

kv::Op put(std::string key, const json& value) {
  return kv::Op{kv::PutRequest{.key = std::move(key), .value = value.dump()}};
}

}  // namespace

Result<SyncState> read_sync_state(kv::Reader& store) {
  SyncState state;
  BENNU_ASSIGN(const auto all,
               store.range({.range = kv::prefix_range(std::string(kLocalPrefix) + "sync/")}));
  state.revision = all.revision;
  for (const kv::KeyValue& kv : all.kvs) {
    if (kv.key == kBaseKey) {
      BENNU_ASSIGN(state.base, parse_base(kv));
      state.base_mod_revision = kv.mod_revision;
    } else if (kv.key.starts_with(kIntentPrefix)) {
      BENNU_ASSIGN(auto intent, parse_intent(kv));
      state.intents.push_back(std::move(intent));
    }
  }
  BENNU_ASSIGN(const auto lineage,
               store.range({.range = {.key = std::string(kLineageKey)}, .revision = all.revision}));
  if (!lineage.kvs.empty()) state.lineage = lineage.kvs[0].value;
  return state;
}

kv::Op base_put(const Base& base) {
  json exceptions = json::array();
  for (const Exception& held : base.exceptions) {
    exceptions.push_back(
        {{"key", held.key}, {"base", held.base_id}, {"git", held.git_id}, {"kv", held.kv_id}});
  }
  return put(std::string(kBaseKey), {{"commit", hex_or_empty(base.commit)},
                                     {"tree", hex_or_empty(base.tree)},
                                     {"revision", base.revision.value},
                                     {"applied", numbers_of(base.applied)},
                                     {"unsealed", numbers_of(base.unsealed)},
                                     {"exceptions", exceptions}});
}

kv::Op lineage_put(const std::string& lineage) {
  return kv::Op{kv::PutRequest{.key = std::string(kLineageKey), .value = lineage}};
}

kv::Op intent_put(const Intent& intent) {
  return put(std::string(kIntentPrefix) + intent.sync_id, {{"parent", hex_or_empty(intent.parent)},
                                                           {"commit", hex_or_empty(intent.commit)},
                                                           {"tree", hex_or_empty(intent.tree)},
                                                           {"revision", intent.revision.value}});
}

kv::Op intent_delete(const Intent& intent) {
  return kv::Op{
      kv::DeleteRangeRequest{.range = {.key = std::string(kIntentPrefix) + intent.sync_id}}};
}

kv::Compare base_unmoved(const SyncState& state) {
  return {.range = {.key = std::string(kBaseKey)},
          .target = kv::CompareTarget::kModRevision,
          .result = kv::CompareResult::kEqual,
          .number = state.base_mod_revision.value};
}

Result<Revision> write_unmoved(kv::Store& store, const SyncState& state, std::vector<kv::Op> ops) {
  BENNU_ASSIGN(const auto answer,
               store.txn({.compares = {base_unmoved(state)}, .success = std::move(ops)}));
  if (answer.succeeded) return answer.revision;
  return make_error(Code::kAborted, "another sync is at work on this store; try again");
}

}  // namespace bennu::sync
