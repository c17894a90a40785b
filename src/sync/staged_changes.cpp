#include "sync/staged_changes.hpp"

#include <string>
#include <utility>

#include "sync/mapping.hpp"

namespace bennu::sync {

Result<StagedChanges> StagedChanges::begin(const Link& link, Revision planned) {
  BENNU_ASSIGN(auto staged, link.store.stage());
  staged->require_unchanged_since(planned);
  return StagedChanges(link, std::move(staged));
}

Status StagedChanges::count() {
  BENNU_TRY(go_on(*link_));
  link_->progress("keys staged", ++done_, 0);
  return {};
}

Status StagedChanges::put(std::string_view key, std::string_view value) {
  BENNU_TRY(count());
  return staged_->put(key, value);
}

Status StagedChanges::erase(std::string_view key) {
  BENNU_TRY(count());
  return staged_->erase(key);
}

Result<Revision> StagedChanges::commit(const std::vector<kv::Compare>& compares,
                                       std::vector<kv::Op> extra) {
  return staged_->commit(compares, std::move(extra));
}

kv::Op derived_put() {
  return kv::Op{kv::PutRequest{.key = std::string(kDerivedCompleteKey), .value = {}}};
}

}  // namespace bennu::sync
