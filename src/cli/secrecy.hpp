#pragma once
// What   What a command must know of secrets before it writes or says anything: how a key may stand
//        in a message, and whether a put can be sealed here.
// Why    Each command that writes asks the same two things; the data key is only opened for those
//        that need it.
// Use    `Secrecy secrecy(reader, identity)`; `shown(key)` in every message, `may_write(request)`
//        before each transaction that a person asked for.
// Errors kFailedPrecondition (kNoKey: a new secret, and no data key is open here); kInvalidArgument
//        (a key that would show a secret name); those of mapping_of_state.
// Threads One thread. Runs `age` where a secret is at stake.
// Source docs/formats/sealed.md.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "kv/store.hpp"
#include "sync/mapping.hpp"

namespace bennu::cli {

class Secrecy {
 public:
  /// The reader must outlive it; the identity file may not exist.
  Secrecy(kv::Reader& reader, std::filesystem::path identity)
      : reader_(&reader), identity_(std::move(identity)) {}

  /// The key as it may stand in a message or a commit.
  [[nodiscard]] Result<std::string> shown(std::string_view key);
  /// Whether everything that the transaction could put can be sealed here.
  [[nodiscard]] Status may_write(const kv::TxnRequest& request);
  /// The same for one put.
  [[nodiscard]] Status may_put(std::string_view key, std::string_view value);

 private:
  [[nodiscard]] Result<const sync::Mapping*> locked();
  [[nodiscard]] Result<const sync::Mapping*> open();
  [[nodiscard]] Result<bool> is_known_name(std::string_view key);

  kv::Reader* reader_;
  std::filesystem::path identity_;
  std::optional<sync::Mapping> locked_;
  std::optional<sync::Mapping> open_;
};

}  // namespace bennu::cli
