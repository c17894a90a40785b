#include "sync/schema.hpp"

#include <gtest/gtest.h>

#include <random>

#include "inventory/fields.hpp"
#include "sync/mapping.hpp"
#include "sync/reasons.hpp"

namespace bennu::sync {
namespace {

std::string with(std::string_view rest) {
  return "{\"version\": 1, \"mapping\": 1,\n" + std::string(rest) + "}";
}

std::string error_of(std::string_view text) {
  const auto schema = parse_schema(text);
  if (schema) return "no error";
  EXPECT_EQ(schema.error().message.find('\n'), std::string::npos);
  EXPECT_TRUE(schema.error().message.starts_with(".bennu/schema.json:")) << schema.error().message;
  return schema.error().message.substr(19);
}

TEST(Schema, TheDefaultOneIsGood) {
  const auto schema = parse_schema(default_schema_text());
  ASSERT_TRUE(schema) << schema.error().message;
  EXPECT_EQ(schema->root, "/net/");
  EXPECT_TRUE(schema->has_secrets());
  const Entity* device = schema->find("device");
  ASSERT_NE(device, nullptr);
  EXPECT_TRUE(device->has_secret_name());
  EXPECT_FALSE(device->segments[1].secret);
  EXPECT_TRUE(device->segments[3].secret);
  EXPECT_EQ(schema->find("link")->field("client_service_name").traits,
            (KeyTraits{KeyClass::kOperational, true}));
  EXPECT_EQ(schema->find("user")->field("core_nodes").type, FieldType::kSet);
  EXPECT_TRUE(schema->find("user")->field("username").unique);
  EXPECT_TRUE(schema->find("appeal")->field("messages").traits.secret);
}

// The inventory's table is what commands write; the schema file says how that stands in Git.
TEST(Schema, TheDefaultOneIsTheInventorysTable) {
  const auto schema = parse_schema(default_schema_text());
  ASSERT_TRUE(schema);
  for (const inventory::KindInfo& kind : inventory::all_kinds()) {
    const Entity* entity = schema->find(kind.name);
    ASSERT_NE(entity, nullptr) << kind.name;
    EXPECT_EQ(entity->has_secret_name(), kind.secret_name) << kind.name;
    EXPECT_EQ(entity->segments.front().text, kind.plural) << kind.name;
    EXPECT_EQ(entity->fields.size(), kind.fields.size()) << kind.name;
    for (const inventory::Field& expected : kind.fields) {
      const auto found = entity->fields.find(expected.name);
      ASSERT_NE(found, entity->fields.end()) << kind.name << " " << expected.name;
      const Field& field = found->second;
      EXPECT_EQ(field.traits.secret, expected.secret) << expected.name;
      EXPECT_EQ(field.unique, expected.unique) << expected.name;
      EXPECT_EQ(class_name(field.traits.key_class), inventory::class_name(expected.key_class));
      EXPECT_EQ(field.type == FieldType::kSet, expected.type == inventory::FieldType::kIpSet);
      EXPECT_EQ(field.type == FieldType::kInt, expected.type == inventory::FieldType::kCount);
      EXPECT_EQ(field.type == FieldType::kTime, expected.type == inventory::FieldType::kTime);
    }
  }
  const Entity* counters = schema->find("counters");
  ASSERT_NE(counters, nullptr);
  EXPECT_EQ("counters/user_id", inventory::kUserCounterPath);
  EXPECT_TRUE(counters->fields.contains("user_id"));
}

TEST(Schema, UnknownVersionsAreRefusedByName) {
  const auto schema = parse_schema("{\"version\": 2, \"mapping\": 1, \"new\": []}");
  ASSERT_FALSE(schema);
  EXPECT_EQ(schema.error().reason, reason::kUnknownFormat);
  EXPECT_EQ(schema.error().message,
            ".bennu/schema.json:1:13: schema version 2 is not known to this bennu (it knows 1); "
            "use a newer one");
  EXPECT_EQ(parse_schema("{\"version\": 1, \"mapping\": 9}").error().reason,
            reason::kUnknownFormat);
  EXPECT_TRUE(error_of("{}").starts_with("1:1: `version` must be there"));
}

TEST(Schema, ErrorsNameLineAndColumn) {
  EXPECT_TRUE(error_of("{").starts_with("1:1: not JSON: ")) << error_of("{");
  EXPECT_TRUE(error_of("[]").starts_with("1:1: a schema must be a JSON object"));
  EXPECT_TRUE(
      error_of(with("\"entitys\": []")).starts_with("2:1: `entitys` is not known here; known are"));
  EXPECT_TRUE(
      error_of(with("\"root\": \"net\"")).starts_with("2:9: `net` must start and end with `/`"));
  EXPECT_TRUE(
      error_of(with("\"root\": \"/_bennu/\"")).starts_with("2:9: `/_bennu/` is Bennu's own"));
  EXPECT_TRUE(error_of(with("\"prefixes\": [{\"prefix\": \"/a/\", \"class\": \"secrets\"}]"))
                  .starts_with("2:41: `secrets` is not a class; classes are desired, operational"));
  EXPECT_TRUE(error_of(with("\"prefixes\": [{\"prefix\": \"/a/\"}, {\"prefix\": \"/a/\"}]"))
                  .find("declared twice") != std::string::npos);
  EXPECT_TRUE(error_of(with("\"entities\": [{\"name\": \"a\", \"path\": \"{id}\"}]"))
                  .find("must start with a literal") != std::string::npos);
  EXPECT_TRUE(error_of(with("\"entities\": [{\"name\": \"a\", \"path\": \"a/../b\"}]"))
                  .find("cannot be a segment") != std::string::npos);
  EXPECT_TRUE(error_of(with("\"entities\": [{\"name\": \"a\", \"path\": \"/_bennu/{x}\"}]"))
                  .find("Bennu's own") != std::string::npos);
  EXPECT_TRUE(error_of(with("\"entities\": [{\"name\": \"A\", \"path\": \"a\"}]"))
                  .find("a name is lower-case") != std::string::npos);
  EXPECT_TRUE(error_of(with("\"entities\": [{\"name\": \"a\", \"path\": \"a/{x}/{x}\"}]"))
                  .find("each once") != std::string::npos);
  EXPECT_TRUE(error_of(with("\"entities\": [{\"name\": \"a\", \"path\": \"a/{x}\", \"shard\": 9}]"))
                  .find("1 to 4") != std::string::npos);
  EXPECT_TRUE(
      error_of(
          with("\"entities\": [{\"name\": \"a\", \"path\": \"a/{x}\", \"secret_names\": [\"y\"]}]"))
          .find("no parameter") != std::string::npos);
  EXPECT_TRUE(
      error_of(
          with("\"entities\": [{\"name\": \"a\", \"path\": \"a/{x}\", \"fields\": {\"$x\": {}}}]"))
          .find("cannot be a field") != std::string::npos);
  EXPECT_TRUE(error_of(with("\"entities\": [{\"name\": \"a\", \"path\": \"a/{x}\", \"fields\": "
                            "{\"x\": {\"type\": \"float\"}}}]"))
                  .find("types are string, int") != std::string::npos);
  EXPECT_TRUE(error_of(with("\"entities\": [{\"name\": \"a\"}]")).find("`path` is missing") !=
              std::string::npos);
}

TEST(Schema, TwoEntitiesOfOnePathAreRefused) {
  const auto overlap = [](std::string_view a, std::string_view b) {
    return error_of(with("\"root\": \"/net/\", \"entities\": [{\"name\": \"a\", " + std::string(a) +
                         "}, {\"name\": \"b\", " + std::string(b) + "}]"))
               .find("claim the same paths") != std::string::npos;
  };
  EXPECT_TRUE(overlap("\"path\": \"x/{id}\"", "\"path\": \"x/{other}\""));
  EXPECT_TRUE(overlap("\"path\": \"x/{id}\"", "\"path\": \"x/admin\""));
  EXPECT_TRUE(overlap("\"path\": \"x/{id}\"", "\"path\": \"/x/{id}\""));  // one file, two keys
  EXPECT_TRUE(overlap("\"path\": \"x/{id}\", \"shard\": 2", "\"path\": \"/x/{a}/{b}\""));
  EXPECT_FALSE(overlap("\"path\": \"x/{id}\"", "\"path\": \"x/{a}/{b}\""));
  EXPECT_FALSE(overlap("\"path\": \"x/{id}\"", "\"path\": \"y/{id}\""));
}

TEST(Schema, NestedEntitiesInheritShardsAndSecrets) {
  const auto schema = parse_schema(
      with("\"entities\": [{\"name\": \"in\", \"path\": \"x/{a}/y/{b}\"},"
           "{\"name\": \"out\", \"path\": \"x/{id}\", \"shard\": 2, \"secret_names\": [\"id\"]}]"));
  ASSERT_TRUE(schema) << schema.error().message;
  EXPECT_EQ(schema->entities[0].segments[1].shard_digits, 2U);
  EXPECT_TRUE(schema->entities[0].segments[1].secret);
  EXPECT_FALSE(schema->entities[0].segments[3].secret);
}

TEST(Schema, AShardIsADirectoryBeforeTheName) {
  const auto mapping = Mapping::open(
      with("\"entities\": [{\"name\": \"user\", \"path\": \"users/{id}\", \"shard\": 2},"
           "{\"name\": \"device\", \"path\": \"users/{id}/devices/{d}\"}]"),
      nullptr);
  ASSERT_TRUE(mapping) << mapping.error().message;
  // printf 7 | sha256sum
  EXPECT_EQ(mapping->file_of("/users/7/name")->path, "users/79/7.json");
  EXPECT_EQ(mapping->file_of("/users/7/devices/x/name")->path, "users/79/7/devices/x.json");
  EXPECT_EQ(mapping->parse_path("users/79/7.json").kind, PathOf::Kind::kDocument);
  EXPECT_EQ(mapping->parse_path("users/78/7.json").kind, PathOf::Kind::kFileRecord);
  EXPECT_EQ(mapping->parse_path("users/7.json").kind, PathOf::Kind::kRawKey);
}

TEST(Schema, GarbageNeverCrashes) {
  const std::string good(default_schema_text());
  std::mt19937 random(31);
  int accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string mutated = good;
    for (int j = 0; j < 2; ++j) mutated[random() % mutated.size()] = static_cast<char>(random());
    accepted += parse_schema(mutated) ? 1 : 0;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 3000);
  EXPECT_NE(error_of(std::string((1U << 20U) + 1, ' ')), "no error");
}

}  // namespace
}  // namespace bennu::sync
