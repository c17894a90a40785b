#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "env/process.hpp"
#include "env/temp_dir.hpp"
#include "git/fsck_names.hpp"
#include "git/pack_writer.hpp"
#include "git/reasons.hpp"
#include "git/repository.hpp"
#include "git/tree.hpp"

namespace bennu::git {
namespace {

// attr.h: lines from here on and files over this are errors to fsck.
constexpr std::size_t kMaxAttributeLineBytes = 2048;
constexpr std::size_t kMaxAttributeFileBytes = 100UL * 1024 * 1024;

Error refused(std::string_view path, std::string_view what) {
  return make_error(Code::kInvalidArgument,
                    fmt::format("the content of `{}` is refused by `git fsck --strict`: {}",
                                printable(path), what),
                    reason::kBadName);
}

Status check_attributes(std::string_view bytes, std::string_view path) {
  if (bytes.size() > kMaxAttributeFileBytes) return refused(path, "over 100 MB");
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    if (end >= kMaxAttributeLineBytes) return refused(path, "a line of 2048 bytes or more");
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return {};
}

// The rules for submodule names, paths and URLs change with git's security fixes: the installed git
// is asked, in a repository that holds nothing else.
Status check_modules(std::string_view bytes, std::string_view path) {
  BENNU_ASSIGN(const auto scratch, env::TempDir::make(std::filesystem::temp_directory_path()));
  BENNU_ASSIGN(Repository repository, Repository::init_bare(scratch.path() / "check.git"));
  BENNU_ASSIGN(const auto pack, PackWriter::begin(repository));
  BENNU_ASSIGN(const ObjectId blob, pack->add(ObjectKind::kBlob, bytes));
  BENNU_ASSIGN(
      const ObjectId tree,
      pack->add(ObjectKind::kTree,
                serialise_tree({{.name = ".gitmodules", .mode = mode::kFile, .id = blob}})));
  BENNU_TRY(pack->finish());
  auto run = env::run({.argv = {"git", "-C", repository.path().string(), "fsck", "--strict",
                                "--no-dangling", tree.hex()},
                       .environment = {{"GIT_DIR", ""}, {"LC_ALL", "C"}}});
  if (!run) {
    Error error = std::move(run).error();
    if (error.code == Code::kNotFound) error.reason = reason::kNoGit;
    return std::move(error).with_context(fmt::format("cannot check `{}`", printable(path)));
  }
  if (run->status == 0) return {};
  std::string_view said = run->error_output;
  said = said.substr(0, said.find('\n'));
  const auto what = said.rfind(": ");
  return refused(path,
                 what == std::string_view::npos ? "see `git help fsck`" : said.substr(what + 2));
}

}  // namespace

Status check_special_blob(std::string_view name, std::string_view bytes, std::string_view path) {
  if (looks_like_gitattributes(name)) BENNU_TRY(check_attributes(bytes, path));
  if (looks_like_gitmodules(name)) BENNU_TRY(check_modules(bytes, path));
  return {};
}

}  // namespace bennu::git
