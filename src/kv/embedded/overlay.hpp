#pragma once
// What   Changes that are decided but not yet in the database: of one transaction, or of a group.
// Why    The next transaction must see them before they are durable; readers must not.
// Use    `set` in the order of decisions. Overlays stack: a newer one hides the older and the view.
// Threads One thread, or under the writer's lock.
// Source own design, ADR 0002.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "kv/embedded/codec.hpp"

namespace bennu::kv::embedded {

/// A record that owns its value.
struct Record {
  std::int64_t create = 0;
  std::int64_t mod = 0;
  std::int64_t version = 0;
  std::int64_t lease = 0;
  std::string value;

  [[nodiscard]] RecordView view() const {
    return RecordView{.tombstone = false,
                      .create = create,
                      .mod = mod,
                      .version = version,
                      .lease = lease,
                      .value = value};
  }
  static Record from(const RecordView& view) {
    return Record{.create = view.create,
                  .mod = view.mod,
                  .version = view.version,
                  .lease = view.lease,
                  .value = std::string(view.value)};
  }
};

/// The newest state of each changed key; nothing: deleted.
class Overlay {
 public:
  using Keys = std::map<std::string, std::optional<Record>, std::less<>>;

  void set(std::string_view key, std::optional<Record> record) {
    const auto at = keys_.lower_bound(key);
    if (at != keys_.end() && at->first == key) {
      at->second = std::move(record);
    } else {
      keys_.emplace_hint(at, key, std::move(record));
    }
  }
  /// Takes over a newer overlay's changes.
  void absorb(Overlay&& newer) {
    for (auto it = newer.keys_.begin(); it != newer.keys_.end();) {
      auto node = newer.keys_.extract(it++);
      const auto result = keys_.insert(std::move(node));
      if (!result.inserted) result.position->second = std::move(result.node.mapped());
    }
  }
  /// Null: this overlay says nothing about the key.
  [[nodiscard]] const std::optional<Record>* find(std::string_view key) const {
    const auto it = keys_.find(key);
    return it == keys_.end() ? nullptr : &it->second;
  }
  [[nodiscard]] const Keys& keys() const { return keys_; }

 private:
  Keys keys_;
};

}  // namespace bennu::kv::embedded
