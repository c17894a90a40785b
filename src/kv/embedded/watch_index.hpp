#pragma once
// What   Finds the ranges that hold a key, among many.
// Why    A change must find its watches without asking each of thousands.
// Use    add and remove in pairs; `match` visits an owner once per range of its that holds the key.
// Units  Cost of a match: one look-up for single keys, one per distinct length for prefixes, one
//        per hit for open ends; other ranges are tried one by one.
// Threads One thread, or a lock of the owner's; const calls may run together.
// Source own design.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "kv/types.hpp"

namespace bennu::kv::embedded {

/// `Owner` is a small value (a pointer). Equal ranges of one owner are counted and visited once.
template <class Owner>
class WatchIndex {
 public:
  void add(const KeyRange& range, Owner owner) {
    const auto [kind, at] = place(range);
    switch (kind) {
      case Kind::kKey:
        count_up(keys_[std::string(at)], owner);
        break;
      case Kind::kPrefix:
        if (count_up(prefixes_[std::string(at)], owner)) ++prefix_lengths_[at.size()];
        break;
      case Kind::kFrom:
        count_up(from_[std::string(at)], owner);
        break;
      case Kind::kRange:
        count_up(ranges_[{range.key, range.end}], owner);
        break;
    }
  }

  /// Requires a matching add.
  void remove(const KeyRange& range, Owner owner) {
    const auto [kind, at] = place(range);
    switch (kind) {
      case Kind::kKey:
        erase(keys_, at, owner);
        break;
      case Kind::kPrefix:
        if (erase(prefixes_, at, owner)) {
          const auto length = prefix_lengths_.find(at.size());
          if (--length->second == 0) prefix_lengths_.erase(length);
        }
        break;
      case Kind::kFrom:
        erase(from_, at, owner);
        break;
      case Kind::kRange:
        erase(ranges_, std::pair{range.key, range.end}, owner);
        break;
    }
  }

  template <class Visit>
  void match(std::string_view key, Visit&& visit) const {
    if (const auto found = keys_.find(key); found != keys_.end()) each(found->second, visit);
    for (const auto& [length, count] : prefix_lengths_) {
      if (length > key.size()) break;
      const auto found = prefixes_.find(key.substr(0, length));
      if (found != prefixes_.end()) each(found->second, visit);
    }
    for (const auto& [begin, owners] : from_) {
      if (begin > key) break;
      each(owners, visit);
    }
    for (const auto& [range, owners] : ranges_) {
      if (range.first > key) break;
      if (key < range.second) each(owners, visit);
    }
  }

  /// Visits every owner at least once.
  template <class Visit>
  void each(Visit&& visit) const {
    for (const auto& [key, owners] : keys_) each(owners, visit);
    for (const auto& [prefix, owners] : prefixes_) each(owners, visit);
    for (const auto& [begin, owners] : from_) each(owners, visit);
    for (const auto& [range, owners] : ranges_) each(owners, visit);
  }

  [[nodiscard]] bool empty() const {
    return keys_.empty() && prefixes_.empty() && from_.empty() && ranges_.empty();
  }

 private:
  enum class Kind : std::uint8_t { kKey, kPrefix, kFrom, kRange };
  struct Owned {
    Owner owner;
    std::uint32_t count;
  };
  using Owners = std::vector<Owned>;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using HashMap = std::unordered_map<std::string, Owners, Hash, std::equal_to<>>;

  static std::pair<Kind, std::string_view> place(const KeyRange& range) {
    if (range.end.empty()) return {Kind::kKey, range.key};
    if (range.end == std::string_view("\0", 1)) return {Kind::kFrom, range.key};
    if (range.end == prefix_end(range.key)) return {Kind::kPrefix, range.key};
    return {Kind::kRange, {}};
  }

  // Whether the place is new.
  static bool count_up(Owners& owners, Owner owner) {
    const bool first = owners.empty();
    const auto found = std::ranges::find(owners, owner, &Owned::owner);
    if (found == owners.end()) {
      owners.push_back({owner, 1});
    } else {
      ++found->count;
    }
    return first;
  }

  // Whether the place is gone.
  template <class Map, class Key>
  static bool erase(Map& map, const Key& key, Owner owner) {
    const auto place = map.find(key);
    BENNU_CHECK(place != map.end(), "a range is removed that was never added");
    Owners& owners = place->second;
    const auto found = std::ranges::find(owners, owner, &Owned::owner);
    BENNU_CHECK(found != owners.end(), "a range is removed that was never added");
    if (--found->count > 0) return false;
    *found = owners.back();
    owners.pop_back();
    if (!owners.empty()) return false;
    map.erase(place);
    return true;
  }

  template <class Visit>
  static void each(const Owners& owners, Visit&& visit) {
    for (const Owned& owned : owners) visit(owned.owner);
  }

  HashMap keys_;
  HashMap prefixes_;
  std::map<std::size_t, std::uint32_t>
      prefix_lengths_;  // how many distinct prefixes of each length
  std::map<std::string, Owners, std::less<>> from_;
  std::map<std::pair<std::string, std::string>, Owners> ranges_;
};

}  // namespace bennu::kv::embedded
