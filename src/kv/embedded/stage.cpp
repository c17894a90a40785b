#include "kv/embedded/stage.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "kv/embedded/reader.hpp"
#include "kv/embedded/stage_commit.hpp"
#include "kv/errors.hpp"
#include "kv/reasons.hpp"
#include "kv/txn_rules.hpp"

namespace bennu::kv::embedded {

Stage::~Stage() {
  if (ticket_) context_.registry->close(*ticket_);
}

Status Stage::put(std::string_view key, std::string_view value) {
  if (value.size() > limits::kMaxValueBytes)
    return end_on_error(errors::value_too_large(value.size()));
  return end_on_error(add(key, value));
}

Status Stage::erase(std::string_view key) { return end_on_error(add(key, std::nullopt)); }

Status Stage::add(std::string_view key, std::optional<std::string_view> value) {
  if (done_) return make_error(Code::kFailedPrecondition, "the staged transaction has ended");
  if (key.empty()) return errors::empty_key();
  if (key.size() > limits::kMaxKeyBytes) return errors::key_too_large(key.size());
  if (builder_) return builder_->add(key, value);
  const auto owned = value ? std::optional(std::string(*value)) : std::nullopt;
  if (!small_.emplace(key, owned).second) return errors::duplicate_key();
  small_bytes_ += key.size() + (value ? value->size() : 0);
  if (small_.size() <= context_.spill_changes && small_bytes_ <= kSpillBytes) return {};
  return spill();
}

// What was not taken must not be missing in a commit.
Status Stage::end_on_error(Status done) {
  if (!done) done_ = true;
  return done;
}

Status Stage::spill() {
  const bool conditional = unchanged_since_.value != 0;
  const Revision newest = context_.published->get()->revision;
  ticket_ = context_.registry->open(conditional ? std::min(unchanged_since_, newest) : newest);
  if (context_.fail_point) context_.fail_point("stage.ticket");
  base_ = context_.published->get();
  // The commit says so: a put is not where callers expect it.
  unknown_since_ = conditional && base_->compacted > unchanged_since_;
  BENNU_ASSIGN(builder_, StageBuilder::create(*context_.database, *base_, ticket_->id));
  for (const auto& [key, value] : small_) {
    BENNU_TRY(builder_->add(key, value ? std::optional<std::string_view>(*value) : std::nullopt));
  }
  small_.clear();
  return {};
}

Result<Revision> Stage::commit(const std::vector<Compare>& compares, std::vector<Op> extra) {
  if (done_) return make_error(Code::kFailedPrecondition, "the staged transaction has ended");
  done_ = true;
  if (!builder_) return commit_small(compares, std::move(extra));
  if (unknown_since_) return stage_conflict();
  TxnRequest request{.compares = compares, .success = std::move(extra), .failure = {}};
  BENNU_TRY(validate(request));
  BENNU_ASSIGN(const auto built, builder_->finish());
  StageCommit commit(context_, *base_, *ticket_, built);
  if (unchanged_since_.value != 0) commit.require_unchanged();
  auto done = commit.run(request);
  context_.registry->close(*ticket_);
  ticket_.reset();
  return done;
}

// Each key must be what it was at that revision.
Status Stage::compare_small(std::vector<Compare>& compares) const {
  const auto view = context_.published->get();
  if (view->compacted > unchanged_since_) return stage_conflict();
  for (const auto& [key, value] : small_) {
    BENNU_ASSIGN(const auto then, find_key(*context_.database, *view, key,
                                           std::min(unchanged_since_, view->revision)));
    compares.push_back({.range = {.key = key, .end = {}},
                        .target = CompareTarget::kModRevision,
                        .number = then ? then->mod : 0});
  }
  return {};
}

Result<Revision> Stage::commit_small(const std::vector<Compare>& compares, std::vector<Op> extra) {
  TxnRequest request{.compares = compares, .success = std::move(extra), .failure = {}};
  if (unchanged_since_.value != 0) BENNU_TRY(compare_small(request.compares));
  for (auto& [key, value] : small_) {
    if (value) {
      request.success.push_back(Op{PutRequest{.key = key, .value = std::move(*value)}});
    } else {
      request.success.push_back(Op{DeleteRangeRequest{.range = {.key = key, .end = {}}}});
    }
  }
  small_.clear();
  BENNU_TRY(validate(request));
  TxnResponse response;
  BENNU_TRY(context_.writer->execute([&](Evaluation& evaluation) -> Status {
    BENNU_ASSIGN(response, evaluation.txn(request));
    if (response.succeeded) return {};
    return stage_conflict();
  }));
  return response.revision;
}

}  // namespace bennu::kv::embedded
