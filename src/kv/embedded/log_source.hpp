#pragma once
// What   The ChangeSource that reads the engine's log.
// Why    The watch hub's side of the log: bounded reads, values only for what is wanted.
// Use    One per store; it and the published view must outlive the watch hub.
// Errors As ChangeSource.
// Threads Safe for all.
// Source own design, ADR 0002.

#include "kv/embedded/change_source.hpp"
#include "kv/embedded/view.hpp"

namespace bennu::kv::embedded {

class LogSource final : public ChangeSource {
 public:
  /// One read looks at about this many changes.
  static constexpr std::size_t kMaxLooks = 20'000;

  LogSource(const Database& database, PublishedView& published)
      : database_(database), published_(published) {}

  [[nodiscard]] Revision current_revision() const override { return published_.get()->revision; }
  [[nodiscard]] Revision compacted_revision() const override { return published_.get()->compacted; }
  [[nodiscard]] Result<ChangeRead> read(ChangeCursor from, Revision to, std::size_t max_bytes,
                                        const ChangeFilter& filter) const override;

 private:
  const Database& database_;
  PublishedView& published_;
};

}  // namespace bennu::kv::embedded
