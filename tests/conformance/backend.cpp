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

Result<OpenStore> fresh_etcd() {
  BENNU_ASSIGN(std::shared_ptr<EtcdProcess> process, EtcdProcess::start());
  BENNU_ASSIGN(auto store, kv::etcd::connect({.target = process->target()}));
  return OpenStore(std::move(process), std::move(store));
}

#ifdef BENNU_HAS_EMBEDDED
Result<OpenStore> fresh_embedded() {
  auto folder = std::make_shared<env::TempDir>();
  BENNU_ASSIGN(auto store,
               kv::open_embedded({.path = folder->path() / "kv", .create_if_missing = true}));
  return OpenStore(std::move(folder), std::move(store));
}
#endif

std::map<std::string, Result<OpenStore>>& shared_stores() {
  static std::map<std::string, Result<OpenStore>> stores;
  return stores;
}

}  // namespace

void close_shared_stores() { shared_stores().clear(); }

Result<kv::Store*> Backend::shared() const {
  auto& opened = shared_stores();
  auto found = opened.find(name);
  if (found == opened.end()) found = opened.emplace(name, fresh()).first;
  if (!found->second) return found->second.error();
  return found->second->store.get();
}

const std::vector<Backend>& backends() {
  static const std::vector<Backend> all = {
#ifdef BENNU_HAS_EMBEDDED
      {.name = "embedded", .traits = {.min_ttl_s = 2}, .fresh = fresh_embedded},
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
