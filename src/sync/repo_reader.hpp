#pragma once
// What   A commit read as a state: kv::Reader over a plain clone, with no store and no server.
// Why    After a total loss, or on any laptop, the repository alone must answer what the network
//        was.
// Use    `RepoReader::open(repository, commit, identity)`. Only the newest revision (0) exists;
//        every key has revision 1.
// Errors kUnimplemented: a read at a revision; those of the repository and the mapping.
// Threads One thread. A single key reads its own file; a range reads the whole tree once and keeps
//         it.
// Source own design: ARCHITECTURE.md (`--repo`).

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "git/repository.hpp"
#include "kv/store.hpp"
#include "sync/commit_tree.hpp"

namespace bennu::sync {

class RepoReader final : public kv::Reader {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RepoReader>> open(
      const git::Repository& repository, const git::ObjectId& commit,
      const std::filesystem::path& identity);

  [[nodiscard]] Result<kv::RangeResponse> range(const kv::RangeRequest& request) override;
  [[nodiscard]] Result<Revision> scan(const kv::KeyRange& range, Revision revision,
                                      const std::function<Status(kv::KeyValue&)>& visit) override;
  [[nodiscard]] const Mapping& mapping() const { return from_.mapping; }

 private:
  RepoReader(const git::Repository& repository, CommitTree from);
  [[nodiscard]] Result<std::optional<std::string>> read_key(const std::string& key);
  [[nodiscard]] Status load();

  const git::Repository& repository_;
  CommitTree from_;
  std::optional<std::map<std::string, std::string, std::less<>>> all_;
};

}  // namespace bennu::sync
