#pragma once
// What   The embedded engine's kv::Store: puts reading, writing, staging, watching and leases
//        together.
// Why    The contract's entry points in one place; each does its checks and hands on. Use Made by
//        open_embedded.
// Errors As kv::Store.
// Threads Safe for all.
// Source own design, ADR 0002.

#include <memory>
#include <optional>

#include "kv/embedded/database.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/embedded/view.hpp"
#include "kv/embedded/writer.hpp"
#include "kv/store.hpp"

namespace bennu::kv::embedded {

class EmbeddedStore final : public Store {
 public:
  /// Opens what `options` name. Errors: see open_embedded.
  [[nodiscard]] static Result<std::unique_ptr<EmbeddedStore>> open(const EngineOptions& options);

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] Result<RangeResponse> range(const RangeRequest& request) override;
  [[nodiscard]] Result<Revision> scan(const KeyRange& range, Revision revision,
                                      const std::function<Status(KeyValue&)>& visit) override;
  [[nodiscard]] Result<PutResponse> put(const PutRequest& request) override;
  [[nodiscard]] Result<DeleteRangeResponse> delete_range(
      const DeleteRangeRequest& request) override;
  [[nodiscard]] Result<TxnResponse> txn(const TxnRequest& request) override;
  [[nodiscard]] Result<std::unique_ptr<StagedTxn>> stage() override;
  [[nodiscard]] Result<Revision> compact(Revision revision, bool physical) override;
  [[nodiscard]] Result<HashResponse> hash(Revision revision) override;
  [[nodiscard]] Result<std::unique_ptr<WatchStream>> watch() override;
  [[nodiscard]] Result<LeaseGrantResponse> lease_grant(const LeaseGrantRequest& request) override;
  [[nodiscard]] Result<Revision> lease_revoke(LeaseId id) override;
  [[nodiscard]] Result<LeaseKeepAliveResponse> lease_keep_alive(LeaseId id) override;
  [[nodiscard]] Result<LeaseTimeToLiveResponse> lease_time_to_live(LeaseId id,
                                                                   bool with_keys) override;
  [[nodiscard]] Result<LeasesResponse> leases() override;

 private:
  EmbeddedStore(std::unique_ptr<Database> database, std::shared_ptr<const View> view,
                bool read_only);
  [[nodiscard]] Status check_writable() const;

  std::unique_ptr<Database> database_;
  PublishedView published_;
  const bool read_only_;
  Writer writer_;
};

}  // namespace bennu::kv::embedded
