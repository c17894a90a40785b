#include "sync/shown_key.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "sync/put_check.hpp"
#include "sync/seal.hpp"

namespace bennu::sync {
namespace {

const std::string kUuid = "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11";
const std::string kDevices = "/net/users/1/devices/";

Mapping network(bool open) {
  auto ring = std::make_shared<KeyRing>();
  if (open) ring->add(1, "0123456789abcdef0123456789abcdef");
  return Mapping::open(std::string(default_schema_text()), ring).value();
}

TEST(ShownKey, ASecretNameIsItsHashAsInTheTree) {
  const Mapping mapping = network(true);
  const std::string hash = hash_name(mapping.ring(), 1, kDevices + kUuid).value();
  EXPECT_EQ(shown_key(mapping, kDevices + kUuid + "/name"), kDevices + hash + "/name");
  EXPECT_EQ(mapping.file_of(kDevices + kUuid + "/name")->path, "users/1/devices/" + hash + ".json");
}

TEST(ShownKey, ATreeRecordIsTheFileThatItSpeaksOf) {
  const Mapping mapping = network(false);
  EXPECT_EQ(shown_key(mapping, "/_bennu/tree/mode/bin/run.sh"), "bin/run.sh (mode)");
  EXPECT_EQ(shown_key(mapping, "/_bennu/tree/empty/a"), "a (empty folder)");
  EXPECT_EQ(shown_key(mapping, kSchemaKey), ".bennu/schema.json");
  EXPECT_EQ(shown_key(mapping, "/_bennu/tree/mode/" + kUuid), "{uuid} (mode)");
}

TEST(ShownKey, NoPartOfASecretNameIsShown) {
  for (const bool open : {true, false}) {
    const Mapping mapping = network(open);
    for (const std::string& key :
         {kDevices + kUuid + "/name", kDevices + kUuid, kDevices + kUuid + "/",
          kDevices + kUuid + "/a/b", kDevices + kUuid.substr(0, 12), kDevices + "x" + kUuid,
          "/net/routes/203.0.113.7/" + kUuid + "/status", "/elsewhere/" + kUuid}) {
      EXPECT_EQ(shown_key(mapping, key).find(kUuid.substr(0, 8)), std::string::npos) << key;
    }
  }
  EXPECT_EQ(shown_key(network(false), kDevices + kUuid + "/name"), kDevices + "{uuid}/name");
}

TEST(ShownKey, WhatIsNotSecretStaysAsItIs) {
  for (const bool open : {true, false}) {
    const Mapping mapping = network(open);
    for (const std::string key :
         {"/net/users/1/username", "/net/users/1/devices/", "/net/users", "", "/", "/a//b/",
          "/net/users/1/devices/~sealed~f656f1afd5b55cd84fcd6a36cc218364/$uuid"}) {
      EXPECT_EQ(shown_key(mapping, key), key);
    }
  }
  EXPECT_EQ(shown_key(Mapping(), "/ids/" + kUuid), "/ids/" + kUuid);
}

TEST(PutCheck, OnlyNewSecretsNeedTheKey) {
  const Mapping mapping = network(false);
  const std::string sealed = seal(network(true).ring(), "/net/users/1/email", "a@b.co").value();
  const std::string sealed_name = kDevices + "~sealed~f656f1afd5b55cd84fcd6a36cc218364/name";
  EXPECT_EQ(needs_of_put(mapping, "/net/users/1/email", "a@b.co"), PutNeeds::kValue);
  EXPECT_EQ(needs_of_put(mapping, "/net/users/1/email", sealed), PutNeeds::kNothing);
  EXPECT_EQ(needs_of_put(mapping, "/net/users/1/status", "active"), PutNeeds::kNothing);
  EXPECT_EQ(needs_of_put(mapping, kDevices + kUuid + "/name", "phone"), PutNeeds::kName);
  EXPECT_EQ(needs_of_put(mapping, sealed_name, "phone"), PutNeeds::kNothing);
  EXPECT_EQ(needs_of_put(mapping, kDevices + kUuid + "/a/b", "x"), PutNeeds::kRefused);
  EXPECT_EQ(needs_of_put(mapping, "/net/routes/203.0.113.7/" + kUuid + "/status", "active"),
            PutNeeds::kNothing);
  EXPECT_EQ(needs_of_put(mapping, "/public/x", "y"), PutNeeds::kValue);
  EXPECT_EQ(needs_of_put(Mapping(), "/net/users/1/email", "a@b.co"), PutNeeds::kNothing);
}

}  // namespace
}  // namespace bennu::sync
