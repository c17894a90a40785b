#include "sync/seal.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/bytes.hpp"
#include "sync/reasons.hpp"

namespace bennu::sync {
namespace {

KeyRing ring_of(std::uint32_t epoch, char fill = 'k') {
  KeyRing ring;
  ring.add(epoch, std::string(kDataKeyBytes, fill));
  return ring;
}

TEST(Seal, IsAFunctionOfKeyPathAndValue) {
  const KeyRing ring = ring_of(1);
  const std::string text = seal(ring, "/a", "value").value();
  EXPECT_TRUE(text.starts_with("bennu-sealed:1:1:"));
  EXPECT_EQ(seal(ring, "/a", "value").value(), text);
  EXPECT_NE(seal(ring, "/b", "value").value(), text);
  EXPECT_NE(seal(ring, "/a", "valuf").value(), text);
  EXPECT_NE(seal(ring_of(1, 'x'), "/a", "value").value(), text);
  EXPECT_EQ(text.find("value"), std::string::npos);
}

TEST(Seal, OpensAnyBytes) {
  const KeyRing ring = ring_of(3);
  std::mt19937 random(5);
  for (std::size_t size : {0UL, 1UL, 2UL, 3UL, 1000UL, kMaxSecretBytes}) {
    std::string value(size, '\0');
    for (char& c : value) c = static_cast<char>(random());
    const auto text = seal(ring, "/k\xff", value);
    ASSERT_TRUE(text);
    EXPECT_EQ(sealed_epoch(*text), 3U);
    EXPECT_EQ(open_sealed(ring, "/k\xff", *text).value(), value);
  }
  EXPECT_FALSE(seal(ring, "/k", std::string(kMaxSecretBytes + 1, 'x')));
}

TEST(Seal, EveryChangeIsSeen) {
  const KeyRing ring = ring_of(1);
  const std::string text = seal(ring, "/a", "some value").value();
  const std::size_t start = text.rfind(':') + 1;
  for (std::size_t i = start; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto opened = open_sealed(ring, "/a", changed);
    ASSERT_FALSE(opened) << i;
    EXPECT_EQ(opened.error().reason, reason::kTampered);
  }
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(open_sealed(ring, "/a", text.substr(0, size))) << size;
  }
  EXPECT_FALSE(open_sealed(ring, "/a", text + "A"));
  EXPECT_EQ(open_sealed(ring, "/b", text).error().reason, reason::kTampered);
}

TEST(Seal, AnotherKeyIsNoKey) {
  const std::string text = seal(ring_of(2), "/a", "value").value();
  EXPECT_EQ(open_sealed(ring_of(1), "/a", text).error().reason, reason::kNoKey);
  EXPECT_EQ(open_sealed(ring_of(2, 'x'), "/a", text).error().reason, reason::kTampered);
  EXPECT_EQ(seal(KeyRing(), "/net/users/1/email", "v").error().reason, reason::kNoKey);
}

TEST(Seal, TheNewestEpochSeals) {
  KeyRing ring = ring_of(1);
  const std::string old_text = seal(ring, "/a", "value").value();
  ring.add(2, std::string(kDataKeyBytes, 'n'));
  EXPECT_TRUE(seal(ring, "/a", "value")->starts_with("bennu-sealed:1:2:"));
  EXPECT_EQ(open_sealed(ring, "/a", old_text).value(), "value");
}

TEST(Seal, OnlyWellFormedTextIsSealed) {
  const std::string good = seal(ring_of(1), "/a", "value").value();
  EXPECT_TRUE(sealed_epoch(good));
  for (const std::string& text :
       {std::string("bennu-sealed:"), std::string("bennu-sealed:1:1:"), good + "\n", good + "=",
        "bennu-sealed:2" + good.substr(14), "bennu-sealed:1:0" + good.substr(16),
        "bennu-sealed:1:01" + good.substr(16), "bennu-sealed:1:99999999999" + good.substr(16),
        " " + good}) {
    EXPECT_FALSE(sealed_epoch(text)) << text;
  }
}

TEST(Seal, NamesAreKeyedHashes) {
  const KeyRing ring = ring_of(1);
  const std::string hash = hash_name(ring, 1, "/net/users/1/devices/uuid").value();
  EXPECT_TRUE(is_name_hash(hash));
  EXPECT_EQ(hash_name(ring, 1, "/net/users/1/devices/uuid").value(), hash);
  EXPECT_NE(hash_name(ring, 1, "/net/users/2/devices/uuid").value(), hash);
  EXPECT_NE(hash_name(ring_of(1, 'x'), 1, "/net/users/1/devices/uuid").value(), hash);
  EXPECT_FALSE(hash_name(ring, 2, "/x"));
  EXPECT_FALSE(is_name_hash(std::string(32, 'A')));
  EXPECT_FALSE(is_name_hash(std::string(31, 'a')));
}

}  // namespace
}  // namespace bennu::sync
