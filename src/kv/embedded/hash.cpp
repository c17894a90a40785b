#include "kv/embedded/hash.hpp"

#include "base/bytes.hpp"
#include "kv/embedded/reader.hpp"

namespace bennu::kv::embedded {
namespace {

class Hasher {
 public:
  void add(std::uint64_t number) {
    hash_ ^= number;
    hash_ *= 1099511628211U;
    hash_ ^= hash_ >> 29;
  }
  void add(std::string_view bytes) {
    add(bytes.size());
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) add(read_be64(bytes));
    for (const char c : bytes) add(static_cast<unsigned char>(c));
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 14695981039346656037U;
};

}  // namespace

Result<std::uint64_t> hash_state(const Database& database, const View& view, Revision at) {
  Hasher hasher;
  Cursor cursor(database, view, {}, all_keys(), at);
  for (; cursor.valid(); cursor.next()) {
    const RecordView& record = cursor.record();
    hasher.add(cursor.key());
    hasher.add(record.value);
    for (const std::int64_t number : {record.create, record.mod, record.version, record.lease}) {
      hasher.add(static_cast<std::uint64_t>(number));
    }
  }
  BENNU_TRY(cursor.status());
  return hasher.value();
}

}  // namespace bennu::kv::embedded
