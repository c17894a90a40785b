#pragma once
// What   What a command works on: a data directory, or a plain clone for reading.
// Why    `--data` and `--repo` mean the same everywhere, and every change carries who made it.
// Use    `ReadSession::open(context)` for reading either; `WriteSession::open(context)` for a data
//        directory.
// Errors kInvalidArgument: neither or both of --data and --repo, no actor to be found; those of
//        DataDir::open.
// Threads One thread.
// Source own design: ARCHITECTURE.md.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "cli/app.hpp"
#include "kv/audit.hpp"
#include "node/data_dir.hpp"
#include "sync/repo_reader.hpp"

namespace bennu::cli {

class ReadSession {
 public:
  /// kHistory: no keys of a clone's head are read, so it need not be readable.
  enum class What : std::uint8_t { kKeys, kHistory };
  [[nodiscard]] static Result<ReadSession> open(const Context& context, What what = What::kKeys);
  [[nodiscard]] kv::Reader& reader();
  [[nodiscard]] git::Repository& repository();
  /// The commit that a clone is read at, or the branch of the data directory.
  [[nodiscard]] Result<git::ObjectId> head();
  /// The identity file that opens secrets; may not exist.
  [[nodiscard]] std::filesystem::path identity() const;
  /// Null for a clone.
  [[nodiscard]] node::DataDir* directory() { return directory_.get(); }
  /// The clone's reader; null for a data directory, and without kKeys.
  [[nodiscard]] sync::RepoReader* clone() { return clone_.get(); }

 private:
  std::filesystem::path identity_;
  std::string revision_;  ///< of a clone; empty: its HEAD
  std::unique_ptr<node::DataDir> directory_;
  std::unique_ptr<git::Repository> repository_;
  std::unique_ptr<sync::RepoReader> clone_;
};

class WriteSession {
 public:
  [[nodiscard]] static Result<WriteSession> open(const Context& context);
  [[nodiscard]] node::DataDir& directory() { return *directory_; }
  [[nodiscard]] kv::Store& store() { return directory_->store(); }
  [[nodiscard]] sync::Link link() const;
  /// Who makes the change: --actor, BENNU_ACTOR, else git's user.name and user.email.
  [[nodiscard]] Result<kv::AuditContext> audit() const;
  /// The put that records a change of this session, for the same transaction.
  [[nodiscard]] Result<kv::Op> audit_put(std::string_view op, std::string_view summary) const;

 private:
  WriteSession(const Context& context, std::unique_ptr<node::DataDir> directory);
  const Context* context_;
  std::unique_ptr<node::DataDir> directory_;
};

/// What a command says that needs a commit of a store that has none.
[[nodiscard]] Error nothing_exported();
/// The actor of a command, without opening anything.
[[nodiscard]] Result<kv::Actor> actor_of(const Context& context);
[[nodiscard]] sync::Progress progress_of(const Context& context);

}  // namespace bennu::cli
