#pragma once
// What   The workers of BulkTreeWriter: batches of blobs and trees, hashed (and encoded) on all
//        cores.
// Why    A tree needs the ids of its children, which another core may still be computing; a batch
//        is the unit of that waiting.
// Use    Fill a Batch, `submit` it; entries refer to a batch and a place in it; `drain` waits for
//        all.
// Units  `queue_bytes`: bytes of submitted and unfinished batches; `submit` waits above that.
// Errors The first failure is kept; `failure` and `drain` return it.
// Threads submit, failure and drain from one thread. Batches are taken in order and a tree waits
//         only for earlier batches, so no wait is for ever.
// Source own design.

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/guarded.hpp"
#include "base/result.hpp"
#include "git/object.hpp"
#include "git/pack_file.hpp"
#include "git/repository.hpp"

namespace bennu::git {

struct Batch;

/// One entry of a directory that is being gathered: its id is known, or is result `result` of
/// `sources[source]`.
struct BulkItem {
  static constexpr std::uint32_t kKnown = UINT32_MAX;
  std::uint32_t name_begin = 0;
  std::uint16_t name_bytes = 0;
  bool dropped = false;
  std::uint32_t mode = 0;
  std::uint32_t source = kKnown;
  std::uint32_t result = 0;
  ObjectId id;
};

/// A directory's entries with their names in one string.
struct BulkDirectory {
  std::string names;
  std::vector<BulkItem> items;
  std::vector<std::shared_ptr<Batch>> sources;
  [[nodiscard]] std::string_view name_of(const BulkItem& item) const {
    return std::string_view(names).substr(item.name_begin, item.name_bytes);
  }
};

struct Batch {
  struct Blob {
    std::size_t begin = 0;
    std::size_t size = 0;
    std::uint32_t result = 0;
  };
  struct Tree {
    BulkDirectory directory;
    std::string path;
    std::uint32_t result = 0;
  };
  /// A blob whose content fsck looks into.
  struct Special {
    std::size_t blob = 0;
    std::string path;
  };
  std::string bytes;
  std::vector<Blob> blobs;
  std::vector<Tree> trees;
  std::vector<Special> specials;
  std::size_t weight_bytes = 0;
  std::vector<ObjectId> results;
  std::atomic<bool> done = false;
};

class BulkWorkers {
 public:
  struct Options {
    unsigned threads = 0;
    std::size_t queue_bytes = 0;
    /// Where objects go; null: only ids are wanted.
    PackFile* pack = nullptr;
    int level = 1;
    /// Objects that are here are left out; null: no check.
    const Repository* existing = nullptr;
    /// Without a pack: memory for trees kept for `kept_trees`.
    std::size_t keep_tree_bytes = 0;
  };
  explicit BulkWorkers(Options options);
  ~BulkWorkers();
  BulkWorkers(const BulkWorkers&) = delete;
  BulkWorkers& operator=(const BulkWorkers&) = delete;

  void submit(std::shared_ptr<Batch> batch);
  [[nodiscard]] Status failure();
  /// Waits until every batch is done and ends the workers.
  Status drain();
  /// After `drain`: the trees computed without a pack; nothing if there were more than
  /// `keep_tree_bytes`.
  [[nodiscard]] std::optional<std::unordered_map<ObjectId, std::string>> kept_trees();

 private:
  class Worker;
  struct State {
    std::deque<std::shared_ptr<Batch>> queue;
    std::size_t pending_bytes = 0;
    bool closed = false;
    std::optional<Error> failure;
    std::unordered_map<ObjectId, std::string> trees;
    std::size_t tree_bytes = 0;
    bool trees_dropped = false;
  };
  std::shared_ptr<Batch> take();
  void finished(const std::shared_ptr<Batch>& batch, const Status& status);
  void keep(const ObjectId& id, std::string bytes);

  Options options_;
  Guarded<State> state_;
  std::condition_variable changed_;
  std::atomic<bool> failed_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace bennu::git
