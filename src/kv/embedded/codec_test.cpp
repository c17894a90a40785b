#include "kv/embedded/codec.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace bennu::kv::embedded {
namespace {

using namespace std::string_literals;

TEST(Codec, KeysKeepTheirOrderAndComeBack) {
  std::vector<std::string> keys = {""s,     "a"s,  "a\0"s,   "a\0\0"s, "a\0\1"s,
                                   "a\1"s,  "ab"s, "a\xff"s, "\0"s,    "\0\0"s,
                                   "\xff"s, "b"s,  "a/b"s,   "a\0b"s,  "a\0\xff"s};
  std::sort(keys.begin(), keys.end());
  std::vector<std::string> encoded;
  for (const auto& key : keys) encoded.push_back(encode_key(key));
  EXPECT_TRUE(std::is_sorted(encoded.begin(), encoded.end()));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::string bytes = encoded[i] + "rest";
    std::string_view view = bytes;
    std::string buffer;
    EXPECT_EQ(take_encoded_key(view, buffer), keys[i]);
    EXPECT_EQ(view, "rest");
  }
}

TEST(Codec, NoKeyIsAPrefixOfAnother) {
  EXPECT_FALSE(encode_key("ab").starts_with(encode_key("a")));
  EXPECT_FALSE(encode_key("a\0"s).starts_with(encode_key("a")));
}

TEST(Codec, MalformedKeysAreNotTaken) {
  std::string buffer;
  for (const std::string& bad : {""s, "a"s, "a\0"s, "a\0\2"s, "a\0\xff"s}) {
    std::string_view view = bad;
    EXPECT_EQ(take_encoded_key(view, buffer), std::nullopt) << bad.size();
  }
}

TEST(Codec, NewerVersionsComeFirstInHistory) {
  EXPECT_LT(history_key("k", 7), history_key("k", 6));
  EXPECT_LT(history_key("k", 1), history_key("k\0"s, 9));
}

TEST(Codec, RecordsComeBack) {
  const std::string value = "v\0\xff"s;
  const RecordView record{
      .create = 5, .mod = 1LL << 60, .version = 300, .lease = -4, .value = value};
  const std::string bytes = encode(record);
  const auto back = decode_record(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->create, 5);
  EXPECT_EQ(back->mod, 1LL << 60);
  EXPECT_EQ(back->version, 300);
  EXPECT_EQ(back->lease, -4);
  EXPECT_EQ(back->value, value);
  EXPECT_FALSE(back->tombstone);
  EXPECT_EQ(decode_record(""), std::nullopt);
  EXPECT_EQ(decode_record("\x40\1\1\1\1"), std::nullopt);
  EXPECT_EQ(decode_record("\0\xff"s), std::nullopt);
}

TEST(Codec, LogEntriesComeBack) {
  std::string changes;
  append_change(changes, {.type = EventType::kPut,
                          .key = "a",
                          .previous_mod = 0,
                          .superseded = true,
                          .record = {.create = 3, .mod = 3, .version = 1, .value = "x"}});
  append_change(changes, {.type = EventType::kDelete,
                          .key = "b\0"s,
                          .previous_mod = 2,
                          .superseded = false,
                          .record = {}});
  std::string log;
  append_log_entry(log, 3, {}, 2, changes);
  append_log_entry(log, 4, {.id = 77, .changes = 500}, 0, "");
  std::string_view view = log;
  const auto first = take_log_entry(view);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->revision, 3);
  ASSERT_EQ(first->changes.size(), 2U);
  EXPECT_EQ(first->changes[0].record.value, "x");
  EXPECT_EQ(first->changes[1].type, EventType::kDelete);
  EXPECT_EQ(first->changes[1].key, "b\0"s);
  EXPECT_EQ(first->changes[1].previous_mod, 2);
  const auto second = take_log_entry(view);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->stage, 77U);
  EXPECT_EQ(second->stage_changes, 500U);
  EXPECT_TRUE(view.empty());
}

}  // namespace
}  // namespace bennu::kv::embedded
