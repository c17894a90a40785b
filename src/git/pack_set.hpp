#pragma once
// What   All packs of a repository as they are now, mapped into memory, read by many threads at
//        once.
// Why    libgit2 takes a lock and an allocation or two per object; a restore reads a million small
//        ones.
// Use    `PackSet::open(repo)`, then one PackReader per thread. What is not found here (loose
//        objects, newer packs, old index versions) is to be asked of the Repository.
// Units  Mapped files count as memory of the process while their pages are in use.
// Errors None: a reader that cannot make sense of an object says so, and libgit2 decides.
// Threads PackSet: const, safe for all. PackReader: one thread.
// Source gitformat-pack(5): pack version 2, index version 2, deltas.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "git/object.hpp"
#include "git/repository.hpp"

struct libdeflate_decompressor;

namespace bennu::git {

/// A file mapped for reading; empty if that was not possible.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  [[nodiscard]] std::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

class PackSet {
 public:
  struct Pack {
    MappedFile index;
    MappedFile data;
    std::uint32_t count = 0;
    /// Where the object begins in `data`; 0 if it is not here.
    [[nodiscard]] std::uint64_t find(const ObjectId& id) const;
    /// The ids in order, for `index` below `count`.
    [[nodiscard]] ObjectId id_at(std::uint32_t index) const;
  };

  [[nodiscard]] static PackSet open(const Repository& repository);
  /// One pack by its index; `count` is 0 if it can't be read here.
  [[nodiscard]] static Pack open_pack(std::filesystem::path index);
  [[nodiscard]] const std::vector<Pack>& packs() const { return packs_; }

 private:
  std::vector<Pack> packs_;
};

class PackReader {
 public:
  explicit PackReader(const PackSet& packs);
  ~PackReader();
  PackReader(const PackReader&) = delete;
  PackReader& operator=(const PackReader&) = delete;

  struct Found {
    ObjectKind kind = ObjectKind::kBlob;
    std::uint64_t size_bytes = 0;
    /// False if the object is over `max_bytes`; nothing was appended then.
    bool appended = false;
  };
  /// Appends the object's bytes to `out`; nothing if it is not here or makes no sense. The bytes
  /// are checked against the id.
  [[nodiscard]] std::optional<Found> read(const ObjectId& id, std::uint64_t max_bytes,
                                          std::string& out);

 private:
  struct Start;
  struct Cached {
    const PackSet::Pack* pack = nullptr;
    std::uint64_t offset = 0;
    ObjectKind kind = ObjectKind::kBlob;
    std::string bytes;
  };
  [[nodiscard]] std::optional<Start> start_of(const PackSet::Pack& pack,
                                              std::uint64_t offset) const;
  [[nodiscard]] bool inflate(const PackSet::Pack& pack, const Start& start, std::string& out);
  [[nodiscard]] std::optional<ObjectKind> resolve(const PackSet::Pack& pack, std::uint64_t offset,
                                                  int depth, std::string& out);
  [[nodiscard]] std::optional<std::uint64_t> size_of(const PackSet::Pack& pack, const Start& start);

  const PackSet& packs_;
  const PackSet::Pack* last_ = nullptr;
  libdeflate_decompressor* decompressor_;
  // Bases of deltas, by place: the children of one directory share them.
  std::vector<Cached> cache_;
};

}  // namespace bennu::git
