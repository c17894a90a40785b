#include "git/libgit2.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "git/reasons.hpp"

namespace bennu::git {

void start_libgit2() {
  static const bool started = [] {
    git_libgit2_init();
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
    git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
    return true;
  }();
  (void)started;
}

Error libgit2_error(int code, std::string_view context) {
  const git_error* last = git_error_last();
  const std::string detail =
      last != nullptr && last->message != nullptr ? printable(last->message) : "unknown error";
  const auto make = [&](Code canonical, Reason reason) {
    return make_error(canonical, fmt::format("{}: {}", context, detail), reason);
  };
  if (detail.find("No space left") != std::string::npos)
    return make(Code::kResourceExhausted, reason::kNoSpace);
  if (detail.find("extensions.objectformat") != std::string::npos) {
    return make_error(Code::kFailedPrecondition,
                      fmt::format("{}: it names objects by SHA-256, which Bennu does not read; "
                                  "make one with `--object-format=sha1`",
                                  context));
  }
  const int klass = last != nullptr ? last->klass : GIT_ERROR_NONE;
  const auto damage = [&] {
    return make_error(Code::kDataLoss, fmt::format("{}: {}; {}", context, detail, kMendDamage),
                      reason::kCorrupt);
  };
  // Whoever reads an object has its id from a ref or another object: libgit2 passes over a pack
  // that it cannot read.
  if (code == GIT_ENOTFOUND && klass == GIT_ERROR_ODB) return damage();
  switch (code) {
    case GIT_ENOTFOUND:
      return make(Code::kNotFound, reason::kNotFound);
    case GIT_EAMBIGUOUS:
      return make(Code::kInvalidArgument, reason::kAmbiguous);
    case GIT_EEXISTS:
      return make(Code::kAlreadyExists, {});
    case GIT_EINVALIDSPEC:
      return make(Code::kInvalidArgument, {});
    case GIT_EMODIFIED:
      return make(Code::kAborted, reason::kRefMoved);
    case GIT_ELOCKED:
      return make(Code::kUnavailable, {});
    case GIT_EOWNER:
      return make(Code::kPermissionDenied, {});
    default:
      break;
  }
  if (detail.find("Permission denied") != std::string::npos ||
      detail.find("Read-only") != std::string::npos) {
    return make(Code::kPermissionDenied, {});
  }
  const bool damaged = klass == GIT_ERROR_ODB || klass == GIT_ERROR_ZLIB ||
                       klass == GIT_ERROR_OBJECT || klass == GIT_ERROR_INDEXER ||
                       code == GIT_EMISMATCH;
  if (damaged) return damage();
  return make(klass == GIT_ERROR_OS ? Code::kUnavailable : Code::kInternal, {});
}

git_oid to_oid(const ObjectId& id) {
  git_oid oid;
  git_oid_fromraw(&oid, id.bytes.data());
  return oid;
}

ObjectId from_oid(const git_oid& oid) {
  return ObjectId::from_raw({reinterpret_cast<const char*>(oid.id), 20});
}

}  // namespace bennu::git
