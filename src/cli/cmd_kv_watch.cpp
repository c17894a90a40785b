#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/bytes.hpp"
#include "cli/app.hpp"
#include "cli/input.hpp"
#include "cli/kv_json.hpp"
#include "cli/own_keys.hpp"
#include "cli/session.hpp"

namespace bennu::cli {
namespace {

using Kind = kv::WatchResponse::Kind;
using nlohmann::json;

// How long one wait is, so that an interrupt is seen soon.
constexpr std::chrono::milliseconds kSlice{200};
constexpr std::chrono::milliseconds kPatience = std::chrono::minutes{1};

struct WatchOptions {
  std::string prefix;
  std::int64_t from = 0;
  bool all = false;
};

void print_event(const Output& out, const kv::Event& event) {
  if (out.json()) {
    out.raw(to_text(event_json(event), -1) + "\n");
    return;
  }
  const bool put = event.type == kv::EventType::kPut;
  const std::string line =
      put ? fmt::format("{} {} = {}", event.kv.mod_revision.value, printable(event.kv.key, 300),
                        printable(event.kv.value, 120))
          : fmt::format("{} {} deleted", event.kv.mod_revision.value, printable(event.kv.key, 300));
  out.raw(out.styled(put ? Style::kGreen : Style::kRed, line) + "\n");
}

Result<int> watch(const Context& context, const WatchOptions& options) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(auto stream, session.store().watch());
  BENNU_TRY(stream->create(
      {.range = kv::prefix_range(options.prefix), .start_revision = Revision{options.from}}));
  const auto listed = listed_ranges(options.prefix, options.all);
  context.out.note(fmt::format("watching {}; end with Ctrl-C",
                               options.prefix.empty() ? "every key" : printable(options.prefix)));
  while (!context.stop.stop_requested()) {
    BENNU_ASSIGN(const auto response, stream->next(kSlice));
    if (!response) continue;
    if (response->kind == Kind::kCanceled) {
      return make_error(Code::kOutOfRange,
                        fmt::format("{}; the oldest revision that can be watched is {}",
                                    response->cancel_reason, response->compact_revision.value));
    }
    for (const kv::Event& event : response->events) {
      const bool shown = std::ranges::any_of(
          listed, [&](const kv::KeyRange& range) { return contains(range, event.kv.key); });
      if (shown) print_event(context.out, event);
    }
  }
  return kExitDone;
}

// Every change of the key that history still has; `compacted` says from where on.
Result<json> read_history(kv::Store& store, const std::string& key, Revision until,
                          Revision& compacted) {
  json items = json::array();
  BENNU_ASSIGN(auto stream, store.watch());
  BENNU_TRY(stream->create({.range = {.key = key}, .start_revision = Revision{1}}));
  BENNU_TRY(stream->request_progress());
  while (true) {
    BENNU_ASSIGN(const auto response, stream->next(kPatience));
    if (!response) return make_error(Code::kUnavailable, "the store does not answer");
    if (response->kind == Kind::kCanceled) {
      compacted = response->compact_revision;
      BENNU_TRY(stream->create({.range = {.key = key}, .start_revision = compacted}));
      BENNU_TRY(stream->request_progress());
      continue;
    }
    for (const kv::Event& event : response->events) items.push_back(event_json(event));
    if (response->kind == Kind::kProgress && response->revision >= until) return items;
  }
}

std::string history_text(const json& items) {
  std::vector<std::vector<std::string>> rows = {{"REVISION", "CHANGE", "VERSION", "VALUE"}};
  for (const json& item : items) {
    const json value = item.value("value", json(""));
    rows.push_back({std::to_string(item["mod_revision"].get<std::int64_t>()),
                    item["type"].get<std::string>(),
                    std::to_string(item["version"].get<std::int64_t>()),
                    value.is_string() ? printable(value.get<std::string>(), 60) : value.dump()});
  }
  return table(rows);
}

Result<int> history(const Context& context, const std::string& key) {
  BENNU_ASSIGN(auto session, WriteSession::open(context));
  BENNU_ASSIGN(const auto now, session.store().range({.range = {.key = key}, .count_only = true}));
  Revision compacted;
  BENNU_ASSIGN(const auto items, read_history(session.store(), key, now.revision, compacted));
  if (compacted.value != 0) {
    context.out.note(fmt::format("history before revision {} is compacted; `bennu log` has it",
                                 compacted.value));
  }
  context.out.result(
      {{"revision", now.revision.value}, {"compacted", compacted.value}, {"items", items}},
      history_text(items));
  return kExitDone;
}

}  // namespace

void add_kv_watch_commands(Registry& registry, CLI::App& kv) {
  auto watch_options = std::make_shared<WatchOptions>();
  auto* watch_cmd =
      registry.add(kv, "watch", "Print changes as they happen (JSON: one document a line)",
                   "bennu kv watch /net/users/ --data net",
                   [watch_options](const Context& c) { return watch(c, *watch_options); });
  watch_cmd->add_option("PREFIX", watch_options->prefix, "Only keys that begin with this");
  watch_cmd->add_option("--from", watch_options->from, "Begin with this revision")
      ->check(check_count);
  watch_cmd->add_flag("--all", watch_options->all,
                      "Also this store's own keys, which lie under /_bennu/local/");

  auto key = std::make_shared<std::string>();
  auto* history_cmd = registry.add(kv, "history", "Every change of a key that is not compacted",
                                   "bennu kv history /motd --data net",
                                   [key](const Context& c) { return history(c, *key); });
  history_cmd->add_option("KEY", *key, "The key")->required();
}

}  // namespace bennu::cli
