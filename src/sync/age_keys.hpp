#pragma once
// What   The data keys' files: made for age recipients and opened with an age identity, by the
//        `age` program.
// Why    Stock `age` must open what Bennu sealed, with no Bennu left. Apart from KeyRing because
//        this runs programs.
// Use    `ensure_identity(path)` twice (one goes offline), `new_key_file(1, recipients,
//        random)` as the record of `key_file_path(1)`, `format_recipients(recipients)` as that of
//        `.bennu/recipients`; later `unlock(files, identity path)`.
// Units  At least two different recipients, at most 64. An epoch's file has at most 64 KiB.
// Errors kFailedPrecondition (kNoAge: install it); kPermissionDenied (kNotARecipient);
//        kInvalidArgument (a recipient that is no age X25519 one, fewer than two; a file that is no
//        key file or no identity).
// Threads Safe for all; blocks while `age` runs. Secrets pass through pipes only; identity files by
//         their path.
// Source docs/formats/sealed.md; age 1.1 (https://age-encryption.org/v1).

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/random.hpp"
#include "sync/key_ring.hpp"

namespace bennu::sync {

inline constexpr std::string_view kRecipientsPath = ".bennu/recipients";
inline constexpr std::string_view kKeysFolder = ".bennu/keys/";

struct Recipient {
  std::string key;   ///< `age1…`
  std::string note;  ///< what the operator calls it; one line, may be empty
  friend bool operator==(const Recipient&, const Recipient&) = default;
};

struct NewIdentity {
  std::string recipient;
  bool made = false;  ///< false: the file was there, and is as it was
};
/// The identity at `path`, made (mode 0600) if there is no file yet. A file that is there is never
/// overwritten. Durable when it returns. Errors: kInvalidArgument (what is there is no identity);
/// those of the file system.
[[nodiscard]] Result<NewIdentity> ensure_identity(const std::filesystem::path& path);
/// The recipient of an identity file.
[[nodiscard]] Result<std::string> recipient_of(const std::string& identity_path);

/// `.bennu/recipients`: a line `# note` (if any), then the key, for each.
[[nodiscard]] std::string format_recipients(std::span<const Recipient> recipients);
[[nodiscard]] Result<std::vector<Recipient>> parse_recipients(std::string_view text);

/// `.bennu/keys/<epoch>.age`.
[[nodiscard]] std::string key_file_path(std::uint32_t epoch);
/// The epoch of such a path, 0 if it is none.
[[nodiscard]] std::uint32_t epoch_of_path(std::string_view path);

/// A new data key, wrapped to all recipients: the bytes of the epoch's key file.
[[nodiscard]] Result<std::string> new_key_file(std::uint32_t epoch,
                                               std::span<const Recipient> recipients,
                                               env::Random& random);

/// Why a ring that this identity should open is locked, for messages: the file is missing, or opens
/// no data key.
[[nodiscard]] std::string why_locked(const std::filesystem::path& identity);

/// Opens every epoch's file (by epoch) with the identity. Errors: also kDataLoss (kTampered) for a
/// file of another epoch.
[[nodiscard]] Result<std::shared_ptr<const KeyRing>> unlock(
    const std::map<std::uint32_t, std::string>& files, const std::string& identity_path);

}  // namespace bennu::sync
