#pragma once
// What   Writes any number of objects into one new pack, which appears whole or not at all.
// Why    Loose objects cost a file and a sync each; one pack per export is two syncs and can use
//        every core.
// Use    `PackWriter::begin(repo)`, `add` (also commits), `finish()`, then move the ref. `read`
//        finds what was added and not finished, so that a chain of commits goes into one pack.
//        Destroying it unfinished removes everything.
// Units  About 40 bytes of memory per object.
// Errors kResourceExhausted `env.no_space`, kUnavailable (other disk errors): nothing is visible
//        then (effect kNone). After an error every later call fails with the same one.
// Threads One thread; it compresses on threads of its own only when driven by BulkTreeWriter. Needs
//         a repository handle of this thread.
// Source gitformat-pack(5): pack version 2, index version 2. Order on disk: pack synced, index
//        synced, renamed pack first, directory synced.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "git/object_sink.hpp"
#include "git/repository.hpp"

namespace bennu::git {

struct PackOptions {
  /// Leave out objects that the repository has (about 1 µs each). Off for the first export into an
  /// empty repository.
  bool skip_existing = true;
  /// libdeflate's level, 0 to 12. Objects under about 50 bytes are always stored.
  int level = 1;
};

struct PackResult {
  /// Objects in the new pack; 0: no pack was written, as everything was there already.
  std::uint64_t objects = 0;
  std::uint64_t size_bytes = 0;
  /// `pack-<hex>`, the name of its files without extension; empty if none was written.
  std::string name;
};

class PackWriter final : public ObjectSink {
 public:
  /// `repository` must outlive the writer.
  static Result<std::unique_ptr<PackWriter>> begin(const Repository& repository,
                                                   const PackOptions& options = {});
  ~PackWriter() override;

  /// Hashes, compresses and appends. An object added twice, or there already, is written once or
  /// not at all.
  Result<ObjectId> add(ObjectKind kind, std::string_view bytes) override;
  /// From this pack, else from the repository.
  [[nodiscard]] Result<Object> read(const ObjectId& id) override;
  [[nodiscard]] bool keeps_blobs() const override { return true; }
  /// Objects appended so far.
  [[nodiscard]] std::uint64_t objects() const;

  /// Makes the pack durable and visible. Call once.
  Result<PackResult> finish();

 private:
  friend class BulkTreeWriter;
  struct Impl;
  explicit PackWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bennu::git
