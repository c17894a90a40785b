#include "sync/mapping.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/bytes.hpp"
#include "kv/store.hpp"
#include "sync/mapping_for_tests.hpp"
#include "sync/reasons.hpp"
#include "sync/shown_key.hpp"

namespace bennu::sync {
namespace {

using namespace std::string_literals;

constexpr std::string_view kKeyBytes = "0123456789abcdef0123456789abcdef";

std::shared_ptr<const KeyRing> test_ring() {
  auto ring = std::make_shared<KeyRing>();
  ring->add(1, kKeyBytes);
  return ring;
}

Mapping documents(std::shared_ptr<const KeyRing> ring = test_ring()) {
  auto mapping = Mapping::open(std::string(default_schema_text()), std::move(ring));
  EXPECT_TRUE(mapping) << mapping.error().message;
  return std::move(*mapping);
}

TEST(MappingRaw, AKeyIsAFileWithItsBytes) {
  const Mapping mapping;
  const State state = {{"/a/b", "1"}, {"/a/c", "\0\xff"s}, {"x", ""}};
  const Files files = assemble(mapping, state);
  EXPECT_EQ(files, (Files{{"a/b", {FileMode::kRegular, "1"}},
                          {"a/c", {FileMode::kRegular, "\0\xff"s}},
                          {"%-/x", {FileMode::kRegular, ""}}}));
  EXPECT_EQ(parse(mapping, files), state);
}

TEST(MappingRaw, LocalAndLeasedKeysAreNotInTheTree) {
  const Mapping mapping;
  Files files;
  TreeAssembler assembler(mapping, probe_of({}), collect(files));
  ASSERT_TRUE(assembler.add("/_bennu/local/lineage", "x", false));
  ASSERT_TRUE(assembler.add("/leased", "x", true));
  ASSERT_TRUE(assembler.add("/kept", "x", false));
  const auto stats = assembler.finish();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->skipped, 2U);
  EXPECT_EQ(files.size(), 1U);
}

TEST(MappingRaw, OddEntriesBecomeRecordsAndComeBack) {
  const Mapping mapping;
  const std::string id(40, 'a');
  const Files files = {{".bennu/schema.json", {FileMode::kRegular, "{}"}},
                       {".gitmodules", {FileMode::kRegular, "[x]"}},
                       {"big.iso", {FileMode::kRegular, "", id, 2'000'000}},
                       {"empty", {FileMode::kEmptyTree, ""}},
                       {"link", {FileMode::kSymlink, "target"}},
                       {"run.sh", {FileMode::kExecutable, "#!"}},
                       {"sub", {FileMode::kSubmodule, "", id}},
                       {"we%ird", {FileMode::kGroupWritable, "?"}}};
  const State expected = {{"/_bennu/tree/blob/big.iso", "100644 " + id + " 2000000"},
                          {"/_bennu/tree/empty/empty", ""},
                          {"/_bennu/tree/file/.bennu/schema.json", "{}"},
                          {"/_bennu/tree/file/.gitmodules", "[x]"},
                          {"/_bennu/tree/file/we%ird", "?"},
                          {"/_bennu/tree/link/sub", id},
                          {"/_bennu/tree/mode/link", "120000"},
                          {"/_bennu/tree/mode/run.sh", "100755"},
                          {"/_bennu/tree/mode/we%ird", "100664"},
                          {"/link", "target"},
                          {"/run.sh", "#!"}};
  EXPECT_EQ(parse(mapping, files), expected);
  EXPECT_EQ(assemble(mapping, expected), files);
}

TEST(MappingRaw, TheLeafNameIsAKeysOnlyBesideOthers) {
  const Mapping mapping;
  // As git walks them: `%v` may come before or after its neighbours.
  EXPECT_EQ(
      parse_in_order(mapping,
                     {{"a/!x", "1"}, {"a/%v", "2"}, {"b/%v", "3"}, {"b/c", "4"}, {"d/%v", "5"}}),
      (State{{"/a", "2"},
             {"/a/!x", "1"},
             {"/b", "3"},
             {"/b/c", "4"},
             {"/_bennu/tree/file/d/%v", "5"}}));
  TreeParser parser(mapping, [](auto key, auto) -> Status {
    EXPECT_EQ(key, "/a");
    return {};
  });
  ASSERT_TRUE(parser.add({.path = "a/%v", .has_siblings = true}));
}

TEST(MappingRaw, AForeignTreeCannotReachBennusOwnKeys) {
  const Mapping mapping;
  const State state = parse(mapping, {{"_bennu/local/lineage", {FileMode::kRegular, "evil"}},
                                      {"_bennu/tree/mode/x", {FileMode::kRegular, "100755"}}});
  EXPECT_EQ(state, (State{{"/_bennu/tree/file/_bennu/local/lineage", "evil"},
                          {"/_bennu/tree/file/_bennu/tree/mode/x", "100755"}}));
}

TEST(MappingRaw, NamesThatGitRefusesAreRefusedByName) {
  const Mapping mapping;
  for (const std::string_view path : {".git/config", "a/../b", "x/.GIT ", "a\\.git"}) {
    TreeParser parser(mapping, [](auto, auto) -> Status { return {}; });
    const Status status = parser.add({.path = path});
    ASSERT_FALSE(status) << path;
    EXPECT_TRUE(status.error().message.starts_with(printable(path))) << status.error().message;
  }
}

TEST(MappingDocuments, FieldsOfAnEntityAreOneDocument) {
  const Mapping mapping = documents();
  const State state = {{"/net/users/1/core_nodes", R"(["192.0.2.1","192.0.2.2"])"},
                       {"/net/users/1/username", "anna"},
                       {"/net/counters/user_id", "1"},
                       {"/net/unknown/x", "raw"}};
  const Files files = assemble(mapping, state);
  EXPECT_EQ(files.at("users/1.json").bytes,
            "{\n  \"core_nodes\": [\n    \"192.0.2.1\",\n    \"192.0.2.2\"\n  ],\n"
            "  \"username\": \"anna\"\n}\n");
  EXPECT_EQ(files.at("counters.json").bytes, "{\n  \"user_id\": 1\n}\n");
  EXPECT_EQ(files.at("net/unknown/x").bytes, "raw");
  EXPECT_EQ(parse(mapping, files), state);
}

TEST(MappingDocuments, NestedEntitiesInterleave) {
  const Mapping mapping = documents();
  const State state = {{"/net/users/1/created", "2024-01-01T00:00:00Z"},
                       {"/net/users/1/devices/b2f3/name", "phone"},
                       {"/net/users/1/devices/b2f3/status", "active"},
                       {"/net/users/1/devices/c0de/name", "laptop"},
                       {"/net/users/1/odd/deeper/key", "raw"},
                       {"/net/users/1/username", "anna"},
                       {"/net/users/10/username", "ben"}};
  const Files files = assemble(mapping, state);
  EXPECT_EQ(files.size(), 5U);
  EXPECT_EQ(parse(mapping, files), state);
  for (const auto& [path, file] : files) {
    EXPECT_EQ(file.bytes.find("b2f3"), std::string::npos) << path;
    EXPECT_EQ(path.find("b2f3"), std::string::npos) << path;
  }
}

TEST(MappingDocuments, ARawKeyCannotTakeADocumentsPlace) {
  const Mapping mapping = documents();
  const State state = {{"/.bennu/schema.json", "mine"},
                       {"/net/users/1/username", "anna"},
                       {"/users/1.json", "raw"},
                       {"/users/\x01.json", "raw, too"}};
  const Files files = assemble(mapping, state);
  EXPECT_TRUE(files.contains("%r/users/1.json"));
  EXPECT_TRUE(files.contains("%r/users/%01.json"));
  EXPECT_TRUE(files.contains("%r/.bennu/schema.json"));
  EXPECT_EQ(parse(mapping, files), state);
  // Without the schema only Bennu's own folder is taken.
  EXPECT_TRUE(assemble(Mapping(), state).contains("users/1.json"));
}

TEST(MappingDocuments, ATreeCannotWriteAFieldPastItsDocument) {
  const Mapping mapping = documents();
  const State state = parse(mapping, {{"net/users/1/username", {FileMode::kRegular, "x"}},
                                      {"net/health/node/1", {FileMode::kRegular, "y"}},
                                      {"%r/a", {FileMode::kRegular, "z"}}});
  EXPECT_EQ(state, (State{{"/_bennu/tree/file/net/users/1/username", "x"},
                          {"/_bennu/tree/file/net/health/node/1", "y"},
                          {"/_bennu/tree/file/%r/a", "z"}}));
}

TEST(MappingDocuments, ClassesComeFromFieldEntityAndPrefix) {
  const Mapping mapping = documents();
  const auto of = [&](std::string_view key) { return mapping.classify(key); };
  EXPECT_EQ(of("/net/users/1/email"), (KeyTraits{KeyClass::kDesired, true}));
  EXPECT_EQ(of("/net/users/1/username"), (KeyTraits{KeyClass::kDesired, false}));
  EXPECT_EQ(of("/net/links/a/b/core_service_name"), (KeyTraits{KeyClass::kOperational, true}));
  EXPECT_EQ(of("/net/links/a/b/undeclared"), (KeyTraits{KeyClass::kOperational, false}));
  EXPECT_EQ(of("/net/routes/a/b/status").key_class, KeyClass::kDerived);
  EXPECT_EQ(of("/net/health/node/1").key_class, KeyClass::kEphemeral);
  EXPECT_EQ(of("/public/users/1/contacts"), (KeyTraits{KeyClass::kDesired, true}));
  EXPECT_EQ(of("/public/anything"), (KeyTraits{KeyClass::kDesired, true}));
  EXPECT_EQ(of("/_bennu/local/x").key_class, KeyClass::kLocal);
  EXPECT_EQ(of("/_bennu/tree/file/x").key_class, KeyClass::kDesired);
  EXPECT_EQ(of("/else").key_class, KeyClass::kDesired);
}

TEST(MappingDocuments, AHandWrittenDocumentIsNormalised) {
  const Mapping mapping = documents();
  ParseStats stats;
  const State state = parse(mapping,
                            {{"users/1.json",
                              {FileMode::kRegular,
                               "\n{\"username\" : \"anna\",\n\"core_nodes\":[\"b\",\"a\",\"b\"],"
                               "\"telegram\": null}"}}},
                            &stats);
  EXPECT_EQ(state, (State{{"/net/users/1/username", "anna"},
                          {"/net/users/1/core_nodes", R"(["a","b"])"}}));
  EXPECT_FALSE(stats.exact());
  EXPECT_EQ(stats.examples, std::vector<std::string>{"users/1.json"});
}

TEST(MappingDocuments, SecretsInClearAreTakenAndNamed) {
  const Mapping mapping = documents();
  ParseStats stats;
  const State state =
      parse(mapping,
            {{"users/1.json", {FileMode::kRegular, "{\n  \"email\": \"a@b.example\"\n}\n"}},
             {"users/1/devices/b2f3.json", {FileMode::kRegular, "{\n  \"name\": \"phone\"\n}\n"}},
             {"users/2.json", {FileMode::kRegular, "{\n  \"username\": \"ben\"\n}\n"}}},
            &stats);
  EXPECT_EQ(state, (State{{"/net/users/1/email", "a@b.example"},
                          {"/net/users/1/devices/b2f3/name", "phone"},
                          {"/net/users/2/username", "ben"}}));
  EXPECT_EQ(stats.plaintext_count, 2U);
  EXPECT_EQ(stats.normalised, 2U);
}

TEST(MappingSecrets, ADeviceInClearBesideItselfIsRefused) {
  const Mapping mapping = documents();
  Files files = assemble(mapping, {{"/net/users/1/devices/b2f3/name", "phone"}});
  files["users/1/devices/b2f3.json"].bytes = "{\n  \"name\": \"other\"\n}\n";
  const Error error = parse_error(mapping, files);
  EXPECT_NE(error.message.find("is here twice"), std::string::npos) << error.message;
}

TEST(MappingSecrets, WithoutAKeyTheTreeIsTheSame) {
  const State state = {{"/net/links/192.0.2.1/192.0.2.9/client_service_name", "svc"},
                       {"/net/users/1/devices/b2f3/name", "phone"},
                       {"/net/users/1/email", "anna@example.org"},
                       {"/public/notes", "private"}};
  const Mapping with_key = documents();
  const Mapping without = documents(nullptr);
  const Files files = assemble(with_key, state);
  ParseStats stats;
  const State sealed = parse(without, files, &stats);
  EXPECT_EQ(stats.sealed, 4U);
  EXPECT_TRUE(stats.exact());
  EXPECT_TRUE(sealed.at("/net/users/1/email").starts_with("bennu-sealed:1:1:"));
  EXPECT_EQ(assemble(without, sealed), files);
  EXPECT_EQ(assemble(with_key, sealed), files);  // unlocking changes no tree
  EXPECT_EQ(parse(with_key, files), state);
}

TEST(MappingSecrets, WithoutAKeyANewSecretIsRefusedByName) {
  const Mapping without = documents(nullptr);
  for (const std::string key :
       {"/net/users/1/email", "/net/users/1/devices/b2f3/name", "/public/x"}) {
    TreeAssembler assembler(without, probe_of({}), [](const TreeFile&) -> Status { return {}; });
    Status status = assembler.add(key, "x", false);
    if (status) {
      if (auto finished = assembler.finish(); !finished) status = finished.error();
    }
    ASSERT_FALSE(status) << key;
    const std::string shown = shown_key(without, key.substr(0, key.rfind('/')));
    EXPECT_TRUE(status.error().message.starts_with(shown)) << status.error().message;
  }
}

TEST(MappingSecrets, WhatWasChangedOrMovedIsRefused) {
  const Mapping mapping = documents();
  const Files files = assemble(mapping, {{"/net/users/1/email", "anna@example.org"},
                                         {"/net/users/2/email", "ben@example.org"},
                                         {"/net/users/1/devices/b2f3/name", "phone"},
                                         {"/public/notes", "private"}});
  Files moved = files;
  std::swap(moved.at("users/1.json"), moved.at("users/2.json"));
  EXPECT_EQ(parse_error(mapping, moved).reason, "sync.tampered");
  EXPECT_TRUE(parse_error(mapping, moved).message.starts_with("users/1.json: "));
  Files renamed;
  for (const auto& [path, file] : files) {
    renamed[path.starts_with("users/1/") ? "users/1/devices/" + std::string(32, '0') + ".json"
                                         : path] = file;
  }
  EXPECT_EQ(parse_error(mapping, renamed).reason, "sync.tampered");
  Files changed = files;
  char& digit = changed.at("public/notes").bytes[40];
  digit = digit == 'A' ? 'B' : 'A';
  EXPECT_EQ(parse_error(mapping, changed).reason, "sync.tampered");
  EXPECT_TRUE(parse_error(mapping, changed).message.starts_with("public/notes: "));
}

TEST(MappingSecrets, AValueThatOnlyLooksSealedIsSealed) {
  const Mapping mapping = documents();
  const State state = {{"/net/users/1/email", "bennu-sealed:1:1:" + std::string(60, 'A')},
                       {"/public/x", "bennu-sealed:"}};
  EXPECT_EQ(parse(mapping, assemble(mapping, state)), state);
}

TEST(MappingBuild, OneFileIsRebuiltFromItsReads) {
  const Mapping mapping = documents();
  const State state = random_state(11, 400);
  const Files files = assemble_files(mapping, state);
  for (const auto& [key, value] : state) {
    const auto file = mapping.file_of(key);
    ASSERT_TRUE(file) << file.error().message;
    if (file->kind == FileKind::kNone) continue;
    const auto built = mapping.build(*file, read(state, file->reads));
    ASSERT_TRUE(built) << built.error().message;
    const auto expected = files.find(file->path);
    ASSERT_EQ(built->has_value(), expected != files.end()) << file->path;
    if (expected != files.end()) {
      EXPECT_EQ((*built)->bytes, expected->second.bytes) << file->path;
      EXPECT_EQ((*built)->mode, expected->second.mode) << file->path;
    }
  }
  for (const auto& [path, file] : files) {
    const auto built =
        mapping.build(mapping.file_at(path), read(state, mapping.file_at(path).reads));
    ASSERT_TRUE(built && *built) << path;
    EXPECT_EQ((*built)->bytes, file.bytes) << path;
  }
}

TEST(MappingBuild, AUsersDocumentDoesNotReadItsDevices) {
  const Mapping mapping = documents();
  const auto file = mapping.file_of("/net/users/1/username");
  ASSERT_TRUE(file);
  for (const kv::KeyRange& range : file->reads) {
    EXPECT_FALSE(kv::contains(range, "/net/users/1/devices/b2f3/name"));
  }
}

TEST(MappingUnique, OnlyDeclaredFieldsHaveAnIndexEntry) {
  const Mapping mapping = documents();
  const auto entry = mapping.unique_entry("/net/users/7/username", "an/na");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->key, "/_bennu/local/unique/user/username/an%2Fna");
  EXPECT_EQ(entry->id, "7");
  EXPECT_FALSE(mapping.unique_entry("/net/users/7/status", "active"));
  EXPECT_FALSE(mapping.unique_entry("/users/7/username", "anna"));
}

class MappingProperty : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Seeds, MappingProperty, testing::Range(1U, 9U));

TEST_P(MappingProperty, EveryStateComesBack) {
  const State state = random_state(GetParam(), 1500);
  for (const Mapping& mapping : {Mapping(), documents()}) {
    AssemblyStats stats;
    const Files files = assemble(mapping, state, &stats);
    const State back = parse(mapping, files);
    // Only what has no effect in any tree is lost.
    for (const auto& [key, value] : back) {
      const auto found = state.find(key);
      ASSERT_TRUE(found != state.end() && found->second == value) << printable(key);
    }
    std::size_t lost = 0;
    for (const auto& [key, value] : state) {
      // An empty directory that is not empty says nothing, but only Git's layer knows.
      if (back.contains(key) || key.starts_with("/_bennu/tree/empty/")) continue;
      ++lost;
      EXPECT_TRUE(key.starts_with("/_bennu/tree/") ||
                  !Mapping::is_in_tree(mapping.classify(key).key_class))
          << printable(key);
    }
    EXPECT_LE(lost, stats.inert_records + stats.skipped);
    EXPECT_EQ(assemble(mapping, back), files);
  }
}

TEST_P(MappingProperty, WithoutAKeyEveryTreeComesBack) {
  const Files files = assemble(documents(), random_state(GetParam(), 800));
  const Mapping without = documents(nullptr);
  EXPECT_EQ(assemble(without, parse(without, files)), files);
}

// Documents that somebody broke or moved: read or refused, and what is read is stable.
TEST_P(MappingProperty, AnyTreeWithASchemaIsReadOrRefused) {
  std::mt19937 random(GetParam());
  const Mapping mapping = documents();
  int accepted = 0;
  for (int round = 0; round < 200; ++round) {
    Files files = assemble(mapping, random_state(static_cast<unsigned>(random()), 12));
    Files mutated;
    for (const auto& [path, file] : files) {
      FileContent content = file;
      if (!content.bytes.empty() && random() % 16 == 0) {
        content.bytes[random() % content.bytes.size()] = static_cast<char>(random());
      }
      mutated.emplace(
          random() % 16 == 0 ? "users/1/devices/n" + std::to_string(random() % 9) + ".json" : path,
          std::move(content));
    }
    State state;
    bool refused = false;
    TreeParser parser(mapping, [&](std::string_view key, std::string_view value) -> Status {
      EXPECT_TRUE(state.emplace(key, value).second) << printable(key) << " twice";
      return {};
    });
    for (const auto& [path, file] : in_git_order(mutated)) {
      refused = refused || !parser.add({.path = path,
                                        .mode = file.mode,
                                        .bytes = file.bytes,
                                        .id = file.id,
                                        .size = file.size});
    }
    if (refused || !parser.finish()) continue;
    ++accepted;
    const Files again = assemble(mapping, state);
    ParseStats stats;
    EXPECT_EQ(assemble(mapping, parse(mapping, again, &stats)), again);
    EXPECT_TRUE(stats.exact());
  }
  EXPECT_GT(accepted, 0);
}

// The reader's limits are the writer's: nothing is exported that no restore takes.
TEST_P(MappingProperty, WhateverExportsRestores) {
  std::mt19937 random(GetParam());
  Mapping mapping = documents();
  mapping.set_document_limits({.max_bytes = 400, .max_fields = 5, .max_values = 12});
  std::map<bool, int> rounds;
  for (int round = 0; round < 400; ++round) {
    State state;
    for (std::size_t fields = random() % 9 + 1; fields > 0; --fields) {
      static const std::vector<std::string> kFields = {
          "username", "email", "core_nodes", "id", "messages", "contacts", "x", "y", "z"};
      state["/net/users/7/" + pick(kFields, random)] = random_value(random);
    }
    Files files;
    TreeAssembler assembler(mapping, probe_of(state), collect(files));
    Status exported;
    for (const auto& [key, value] : state) {
      if (exported) exported = assembler.add(key, value, false);
    }
    if (exported) {
      const auto finished = assembler.finish();
      if (!finished) exported = finished.error();
    }
    const auto file = mapping.file_of(state.begin()->first);
    const auto built = mapping.build(*file, read(state, file->reads));
    ++rounds[bool(exported)];
    EXPECT_EQ(bool(built), bool(exported));
    if (exported) {
      EXPECT_EQ(parse(mapping, files), state);
      continue;
    }
    EXPECT_EQ(exported.error().reason, reason::kTooLargeForGit);
    EXPECT_NE(exported.error().message.find("/net/users/7/"), std::string::npos);
  }
  EXPECT_GT(rounds[true], 20);
  EXPECT_GT(rounds[false], 20);
}

// Nor is anything taken in that no export could write again.
TEST(MappingDocuments, WhatWouldBeTooLargeInItsCanonicalFormIsNotTakenIn) {
  Mapping mapping = documents();
  mapping.set_document_limits({.max_bytes = 60});
  Files files;
  files["public/appeals/7.json"].bytes = R"({"messages":[1,2,3,4,5,6,7,8,9,1,2,3,4]})";
  const Error error = parse_error(mapping, files);
  EXPECT_EQ(error.reason, reason::kBadDocument);
  EXPECT_TRUE(error.message.starts_with("public/appeals/7.json:1:1: in its canonical form"))
      << error.message;
}

TEST_P(MappingProperty, EveryRawTreeComesBack) {
  const Files files = random_tree(GetParam(), 1500);
  const Mapping mapping;
  ParseStats stats;
  const State state = parse(mapping, files, &stats);
  EXPECT_TRUE(stats.exact());
  EXPECT_EQ(assemble(mapping, state), files);
}

}  // namespace
}  // namespace bennu::sync
