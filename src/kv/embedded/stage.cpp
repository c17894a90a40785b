#include "kv/embedded/stage.hpp"

#include "kv/errors.hpp"
#include "kv/reasons.hpp"
#include "kv/txn_rules.hpp"

namespace bennu::kv::embedded {

Status Stage::add(std::string_view key, std::optional<std::string> value) {
  if (!changes_.emplace(key, std::move(value)).second) return errors::duplicate_key();
  return {};
}

Status Stage::put(std::string_view key, std::string_view value) {
  BENNU_TRY(validate(PutRequest{.key = std::string(key), .value = std::string(value)}));
  return add(key, std::string(value));
}

Status Stage::erase(std::string_view key) {
  BENNU_TRY(validate(DeleteRangeRequest{.range = {.key = std::string(key), .end = {}}}));
  return add(key, std::nullopt);
}

Result<Revision> Stage::commit(const std::vector<Compare>& compares, std::vector<Op> extra) {
  TxnRequest request{.compares = compares, .success = std::move(extra), .failure = {}};
  for (auto& [key, value] : changes_) {
    if (value) {
      request.success.push_back(Op{PutRequest{.key = key, .value = std::move(*value)}});
    } else {
      request.success.push_back(Op{DeleteRangeRequest{.range = {.key = key, .end = {}}}});
    }
  }
  changes_.clear();
  BENNU_TRY(validate(request));
  TxnResponse response;
  BENNU_TRY(writer_.execute([&](Evaluation& evaluation) -> Status {
    BENNU_ASSIGN(response, evaluation.txn(request));
    if (response.succeeded) return {};
    return make_error(Code::kAborted,
                      "the store changed meanwhile: a compare of the staged transaction failed",
                      reason::kStageConflict);
  }));
  return response.revision;
}

}  // namespace bennu::kv::embedded
