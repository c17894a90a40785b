#include "git/bulk_tree_writer.hpp"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "git/bulk_batch.hpp"
#include "git/pack_writer_impl.hpp"
#include "git/reasons.hpp"
#include "git/tree.hpp"

namespace bennu::git {
namespace {

// A batch ends at the next end of a directory from here on, so that few directories span two
// batches,
constexpr std::size_t kBatchBytes = 512UL * 1024;
constexpr std::size_t kBatchObjects = 4096;
// and at once from here on.
constexpr std::size_t kBatchHardFactor = 4;
// What   one object costs in a batch besides its bytes, for the bound of the queue.
constexpr std::size_t kObjectOverheadBytes = 96;

// Files that were given before the stream, by directory.
struct Early {
  std::map<std::string, std::unique_ptr<Early>, std::less<>> children;
  std::optional<std::pair<std::uint32_t, ObjectId>> entry;
};

// A directory whose run has begun and not ended.
struct Open {
  std::string name;
  std::size_t path_bytes = 0;  // of its whole path
  BulkDirectory directory;
  // Leaves by name, made only where a child directory or an empty one asks; `indexed` items are in
  // it.
  std::unordered_map<std::string, std::size_t> leaves;
  std::size_t indexed = 0;
  std::unordered_set<std::string> closed;
  std::set<std::string, std::less<>> empties;
  const Early* early = nullptr;
};

Error twice(std::string_view path, std::string_view what) {
  return make_error(Code::kInvalidArgument, fmt::format("path `{}` {}", printable(path), what),
                    reason::kBadName);
}

}  // namespace

struct BulkTreeWriter::Impl {
  Impl(PackWriter* into, BulkOptions with) : writer(into), options(std::move(with)) {
    stack.emplace_back().early = &early;
  }
  // A tree may name the batch that it lies in; one that no worker took would keep itself for ever.
  ~Impl() { batch->trees.clear(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // The bytes of a file, or the id of what is there already.
  struct Content {
    std::string_view bytes;
    const ObjectId* id = nullptr;
  };
  struct Late {
    std::string path;
    std::uint32_t mode = 0;
    ObjectId id;
  };

  Status start();
  Status add(std::string_view path_of_file, std::uint32_t mode, const Content& content);
  Status add_here(std::string_view name, std::uint32_t mode, const Content& content);
  [[nodiscard]] bool was_closed(std::string_view directory) const;
  Status put_aside(std::string_view path_of_file, std::uint32_t mode, const Content& content);
  Status go_to(std::string_view directory);
  Status enter(std::string_view name);
  Status add_early_files();
  Status add_early_directories();
  Status leave();
  Status close_content(Open& open);
  Status check_known_special(std::string_view name, std::string_view path_of_file,
                             const ObjectId& id);
  BulkItem& push_item(Open& open, std::string_view name, std::uint32_t mode);
  std::uint32_t source_of(Open& open, const std::shared_ptr<Batch>& from);
  std::uint32_t close_tree(Open& open);
  Result<std::size_t*> find_leaf(Open& open, const std::string& name);
  Status flush();
  Result<ObjectId> finish();
  Result<ObjectId> merge_late(const ObjectId& root);
  [[nodiscard]] std::string full_path(std::string_view name) const {
    return path.empty() ? std::string(name) : fmt::format("{}/{}", path, name);
  }
  [[nodiscard]] bool batch_is_full(std::size_t factor) const {
    return batch->bytes.size() >= kBatchBytes * factor ||
           batch->results.size() >= kBatchObjects * factor;
  }

  PackWriter* writer;  // null: proof mode
  BulkOptions options;
  std::optional<BulkWorkers> workers;
  std::shared_ptr<Batch> batch = std::make_shared<Batch>();
  Early early;
  bool started = false;
  std::string path;  // of the innermost open directory
  std::vector<Open> stack;
  std::vector<Late> late;
};

// The root's early files are in place before the first file of the stream.
Status BulkTreeWriter::Impl::start() {
  if (started) return {};
  started = true;
  return add_early_files();
}

Status BulkTreeWriter::Impl::add(std::string_view path_of_file, std::uint32_t mode,
                                 const Content& content) {
  BENNU_TRY(start());
  const auto slash = path_of_file.rfind('/');
  const std::string_view directory =
      slash == std::string_view::npos ? "" : path_of_file.substr(0, slash);
  const std::string_view name =
      slash == std::string_view::npos ? path_of_file : path_of_file.substr(slash + 1);
  BENNU_TRY(check_entry(name, mode, path_of_file));
  if (slash == 0) return check_name("", path_of_file);
  if (directory != path) {
    if (was_closed(directory)) return put_aside(path_of_file, mode, content);
    BENNU_TRY(go_to(directory));
  }
  const Open& open = stack.back();
  if (!open.closed.empty() && open.closed.contains(std::string(name)))
    return put_aside(path_of_file, mode, content);
  return add_here(name, mode, content);
}

Status BulkTreeWriter::Impl::add_here(std::string_view name, std::uint32_t mode,
                                      const Content& content) {
  Open& open = stack.back();
  if (mode == mode::kTree) {
    open.empties.emplace(name);
    return {};
  }
  if (content.id != nullptr) {
    if (mode::is_blob(mode) && mode != mode::kSymlink && is_special_name(name)) {
      BENNU_TRY(check_known_special(name, full_path(name), *content.id));
    }
    push_item(open, name, mode).id = *content.id;
    return {};
  }
  if (mode != mode::kSymlink && is_special_name(name))
    batch->specials.push_back({.blob = batch->blobs.size(), .path = full_path(name)});
  const auto result = static_cast<std::uint32_t>(batch->results.size());
  batch->results.emplace_back();
  batch->blobs.push_back(
      {.begin = batch->bytes.size(), .size = content.bytes.size(), .result = result});
  batch->bytes.append(content.bytes);
  BulkItem& item = push_item(open, name, mode);
  item.source = source_of(open, batch);
  item.result = result;
  return batch_is_full(kBatchHardFactor) ? flush() : Status{};
}

// Whether the run of this directory, or of one above it, has ended.
bool BulkTreeWriter::Impl::was_closed(std::string_view directory) const {
  std::size_t depth = 0;
  while (depth + 1 < stack.size()) {
    const std::size_t bytes = stack[depth + 1].path_bytes;
    const bool inside = directory.size() >= bytes &&
                        directory.substr(0, bytes) == std::string_view(path).substr(0, bytes) &&
                        (directory.size() == bytes || directory[bytes] == '/');
    if (!inside) break;
    ++depth;
  }
  const Open& open = stack[depth];
  if (open.closed.empty() || directory.size() <= open.path_bytes) return false;
  const std::size_t begin = open.path_bytes == 0 ? 0 : open.path_bytes + 1;
  const std::size_t end = std::min(directory.find('/', begin), directory.size());
  return open.closed.contains(std::string(directory.substr(begin, end - begin)));
}

Status BulkTreeWriter::Impl::put_aside(std::string_view path_of_file, std::uint32_t mode,
                                       const Content& content) {
  ObjectId id;
  if (content.id != nullptr) {
    id = *content.id;
  } else if (writer != nullptr) {
    BENNU_ASSIGN(id, writer->add(ObjectKind::kBlob, content.bytes));
  } else {
    id = hash_object(ObjectKind::kBlob, content.bytes);
  }
  late.push_back({.path = std::string(path_of_file), .mode = mode, .id = id});
  return {};
}

Status BulkTreeWriter::Impl::go_to(std::string_view directory) {
  const auto inside = [&] {
    const std::size_t bytes = stack.back().path_bytes;
    return bytes == 0 ||
           (directory.starts_with(path) && (directory.size() == bytes || directory[bytes] == '/'));
  };
  while (!inside()) BENNU_TRY(leave());
  while (directory.size() > path.size()) {
    const std::size_t begin = path.empty() ? 0 : path.size() + 1;
    const std::size_t end = std::min(directory.find('/', begin), directory.size());
    BENNU_TRY(enter(directory.substr(begin, end - begin)));
  }
  return {};
}

Status BulkTreeWriter::Impl::enter(std::string_view name) {
  const std::string full = full_path(name);
  BENNU_TRY(check_entry(name, mode::kTree, full));
  BENNU_TRY(check_depth(stack.size(), full));
  const std::string key(name);
  Open child{.name = key, .path_bytes = full.size()};
  {
    Open& parent = stack.back();
    if (!parent.empties.empty()) parent.empties.erase(key);
    if (parent.early != nullptr) {
      const auto found = parent.early->children.find(name);
      if (found != parent.early->children.end()) child.early = found->second.get();
    }
    BENNU_ASSIGN(std::size_t* const at, find_leaf(parent, key));
    if (at != nullptr) {
      if (options.rules.leaf_name.empty()) return twice(full, "is a file and a directory at once");
      BulkItem& leaf = parent.directory.items[*at];
      leaf.dropped = true;
      BulkItem& moved = push_item(child, options.rules.leaf_name, leaf.mode);
      moved.id = leaf.id;
      moved.result = leaf.result;
      if (leaf.source != BulkItem::kKnown)
        moved.source = source_of(child, parent.directory.sources[leaf.source]);
      parent.leaves.erase(key);
    }
  }
  path = full;
  stack.push_back(std::move(child));
  return add_early_files();
}

Status BulkTreeWriter::Impl::add_early_files() {
  const Early* const node = stack.back().early;
  if (node == nullptr) return {};
  for (const auto& [name, child] : node->children) {
    if (child->entry)
      BENNU_TRY(add_here(name, child->entry->first, {.bytes = {}, .id = &child->entry->second}));
  }
  return {};
}

Status BulkTreeWriter::Impl::add_early_directories() {
  const Early* const node = stack.back().early;
  if (node == nullptr) return {};
  for (const auto& [name, child] : node->children) {
    if (child->children.empty() || stack.back().closed.contains(name)) continue;
    BENNU_TRY(enter(name));
    BENNU_TRY(leave());
  }
  return {};
}

// What the directory still lacks when its run ends.
Status BulkTreeWriter::Impl::close_content(Open& open) {
  for (const auto& name : open.empties) {
    BENNU_ASSIGN(std::size_t* const leaf, find_leaf(open, name));
    if (leaf != nullptr || open.closed.contains(name)) continue;
    if (writer != nullptr) BENNU_TRY(writer->add(ObjectKind::kTree, ""));
    push_item(open, name, mode::kTree).id = empty_tree_id();
  }
  return {};
}

std::uint32_t BulkTreeWriter::Impl::close_tree(Open& open) {
  const auto result = static_cast<std::uint32_t>(batch->results.size());
  batch->results.emplace_back();
  batch->weight_bytes +=
      open.directory.names.size() + open.directory.items.size() * sizeof(BulkItem);
  batch->trees.push_back({.directory = std::move(open.directory), .path = path, .result = result});
  return result;
}

Status BulkTreeWriter::Impl::leave() {
  BENNU_TRY(add_early_directories());
  BENNU_TRY(close_content(stack.back()));
  const std::uint32_t result = close_tree(stack.back());
  std::string name = std::move(stack.back().name);
  stack.pop_back();
  Open& parent = stack.back();
  path.resize(parent.path_bytes);
  BulkItem& item = push_item(parent, name, mode::kTree);
  item.source = source_of(parent, batch);
  item.result = result;
  parent.closed.insert(std::move(name));
  return batch_is_full(1) ? flush() : Status{};
}

Status BulkTreeWriter::Impl::check_known_special(std::string_view name,
                                                 std::string_view path_of_file,
                                                 const ObjectId& id) {
  if (writer == nullptr) return {};  // a proof names what was checked when it was written
  BENNU_ASSIGN(const Object blob, writer->read(id));
  return check_special_blob(name, blob.bytes, path_of_file);
}

BulkItem& BulkTreeWriter::Impl::push_item(Open& open, std::string_view name, std::uint32_t mode) {
  BulkItem& item = open.directory.items.emplace_back();
  item.name_begin = static_cast<std::uint32_t>(open.directory.names.size());
  item.name_bytes = static_cast<std::uint16_t>(name.size());
  item.mode = mode;
  open.directory.names.append(name);
  return item;
}

std::uint32_t BulkTreeWriter::Impl::source_of(Open& open, const std::shared_ptr<Batch>& from) {
  auto& sources = open.directory.sources;
  if (sources.empty() || sources.back() != from) sources.push_back(from);
  return static_cast<std::uint32_t>(sources.size() - 1);
}

// The place of a leaf among the items, null if there is none.
Result<std::size_t*> BulkTreeWriter::Impl::find_leaf(Open& open, const std::string& name) {
  auto& items = open.directory.items;
  for (; open.indexed < items.size(); ++open.indexed) {
    const BulkItem& item = items[open.indexed];
    if (item.mode == mode::kTree || item.dropped) continue;
    const std::string_view leaf = open.directory.name_of(item);
    if (!open.leaves.emplace(leaf, open.indexed).second)
      return twice(full_path(leaf), "was given twice");
  }
  const auto found = open.leaves.find(name);
  return found == open.leaves.end() ? nullptr : &found->second;
}

Status BulkTreeWriter::Impl::flush() {
  if (!workers) {
    PackWriter::Impl* const pack = writer != nullptr ? writer->impl_.get() : nullptr;
    const bool check = pack != nullptr && pack->options.skip_existing;
    workers.emplace(BulkWorkers::Options{.threads = options.threads,
                                         .queue_bytes = options.queue_bytes,
                                         .pack = pack != nullptr ? pack->file.get() : nullptr,
                                         .level = pack != nullptr ? pack->options.level : 1,
                                         .existing = check ? &pack->repository : nullptr,
                                         .keep_tree_bytes = options.proof_tree_bytes});
  }
  batch->weight_bytes += batch->bytes.size() + batch->results.size() * kObjectOverheadBytes;
  workers->submit(std::exchange(batch, std::make_shared<Batch>()));
  return workers->failure();
}

Result<ObjectId> BulkTreeWriter::Impl::finish() {
  BENNU_TRY(start());
  BENNU_TRY(go_to(""));
  BENNU_TRY(add_early_directories());
  BENNU_TRY(close_content(stack.back()));
  const std::uint32_t result = close_tree(stack.back());
  const auto last = batch;
  BENNU_TRY(flush());
  BENNU_TRY(workers->drain());
  const ObjectId root = last->results[result];
  if (late.empty()) return root;
  return merge_late(root);
}

Result<ObjectId> BulkTreeWriter::Impl::merge_late(const ObjectId& root) {
  const auto edit = [&](ObjectSink& sink) -> Result<ObjectId> {
    TreeEditor editor(sink, root, options.rules);
    // Files last: of an empty directory and a file at one path, the file stands.
    for (const auto& entry : late) {
      if (entry.mode == mode::kTree) BENNU_TRY(editor.ensure(entry.path));
    }
    for (const auto& entry : late) {
      if (entry.mode != mode::kTree) BENNU_TRY(editor.set(entry.path, entry.mode, entry.id));
    }
    return editor.finish();
  };
  if (writer != nullptr) return edit(*writer);
  auto trees = workers->kept_trees();
  if (!trees) {
    return make_error(
        Code::kFailedPrecondition,
        fmt::format(
            "path `{}` came after its directory was closed, and the tree is too large to go back; "
            "give it before the stream",
            printable(late.front().path)),
        reason::kOutOfOrder);
  }
  HashSink sink(nullptr, std::move(*trees));
  return edit(sink);
}

BulkTreeWriter::BulkTreeWriter(PackWriter& pack, BulkOptions options)
    : impl_(std::make_unique<Impl>(&pack, std::move(options))) {}
BulkTreeWriter::BulkTreeWriter(BulkOptions options)
    : impl_(std::make_unique<Impl>(nullptr, std::move(options))) {}
BulkTreeWriter::~BulkTreeWriter() = default;

Status BulkTreeWriter::add(std::string_view path, std::uint32_t mode, std::string_view bytes) {
  BENNU_CHECK(mode::is_blob(mode), "only files and links have bytes");
  return impl_->add(path, mode, {.bytes = bytes, .id = nullptr});
}

Status BulkTreeWriter::add_id(std::string_view path, std::uint32_t mode, const ObjectId& id) {
  if (mode == mode::kTree && id != empty_tree_id()) {
    return make_error(
        Code::kInvalidArgument,
        fmt::format("path `{}` is a tree with content: add its files", printable(path)),
        reason::kBadName);
  }
  return impl_->add(path, mode, {.bytes = {}, .id = &id});
}

Status BulkTreeWriter::add_early(std::string_view path, std::uint32_t mode, const ObjectId& id) {
  BENNU_CHECK(!impl_->started, "early files come before the stream");
  const auto slash = path.rfind('/');
  BENNU_TRY(
      check_entry(slash == std::string_view::npos ? path : path.substr(slash + 1), mode, path));
  Early* node = &impl_->early;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    BENNU_TRY(check_name(name, path));
    auto found = node->children.find(name);
    if (found == node->children.end())
      found = node->children.emplace(std::string(name), std::make_unique<Early>()).first;
    node = found->second.get();
    begin = end + 1;
  }
  node->entry = {mode, id};
  return {};
}

Result<ObjectId> BulkTreeWriter::finish() { return impl_->finish(); }

}  // namespace bennu::git
