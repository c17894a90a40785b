#pragma once
// What   KeyRing: the data keys by epoch that seal and open secrets.
// Why    The tree depends on it (tree = canonical(state, key ring)); keys must not be copied about
//        or left in memory.
// Use    `ring.add(1, bytes)`, or age_keys.hpp's `unlock`; shared as `shared_ptr<const
//        KeyRing>`. An empty ring is what a machine without identity has.
// Units  Keys of 32 bytes; epochs from 1; the highest epoch present seals.
// Errors None here.
// Threads Immutable once shared: safe for all.
// Source own design, docs/formats/sealed.md; libsodium.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace bennu::sync {

inline constexpr std::size_t kDataKeyBytes = 32;

/// 32 secret bytes, wiped when they go.
class DataKey {
 public:
  DataKey() = default;
  explicit DataKey(std::string_view bytes);  ///< needs kDataKeyBytes bytes
  ~DataKey();
  DataKey(DataKey&& other) noexcept;
  DataKey& operator=(DataKey&& other) noexcept;
  DataKey(const DataKey&) = delete;
  DataKey& operator=(const DataKey&) = delete;
  [[nodiscard]] std::string_view view() const;

 private:
  std::array<char, kDataKeyBytes> bytes_{};
};

/// What is derived from one epoch's data key.
struct EpochKeys {
  DataKey sealing;
  DataKey nonce;
  DataKey names;
};

class KeyRing {
 public:
  KeyRing() = default;
  /// Adds or replaces an epoch's data key (kDataKeyBytes bytes).
  void add(std::uint32_t epoch, std::string_view data_key);
  [[nodiscard]] bool empty() const { return epochs_.empty(); }
  /// The epoch that seals; 0 if there is none.
  [[nodiscard]] std::uint32_t current() const;
  [[nodiscard]] const EpochKeys* find(std::uint32_t epoch) const;
  /// There are data keys, which nothing here opens: `why` is for the messages.
  void lock(std::string why) { why_locked_ = std::move(why); }
  /// Why nothing of this epoch (0: of the current one) is sealed or opened here, and what to do:
  /// for messages.
  [[nodiscard]] std::string advice(std::uint32_t epoch = 0) const;

 private:
  std::string why_locked_;
  std::map<std::uint32_t, EpochKeys> epochs_;
};

}  // namespace bennu::sync
