#pragma once
// What   Sealing of one value, and the keyed hash of a secret name.
// Why    Equal value at an equal path must give equal text (the tree is a function of the state),
//        and nothing else may be learnt from it; a sealed value moved to another path must not
//        open.
// Use    `seal(ring, key, value)`; `open_sealed(ring, key, text)`. The text is what is in Git, and
//        what a store without identity has as the value.
// Units  Values up to 1 MiB. Text: `bennu-sealed:1:<epoch>:<base64url of nonce, ciphertext, tag>`.
// Errors kFailedPrecondition (kNoKey); kDataLoss (kTampered); kInvalidArgument (over the limit).
//        None names the path, which may hold a credential: the caller says where, as it may be
//        shown.
// Threads Pure functions.
// Source docs/formats/sealed.md: XChaCha20-Poly1305 with a synthetic nonce (keyed BLAKE2b),
//        libsodium.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sync/key_ring.hpp"

namespace bennu::sync {

inline constexpr std::string_view kSealedPrefix = "bennu-sealed:";
/// Marks a segment of a key whose real name is sealed: `~sealed~` and the 32 hex digits of the file
/// name.
inline constexpr std::string_view kSealedNamePrefix = "~sealed~";
inline constexpr std::size_t kNameHashDigits = 32;
inline constexpr std::size_t kMaxSecretBytes = 1024UL * 1024;

/// Seals with the ring's current epoch; `path` is the value's key.
[[nodiscard]] Result<std::string> seal(const KeyRing& ring, std::string_view path,
                                       std::string_view value);
/// The value. Errors: kNoKey if the ring lacks the text's epoch.
[[nodiscard]] Result<std::string> open_sealed(const KeyRing& ring, std::string_view path,
                                              std::string_view text);
/// The epoch of a well-formed sealed text of a version this binary knows; nothing for every other
/// text.
[[nodiscard]] std::optional<std::uint32_t> sealed_epoch(std::string_view text);

/// 32 hex digits for a secret name; `path` is the key up to and with the name. Errors: kNoKey.
[[nodiscard]] Result<std::string> hash_name(const KeyRing& ring, std::uint32_t epoch,
                                            std::string_view path);
/// Whether it is 32 lower-case hex digits.
[[nodiscard]] bool is_name_hash(std::string_view text);

}  // namespace bennu::sync
