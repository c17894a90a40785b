#pragma once
// What   A staged transaction: puts and deletes collected apart, made visible by one commit.
// Why    Importing a repository must be one revision, however large, without making others wait.
// Use    Made by EmbeddedStore::stage; see kv::StagedTxn.
// Errors As kv::StagedTxn.
// Threads One thread. The writer must outlive it.
// Source decision 8 of the design; ADR 0002.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/embedded/writer.hpp"
#include "kv/store.hpp"

namespace bennu::kv::embedded {

class Stage final : public StagedTxn {
 public:
  explicit Stage(Writer& writer) : writer_(writer) {}

  [[nodiscard]] Status put(std::string_view key, std::string_view value) override;
  [[nodiscard]] Status erase(std::string_view key) override;
  [[nodiscard]] Result<Revision> commit(const std::vector<Compare>& compares,
                                        std::vector<Op> extra) override;

 private:
  [[nodiscard]] Status add(std::string_view key, std::optional<std::string> value);

  Writer& writer_;
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;
};

}  // namespace bennu::kv::embedded
