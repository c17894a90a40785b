#pragma once
// What   The door to libgit2: start-up, owning handles, and the one table from its codes to ours.
// Why    No other header of this module names a libgit2 type, so that a change of its version stays
//        in few files.
// Use    Sources of this module only.
// Threads `start_libgit2` is safe for all.
// Source libgit2 1.5 to 1.9, git2/errors.h; only API that is stable since 1.0.

#include <git2.h>

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "git/object.hpp"
#include "git/repository.hpp"

namespace bennu::git {

/// What to do with a repository that does not hold what was written to it.
inline constexpr std::string_view kMendDamage =
    "this repository is damaged: put it aside and `git clone --bare` its remote there";

/// Once per process: durable refs and objects on, caches off (their memory is not in our budget).
void start_libgit2();

/// The Error for a negative return value; `context` says what was tried and where.
[[nodiscard]] Error libgit2_error(int code, std::string_view context);

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};
template <class T, auto kFree>
using Handle = std::unique_ptr<T, Free<kFree>>;
using RepositoryHandle = Handle<git_repository, git_repository_free>;
using OdbHandle = Handle<git_odb, git_odb_free>;
using OdbObjectHandle = Handle<git_odb_object, git_odb_object_free>;
using ObjectHandle = Handle<git_object, git_object_free>;
using ReferenceHandle = Handle<git_reference, git_reference_free>;
using TransactionHandle = Handle<git_transaction, git_transaction_free>;
using ConfigHandle = Handle<git_config, git_config_free>;
using ReferenceIteratorHandle = Handle<git_reference_iterator, git_reference_iterator_free>;

[[nodiscard]] git_oid to_oid(const ObjectId& id);
[[nodiscard]] ObjectId from_oid(const git_oid& oid);

struct Repository::Impl {
  std::filesystem::path path;
  RepositoryHandle repository;
  OdbHandle odb;
};

}  // namespace bennu::git
