#include "git/bulk_batch.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "git/pack_writer_impl.hpp"
#include "git/reasons.hpp"
#include "git/tree.hpp"

namespace bennu::git {

// What   one thread needs to turn batches into ids and encoded objects.
class BulkWorkers::Worker {
 public:
  explicit Worker(BulkWorkers& owner) : owner_(owner), encoder_(owner.options_.level) {}

  // Also after a failure every batch must be marked done, as others wait for it.
  void run() {
    while (auto batch = owner_.take()) {
      const Status status = owner_.failed_ ? Status{} : work(*batch);
      batch->bytes = {};
      batch->blobs = {};
      batch->trees = {};
      batch->done = true;
      batch->done.notify_all();
      owner_.finished(batch, status);
    }
  }

 private:
  Status work(Batch& batch) {
    if (owner_.options_.existing != nullptr && !existing_) {
      BENNU_ASSIGN(existing_, owner_.options_.existing->another_handle());
    }
    const std::string_view bytes(batch.bytes);
    for (const auto& special : batch.specials) {
      const auto& blob = batch.blobs[special.blob];
      const std::string_view path = special.path;
      BENNU_TRY(check_special_blob(path.substr(path.rfind('/') + 1),
                                   bytes.substr(blob.begin, blob.size), path));
    }
    for (const auto& blob : batch.blobs) {
      batch.results[blob.result] = store(ObjectKind::kBlob, bytes.substr(blob.begin, blob.size));
    }
    // Trees last: by then the batches before this one are mostly done.
    for (auto& tree : batch.trees) {
      BENNU_ASSIGN(std::string text, serialise(batch, tree));
      batch.results[tree.result] = store(ObjectKind::kTree, text);
      if (owner_.options_.pack == nullptr) owner_.keep(batch.results[tree.result], std::move(text));
    }
    if (owner_.options_.pack != nullptr) BENNU_TRY(owner_.options_.pack->append(run_));
    run_.bytes.clear();
    run_.members.clear();
    return {};
  }

  ObjectId store(ObjectKind kind, std::string_view bytes) {
    const ObjectId id = hash_object(kind, bytes);
    PackFile* const pack = owner_.options_.pack;
    if (pack == nullptr) return id;
    if (existing_ && has_object(*existing_, id)) return id;
    if (const auto slot = pack->claim(id)) encoder_.encode(*slot, kind, bytes, run_);
    return id;
  }

  Result<std::string> serialise(const Batch& batch, Batch::Tree& tree) {
    BulkDirectory& directory = tree.directory;
    for (const auto& source : directory.sources) {
      if (source.get() != &batch) source->done.wait(false);
    }
    if (owner_.failed_) return std::string();
    auto& items = directory.items;
    std::erase_if(items, [](const BulkItem& item) { return item.dropped; });
    const auto before = [&](const BulkItem& a, const BulkItem& b) {
      return tree_order(directory.name_of(a), a.mode == mode::kTree, directory.name_of(b),
                        b.mode == mode::kTree);
    };
    if (!std::is_sorted(items.begin(), items.end(), before))
      std::sort(items.begin(), items.end(), before);
    std::string out;
    out.reserve(directory.names.size() + items.size() * 28);
    std::string_view last;
    for (const auto& item : items) {
      const std::string_view name = directory.name_of(item);
      if (name == last) {
        const std::string path =
            tree.path.empty() ? std::string(name) : fmt::format("{}/{}", tree.path, name);
        return make_error(Code::kInvalidArgument,
                          fmt::format("path `{}` was given twice", printable(path)),
                          reason::kBadName);
      }
      last = name;
      append_mode(out, item.mode);
      out.append(name).push_back('\0');
      const bool known = item.source == BulkItem::kKnown;
      out.append((known ? item.id : directory.sources[item.source]->results[item.result]).raw());
    }
    return out;
  }

  static void append_mode(std::string& out, std::uint32_t mode) {
    if (mode == mode::kFile) {
      out.append("100644 ");
    } else if (mode == mode::kTree) {
      out.append("40000 ");
    } else {
      out.append(mode::to_text(mode)).push_back(' ');
    }
  }

  BulkWorkers& owner_;
  PackEncoder encoder_;
  EncodedRun run_;
  std::optional<Repository> existing_;
};

BulkWorkers::BulkWorkers(Options options) : options_(options) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const unsigned count = options_.threads == 0 ? cores : options_.threads;
  for (unsigned i = 0; i < count; ++i) {
    threads_.emplace_back([this] { Worker(*this).run(); });
  }
}

BulkWorkers::~BulkWorkers() {
  failed_ = true;  // what is queued is not wanted any more
  (void)drain();
}

void BulkWorkers::submit(std::shared_ptr<Batch> batch) {
  auto state = state_.lock();
  changed_.wait(state.raw_lock(), [&] {
    return state->pending_bytes < options_.queue_bytes || state->pending_bytes == 0;
  });
  state->pending_bytes += batch->weight_bytes;
  state->queue.push_back(std::move(batch));
  changed_.notify_all();
}

std::shared_ptr<Batch> BulkWorkers::take() {
  auto state = state_.lock();
  changed_.wait(state.raw_lock(), [&] { return state->closed || !state->queue.empty(); });
  if (state->queue.empty()) return nullptr;
  auto batch = std::move(state->queue.front());
  state->queue.pop_front();
  return batch;
}

void BulkWorkers::finished(const std::shared_ptr<Batch>& batch, const Status& status) {
  auto state = state_.lock();
  state->pending_bytes -= batch->weight_bytes;
  if (!status) {
    if (!state->failure) state->failure = status.error();
    failed_ = true;
  }
  changed_.notify_all();
}

void BulkWorkers::keep(const ObjectId& id, std::string bytes) {
  if (options_.keep_tree_bytes == 0) return;
  auto state = state_.lock();
  if (state->trees_dropped) return;
  state->tree_bytes += bytes.size() + sizeof(std::pair<ObjectId, std::string>);
  if (state->tree_bytes > options_.keep_tree_bytes) {
    state->trees_dropped = true;
    state->trees = {};
  } else {
    state->trees.try_emplace(id, std::move(bytes));
  }
}

Status BulkWorkers::failure() {
  if (!failed_) return {};
  auto state = state_.lock();
  if (state->failure) return *state->failure;
  return {};
}

Status BulkWorkers::drain() {
  {
    auto state = state_.lock();
    state->closed = true;
    changed_.notify_all();
  }
  threads_.clear();
  return failure();
}

std::optional<std::unordered_map<ObjectId, std::string>> BulkWorkers::kept_trees() {
  auto state = state_.lock();
  if (state->trees_dropped || options_.keep_tree_bytes == 0) return std::nullopt;
  return std::move(state->trees);
}

}  // namespace bennu::git
