// walk_files and read_blobs: one thread lists what is to be read, workers read it, the caller's
// thread visits in order.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.hpp"
#include "base/guarded.hpp"
#include "git/pack_set.hpp"
#include "git/reasons.hpp"
#include "git/tree.hpp"
#include "git/tree_walk.hpp"

namespace bennu::git {
namespace {

constexpr std::size_t kMinEntries = 16;
constexpr std::size_t kMaxEntries = 2048;

struct Item {
  enum class State : std::uint8_t { kUnread, kRead, kTooLarge, kNoBlob };
  State state = State::kUnread;
  std::uint32_t mode = mode::kFile;
  std::uint32_t path_bytes = 0;
  std::size_t path_begin = 0;
  std::size_t begin = 0;
  std::uint64_t size = 0;
  ObjectId id;
};

struct Batch {
  std::string paths;
  std::vector<Item> items;
  std::string bytes;
  /// Where the reading of this batch ended with an error: before `items[failed_at]`.
  std::size_t failed_at = SIZE_MAX;
  Status status;
  bool done = false;
};

// Reads objects on one thread: from the packs, else through libgit2.
class Reader {
 public:
  Reader(const Repository& repository, const PackSet& packs)
      : repository_(repository), packs_(packs) {}

  /// Appends to `out`.
  Status blob(Item& item, std::uint64_t max_bytes, std::string& out) {
    item.begin = out.size();
    const auto found = packs_.read(item.id, max_bytes, out);
    if (found && found->kind == ObjectKind::kBlob) {
      item.size = found->size_bytes;
      item.state = found->appended ? Item::State::kRead : Item::State::kTooLarge;
      return {};
    }
    BENNU_TRY(open());
    BENNU_ASSIGN(const ObjectHeader header, slow_->read_header(item.id));
    item.size = header.size_bytes;
    item.state = Item::State::kTooLarge;
    if (header.kind == ObjectKind::kBlob && header.size_bytes > max_bytes) return {};
    BENNU_ASSIGN(const std::string bytes, slow_->read_blob(item.id));
    out.append(bytes);
    item.state = Item::State::kRead;
    return {};
  }

  Result<std::vector<TreeEntry>> tree(const ObjectId& id, std::string_view path) {
    if (id == empty_tree_id()) return std::vector<TreeEntry>{};
    buffer_.clear();
    const auto found = packs_.read(id, UINT64_MAX, buffer_);
    if (found && found->kind == ObjectKind::kTree) return parse_tree(buffer_, path);
    BENNU_TRY(open());
    return slow_->read_tree(id, path);
  }

 private:
  Status open() {
    if (!slow_) {
      BENNU_ASSIGN(slow_, repository_.another_handle());
    }
    return {};
  }

  const Repository& repository_;
  PackReader packs_;
  std::optional<Repository> slow_;
  std::string buffer_;
};

class Pipeline {
 public:
  Pipeline(const Repository& repository, const ReadOptions& options)
      : repository_(repository),
        options_(options),
        packs_(PackSet::open(repository)),
        threads_count_(options.threads != 0 ? options.threads
                                            : std::max(1U, std::thread::hardware_concurrency())),
        max_batches_(4UL * threads_count_),
        batch_bytes_(std::max<std::size_t>(options.window_bytes / max_batches_, 1)) {}

  ~Pipeline() {
    state_.lock()->stopped = true;
    changed_.notify_all();
  }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// `list` runs on a thread of its own and calls `put`; `visit` runs here.
  template <class List, class Visit>
  Status run(List list, Visit visit) {
    for (unsigned i = 0; i < threads_count_; ++i) threads_.emplace_back([this] { work(); });
    threads_.emplace_back([this, list] {
      Reader reader(repository_, packs_);
      Status status = list(reader);
      if (!status) {
        filling_->status = std::move(status);
        filling_->failed_at = filling_->items.size();
      }
      flush();
      state_.lock()->listed = true;
      changed_.notify_all();
    });
    return consume(visit);
  }

  /// From `list` only. False: nobody wants more.
  bool put(std::string_view path, std::uint32_t mode, const ObjectId& id) {
    Item item{.mode = mode,
              .path_bytes = static_cast<std::uint32_t>(path.size()),
              .path_begin = filling_->paths.size(),
              .id = id};
    if (!mode::is_blob(mode)) item.state = Item::State::kNoBlob;
    filling_->paths.append(path);
    filling_->items.push_back(item);
    return filling_->items.size() < entries_per_batch_ || flush();
  }

 private:
  struct State {
    std::deque<std::shared_ptr<Batch>> unread;
    std::deque<std::shared_ptr<Batch>> in_order;
    std::uint64_t blobs = 0;
    std::uint64_t bytes = 0;
    bool listed = false;
    bool stopped = false;
  };

  bool flush() {
    auto state = state_.lock();
    changed_.wait(state.raw_lock(),
                  [&] { return state->stopped || state->in_order.size() < max_batches_; });
    if (state->stopped) return false;
    state->in_order.push_back(filling_);
    state->unread.push_back(std::exchange(filling_, std::make_shared<Batch>()));
    // As many blobs as will fill a batch's share of the window, going by those so far.
    const std::uint64_t average = state->blobs == 0 ? 256 : state->bytes / state->blobs + 1;
    entries_per_batch_ = std::clamp<std::size_t>(batch_bytes_ / average, kMinEntries, kMaxEntries);
    changed_.notify_all();
    return true;
  }

  void work() {
    Reader reader(repository_, packs_);
    while (true) {
      std::shared_ptr<Batch> batch;
      {
        auto state = state_.lock();
        changed_.wait(state.raw_lock(),
                      [&] { return state->stopped || state->listed || !state->unread.empty(); });
        if (state->stopped || state->unread.empty()) return;
        batch = std::move(state->unread.front());
        state->unread.pop_front();
      }
      const std::uint64_t blobs = read(reader, *batch);
      auto state = state_.lock();
      batch->done = true;
      state->blobs += blobs;
      state->bytes += batch->bytes.size();
      changed_.notify_all();
    }
  }

  // Reads until the batch has its share of the window; the rest is left to the visiting thread.
  std::uint64_t read(Reader& reader, Batch& batch) const {
    std::uint64_t blobs = 0;
    for (std::size_t i = 0; i < batch.items.size() && batch.bytes.size() < batch_bytes_; ++i) {
      Item& item = batch.items[i];
      if (item.state != Item::State::kUnread) continue;
      Status status = reader.blob(item, options_.max_blob_bytes, batch.bytes);
      if (!status) {
        batch.status = std::move(status);
        batch.failed_at = i;
        break;
      }
      ++blobs;
    }
    return blobs;
  }

  template <class Visit>
  Status consume(Visit visit) {
    Reader reader(repository_, packs_);
    std::string single;
    while (true) {
      std::shared_ptr<Batch> batch;
      {
        auto state = state_.lock();
        changed_.wait(state.raw_lock(), [&] {
          return state->in_order.empty() ? state->listed : state->in_order.front()->done;
        });
        if (state->in_order.empty()) return {};
        batch = std::move(state->in_order.front());
        state->in_order.pop_front();
        changed_.notify_all();
      }
      for (std::size_t i = 0; i < batch->items.size() && i != batch->failed_at; ++i) {
        Item& item = batch->items[i];
        const std::string* from = &batch->bytes;
        if (item.state == Item::State::kUnread) {
          single.clear();
          BENNU_TRY(reader.blob(item, options_.max_blob_bytes, single)
                        .with_context(path_of(*batch, item)));
          from = &single;
        }
        std::optional<std::string_view> bytes;
        if (item.state == Item::State::kRead)
          bytes = std::string_view(*from).substr(item.begin, item.size);
        BENNU_TRY(visit(std::string_view(batch->paths).substr(item.path_begin, item.path_bytes),
                        item, bytes));
      }
      if (!batch->status) {
        const bool of_item = batch->failed_at < batch->items.size();
        if (!of_item) return std::move(batch->status);
        return std::move(batch->status)
            .with_context(path_of(*batch, batch->items[batch->failed_at]));
      }
    }
  }

  static std::string path_of(const Batch& batch, const Item& item) {
    const std::string_view path =
        std::string_view(batch.paths).substr(item.path_begin, item.path_bytes);
    return path.empty() ? std::string("blob") : fmt::format("`{}`", printable(path));
  }

  const Repository& repository_;
  const ReadOptions& options_;
  const PackSet packs_;
  const unsigned threads_count_;
  const std::size_t max_batches_;
  const std::size_t batch_bytes_;
  std::atomic<std::size_t> entries_per_batch_ = kMinEntries;
  std::shared_ptr<Batch> filling_ = std::make_shared<Batch>();
  Guarded<State> state_;
  std::condition_variable changed_;
  std::vector<std::jthread> threads_;
};

// False: nobody wants more.
Result<bool> list_files(Pipeline& pipeline, Reader& reader, const ObjectId& tree, std::string& path,
                        std::size_t depth) {
  BENNU_TRY(check_depth(depth, path));
  BENNU_ASSIGN(const auto entries, reader.tree(tree, path));
  for (const auto& entry : entries) {
    const std::size_t size = path.size();
    if (size != 0) path.push_back('/');
    path.append(entry.name);
    bool more = true;
    if (entry.is_tree() && entry.id != empty_tree_id()) {
      BENNU_ASSIGN(more, list_files(pipeline, reader, entry.id, path, depth + 1));
    } else {
      more = pipeline.put(path, entry.mode, entry.id);
    }
    if (!more) return false;
    path.resize(size);
  }
  return true;
}

}  // namespace

Status walk_files(const Repository& repository, const ObjectId& tree, const ReadOptions& options,
                  const FileVisitor& visitor) {
  Pipeline pipeline(repository, options);
  const auto list = [&](Reader& reader) -> Status {
    std::string path;
    BENNU_TRY(list_files(pipeline, reader, tree, path, 0));
    return {};
  };
  return pipeline.run(list, [&](std::string_view path, const Item& item,
                                std::optional<std::string_view> bytes) {
    return visitor(
        {.path = path, .mode = item.mode, .id = item.id, .size_bytes = item.size, .bytes = bytes});
  });
}

Status read_blobs(const Repository& repository, std::span<const ObjectId> ids,
                  const ReadOptions& options, const BlobVisitor& visitor) {
  Pipeline pipeline(repository, options);
  const auto list = [&](Reader&) -> Status {
    for (const auto& id : ids) {
      if (!pipeline.put("", mode::kFile, id)) break;
    }
    return {};
  };
  std::size_t index = 0;
  return pipeline.run(
      list, [&](std::string_view, const Item& item, std::optional<std::string_view> bytes) {
        return visitor(index++, item.size, bytes);
      });
}

}  // namespace bennu::git
