#pragma once
// What   The inside of PackWriter, for BulkTreeWriter, which fills the same pack from several
//        threads.
// Why    The pack's file is shared; the public header stays free of it.
// Use    Sources of this module only.
// Threads As PackFile; the rest one thread.
// Source own design.

#include <optional>

#include "git/libgit2.hpp"
#include "git/pack_file.hpp"
#include "git/pack_writer.hpp"

namespace bennu::git {

/// The object database of a handle, which only the sources of this module may touch.
class OdbAccess {
 public:
  static git_odb* odb(const Repository& repository) { return repository.impl_->odb.get(); }
};

/// Whether the repository has the object, without looking for packs that came since.
[[nodiscard]] bool has_object(const Repository& repository, const ObjectId& id);

struct PackWriter::Impl {
  Impl(const Repository& into, const PackOptions& with, std::unique_ptr<PackFile> pack)
      : repository(into), options(with), file(std::move(pack)), encoder(with.level) {}
  /// Hands what is encoded to the file. The first failure is kept.
  Status flush();

  const Repository& repository;
  PackOptions options;
  std::unique_ptr<PackFile> file;
  PackEncoder encoder;
  EncodedRun run;
  std::optional<Error> failure;
};

}  // namespace bennu::git
