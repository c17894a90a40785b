#pragma once
// What   For tests: a ChangeSource in memory that a test steers, and publishes to a WatchHub.
// Why    The hub must be tried with small bounds, short reads, compaction and faults at any moment.
// Use    `FakeChanges log; WatchHub hub(log, ...); log.publish_to(&hub, true); log.put("a", "1")`.
// Threads Safe for all, but one writer.
// Source own design.

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "kv/embedded/change_source.hpp"
#include "kv/embedded/watch_hub.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv::embedded {

class FakeChanges final : public ChangeSource {
 public:
  using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;

  /// `with_changes`: hand the changes over, too; else the hub has to read them.
  void publish_to(WatchHub* hub, bool with_changes) {
    hub_ = hub;
    with_changes_ = with_changes;
  }
  /// At most this many changes are looked at by one read.
  void look_at_most(std::size_t changes) { look_at_most_ = changes; }

  Revision put(const std::string& key, const std::string& value) { return commit({{key, value}}); }
  Revision erase(const std::string& key) { return commit({{key, std::nullopt}}); }

  /// One revision; a value of nullopt deletes. Deleting an absent key changes nothing.
  Revision commit(const Changes& changes) {
    ChangeBlock block{.with_prev = true};
    {
      const std::lock_guard lock(mutex_);
      block.revision = current_.next();
      for (const auto& [key, value] : changes) {
        if (auto event = apply(block.revision, key, value))
          block.changes.push_back(std::move(*event));
      }
      if (block.changes.empty()) return current_;
      history_.emplace(block.revision, block.changes);
      current_ = block.revision;
    }
    const Revision revision = block.revision;
    if (hub_ != nullptr) {
      std::vector<ChangeBlock> recent;
      if (with_changes_ && hub_->wants().changes) {
        if (!hub_->wants().prev) {
          block.with_prev = false;
          for (Event& change : block.changes) change.prev_kv.clear();
        }
        recent.push_back(std::move(block));
      }
      hub_->publish(revision, std::move(recent));
    }
    return revision;
  }

  void compact(Revision revision) {
    const std::lock_guard lock(mutex_);
    compacted_ = std::max(compacted_, revision);
    history_.erase(history_.begin(), history_.lower_bound(compacted_));
  }

  /// Every event from `from` on that a watch should get.
  std::vector<Event> expected(const WatchRequest& request, Revision from) const {
    std::vector<Event> events;
    const std::lock_guard lock(mutex_);
    for (const auto& [revision, changes] : all_) {
      if (revision < from) continue;
      for (Event change : changes) {
        const bool put = change.type == EventType::kPut;
        if (!contains(request.range, change.kv.key) || (put ? request.no_put : request.no_delete))
          continue;
        if (!request.prev_kv) change.prev_kv.clear();
        events.push_back(std::move(change));
      }
    }
    return events;
  }

  std::size_t reads() const {
    const std::lock_guard lock(mutex_);
    return reads_;
  }

  Revision current_revision() const override {
    const std::lock_guard lock(mutex_);
    return current_;
  }
  Revision compacted_revision() const override {
    const std::lock_guard lock(mutex_);
    return compacted_;
  }

  Result<ChangeRead> read(ChangeCursor from, Revision to, std::size_t max_bytes,
                          const ChangeFilter& filter) const override {
    std::map<Revision, std::vector<Event>> history;
    std::size_t look_at_most = 0;
    {
      const std::lock_guard lock(mutex_);
      ++reads_;
      if (from.revision < compacted_)
        return make_error(Code::kOutOfRange, "compacted", reason::kCompacted);
      history.insert(history_.lower_bound(from.revision), history_.upper_bound(to));
      look_at_most = look_at_most_;
    }
    ChangeRead out{.next = {to.next()}};
    std::size_t bytes = 0;
    std::size_t looked = 0;
    for (const auto& [revision, changes] : history) {
      if (looked > look_at_most) {
        out.next = {revision};
        return out;
      }
      ChangeBlock block{.revision = revision};
      std::uint64_t index = from.revision == revision ? from.index : 0;
      const bool first = revision == from.revision;
      for (; index < changes.size(); ++index, ++looked) {
        const Event& change = changes[index];
        const Want want = filter(revision, change.type, change.kv.key);
        if (want == Want::kSkip) continue;
        const std::size_t size = change.kv.key.size() + change.kv.value.size();
        if (bytes > 0 && bytes + size > max_bytes) {
          if (!first) {
            out.next = {revision};
            return out;
          }
          block.last = false;
          out.next = {revision, index};
          out.blocks.push_back(std::move(block));
          return out;
        }
        bytes += size;
        block.changes.push_back(change);
        if (want != Want::kChangeAndPrev) block.changes.back().prev_kv.clear();
      }
      if (!block.changes.empty()) out.blocks.push_back(std::move(block));
    }
    return out;
  }

 private:
  std::optional<Event> apply(Revision revision, const std::string& key,
                             const std::optional<std::string>& value) {
    const auto found = state_.find(key);
    Event event;
    if (found != state_.end()) event.prev_kv.push_back(found->second);
    if (value) {
      const KeyValue* prev = event.prev_kv.empty() ? nullptr : event.prev_kv.data();
      event.kv = {.key = key,
                  .create_revision = prev ? prev->create_revision : revision,
                  .mod_revision = revision,
                  .version = prev ? prev->version + 1 : 1,
                  .value = *value};
      state_[key] = event.kv;
    } else {
      if (found == state_.end()) return std::nullopt;
      event.type = EventType::kDelete;
      event.kv = {.key = key, .mod_revision = revision};
      state_.erase(found);
    }
    all_[revision].push_back(event);
    return event;
  }

  WatchHub* hub_ = nullptr;
  bool with_changes_ = true;
  mutable std::mutex mutex_;
  std::size_t look_at_most_ = 1'000'000;
  mutable std::size_t reads_ = 0;
  Revision current_{1};
  Revision compacted_;
  std::map<std::string, KeyValue> state_;
  std::map<Revision, std::vector<Event>> history_;  // what is not compacted
  std::map<Revision, std::vector<Event>> all_;
};

}  // namespace bennu::kv::embedded
