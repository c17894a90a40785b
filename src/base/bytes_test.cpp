#include "base/bytes.hpp"

#include <gtest/gtest.h>

namespace bennu {
namespace {

TEST(Bytes, HexRoundTrips) {
  const std::string bytes("\x00\xff\x10", 3);
  EXPECT_EQ(to_hex(bytes), "00ff10");
  EXPECT_EQ(from_hex("00FF10"), bytes);
  EXPECT_EQ(from_hex("0"), std::nullopt);
  EXPECT_EQ(from_hex("0g"), std::nullopt);
}

TEST(Bytes, BigEndianKeepsNumberOrder) {
  std::string small;
  std::string large;
  append_be64(small, 255);
  append_be64(large, 256);
  EXPECT_LT(small, large);
  EXPECT_EQ(read_be64(large), 256U);
  std::string four;
  append_be32(four, 0xdeadbeef);
  EXPECT_EQ(read_be32(four), 0xdeadbeefU);
}

TEST(Bytes, PrefixEndIsTheNextPrefix) {
  EXPECT_EQ(prefix_end("/a/"), "/a0");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_EQ(prefix_end("\xff\xff"), std::string(1, '\0'));
  EXPECT_EQ(prefix_end(""), std::string(1, '\0'));
}

TEST(Bytes, Utf8IsStrict) {
  EXPECT_TRUE(is_utf8("käse 日本 🜂"));
  EXPECT_FALSE(is_utf8("\xc0\xaf"));          // overlong
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));      // surrogate
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // above U+10FFFF
  EXPECT_FALSE(is_utf8("\xe6\x97"));          // cut
}

TEST(Bytes, PrintableNeverHoldsControlBytes) {
  EXPECT_EQ(printable("a\nb\xff"), "a\\x0ab\\xff");
  EXPECT_EQ(printable("käse"), "käse");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
}

}  // namespace
}  // namespace bennu
