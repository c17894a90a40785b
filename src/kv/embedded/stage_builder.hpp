#pragma once
// What   Turns a large stage's changes, in whatever order they come, into sorted table files.
// Why    Ordered input (a repository's tree) must stream straight to its final files; the rest is
//        sorted aside and merged.
// Use    `add` for each change, then `finish` once. The folder goes with the builder.
// Units  Keeps about kBufferBytes in memory.
// Errors kInvalidArgument (kDuplicateKey); kResourceExhausted (kNoSpace); what reading reports.
// Threads One thread. Database and view must outlive it.
// Source own design, ADR 0002.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/stage_files.hpp"

namespace bennu::kv::embedded {

class StageBuilder {
 public:
  static constexpr std::size_t kBufferBytes = 8UL << 20;

  /// One part for ordered input, another for what came out of order. No key is in both.
  struct Built {
    std::vector<StageFiles::Written> parts;
    [[nodiscard]] std::uint64_t sum(std::uint64_t StageFiles::Written::* field) const {
      std::uint64_t sum = 0;
      for (const auto& part : parts) sum += part.*field;
      return sum;
    }
  };

  [[nodiscard]] static Result<std::unique_ptr<StageBuilder>> create(const Database& database,
                                                                    const View& view,
                                                                    std::uint64_t stage);
  ~StageBuilder();
  StageBuilder(const StageBuilder&) = delete;
  StageBuilder& operator=(const StageBuilder&) = delete;

  [[nodiscard]] Status add(std::string_view key, std::optional<std::string_view> value);
  [[nodiscard]] Result<Built> finish();

 private:
  using Change = std::pair<std::string, std::optional<std::string>>;

  StageBuilder(const Database& database, const View& view, std::uint64_t stage,
               std::filesystem::path folder);
  [[nodiscard]] Status flush();
  [[nodiscard]] Status write_run(std::vector<Change>::const_iterator end);
  [[nodiscard]] Result<StageFiles::Written> merge_runs(const StageFiles::Written& ordered);
  [[nodiscard]] Status check_apart(const std::vector<std::string>& ordered,
                                   const std::vector<std::string>& merged) const;

  const Database& database_;
  const View& view_;
  const std::uint64_t stage_;
  const std::filesystem::path folder_;
  StageFiles ordered_;
  bool any_ordered_ = false;
  std::vector<Change> buffer_;
  std::size_t buffer_bytes_ = 0;
  std::vector<std::vector<std::string>> runs_;  // each the files of one sorted run
};

/// Where the files of stages that are not committed yet lie. Removed at open.
[[nodiscard]] std::filesystem::path staging_folder(const Database& database);

}  // namespace bennu::kv::embedded
