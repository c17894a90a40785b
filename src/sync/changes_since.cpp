#include "sync/changes_since.hpp"

#include <utility>

#include "kv/audit.hpp"

namespace bennu::sync {
namespace {

using Kind = kv::WatchResponse::Kind;

// Long enough for any disk; a store that answers nothing for so long is broken.
constexpr std::chrono::milliseconds kPatience = std::chrono::minutes{2};

void keep(std::vector<RevisionChanges>& all, kv::Event& event) {
  if (all.empty() || all.back().revision != event.kv.mod_revision) {
    all.push_back({.revision = event.kv.mod_revision, .changes = {}});
  }
  KeyChange change{
      .key = std::move(event.kv.key), .type = event.type, .leased = event.kv.lease.value != 0};
  if (change.key.starts_with(kv::kAuditPrefix)) change.value = std::move(event.kv.value);
  all.back().changes.push_back(std::move(change));
}

}  // namespace

Result<std::optional<std::vector<RevisionChanges>>> changes_since(kv::Store& store, Revision after,
                                                                  Revision until,
                                                                  std::size_t max_keys) {
  std::vector<RevisionChanges> all;
  if (after >= until) return all;
  BENNU_ASSIGN(auto stream, store.watch());
  BENNU_TRY(stream->create({.range = kv::all_keys(), .start_revision = after.next()}));
  // The progress answer comes only once everything before it has been delivered.
  BENNU_TRY(stream->request_progress());
  std::size_t count = 0;
  while (true) {
    BENNU_ASSIGN(auto response, stream->next(kPatience));
    if (!response)
      return make_error(Code::kUnavailable, "the store does not answer a watch of its own history");
    if (response->kind == Kind::kCanceled) return std::nullopt;
    for (kv::Event& event : response->events) {
      if (event.kv.mod_revision > until) return all;
      if (++count > max_keys) return std::nullopt;
      keep(all, event);
    }
    if (response->kind == Kind::kProgress && response->revision >= until) return all;
    if (response->kind == Kind::kEvents && response->revision > until) return all;
  }
}

}  // namespace bennu::sync
