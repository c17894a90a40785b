#include "git/object.hpp"

// The one-call SHA-1 below EVP: EVP's set-up costs more than hashing a small blob. Deprecated in
// OpenSSL 3, present in all of 3.x.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <charconv>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace bennu::git {

std::string ObjectId::hex() const { return to_hex(raw()); }

std::string ObjectId::short_hex(std::size_t digits) const { return hex().substr(0, digits); }

std::optional<ObjectId> ObjectId::from_hex(std::string_view hex) {
  if (hex.size() != 40) return std::nullopt;
  const auto raw = bennu::from_hex(hex);
  if (!raw) return std::nullopt;
  return from_raw(*raw);
}

ObjectId ObjectId::from_raw(std::string_view raw) {
  BENNU_CHECK(raw.size() == 20, "an object id has 20 bytes");
  ObjectId id;
  std::memcpy(id.bytes.data(), raw.data(), id.bytes.size());
  return id;
}

std::string_view kind_name(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kCommit:
      return "commit";
    case ObjectKind::kTree:
      return "tree";
    case ObjectKind::kBlob:
      return "blob";
    case ObjectKind::kTag:
      return "tag";
  }
  return "unknown";
}

namespace mode {

bool is_known(std::uint32_t mode) { return is_blob(mode) || mode == kTree || mode == kSubmodule; }

bool is_blob(std::uint32_t mode) {
  return mode == kFile || mode == kExecutable || mode == kSymlink || mode == kGroupWritable;
}

std::string to_text(std::uint32_t mode) {
  std::array<char, 16> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), mode, 8);
  BENNU_CHECK(error == std::errc{}, "a mode has at most 11 digits");
  return {buffer.data(), end};
}

std::optional<std::uint32_t> from_text(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc{} || end != text.data() + text.size() || !is_known(value))
    return std::nullopt;
  return value;
}

}  // namespace mode

ObjectId hash_object(ObjectKind kind, std::string_view bytes) {
  std::array<char, 32> header{};
  const std::string_view name = kind_name(kind);
  char* at = header.data() + name.copy(header.data(), name.size());
  *at++ = ' ';
  const auto [end, error] = std::to_chars(at, header.data() + header.size() - 1, bytes.size());
  BENNU_CHECK(error == std::errc{}, "a size has at most 20 digits");
  const auto header_bytes =
      static_cast<std::size_t>(end - header.data()) + 1;  // the NUL is there already
  ObjectId id;
  SHA_CTX context;
  SHA1_Init(&context);
  SHA1_Update(&context, header.data(), header_bytes);
  SHA1_Update(&context, bytes.data(), bytes.size());
  SHA1_Final(id.bytes.data(), &context);
  return id;
}

const ObjectId& empty_tree_id() {
  static const ObjectId id = hash_object(ObjectKind::kTree, "");
  return id;
}

}  // namespace bennu::git
