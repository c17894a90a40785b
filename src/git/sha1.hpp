#pragma once
// What   SHA-1 in pieces.
// Why    One place for libcrypto: below EVP, whose set-up costs more than hashing a small blob.
// Use    `Sha1 sum; sum.update(a); sum.update(b); sum.finish()`. Finish once.
// Threads One thread per object.
// Source libcrypto 3.x, openssl/sha.h (deprecated there in favour of EVP, present in all of 3.x).

#include <string_view>

#include "git/object.hpp"

namespace bennu::git {

class Sha1 {
 public:
  Sha1();
  void update(std::string_view bytes);
  [[nodiscard]] ObjectId finish();

 private:
  // Room for libcrypto's context (96 bytes), so that its header stays in the source.
  alignas(8) std::array<unsigned char, 128> context_;
};

}  // namespace bennu::git
