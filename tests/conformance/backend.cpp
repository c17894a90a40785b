#include "backend.hpp"

#include <map>
#include <utility>

#include "etcd_process.hpp"
#include "etcd_store.hpp"
#ifdef BENNU_HAS_EMBEDDED
#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"
#endif

namespace bennu::conformance {
namespace {

Result<std::unique_ptr<OpenStore>> fresh_etcd() {
  BENNU_ASSIGN(std::shared_ptr<EtcdProcess> process, EtcdProcess::start());
  return OpenStore::make([process, running = true]() mutable -> Result<std::unique_ptr<kv::Store>> {
    if (!std::exchange(running, false)) BENNU_TRY(process->restart());
    return kv::etcd::connect({.target = process->target()});
  });
}

#ifdef BENNU_HAS_EMBEDDED
Result<std::unique_ptr<OpenStore>> fresh_embedded(const kv::EngineOptions& settings) {
  auto folder = std::make_shared<env::TempDir>();
  return OpenStore::make([folder, options = settings]() mutable {
    options.path = folder->path() / "kv";
    options.create_if_missing = true;
    return kv::open_embedded(options);
  });
}

// Every staged transaction takes the way of the large ones.
kv::EngineOptions spilling() {
  kv::EngineOptions options;
  options.test_hooks.stage_spill_changes = 0;
  return options;
}
#endif

std::map<std::string, Result<std::unique_ptr<OpenStore>>>& shared_stores() {
  static std::map<std::string, Result<std::unique_ptr<OpenStore>>> stores;
  return stores;
}

}  // namespace

void close_shared_stores() { shared_stores().clear(); }

Result<std::unique_ptr<OpenStore>> OpenStore::make(Open open) {
  std::unique_ptr<OpenStore> made(new OpenStore(std::move(open)));
  BENNU_TRY(made->reopen());
  return made;
}

Status OpenStore::reopen() {
  store_.reset();
  BENNU_ASSIGN(store_, open_());
  return {};
}

Result<OpenStore*> Backend::shared() const {
  auto& opened = shared_stores();
  auto found = opened.find(name);
  if (found == opened.end()) found = opened.emplace(name, fresh()).first;
  if (!found->second) return found->second.error();
  return found->second->get();
}

const std::vector<Backend>& backends() {
  static const std::vector<Backend> all = {
#ifdef BENNU_HAS_EMBEDDED
      {.name = "embedded", .traits = {.min_ttl_s = 2}, .fresh = [] { return fresh_embedded({}); }},
      {.name = "spilling",  // takes transactions of puts alone, and deletes, as stages
       .traits = {.min_ttl_s = 2, .events_in_request_order = false},
       .fresh = [] { return fresh_embedded(spilling()); }},
#endif
      {.name = "etcd",
       .traits = {.bounds_keys = false,
                  .min_ttl_s = 1,
                  .progress_follows_events = false,
                  .keeps_tombstone_at_compaction = false},
       .fresh = fresh_etcd},
  };
  return all;
}

}  // namespace bennu::conformance
