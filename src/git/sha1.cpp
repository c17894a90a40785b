#include "git/sha1.hpp"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <charconv>

#include "base/check.hpp"

namespace bennu::git {
namespace {

SHA_CTX* context_of(std::array<unsigned char, 128>& room) {
  static_assert(sizeof(SHA_CTX) <= sizeof(room));
  return reinterpret_cast<SHA_CTX*>(room.data());
}

}  // namespace

Sha1::Sha1() : context_{} { SHA1_Init(context_of(context_)); }

void Sha1::update(std::string_view bytes) {
  SHA1_Update(context_of(context_), bytes.data(), bytes.size());
}

ObjectId Sha1::finish() {
  ObjectId id;
  SHA1_Final(id.bytes.data(), context_of(context_));
  return id;
}

ObjectId hash_object(ObjectKind kind, std::string_view bytes) {
  std::array<char, 32> header{};
  const std::string_view name = kind_name(kind);
  char* at = header.data() + name.copy(header.data(), name.size());
  *at++ = ' ';
  const auto [end, error] = std::to_chars(at, header.data() + header.size() - 1, bytes.size());
  BENNU_CHECK(error == std::errc{}, "a size has at most 20 digits");
  const auto header_bytes =
      static_cast<std::size_t>(end - header.data()) + 1;  // the NUL is there already
  Sha1 sum;
  sum.update({header.data(), header_bytes});
  sum.update(bytes);
  return sum.finish();
}

}  // namespace bennu::git
