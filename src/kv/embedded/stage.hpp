#pragma once
// What   A staged transaction: puts and deletes collected apart, made visible by one commit.
// Why    Importing a repository must be one revision, however large, without making others wait.
// Use    Made by EmbeddedStore::stage; see kv::StagedTxn. A small one is kept in memory and
//        committed as an ordinary transaction; a larger one becomes table files beside the
//        database.
// Units  Spills over `spill_changes` changes or kSpillBytes.
// Errors As kv::StagedTxn, and kResourceExhausted (kNoSpace): nothing is left behind.
// Threads One thread. The store must outlive it.
// Source decision 8 of ARCHITECTURE.md; ADR 0002.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/embedded/stage_builder.hpp"
#include "kv/embedded/stage_registry.hpp"
#include "kv/embedded/writer.hpp"
#include "kv/store.hpp"

namespace bennu::kv::embedded {

/// What a stage needs of its store.
struct StageContext {
  const Database* database = nullptr;
  PublishedView* published = nullptr;
  Writer* writer = nullptr;
  StageRegistry* registry = nullptr;
  std::function<void()> background;  ///< there is something to clean up
  std::size_t spill_changes = 10'000;
  std::function<void(std::string_view)> fail_point;
};

class Stage final : public StagedTxn {
 public:
  static constexpr std::size_t kSpillBytes = 8UL << 20;

  explicit Stage(StageContext context) : context_(std::move(context)) {}
  ~Stage() override;

  void require_unchanged_since(Revision revision) override { unchanged_since_ = revision; }
  [[nodiscard]] Status put(std::string_view key, std::string_view value) override;
  [[nodiscard]] Status erase(std::string_view key) override;
  [[nodiscard]] Result<Revision> commit(const std::vector<Compare>& compares,
                                        std::vector<Op> extra) override;

 private:
  [[nodiscard]] Status add(std::string_view key, std::optional<std::string_view> value);
  [[nodiscard]] Status spill();
  [[nodiscard]] Status end_on_error(Status done);
  [[nodiscard]] Status compare_small(std::vector<Compare>& compares) const;
  [[nodiscard]] Result<Revision> commit_small(const std::vector<Compare>& compares,
                                              std::vector<Op> extra);

  StageContext context_;
  Revision unchanged_since_;    // 0: whatever happened to the keys
  bool unknown_since_ = false;  // what happened since then is compacted
  std::map<std::string, std::optional<std::string>, std::less<>> small_;
  std::size_t small_bytes_ = 0;
  std::optional<StageRegistry::Ticket> ticket_;
  std::shared_ptr<const View> base_;
  std::unique_ptr<StageBuilder> builder_;
  bool done_ = false;
};

}  // namespace bennu::kv::embedded
