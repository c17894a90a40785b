#pragma once
// What   States and trees as plain maps, for tests of the mapping; and random ones.
// Why    The tests of mapping, assembler and parser say what goes in and what comes out, nothing
//        else.
// Use    `parse(mapping, assemble(mapping, state)) == state`. `Files` applies git's leaf rule.
// Threads One thread.
// Source own design, docs/formats/tree.md.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kv/store.hpp"
#include "sync/mapping.hpp"
#include "sync/raw_path.hpp"
#include "sync/tree_assembler.hpp"
#include "sync/tree_parser.hpp"

namespace bennu::sync {

using State = std::map<std::string, std::string, std::less<>>;

struct FileContent {
  FileMode mode = FileMode::kRegular;
  std::string bytes;
  std::string id;
  std::uint64_t size = 0;
  friend bool operator==(const FileContent&, const FileContent&) = default;
};
using Files = std::map<std::string, FileContent, std::less<>>;

inline FileSink collect(Files& files) {
  return [&files](const TreeFile& file) -> Status {
    files.insert_or_assign(std::string(file.path), FileContent{file.mode, std::string(file.bytes),
                                                               std::string(file.id), file.size});
    return {};
  };
}

// What the Git layer does: a file beside a directory of its name moves into it.
inline Files apply_leaf_rule(const Files& files) {
  Files out;
  for (const auto& [path, file] : files) {
    std::string place = path;
    while (true) {
      const auto below = files.lower_bound(place + "/");
      const bool directory = below != files.end() && below->first.starts_with(place + "/");
      if (!directory) break;
      place += "/%v";
    }
    const bool hidden = file.mode == FileMode::kEmptyTree && place != path;
    if (!hidden) out.emplace(place, file);
  }
  return out;
}

inline KeyProbe probe_of(const State& state) {
  return [&state](std::string_view key) -> Result<bool> { return state.contains(key); };
}

// Before the leaf rule.
inline Files assemble_files(const Mapping& mapping, const State& state,
                            AssemblyStats* stats = nullptr) {
  Files files;
  TreeAssembler assembler(mapping, probe_of(state), collect(files));
  for (const kv::KeyRange& range : Mapping::record_ranges()) {
    for (const auto& [key, value] : state) {
      if (kv::contains(range, key)) {
        const Status status = assembler.add_record(key, value);
        EXPECT_TRUE(status) << status.error().message;
      }
    }
  }
  for (const auto& [key, value] : state) {
    const Status status = assembler.add(key, value, false);
    EXPECT_TRUE(status) << status.error().message;
  }
  const auto finished = assembler.finish();
  EXPECT_TRUE(finished) << finished.error().message;
  if (stats != nullptr && finished) *stats = *finished;
  return files;
}

inline Files assemble(const Mapping& mapping, const State& state, AssemblyStats* stats = nullptr) {
  return apply_leaf_rule(assemble_files(mapping, state, stats));
}

// Git's order: a directory sorts as its name and a slash.
inline std::vector<std::pair<std::string, FileContent>> in_git_order(const Files& files) {
  std::vector<std::pair<std::string, FileContent>> ordered(files.begin(), files.end());
  const auto sort_name = [](const auto& entry) {
    return entry.second.mode == FileMode::kEmptyTree ? entry.first + "/" : entry.first;
  };
  std::ranges::sort(ordered,
                    [&](const auto& a, const auto& b) { return sort_name(a) < sort_name(b); });
  return ordered;
}

inline Result<State> try_parse(const Mapping& mapping, const Files& files, ParseStats* stats) {
  State state;
  TreeParser parser(mapping, [&](std::string_view key, std::string_view value) -> Status {
    EXPECT_TRUE(state.emplace(key, value).second) << key << " twice";
    return {};
  });
  for (const auto& [path, file] : in_git_order(files)) {
    BENNU_TRY(parser.add(
        {.path = path, .mode = file.mode, .bytes = file.bytes, .id = file.id, .size = file.size}));
  }
  BENNU_ASSIGN(ParseStats finished, parser.finish());
  if (stats != nullptr) *stats = std::move(finished);
  return state;
}

inline State parse(const Mapping& mapping, const Files& files, ParseStats* stats = nullptr) {
  auto state = try_parse(mapping, files, stats);
  EXPECT_TRUE(state) << state.error().message;
  return state ? std::move(*state) : State{};
}

inline Error parse_error(const Mapping& mapping, const Files& files) {
  const auto state = try_parse(mapping, files, nullptr);
  EXPECT_FALSE(state);
  return state ? Error{} : state.error();
}

inline State parse_in_order(const Mapping& mapping,
                            const std::vector<std::pair<std::string, std::string>>& files) {
  Files all;
  for (const auto& [path, bytes] : files) all[path].bytes = bytes;
  return parse(mapping, all);
}

// What a store would answer.
inline std::vector<kv::KeyValue> read(const State& state, const std::vector<kv::KeyRange>& ranges) {
  std::vector<kv::KeyValue> kvs;
  for (const kv::KeyRange& range : ranges) {
    for (const auto& [key, value] : state) {
      if (kv::contains(range, key)) kvs.push_back({.key = key, .value = value});
    }
  }
  return kvs;
}

template <class Container>
const auto& pick(const Container& from, std::mt19937& random) {
  return from[random() % from.size()];
}

// Keys of every kind: raw, odd, fields of every entity, records that fit and records that do not.
inline std::string random_state_key(std::mt19937& random) {
  using namespace std::string_literals;
  static const std::vector<std::string> kSegments = {"a",           "b",
                                                     "1",           "1.json",
                                                     "users",       "",
                                                     "%",           "%v",
                                                     ".git",        ".bennu",
                                                     "\xff"s,       "\0"s,
                                                     "caf\xc3\xa9", std::string(260, 'l'),
                                                     "~sealed~x",   "2001:db8::1",
                                                     "%r",          "a\\b",
                                                     ".gitmodules"};
  static const std::vector<std::string> kFields = {
      "username", "email",      "core_nodes",        "name",  "node_number", "messages",
      "status",   "undeclared", "core_node_counter", "$uuid", "\xff"s,       "client_service_name",
      "devices",  "x y",        "contacts"};
  static const std::vector<std::string> kEntities = {"/net/users/", "/net/nodes/", "/net/cells/",
                                                     "/public/users/", "/public/appeals/"};
  const auto segment = [&] { return pick(kSegments, random); };
  switch (random() % 9) {
    case 0:
      return pick(kEntities, random) + segment() + "/" + pick(kFields, random);
    case 1:
      return "/net/users/" + segment() + "/devices/" + segment() + "/" + pick(kFields, random);
    case 2:
      return "/net/links/" + segment() + "/" + segment() + "/" + pick(kFields, random);
    case 3: {
      static const std::vector<std::string> kKinds = {"mode/", "file/",  "link/",
                                                      "blob/", "empty/", "odd/"};
      std::string key = "/_bennu/tree/" + pick(kKinds, random);
      for (std::size_t i = random() % 3 + 1; i > 0; --i) key += segment() + (i > 1 ? "/" : "");
      return key;
    }
    case 4:
      return "/users/" + segment() + (random() % 2 == 0 ? ".json" : "");
    case 5:
      return "/net/counters/user_id";
    case 6:
      return "/_bennu/local/" + segment();
    default: {
      std::string key;
      for (std::size_t i = random() % 5; i > 0; --i) key += "/" + segment();
      return key.empty() ? "x" + segment() : key;
    }
  }
}

inline std::string random_value(std::mt19937& random) {
  using namespace std::string_literals;
  static const std::vector<std::string> kValues = {"",
                                                   "0",
                                                   "7",
                                                   "-12",
                                                   "007",
                                                   "9223372036854775808",
                                                   "1e3",
                                                   "true",
                                                   "false",
                                                   "text",
                                                   "\xff\xfe"s,
                                                   "\0"s,
                                                   "[]",
                                                   R"(["a","b"])",
                                                   R"(["b","a"])",
                                                   R"(["a", "b"])",
                                                   "{}",
                                                   R"({"a":[1,2.5,null]})",
                                                   R"({"b":1,"a":2})",
                                                   R"({"$text":"x"})",
                                                   "line\nline\n",
                                                   "\"quoted\\\"",
                                                   "100755",
                                                   "120000",
                                                   "100664",
                                                   std::string(40, 'e'),
                                                   "100644 " + std::string(40, 'c') + " 2000000",
                                                   "bennu-sealed:1:1:AAAA",
                                                   "\xe2\x82\xac",
                                                   "null",
                                                   "\x7f\x1b"};
  if (random() % 20 == 0) return std::string(random() % 5000, 'v');
  return pick(kValues, random);
}

inline State random_state(unsigned seed, std::size_t keys) {
  std::mt19937 random(seed);
  State state;
  for (std::size_t i = 0; i < keys; ++i) {
    const std::string key = random_state_key(random);
    // A file record called `%v` in a key's place is refused; the unit tests have that.
    if (key.ends_with("/%v") && key.starts_with(kTreePrefix)) continue;
    state.insert_or_assign(key, random_value(random));
  }
  return state;
}

// Any tree that git takes, as it stands in a repository.
inline Files random_tree(unsigned seed, std::size_t files) {
  using namespace std::string_literals;
  static const std::vector<std::string> kNames = {"a",
                                                  "b",
                                                  "c",
                                                  "%v",
                                                  "%",
                                                  "%25",
                                                  "%41",
                                                  "%-",
                                                  "%r",
                                                  "%+",
                                                  "x%+",
                                                  "_bennu",
                                                  "local",
                                                  "tree",
                                                  ".bennu",
                                                  "\xff"s,
                                                  "\n",
                                                  "caf\xc3\xa9",
                                                  ".gitmodules",
                                                  ".gitattributes",
                                                  std::string(255, 'n'),
                                                  std::string(260, 'n'),
                                                  "\\"};
  static const std::vector<FileMode> kModes = {
      FileMode::kRegular,       FileMode::kRegular, FileMode::kRegular,   FileMode::kExecutable,
      FileMode::kGroupWritable, FileMode::kSymlink, FileMode::kSubmodule, FileMode::kEmptyTree};
  std::mt19937 random(seed);
  Files tree;
  for (std::size_t i = 0; i < files; ++i) {
    std::string path = pick(kNames, random);
    for (std::size_t depth = random() % 5; depth > 0; --depth) path += "/" + pick(kNames, random);
    // A tree has a file or a directory of one name, not both.
    bool clash = false;
    for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
      clash = clash || tree.contains(path.substr(0, at));
    }
    const auto below = tree.lower_bound(path + "/");
    clash = clash || (below != tree.end() && below->first.starts_with(path + "/"));
    if (clash) continue;
    FileContent file{.mode = pick(kModes, random)};
    if (file.mode == FileMode::kSymlink && path.ends_with(".gitmodules"))
      file.mode = FileMode::kRegular;
    if (file.mode == FileMode::kSubmodule) {
      file.id = std::string(40, 'd');
    } else if (file.mode != FileMode::kEmptyTree && random() % 30 == 0) {
      file.id = std::string(40, 'b');
      file.size = 5'000'000;
    } else if (file.mode != FileMode::kEmptyTree) {
      file.bytes = random_value(random);
    }
    tree.emplace(path, file);
  }
  return tree;
}

}  // namespace bennu::sync
