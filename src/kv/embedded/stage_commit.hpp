#pragma once
// What   Makes a stage's files visible: hands them to RocksDB, mends what others changed meanwhile,
//        and writes the one record that commits them.
// Why    The only moment at which others wait, so it is kept as short as a put.
// Use    Once per stage: `run`. Whatever fails before the commit record leaves the store as it was.
// Errors kAborted (kStageConflict); kInvalidArgument (kDuplicateKey: `extra` names a staged key).
//        Effect kUnknown only if writing the commit record failed.
// Threads One thread.
// Source decision 8 of ARCHITECTURE.md; ADR 0002.

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kv/embedded/stage.hpp"
#include "kv/embedded/stage_builder.hpp"

namespace bennu::kv::embedded {

[[nodiscard]] Error stage_conflict();

/// What a stage deletes by a rule instead of by name: a key that comes to be under the rule while
/// the stage is built is deleted, too.
struct StageRule {
  /// Whether the rule deletes this record of a key.
  std::function<bool(std::string_view key, const Record& now)> takes;
  /// The last thing decided in the commit's turn of the write role.
  std::function<Status(Evaluation&)> last;
};
/// A key that was to be deleted is not under the rule any more: build the stage again.
inline constexpr Reason kStageOutdated = "kv.embedded.stage_outdated";

class StageCommit {
 public:
  /// `base`: the view that the files were made at. All must outlive it. `rule` may be null.
  StageCommit(const StageContext& context, const View& base, const StageRegistry::Ticket& ticket,
              const StageBuilder::Built& built, const StageRule* rule = nullptr);
  /// No key of the stage may have changed since the ticket's revision.
  void require_unchanged() {
    conditional_ = true;
    mended_to_ = ticket_.base;
  }

  /// `request`: compares, and the extra changes as its success branch.
  [[nodiscard]] Result<Revision> run(const TxnRequest& request);
  /// Afterwards: the answers of the extra changes.
  [[nodiscard]] TxnResponse take_response() { return std::move(response_); }

 private:
  [[nodiscard]] Status check(const std::vector<Compare>& compares, const View& view) const;
  [[nodiscard]] Status ingest();
  [[nodiscard]] Status catch_up();
  [[nodiscard]] Result<bool> much_to_mend(const View& view) const;
  [[nodiscard]] Status mend_since(Revision from, const View& view, rocksdb::WriteBatch& batch,
                                  bool write_through);
  [[nodiscard]] Status mend(std::string_view key, const View& view, rocksdb::WriteBatch& batch);
  [[nodiscard]] Result<std::uint64_t> find_in_list(std::string_view key) const;
  [[nodiscard]] Status commit(const TxnRequest& request, Group& group, Evaluation& evaluation,
                              const View& view);
  [[nodiscard]] Status erase_late(Evaluation& evaluation, const View& view) const;
  [[nodiscard]] Status add_commit_record(Group& group, const View& view);
  void hit(std::string_view point) const;

  const StageContext& context_;
  const Database& database_;
  const StageRegistry::Ticket& ticket_;
  const StageBuilder::Built& built_;
  const StageRule* const rule_;
  TxnResponse response_;
  std::set<std::string, std::less<>> late_;  // came to be under the rule meanwhile
  bool conditional_ = false;
  Revision mended_to_;
  std::uint64_t effective_;
  bool unclean_;
  std::vector<CountDelta> corrections_;
  Revision committed_;
};

}  // namespace bennu::kv::embedded
