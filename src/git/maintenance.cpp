#include "git/maintenance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "git/git_program.hpp"
#include "git/pack_set.hpp"
#include "git/pack_writer.hpp"
#include "git/reasons.hpp"

namespace bennu::git {
namespace {

namespace fs = std::filesystem;

struct PackOnDisk {
  fs::path index;
  std::uint32_t objects = 0;
};

fs::path pack_folder(const Repository& repository) {
  return repository.path() / "objects" / "pack";
}

// The packs below the point from which each is at least twice all smaller ones together, smallest
// first.
std::vector<PackOnDisk> packs_to_merge(const fs::path& folder) {
  std::vector<PackOnDisk> packs;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    fs::path path = it->path();
    if (path.extension() != ".idx") continue;
    const PackSet::Pack pack = PackSet::open_pack(path);
    if (pack.count == 0 || fs::exists(path.replace_extension(".keep"), error)) continue;
    packs.push_back({.index = it->path(), .objects = pack.count});
  }
  std::sort(packs.begin(), packs.end(),
            [](const PackOnDisk& a, const PackOnDisk& b) { return a.objects < b.objects; });
  std::uint64_t below = 0;
  std::size_t merged = 0;
  for (std::size_t i = 0; i < packs.size(); ++i) {
    if (i > 0 && packs[i].objects < 2 * below) merged = i + 1;
    below += packs[i].objects;
  }
  packs.resize(merged);
  return packs;
}

Status copy_objects(const Repository& repository, const PackSet::Pack& pack, PackReader& reader,
                    PackWriter& writer, const std::stop_token& stop) {
  std::string bytes;
  for (std::uint32_t i = 0; i < pack.count; ++i) {
    if (stop.stop_requested())
      return make_error(Code::kCancelled, "the merge of packs was stopped");
    const ObjectId id = pack.id_at(i);
    bytes.clear();
    if (const auto found = reader.read(id, UINT64_MAX, bytes)) {
      BENNU_TRY(writer.add(found->kind, bytes));
    } else {
      BENNU_ASSIGN(const Object object, repository.read(id));
      BENNU_TRY(writer.add(object.kind, object.bytes));
    }
  }
  return {};
}

}  // namespace

std::size_t count_packs(const Repository& repository) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator it(pack_folder(repository), error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".idx") ++count;
  }
  return count;
}

Result<MaintenanceResult> maintain(Repository& repository, const MaintenanceOptions& options) {
  MaintenanceResult result{.packs_before = count_packs(repository), .packs_after = 0};
  const RemoteOptions run_options{.timeout = std::chrono::hours{6}, .stop = options.stop};
  const auto step = [&](std::vector<std::string> arguments) -> Status {
    const std::string context = fmt::format("cannot maintain `{}`", repository.path().string());
    BENNU_ASSIGN(const auto run, run_git(repository.path(), std::move(arguments), run_options));
    if (run.status != 0) return git_error(context, run.error_output);
    return {};
  };
  if (result.packs_before > options.max_packs) {
    // Whole packs are merged, so unreachable objects go along; -d removes packs only after the new
    // one is in place.
    const Status merged = step({"repack", "--geometric=2", "-d", "-q", "--no-write-bitmap-index"});
    if (!merged && merged.error().code == Code::kCancelled) return merged.error();
    if (!merged) BENNU_TRY(merge_packs(repository, options));
    BENNU_TRY(step(
        {"commit-graph", "write", "--reachable", "--changed-paths", "--split", "--no-progress"}));
    BENNU_ASSIGN(repository, repository.another_handle());
  }
  result.packs_after = count_packs(repository);
  return result;
}

Status merge_packs(Repository& repository, const MaintenanceOptions& options) {
  const auto packs = packs_to_merge(pack_folder(repository));
  if (packs.size() < 2) return {};
  const PackSet set = PackSet::open(repository);
  PackReader reader(set);
  BENNU_ASSIGN(const auto writer, PackWriter::begin(repository, {.skip_existing = false}));
  for (const auto& pack : packs) {
    BENNU_TRY(
        copy_objects(repository, PackSet::open_pack(pack.index), reader, *writer, options.stop));
  }
  BENNU_ASSIGN(const PackResult result, writer->finish());
  for (const auto& pack : packs) {
    if (pack.index.stem() == result.name) continue;
    // Without its index a pack is not looked at, so that goes first.
    for (const char* extension : {".idx", ".rev", ".bitmap", ".pack"}) {
      std::error_code ignored;
      fs::remove(fs::path(pack.index).replace_extension(extension), ignored);
    }
  }
  BENNU_ASSIGN(repository, repository.another_handle());
  return {};
}

}  // namespace bennu::git
