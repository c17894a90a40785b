// The table of fields and the schema file of a new network say the same of every field: what the
// operations keep secret, Git must seal.
#include "sync/schema.hpp"

#include <gtest/gtest.h>

#include "inventory/derived.hpp"
#include "inventory/entity.hpp"
#include "sync/mapping.hpp"

namespace bennu::inventory {
namespace {

sync::Schema default_schema() {
  auto parsed = sync::parse_schema(sync::default_schema_text());
  EXPECT_TRUE(parsed.has_value()) << parsed.error().message;
  return parsed ? *parsed : sync::Schema{};
}

sync::FieldType schema_type(FieldType type) {
  switch (type) {
    case FieldType::kTime:
      return sync::FieldType::kTime;
    case FieldType::kIpSet:
      return sync::FieldType::kSet;
    case FieldType::kCount:
      return sync::FieldType::kInt;
    default:
      return sync::FieldType::kString;
  }
}

TEST(Schema, DeclaresEveryFieldOfTheTable) {
  const sync::Schema schema = default_schema();
  for (const KindInfo& info : all_kinds()) {
    const sync::Entity* entity = schema.find(info.name);
    ASSERT_NE(entity, nullptr) << info.name;
    EXPECT_EQ(entity->fields.size(), info.fields.size()) << info.name;
    EXPECT_EQ(entity->has_secret_name(), info.secret_name) << info.name;
    for (const Field& field : info.fields) {
      const auto declared = entity->fields.find(field.name);
      ASSERT_NE(declared, entity->fields.end()) << info.name << " " << field.name;
      EXPECT_EQ(declared->second.type, schema_type(field.type)) << field.name;
      EXPECT_EQ(declared->second.unique, field.unique) << field.name;
      EXPECT_EQ(declared->second.traits.secret, field.secret) << field.name;
      EXPECT_EQ(sync::class_name(declared->second.traits.key_class), class_name(field.key_class))
          << field.name;
    }
  }
}

TEST(Schema, KnowsEveryKeyOfTheLayout) {
  const sync::Mapping mapping(default_schema(), std::make_shared<sync::KeyRing>());
  const Layout layout;
  const std::vector<EntityId> ids = {
      user_id(7), device_id(7, "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11"), node_id("2001:db8::1"),
      cell_id("west.example.org"), link_id("198.51.100.1", "203.0.113.7")};
  for (const EntityId& id : ids) {
    const std::string key = layout.field_key(id, "status");
    const sync::KeyMatch match = mapping.match_key(key);
    ASSERT_NE(match.entity, nullptr) << key;
    EXPECT_EQ(match.entity->name, kind_info(id.kind).name);
    EXPECT_EQ(match.field, "status");
  }
  EXPECT_NE(mapping.match_key(layout.user_counter_key()).entity, nullptr);
}

TEST(Schema, KeepsWhatIsDerivedOutOfGit) {
  const sync::Mapping mapping(default_schema(), std::make_shared<sync::KeyRing>());
  const Entity device{.id = device_id(7, "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11"),
                      .fields = {{"core_node", "203.0.113.7"}, {"status", "active"}}};
  auto keys = route_keys(Layout(), device);
  keys.merge(unique_keys(device));
  ASSERT_EQ(keys.size(), 2U);
  for (const auto& [key, value] : keys) {
    EXPECT_FALSE(sync::Mapping::is_in_tree(mapping.classify(key).key_class)) << key;
  }
}

TEST(Schema, ImportsKeepTheSameUniqueIndexes) {
  EXPECT_EQ(sync::kDerivedCompleteKey, kUniqueComplete);
  const sync::Mapping mapping(default_schema(), std::make_shared<sync::KeyRing>());
  const Entity user{.id = user_id(7), .fields = {{"username", "a/n%a"}, {"hash_telegram_id", "x"}}};
  for (const auto& [field, value] : user.fields) {
    const auto entry = mapping.unique_entry(Layout().field_key(user.id, field), value);
    ASSERT_TRUE(entry.has_value()) << field;
    const auto keys = unique_keys(user);
    const auto found = keys.find(entry->key);
    ASSERT_NE(found, keys.end()) << entry->key;
    EXPECT_EQ(found->second, entry->id);
  }
}

}  // namespace
}  // namespace bennu::inventory
