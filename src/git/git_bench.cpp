// Times of this module on a million files of 40 bytes in shards of 2 + 2 hex digits, beside `git
// fast-import` of the same stream. Usage: bennu_git_bench FOLDER [FILES]   (the folder must not
// exist; it is left for a look)
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "env/clock.hpp"
#include "env/process.hpp"
#include "git/bulk_tree_writer.hpp"
#include "git/commit.hpp"
#include "git/remote.hpp"
#include "git/tree_editor.hpp"
#include "git/tree_walk.hpp"

namespace bennu::git {
namespace {

struct Input {
  std::string path;
  std::string value;
};

std::vector<Input> make_input(std::size_t count) {
  std::vector<Input> input;
  input.reserve(count);
  std::uint64_t state = 42;
  const auto next = [&] {  // splitmix64
    std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  };
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t n = next();
    const std::string name = fmt::format("{:016x}", n);
    input.push_back({.path = fmt::format("{}/{}/{}", name.substr(0, 2), name.substr(2, 2), name),
                     .value = fmt::format("{:016x}{:016x}{:08}", next(), next(), i % 100'000'000)});
  }
  std::sort(input.begin(), input.end(),
            [](const Input& a, const Input& b) { return a.path < b.path; });
  return input;
}

template <class Work>
auto timed(const char* name, Work work) {
  const auto begin = env::system_clock().monotonic();
  auto result = work();
  const std::chrono::duration<double> seconds = env::system_clock().monotonic() - begin;
  if (!result) {
    fmt::print("{}: {}\n", name, result.error().message);
    std::exit(1);
  }
  fmt::print("{:<28} {:8.3f} s\n", name, seconds.count());
  std::fflush(stdout);
  return std::move(*result);
}

Status write_stream(const std::vector<Input>& input, const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return make_error(Code::kUnavailable, "cannot write the stream");
  fmt::print(file, "commit refs/heads/main\ncommitter A <a@b> 1 +0000\ndata 1\nx\n");
  for (const auto& [name, value] : input)
    fmt::print(file, "M 100644 inline {}\ndata {}\n{}\n", name, value.size(), value);
  std::fclose(file);
  return {};
}

Result<ObjectId> bulk_write(Repository& repository, const std::vector<Input>& input) {
  BENNU_ASSIGN(const auto writer, PackWriter::begin(repository, {.skip_existing = false}));
  ObjectId root;
  {
    BulkTreeWriter bulk(*writer, {.rules = {.leaf_name = "%v"}});
    for (const auto& [path, value] : input) BENNU_TRY(bulk.add(path, mode::kFile, value));
    BENNU_ASSIGN(root, bulk.finish());
  }
  BENNU_ASSIGN(const ObjectId commit,
               writer->add(ObjectKind::kCommit, *format_commit({.tree = root, .message = "x"})));
  BENNU_TRY(writer->finish());
  BENNU_TRY(repository.update_ref("refs/heads/main", commit, std::nullopt));
  return root;
}

Result<ObjectId> prove(const std::vector<Input>& input) {
  BulkTreeWriter bulk(BulkOptions{.rules = {.leaf_name = "%v"}});
  for (const auto& [path, value] : input) BENNU_TRY(bulk.add(path, mode::kFile, value));
  return bulk.finish();
}

Result<ObjectId> edit(const Repository& repository, const ObjectId& root,
                      const std::vector<Input>& input) {
  BENNU_ASSIGN(const auto writer, PackWriter::begin(repository));
  TreeEditor editor(*writer, root, {.leaf_name = "%v"});
  for (std::size_t i = 0; i < 100; ++i) {
    BENNU_ASSIGN(const ObjectId blob, writer->add(ObjectKind::kBlob, fmt::format("changed {}", i)));
    BENNU_TRY(editor.set(input[i * (input.size() / 100)].path, mode::kFile, blob));
  }
  BENNU_ASSIGN(const ObjectId edited, editor.finish());
  BENNU_TRY(writer->finish());
  return edited;
}

Result<std::size_t> read_all(const Repository& repository, const ObjectId& root) {
  std::size_t bytes = 0;
  BENNU_TRY(walk_files(repository, root, {}, [&](const FileVisit& file) -> Status {
    bytes += file.bytes->size();
    return {};
  }));
  return bytes;
}

Result<int> run(std::vector<std::string> argv) {
  BENNU_ASSIGN(const auto result, env::run({.argv = std::move(argv)}));
  if (result.status != 0) return make_error(Code::kInternal, result.error_output);
  return 0;
}

void bench(const std::string& folder, std::size_t count) {
  const auto input = make_input(count);
  auto ours = timed("init", [&] { return Repository::init_bare(folder + "/ours.git"); });
  const ObjectId root = timed("bulk write, synced", [&] { return bulk_write(ours, input); });
  const ObjectId proved = timed("proof", [&] { return prove(input); });
  fmt::print("{}\n", proved == root ? "proved" : "PROOF FAILED");
  timed("read every file", [&] { return read_all(ours, root); });
  const ObjectId edited =
      timed("100 changed paths, synced", [&] { return edit(ours, root, input); });
  timed("diff of these trees", [&]() -> Result<int> {
    int changes = 0;
    BENNU_TRY(diff_trees(ours, root, edited, [&](const TreeChange&) -> Result<Walk> {
      ++changes;
      return Walk::kContinue;
    }));
    return changes;
  });
  timed("first fetch of it", [&]() -> Result<int> {
    BENNU_ASSIGN(auto copy, Repository::init_bare(folder + "/copy.git"));
    BENNU_TRY(fetch(copy, "file://" + ours.path().string(), {}));
    return 0;
  });
  timed("git clone --bare", [&] {
    return run(
        {"git", "clone", "-q", "--bare", "file://" + ours.path().string(), folder + "/clone.git"});
  });
  const std::string stream = folder + "/stream";
  if (!write_stream(input, stream)) return;
  timed("git fast-import", [&]() -> Result<int> {
    BENNU_TRY(run({"git", "init", "-q", "--bare", folder + "/theirs.git"}));
    return run(
        {"sh", "-c", "git -C '" + folder + "/theirs.git' fast-import --quiet < '" + stream + "'"});
  });
}

}  // namespace
}  // namespace bennu::git

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  bennu::git::bench(argv[1], argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1'000'000);
  return 0;
}
