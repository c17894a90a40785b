#pragma once
// What   One pack being written: which objects it has, where they are, its bytes and its index on
//        disk.
// Why    PackWriter adds one object at a time, BulkTreeWriter many at once from several threads;
//        the file is the same.
// Use    `claim` an id, encode the object with a PackEncoder, `append` the encoded run; `finish`
//        once, with no other call left.
// Units  32 bytes of memory per object and about 12 for finding it.
// Errors kResourceExhausted `env.no_space`, kUnavailable. The first one is kept and returned by
//        every later call.
// Threads claim, append and size are safe for all; the rest one thread.
// Source gitformat-pack(5): pack version 2, index version 2.

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/files.hpp"
#include "git/object.hpp"

struct libdeflate_compressor;

namespace bennu::git {

/// An object's place in the index that is growing.
struct PackSlot {
  std::uint32_t index = 0;
  std::uint8_t shard = 0;
};

/// Objects encoded one after the other, with what the index needs to know of each.
struct EncodedRun {
  struct Member {
    PackSlot slot;
    std::uint32_t crc = 0;
    std::size_t begin = 0;
  };
  std::string bytes;
  std::vector<Member> members;
};

/// Compresses objects. One per thread.
class PackEncoder {
 public:
  explicit PackEncoder(int level);
  ~PackEncoder();
  PackEncoder(const PackEncoder&) = delete;
  PackEncoder& operator=(const PackEncoder&) = delete;
  void encode(PackSlot slot, ObjectKind kind, std::string_view bytes, EncodedRun& run);

 private:
  libdeflate_compressor* compressor_;
};

class PackFile {
 public:
  /// A temporary file in `folder` (`objects/pack`), removed with this object unless finished.
  static Result<std::unique_ptr<PackFile>> create(const std::filesystem::path& folder);
  ~PackFile();
  PackFile(const PackFile&) = delete;
  PackFile& operator=(const PackFile&) = delete;

  /// A slot for an object that is not in this pack so far; nothing if it is.
  [[nodiscard]] std::optional<PackSlot> claim(const ObjectId& id);
  /// Whether the object is in this pack (claimed).
  [[nodiscard]] bool has(const ObjectId& id);
  Status append(const EncodedRun& run);
  /// An object that was appended; nothing if it is not in this pack.
  Result<std::optional<Object>> read(const ObjectId& id);
  [[nodiscard]] std::uint64_t objects() const { return objects_.load(); }
  [[nodiscard]] std::uint64_t size_bytes() const { return end_.load(); }

  /// Trailer, sync, index, sync, rename both (pack first), sync of the folder. The name of both
  /// files without extension.
  Result<std::string> finish();

 private:
  struct Entry {
    std::uint64_t offset = 0;
    ObjectId id;
    std::uint32_t crc = 0;
  };
  // Objects whose id begins with one byte: entries in order of arrival, and an open table of their
  // indexes plus one.
  struct Shard {
    std::mutex mutex;
    std::vector<Entry> entries;
    std::vector<std::uint32_t> table;
    [[nodiscard]] std::uint32_t* find(const ObjectId& id);
    void grow();
  };

  PackFile(std::filesystem::path folder, std::filesystem::path path, env::File file);
  Result<std::string> write_trailer();
  Result<std::filesystem::path> write_index(std::string_view pack_checksum);
  std::string index_bytes(std::string_view pack_checksum);

  std::filesystem::path folder_;
  std::filesystem::path path_;
  env::File file_;
  std::atomic<std::uint64_t> end_;
  std::atomic<std::uint64_t> objects_ = 0;
  std::unique_ptr<std::array<Shard, 256>> shards_;
};

}  // namespace bennu::git
