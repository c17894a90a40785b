#include "sync/seal.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/bytes.hpp"
#include "sync/reasons.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr int kBase64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
constexpr std::string_view kVersion = "1:";

using Nonce = std::array<unsigned char, kNonceBytes>;

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

// Keyed BLAKE2b over the path's length, the path and the value: equal nonces only for equal input.
Nonce synthetic_nonce(const DataKey& key, std::string_view path, std::string_view value) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, raw(key.view()), kDataKeyBytes, kNonceBytes);
  std::string length;
  append_be64(length, path.size());
  crypto_generichash_update(&state, raw(length), length.size());
  crypto_generichash_update(&state, raw(path), path.size());
  crypto_generichash_update(&state, raw(value), value.size());
  Nonce nonce{};
  crypto_generichash_final(&state, nonce.data(), nonce.size());
  return nonce;
}

struct SealedText {
  std::uint32_t epoch = 0;
  std::string bytes;  // nonce, ciphertext, tag
};

std::optional<std::uint32_t> read_epoch(std::string_view& text) {
  if (!text.starts_with(kSealedPrefix)) return std::nullopt;
  text.remove_prefix(kSealedPrefix.size());
  if (!text.starts_with(kVersion)) return std::nullopt;
  text.remove_prefix(kVersion.size());
  std::uint32_t epoch = 0;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + colon, epoch);
  if (error != std::errc{} || end != text.data() + colon || epoch == 0 || text.front() == '0') {
    return std::nullopt;
  }
  text.remove_prefix(colon + 1);
  return epoch;
}

std::optional<SealedText> parse(std::string_view text) {
  const auto epoch = read_epoch(text);
  if (!epoch) return std::nullopt;
  SealedText sealed{.epoch = *epoch, .bytes = std::string(text.size() / 4 * 3 + 3, '\0')};
  std::size_t size = 0;
  if (sodium_base642bin(raw(sealed.bytes), sealed.bytes.size(), text.data(), text.size(), nullptr,
                        &size, nullptr, kBase64) != 0 ||
      size < kNonceBytes + kTagBytes) {
    return std::nullopt;
  }
  sealed.bytes.resize(size);
  return sealed;
}

Error tampered() {
  return make_error(Code::kDataLoss,
                    "the sealed value does not open here: it was changed or moved; take it from an "
                    "older commit",
                    reason::kTampered);
}

Error no_key(const KeyRing& ring, std::uint32_t epoch) {
  return make_error(Code::kFailedPrecondition, fmt::format("is secret, and {}", ring.advice(epoch)),
                    reason::kNoKey);
}

}  // namespace

Result<std::string> seal(const KeyRing& ring, std::string_view path, std::string_view value) {
  const EpochKeys* keys = ring.find(ring.current());
  if (keys == nullptr) return no_key(ring, 0);
  if (value.size() > kMaxSecretBytes) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("a secret has at most 1 MiB, this one has {} bytes: shorten or "
                                  "delete it; nothing is exported before",
                                  value.size()),
                      reason::kTooLargeForGit);
  }
  const Nonce nonce = synthetic_nonce(keys->nonce, path, value);
  std::string bytes(kNonceBytes + value.size() + kTagBytes, '\0');
  std::ranges::copy(nonce, raw(bytes));
  crypto_aead_xchacha20poly1305_ietf_encrypt(raw(bytes) + kNonceBytes, nullptr, raw(value),
                                             value.size(), raw(path), path.size(), nullptr,
                                             nonce.data(), raw(keys->sealing.view()));
  std::string text = fmt::format("{}{}{}:", kSealedPrefix, kVersion, ring.current());
  const std::size_t start = text.size();
  text.resize(start + sodium_base64_encoded_len(bytes.size(), kBase64));
  sodium_bin2base64(text.data() + start, text.size() - start, raw(bytes), bytes.size(), kBase64);
  text.pop_back();  // the NUL
  return text;
}

Result<std::string> open_sealed(const KeyRing& ring, std::string_view path, std::string_view text) {
  const auto sealed = parse(text);
  if (!sealed) return tampered();
  const EpochKeys* keys = ring.find(sealed->epoch);
  if (keys == nullptr) return no_key(ring, sealed->epoch);
  const std::string_view bytes = sealed->bytes;
  std::string value(bytes.size() - kNonceBytes - kTagBytes, '\0');
  const std::string_view cipher = bytes.substr(kNonceBytes);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(raw(value), nullptr, nullptr, raw(cipher),
                                                 cipher.size(), raw(path), path.size(), raw(bytes),
                                                 raw(keys->sealing.view())) != 0) {
    return tampered();
  }
  // Another nonce opens too, but Bennu would never have written it.
  const Nonce nonce = synthetic_nonce(keys->nonce, path, value);
  if (sodium_memcmp(nonce.data(), raw(bytes), kNonceBytes) != 0) return tampered();
  return value;
}

std::optional<std::uint32_t> sealed_epoch(std::string_view text) {
  const auto sealed = parse(text);
  if (!sealed) return std::nullopt;
  return sealed->epoch;
}

Result<std::string> hash_name(const KeyRing& ring, std::uint32_t epoch, std::string_view path) {
  const EpochKeys* keys = ring.find(epoch);
  if (keys == nullptr) return no_key(ring, epoch);
  std::string hash(kNameHashDigits / 2, '\0');
  crypto_generichash(raw(hash), hash.size(), raw(path), path.size(), raw(keys->names.view()),
                     kDataKeyBytes);
  return to_hex(hash);
}

bool is_name_hash(std::string_view text) {
  return text.size() == kNameHashDigits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace bennu::sync
