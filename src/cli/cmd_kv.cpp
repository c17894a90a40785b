#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/limits.hpp"
#include "cli/app.hpp"
#include "cli/broken_rules.hpp"
#include "cli/file_records.hpp"
#include "cli/input.hpp"
#include "cli/kv_json.hpp"
#include "cli/own_keys.hpp"
#include "cli/secrecy.hpp"
#include "cli/session.hpp"
#include "inventory/derived.hpp"
#include "kv/audit.hpp"
#include "kv/reasons.hpp"
#include "sync/base_record.hpp"
#include "sync/state_tree.hpp"

namespace bennu::cli {
namespace {

using nlohmann::json;

Status check_key(std::string_view key) {
  if (!key.empty()) return {};
  return make_error(Code::kInvalidArgument, "the key is empty: name one, like /motd",
                    kv::reason::kEmptyKey);
}

// The engine's texts are etcd's, which name no revision and say nothing of what to do.
Error explained(kv::Reader& reader, std::int64_t revision, Error error) {
  if (error.reason == kv::reason::kFutureRevision) {
    const auto now = reader.range({.range = kv::all_keys(), .count_only = true});
    if (now) {
      error.message = fmt::format("there is no revision {} yet: the newest is {}", revision,
                                  now->revision.value);
    }
  } else if (error.reason == kv::reason::kCompacted) {
    error.message = fmt::format(
        "revision {} is compacted: take a newer one, or `bennu log`, which remembers", revision);
  }
  return error;
}

struct GetOptions {
  std::string key;
  std::int64_t revision = 0;
};

Result<int> get(const Context& context, const GetOptions& options) {
  BENNU_TRY(check_key(options.key));
  BENNU_ASSIGN(auto session, ReadSession::open(context));
  const auto found = session.reader().range(
      {.range = {.key = options.key}, .revision = Revision{options.revision}});
  if (!found) return explained(session.reader(), options.revision, found.error());
  const auto& answer = *found;
  if (answer.kvs.empty()) {
    BENNU_ASSIGN(const auto name, Secrecy(session.reader(), session.identity()).shown(options.key));
    return make_error(
        Code::kNotFound,
        fmt::format("there is no key {}; `bennu kv ls PREFIX` lists what there is", name));
  }
  if (context.out.json()) {
    context.out.result(kv_json(answer.kvs[0], true), "");
  } else {
    context.out.raw(answer.kvs[0].value);
    if (context.out.colours()) context.out.raw("\n");
  }
  return kExitDone;
}

struct ListOptions {
  std::string prefix;
  std::int64_t revision = 0;
  std::int64_t limit = 0;
  bool values = false;
  bool count = false;
  bool all = false;
};

// What the listing shows, all of one revision.
Result<kv::RangeResponse> listed(kv::Reader& reader, const ListOptions& options) {
  kv::RangeResponse all;
  Revision at{options.revision};
  for (const kv::KeyRange& range : listed_ranges(options.prefix, options.all)) {
    const auto shown = static_cast<std::int64_t>(all.kvs.size());
    const bool full = options.limit > 0 && shown >= options.limit;
    BENNU_ASSIGN(auto part, reader.range({.range = range,
                                          .limit = options.limit > 0 ? options.limit - shown : 0,
                                          .revision = at,
                                          .keys_only = !options.values,
                                          .count_only = options.count || full}));
    all.revision = part.revision;
    if (at.value == 0) at = part.revision;
    all.more = all.more || part.more || (full && !options.count && part.count > 0);
    all.count += part.count;
    std::ranges::move(part.kvs, std::back_inserter(all.kvs));
  }
  return all;
}

Result<int> list(const Context& context, const ListOptions& options) {
  BENNU_ASSIGN(auto session, ReadSession::open(context));
  const auto found = listed(session.reader(), options);
  if (!found) return explained(session.reader(), options.revision, found.error());
  const auto& answer = *found;
  json items = json::array();
  std::string text;
  for (const kv::KeyValue& kv : answer.kvs) {
    if (context.out.json()) {
      items.push_back(kv_json(kv, options.values));
    } else {
      text += printable(kv.key, kv.key.size());
      if (options.values) text += "\t" + printable(kv.value, kv.value.size());
      text += "\n";
    }
  }
  if (options.count) text = fmt::format("{}\n", answer.count);
  if (answer.more)
    context.out.note(fmt::format("{} of {} keys shown", answer.kvs.size(), answer.count));
  context.out.result(
      {{"revision", answer.revision.value}, {"count", answer.count}, {"items", items}}, text);
  return kExitDone;
}

struct PutOptions {
  std::string key;
  std::optional<std::string> value;
  std::string file;
};

Result<std::string> value_of(const PutOptions& options) {
  if (options.file.empty() && !options.value) {
    return make_error(Code::kInvalidArgument,
                      "name the value ('' for an empty one), or a file with --file (- is stdin)");
  }
  if (options.file.empty()) return *options.value;
  return read_input(options.file, limits::kMaxValueBytes);
}

Status refuse_local(std::string_view key) {
  if (!key.starts_with("/_bennu/")) return {};
  return make_error(Code::kPermissionDenied,
                    "what lies under /_bennu/ is Bennu's own; use `restore`, `import` or `secret` "
                    "to change it");
}

// One audited transaction; `records`: what the change does to the records of its files.
Result<kv::TxnResponse> change(WriteSession& session, kv::Op op, RecordChanges records,
                               const kv::KeyRange& range, std::string_view name,
                               const std::string& summary) {
  BENNU_ASSIGN(auto audit, session.audit_put(name, summary));
  kv::TxnRequest request;
  request.success.push_back(std::move(op));
  std::ranges::move(records.ops, std::back_inserter(request.success));
  // The inventory's indexes are made anew when somebody writes past its operations.
  for (kv::Op& forget : inventory::forget_derived(inventory::Layout(), range)) {
    request.success.push_back(std::move(forget));
  }
  request.success.push_back(std::move(audit));
  return session.store().txn(request);
}

Result<int> put(const Context& context, const PutOptions& options) {
  BENNU_TRY(check_key(options.key));
  BENNU_TRY(refuse_local(options.key));
  BENNU_ASSIGN(std::string value, value_of(options));
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  Secrecy secrecy(session.store(), session.link().identity);
  BENNU_ASSIGN(const auto name, secrecy.shown(options.key));
  BENNU_TRY(secrecy.may_put(options.key, value));
  BENNU_ASSIGN(const auto mapping, sync::mapping_of_state(session.store(), {}, {}));
  BENNU_ASSIGN(auto records, records_of_put(session.store(), mapping, options.key));
  BENNU_ASSIGN(
      const auto answer,
      change(session, kv::Op{kv::PutRequest{.key = options.key, .value = std::move(value)}},
             std::move(records), {.key = options.key}, "kv.put", fmt::format("kv put {}", name)));
  const json broken = broken_rules(context, session.store(), answer.revision);
  context.out.result({{"revision", answer.revision.value}, {"broken_rules", broken}},
                     fmt::format("{} stored at revision {}", name, answer.revision.value));
  return kExitDone;
}

struct DeleteOptions {
  std::string key;
  bool prefix = false;
};

Result<int> del(const Context& context, const DeleteOptions& options) {
  if (!options.prefix) BENNU_TRY(check_key(options.key));
  BENNU_TRY(refuse_local(options.key));
  const kv::KeyRange range =
      options.prefix ? kv::prefix_range(options.key) : kv::KeyRange{.key = options.key};
  if (options.prefix && contains(range, "/_bennu/local/")) {
    return make_error(Code::kPermissionDenied,
                      "this prefix holds Bennu's own keys; name a narrower one");
  }
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(const auto found, session.store().range({.range = range, .count_only = true}));
  BENNU_ASSIGN(const auto mapping, sync::mapping_of_state(session.store(), {}, {}));
  BENNU_ASSIGN(auto records, records_of_delete(session.store(), mapping, range));
  const std::int64_t deleted = found.count + records.files;
  if (options.prefix && !context.options.yes) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("{} keys would be deleted; add --yes to do it", deleted));
  }
  BENNU_ASSIGN(const auto name,
               Secrecy(session.store(), session.link().identity).shown(options.key));
  if (deleted == 0) {
    return make_error(Code::kNotFound, fmt::format("there is no key {}", name));
  }
  BENNU_ASSIGN(const auto answer,
               change(session, kv::Op{kv::DeleteRangeRequest{.range = range}}, std::move(records),
                      range, "kv.del", fmt::format("kv del {}", name)));
  const json broken = broken_rules(context, session.store(), answer.revision);
  context.out.result(
      {{"revision", answer.revision.value}, {"deleted", deleted}, {"broken_rules", broken}},
      fmt::format("{} deleted at revision {}", deleted, answer.revision.value));
  return kExitDone;
}

Result<int> compact(const Context& context, std::int64_t revision) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(const auto state, sync::read_sync_state(session.store()));
  const std::int64_t exported = state.base ? std::max(state.base->revision.value, 0L) : 0;
  if (revision > exported && revision <= state.revision.value) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("revision {} is not exported yet (what is goes to revision {}): "
                                  "run `bennu export` first",
                                  revision, exported));
  }
  const auto newest = session.store().compact(Revision{revision}, true);
  if (!newest) return explained(session.store(), revision, newest.error());
  context.out.result({{"revision", newest->value}, {"compacted", revision}},
                     fmt::format("history below revision {} is gone", revision));
  return kExitDone;
}

Result<int> hash(const Context& context, std::int64_t revision) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  const auto hashed = session.store().hash(Revision{revision});
  if (!hashed) return explained(session.store(), revision, hashed.error());
  const auto& answer = *hashed;
  const std::string hex = fmt::format("{:016x}", answer.hash);
  context.out.result({{"hash", hex},
                      {"hash_revision", answer.hash_revision.value},
                      {"compact_revision", answer.compact_revision.value},
                      {"revision", answer.revision.value}},
                     hex);
  return kExitDone;
}

}  // namespace

void add_kv_commands(Registry& registry) {
  CLI::App* kv = registry.group("kv", "Read and change single keys");

  auto get_options = std::make_shared<GetOptions>();
  auto* get_cmd = registry.add(*kv, "get", "Print the value of a key",
                               "bennu kv get /net/users/1/status --data net",
                               [get_options](const Context& c) { return get(c, *get_options); });
  get_cmd->add_option("KEY", get_options->key, "The key")->required();
  get_cmd->add_option("--rev", get_options->revision, "At this revision instead of the newest")
      ->check(check_count);

  auto list_options = std::make_shared<ListOptions>();
  auto* list_cmd =
      registry.add(*kv, "ls", "List keys by prefix", "bennu kv ls /net/users/ --values --data net",
                   [list_options](const Context& c) { return list(c, *list_options); });
  list_cmd->add_option("PREFIX", list_options->prefix, "Only keys that begin with this");
  list_cmd->add_option("--rev", list_options->revision, "At this revision instead of the newest")
      ->check(check_count);
  list_cmd->add_option("--limit", list_options->limit, "At most this many; 0: all")
      ->check(check_count);
  list_cmd->add_flag("--values", list_options->values, "Show the values too");
  list_cmd->add_flag("--count", list_options->count, "Only count");
  list_cmd->add_flag("--all", list_options->all,
                     "Also this store's own keys, which lie under /_bennu/local/");

  auto put_options = std::make_shared<PutOptions>();
  auto* put_cmd = registry.add(*kv, "put", "Store a value", "bennu kv put /motd 'hello' --data net",
                               [put_options](const Context& c) { return put(c, *put_options); });
  put_cmd->add_option("KEY", put_options->key, "The key")->required();
  auto* value = put_cmd->add_option("VALUE", put_options->value, "The value");
  put_cmd->add_option("--file", put_options->file, "Read the value from this file (- is stdin)")
      ->excludes(value);

  auto delete_options = std::make_shared<DeleteOptions>();
  auto* delete_cmd =
      registry.add(*kv, "del", "Delete a key or a prefix", "bennu kv del /motd --data net",
                   [delete_options](const Context& c) { return del(c, *delete_options); });
  delete_cmd->add_option("KEY", delete_options->key, "The key")->required();
  delete_cmd->add_flag("--prefix", delete_options->prefix,
                       "Every key that begins with KEY (needs --yes)");

  add_kv_watch_commands(registry, *kv);
  add_kv_txn_command(registry, *kv);

  auto revision = std::make_shared<std::int64_t>(0);
  auto* compact_cmd = registry.add(*kv, "compact", "Give up history below a revision",
                                   "bennu kv compact 1000 --data net",
                                   [revision](const Context& c) { return compact(c, *revision); });
  compact_cmd->add_option("REVISION", *revision, "The oldest revision to keep")
      ->required()
      ->check(check_count);

  auto hash_revision = std::make_shared<std::int64_t>(0);
  auto* hash_cmd =
      registry.add(*kv, "hash", "A hash of the whole state", "bennu kv hash --data net",
                   [hash_revision](const Context& c) { return hash(c, *hash_revision); });
  hash_cmd->add_option("--rev", *hash_revision, "At this revision instead of the newest")
      ->check(check_count);
}

}  // namespace bennu::cli
