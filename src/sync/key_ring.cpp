#include "sync/key_ring.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

#include "base/check.hpp"

namespace bennu::sync {
namespace {

// Fixed by the format (docs/formats/sealed.md): one subkey per use.
constexpr const char* kContext = "bennuv01";
constexpr std::uint64_t kSealingKey = 1;
constexpr std::uint64_t kNonceKey = 2;
constexpr std::uint64_t kNameKey = 3;

static_assert(kDataKeyBytes == crypto_kdf_KEYBYTES);

DataKey derive(std::string_view data_key, std::uint64_t use) {
  std::array<char, kDataKeyBytes> derived{};
  crypto_kdf_derive_from_key(reinterpret_cast<unsigned char*>(derived.data()), derived.size(), use,
                             kContext, reinterpret_cast<const unsigned char*>(data_key.data()));
  DataKey key(std::string_view(derived.data(), derived.size()));
  sodium_memzero(derived.data(), derived.size());
  return key;
}

}  // namespace

DataKey::DataKey(std::string_view bytes) {
  BENNU_CHECK(bytes.size() == kDataKeyBytes, "a data key has 32 bytes");
  std::ranges::copy(bytes, bytes_.begin());
}

DataKey::~DataKey() { sodium_memzero(bytes_.data(), bytes_.size()); }

DataKey::DataKey(DataKey&& other) noexcept : bytes_(other.bytes_) {
  sodium_memzero(other.bytes_.data(), other.bytes_.size());
}

DataKey& DataKey::operator=(DataKey&& other) noexcept {
  if (this != &other) {
    bytes_ = other.bytes_;
    sodium_memzero(other.bytes_.data(), other.bytes_.size());
  }
  return *this;
}

std::string_view DataKey::view() const { return {bytes_.data(), bytes_.size()}; }

void KeyRing::add(std::uint32_t epoch, std::string_view data_key) {
  BENNU_CHECK(sodium_init() >= 0, "libsodium starts");
  BENNU_CHECK(epoch > 0, "epochs count from 1");
  epochs_.insert_or_assign(epoch, EpochKeys{.sealing = derive(data_key, kSealingKey),
                                            .nonce = derive(data_key, kNonceKey),
                                            .names = derive(data_key, kNameKey)});
}

std::uint32_t KeyRing::current() const { return epochs_.empty() ? 0 : epochs_.rbegin()->first; }

std::string KeyRing::advice(std::uint32_t epoch) const {
  if (!why_locked_.empty())
    return fmt::format("{}; name the identity with `--identity FILE`", why_locked_);
  if (empty())
    return "there is no data key here; name the identity with `--identity FILE`, or make a key "
           "ring with `bennu secret init`";
  return fmt::format(
      "there is no data key of epoch {} here; name an identity that opens it with "
      "`--identity FILE`",
      epoch);
}

const EpochKeys* KeyRing::find(std::uint32_t epoch) const {
  const auto found = epochs_.find(epoch);
  return found == epochs_.end() ? nullptr : &found->second;
}

}  // namespace bennu::sync
