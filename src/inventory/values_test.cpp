#include "inventory/values.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <utility>

#include "inventory/reasons.hpp"

namespace bennu::inventory {
namespace {

constexpr std::string_view kUuid = "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11";

Result<std::string> canonical(FieldType type, std::string_view text) {
  return canonical_value(Field{.name = "f", .type = type}, text);
}

void expect_forms(FieldType type,
                  std::initializer_list<std::pair<std::string_view, std::string_view>> forms) {
  for (const auto& [text, stored] : forms) {
    const auto value = canonical(type, text);
    ASSERT_TRUE(value.has_value()) << text << ": " << value.error().message;
    EXPECT_EQ(*value, stored) << text;
  }
}

void expect_refused(FieldType type, std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts) {
    const auto value = canonical(type, text);
    ASSERT_FALSE(value.has_value()) << text;
    EXPECT_EQ(value.error().reason, reason::kBadValue);
    EXPECT_NE(value.error().message.find("give"), std::string::npos) << value.error().message;
  }
}

TEST(Values, Text) {
  expect_forms(FieldType::kText,
               {{"", ""}, {"Riga, Latvia", "Riga, Latvia"}, {"Ķīpsala", "Ķīpsala"}});
  expect_refused(FieldType::kText, {"two\nlines", "tab\t", "\xff", std::string_view("a\0b", 3)});
  expect_refused(FieldType::kText, {std::string(kMaxFieldBytes + 1, 'a')});
  expect_refused(FieldType::kText, {"bennu-sealed:1:1:AAAA"});
  expect_refused(FieldType::kName,
                 {"", "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11",
                  "{6F1C1F0E-3A52-4C5B-9D0E-2F6F0C1B7A11}", "6f1c1f0e3a524c5b9d0e2f6f0c1b7a11"});
  EXPECT_EQ(canonical(FieldType::kName, kUuid).error().message.find("6f1c"), std::string::npos);
  expect_forms(FieldType::kName, {{"phone-2", "phone-2"}, {"beef", "beef"}});
}

TEST(Values, Username) {
  expect_forms(FieldType::kUsername, {{"anna", "anna"}, {"anna.2", "anna.2"}, {"Анна", "Анна"}});
  expect_refused(FieldType::kUsername, {"", "12", "an na", "a/b", std::string(65, 'a'), kUuid});
}

TEST(Values, Email) {
  expect_forms(FieldType::kEmail, {{"anna@example.org", "anna@example.org"}});
  expect_refused(FieldType::kEmail, {"", "anna", "anna@example", "anna.example.org", "@example.org",
                                     "a@b@example.org", "anna@.org", "anna@example.", "a b@c.d"});
}

TEST(Values, Telegram) {
  expect_forms(FieldType::kTelegram, {{"@anna", "@anna"}});
  expect_refused(FieldType::kTelegram, {"", "anna", "@", "@an na"});
}

TEST(Values, Addresses) {
  expect_forms(FieldType::kIp, {{"203.0.113.7", "203.0.113.7"},
                                {"2001:DB8:0:0::7", "2001:db8::7"},
                                {"2001:db8:0000:0000:0000:0000:0000:0007", "2001:db8::7"}});
  expect_refused(FieldType::kIp,
                 {"", "203.0.113", "203.0.113.256", "203.0.113.07", "::g", "fe80::1%eth0",
                  "node.example.org", "203.0.113.7/32", std::string_view("203.0.113.7\0x", 13)});
}

TEST(Values, SetsAreSortedAndHoldEachMemberOnce) {
  expect_forms(FieldType::kIpSet,
               {{"", "[]"},
                {"[]", "[]"},
                {"203.0.113.8,203.0.113.7,203.0.113.8", R"(["203.0.113.7","203.0.113.8"])"},
                {R"([ "2001:DB8::1", "203.0.113.7" ])", R"(["2001:db8::1","203.0.113.7"])"}});
  expect_refused(FieldType::kIpSet, {"203.0.113.7,", "a,b", "[1]", "[", R"(["x"])"});
  EXPECT_EQ(parse_set(R"(["a","b"])"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(parse_set("{}"), std::nullopt);
}

TEST(Values, Domains) {
  expect_forms(FieldType::kDomain, {{"E1.Example.ORG", "e1.example.org"},
                                    {"xn--80ak6aa92e.com", "xn--80ak6aa92e.com"}});
  expect_refused(FieldType::kDomain, {"", "localhost", "example.org.", ".example.org", "-a.org",
                                      "a-.org", "a_b.org", "a b.org", "пример.рф", "203.0.113.7"});
  expect_refused(FieldType::kDomain, {std::string(64, 'a') + ".org"});
}

TEST(Values, Times) {
  expect_forms(FieldType::kTime, {{"2026-12-31T23:59:59Z", "2026-12-31T23:59:59Z"},
                                  {"2026-12-31T23:59:59.5+02:00", "2026-12-31T21:59:59Z"}});
  expect_refused(FieldType::kTime, {"", "tomorrow", "2026-12-31", "2026-13-01T00:00:00Z"});
}

TEST(Values, Counts) {
  expect_forms(FieldType::kCount, {{"0", "0"}, {"9223372036854775807", "9223372036854775807"}});
  expect_refused(FieldType::kCount, {"", "-1", "+1", "01", "1.0", "9223372036854775808"});
}

TEST(Values, Uuids) {
  expect_forms(FieldType::kUuid,
               {{"6F1C1F0E-3A52-4C5B-9D0E-2F6F0C1B7A11", "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11"}});
  expect_refused(FieldType::kUuid,
                 {"", "6f1c1f0e3a524c5b9d0e2f6f0c1b7a11", "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a1g"});
}

TEST(Values, ClosedSets) {
  expect_forms(FieldType::kStatus, {{"active", "active"}, {"archived", "archived"}});
  expect_refused(FieldType::kStatus, {"", "Active", "gone"});
  expect_forms(FieldType::kRole, {{"core", "core"}, {"entry", "entry"}, {"mgmt", "mgmt"}});
  expect_refused(FieldType::kRole, {"", "kernel"});
}

TEST(Values, HashesAndServiceNames) {
  expect_forms(FieldType::kHash, {{"a1-_=+Z", "a1-_=+Z"}});
  expect_refused(FieldType::kHash, {"", "a b", "a/b"});
  expect_forms(FieldType::kServiceName, {{"api/v1&x", "api/v1&x"}});
  expect_refused(FieldType::kServiceName, {"", "a b"});
}

TEST(Values, AMessageNeverRepeatsASecret) {
  const Field secret{.name = "email", .type = FieldType::kEmail, .secret = true};
  const auto value = canonical_value(secret, "boris-at-home");
  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().message.find("boris"), std::string::npos);
}

}  // namespace
}  // namespace bennu::inventory
