#include "sync/document.hpp"

#include <gtest/gtest.h>

#include <random>

#include "sync/json_node.hpp"
#include "sync/mapping_for_tests.hpp"

namespace bennu::sync {
namespace {

using namespace std::string_literals;

Entity entity() {
  Entity e{.name = "thing",
           .key_prefix = "/",
           .segments = {{.text = "things"}, {.text = "id", .parameter = true}}};
  e.fields["s"] = {.type = FieldType::kString};
  e.fields["i"] = {.type = FieldType::kInt};
  e.fields["b"] = {.type = FieldType::kBool};
  e.fields["t"] = {.type = FieldType::kTime};
  e.fields["set"] = {.type = FieldType::kSet};
  e.fields["j"] = {.type = FieldType::kJson};
  e.fields["secret"] = {.type = FieldType::kString, .traits = {.secret = true}};
  return e;
}

std::string written(std::vector<DocumentField> fields) {
  std::string out;
  append_document(entity(), fields, out);
  return out;
}

std::string error_of(std::string_view bytes) {
  const auto parsed = parse_document(entity(), "things/1.json", bytes);
  if (parsed) return "no error";
  EXPECT_EQ(parsed.error().message.find('\n'), std::string::npos) << parsed.error().message;
  return parsed.error().message;
}

TEST(Document, IsWrittenAsDocumented) {
  EXPECT_EQ(written({{"b", "true"},
                     {"i", "-5"},
                     {"j", R"({"k":[1,{}],"z":null})"},
                     {"s", "tab\t\"q\" \xe2\x82\xac\x01"},
                     {"set", R"(["a","b"])"},
                     {"t", "2024-01-01T00:00:00Z"},
                     {"undeclared", ""}}),
            R"({
  "b": true,
  "i": -5,
  "j": {
    "k": [
      1,
      {}
    ],
    "z": null
  },
  "s": "tab\t\"q\" €\u0001",
  "set": [
    "a",
    "b"
  ],
  "t": "2024-01-01T00:00:00Z",
  "undeclared": ""
}
)");
}

TEST(Document, WhatATypeCannotHoldIsEscaped) {
  EXPECT_EQ(written({{"i", "007"}}), "{\n  \"i\": {\n    \"$text\": \"007\"\n  }\n}\n");
  EXPECT_EQ(written({{"s", "\xff"}}), "{\n  \"s\": {\n    \"$base64\": \"/w==\"\n  }\n}\n");
  EXPECT_EQ(written({{"set", "[]"}}), "{\n  \"set\": []\n}\n");
  EXPECT_NE(written({{"set", R"(["b","a"])"}}).find("$text"), std::string::npos);
  EXPECT_NE(written({{"j", "{ }"}}).find("$text"), std::string::npos);
  EXPECT_NE(written({{"j", R"({"$text":"x"})"}}).find(R"("$text": "{\"$text\")"),
            std::string::npos);
}

TEST(Document, EveryValueOfEveryTypeComesBack) {
  std::mt19937 random(17);
  const std::vector<std::string> names = {"b", "i", "j", "s", "set", "t", "undeclared"};
  for (int i = 0; i < 20'000; ++i) {
    std::vector<DocumentField> fields;
    for (const std::string& name : names) {
      if (random() % 3 == 0) fields.push_back({name, random_value(random)});
    }
    if (fields.empty()) continue;
    const std::string bytes = written(fields);
    const auto parsed = parse_document(entity(), "x", bytes);
    ASSERT_TRUE(parsed) << parsed.error().message << "\n" << bytes;
    ASSERT_EQ(parsed->fields, fields) << bytes;
    ASSERT_TRUE(parsed->exact) << bytes;
  }
}

TEST(Document, AnyFormattingIsReadAndNotedAsNotExact) {
  const auto parsed =
      parse_document(entity(), "x", "\xef\xbb\xbf { \"i\":5 ,\r\n \"s\":\"\\u00e9\\/\"} ");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->fields, (std::vector<DocumentField>{{"i", "5"}, {"s", "\xc3\xa9/"}}));
  EXPECT_FALSE(parsed->exact);
  // An escape that was not needed.
  const auto escaped =
      parse_document(entity(), "x", "{\n  \"s\": {\n    \"$text\": \"a\"\n  }\n}\n");
  ASSERT_TRUE(escaped);
  EXPECT_FALSE(escaped->exact);
}

TEST(Document, ErrorsNameLineAndColumn) {
  EXPECT_TRUE(error_of("").starts_with("things/1.json:1:1: not JSON: "));
  EXPECT_TRUE(error_of("[]").starts_with("things/1.json:1:1: a thing must be a JSON object"));
  EXPECT_TRUE(error_of("{}").starts_with("things/1.json:1:1: a thing without a field is none"));
  EXPECT_EQ(error_of("{\n  \"s\": \"a\",\n  \"s\": \"b\"\n}"),
            "things/1.json:3:3: `s` is there twice; keep one");
  EXPECT_EQ(error_of("{\n  \"i\": \"5\"\n}"), "things/1.json:2:8: `i` must be a whole number");
  EXPECT_EQ(error_of("{\"i\":\n   5.5}"), "things/1.json:2:4: `i` must be a whole number");
  EXPECT_EQ(error_of("{\"i\": 9223372036854775808}"),
            "things/1.json:1:7: `i` must be a whole number");
  EXPECT_EQ(
      error_of("{\"other\": 5}"),
      "things/1.json:1:11: `other` must be a string: it is not declared in .bennu/schema.json");
  EXPECT_TRUE(error_of("{\"s\": NaN}").starts_with("things/1.json:1:7: not JSON"));
  EXPECT_TRUE(error_of("{\"j\": 1e999}").find("not JSON") != std::string::npos);
  EXPECT_TRUE(error_of("{\"s\": \"\xff\"}").starts_with("things/1.json:1:8: not JSON"));
  EXPECT_TRUE(
      error_of("{\"a/b\": \"x\"}").starts_with("things/1.json:1:2: `a/b` cannot be a field"));
  EXPECT_TRUE(error_of("{\"$x\": \"x\"}").starts_with("things/1.json:1:2: `$x` cannot be a field"));
  EXPECT_TRUE(error_of("{\"j\": " + std::string(50, '[') + "}").find("nested deeper") !=
              std::string::npos);
  EXPECT_TRUE(error_of("{\"set\": [1]}").find("must be an array of strings") != std::string::npos);
  EXPECT_TRUE(error_of("{\"s\": {\"$base64\": \"?\"}}").find("bad $base64") != std::string::npos);
  EXPECT_TRUE(error_of(std::string(kMaxDocumentBytes + 1, ' ')).find("bytes, 16777216 are") !=
              std::string::npos);
}

TEST(Document, TruncationAndGarbageNeverCrash) {
  const std::string bytes =
      written({{"b", "true"}, {"j", R"({"k":[1,{}],"z":null})"}, {"set", R"(["a","b"])"}});
  for (std::size_t size = 0; size + 1 < bytes.size(); ++size) {
    EXPECT_NE(error_of(std::string_view(bytes).substr(0, size)), "no error") << size;
  }
  std::mt19937 random(23);
  for (int i = 0; i < 20'000; ++i) {
    std::string mutated = bytes;
    for (int j = 0; j < 3; ++j) mutated[random() % mutated.size()] = static_cast<char>(random());
    const auto parsed = parse_document(entity(), "x", mutated);
    if (!parsed) continue;
    // Whatever was read is written in one way, and that is stable.
    std::string again;
    append_document(entity(), parsed->fields, again);
    if (parsed->fields.empty()) continue;
    const auto twice = parse_document(entity(), "x", again);
    ASSERT_TRUE(twice) << again;
    EXPECT_TRUE(twice->exact);
    EXPECT_EQ(twice->fields, parsed->fields);
  }
}

TEST(Document, ANameTwiceIsSeenAmongMany) {
  std::string bytes = "{";
  for (int i = 0; i < 100; ++i) bytes += "\"n" + std::to_string(i) + "\": \"x\",";
  EXPECT_EQ(error_of(bytes + "\"m\": \"x\"}"), "no error");
  for (const std::string_view name : {"n0", "n23", "n24", "n99"}) {
    EXPECT_NE(error_of(bytes + "\"" + std::string(name) + "\": \"x\"}").find("there twice"),
              std::string::npos)
        << name;
  }
}

TEST(Document, NullIsAnAbsentField) {
  const auto parsed = parse_document(entity(), "x", R"({"s": null, "i": 1})");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->fields, (std::vector<DocumentField>{{"i", "1"}}));
}

}  // namespace
}  // namespace bennu::sync
