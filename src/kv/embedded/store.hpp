#pragma once
// What   The embedded engine's kv::Store: puts reading, writing, staging, watching and leases
//        together.
// Why    The contract's entry points in one place; each does its checks and hands on.
// Use    Made by open_embedded.
// Errors As kv::Store.
// Threads Safe for all.
// Source own design, ADR 0002.

#include <memory>
#include <optional>

#include "kv/embedded/background.hpp"
#include "kv/embedded/database.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/embedded/lease_table.hpp"
#include "kv/embedded/leases.hpp"
#include "kv/embedded/log_source.hpp"
#include "kv/embedded/recovery.hpp"
#include "kv/embedded/stage.hpp"
#include "kv/embedded/stage_registry.hpp"
#include "kv/embedded/view.hpp"
#include "kv/embedded/watch_hub.hpp"
#include "kv/embedded/writer.hpp"
#include "kv/store.hpp"

namespace bennu::kv::embedded {

class EmbeddedStore final : public Store {
 public:
  /// Opens what `options` name. Errors: see open_embedded.
  [[nodiscard]] static Result<std::unique_ptr<EmbeddedStore>> open(const EngineOptions& options);

  ~EmbeddedStore() override;

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
  EmbeddedStore(const EngineOptions& options, std::unique_ptr<Database> database,
                Recovered recovered);
  [[nodiscard]] Status check_writable() const;
  [[nodiscard]] StageContext stage_context();
  [[nodiscard]] Result<TxnResponse> run(const TxnRequest& request);
  [[nodiscard]] Result<TxnResponse> txn_by_stage(const TxnRequest& request);

  std::unique_ptr<Database> database_;
  PublishedView published_;
  bool read_only_ = false;
  std::optional<Error> full_;  // why it can only be read: there was no room to open it for writing
  const EngineTestHooks test_hooks_;
  // In the order of their needs: each uses those above it.
  LogSource source_;
  WatchHub watches_;
  LeaseTable lease_table_;
  StageRegistry stages_;
  Background background_;
  Writer writer_;
  Leases leases_;
};

}  // namespace bennu::kv::embedded
