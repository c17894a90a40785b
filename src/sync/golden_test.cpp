// The formats of tree, documents and sealed values, byte for byte: a state with a fixed key and the
// tree it must give. A change here is a change of the mapping's version (docs/formats/tree.md).
// BENNU_UPDATE=1 rewrites the expected file; read the difference before you commit it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/bytes.hpp"
#include "sync/mapping_for_tests.hpp"
#include "sync/tree_records.hpp"

namespace bennu::sync {
namespace {

const std::string kFolder = BENNU_GOLDEN_DIR;

std::string load(const std::string& name) {
  std::ifstream in(kFolder + name, std::ios::binary);
  EXPECT_TRUE(in.good()) << name;
  return {std::istreambuf_iterator<char>(in), {}};
}

// One line of any bytes: `\xNN` for what is not printable ASCII, and `\\`.
std::string to_line(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += "\\x" + to_hex(std::string_view(&c, 1));
    }
  }
  return out;
}

std::string from_line(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out += line[i];
    } else if (line[++i] == '\\') {
      out += '\\';
    } else {
      out += from_hex(line.substr(i + 1, 2)).value_or("?");
      i += 2;
    }
  }
  return out;
}

// Lines `key<TAB>value`.
State load_state(const std::string& name) {
  State state;
  std::istringstream lines(load(name));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos) continue;
    state.emplace(from_line(std::string_view(line).substr(0, tab)),
                  from_line(std::string_view(line).substr(tab + 1)));
  }
  return state;
}

// Each file: a line `mode path`, then its lines, indented.
std::string describe(const Files& files) {
  std::string out;
  for (const auto& [path, file] : files) {
    out += format_mode(file.mode) + " " + to_line(path) + "\n";
    if (!file.id.empty()) out += "    id " + file.id + " size " + std::to_string(file.size) + "\n";
    std::istringstream lines(file.bytes);
    for (std::string line; std::getline(lines, line);) out += "    " + to_line(line) + "\n";
    if (!file.bytes.empty() && !file.bytes.ends_with('\n')) out += "    (no newline)\n";
  }
  return out;
}

void expect_golden(const std::string& name, const std::string& actual) {
  if (std::getenv("BENNU_UPDATE") != nullptr) {
    std::ofstream(kFolder + name, std::ios::binary) << actual;
  }
  EXPECT_EQ(load(name), actual) << "the format changed: see the top of this file";
}

TEST(Golden, RawStateAndItsTree) {
  const State state = load_state("raw_state.txt");
  const Files files = assemble(Mapping(), state);
  expect_golden("raw_tree.txt", describe(files));
  EXPECT_EQ(parse(Mapping(), files), state);
}

TEST(Golden, NetworkStateAndItsTree) {
  auto ring = std::make_shared<KeyRing>();
  ring->add(1, "0123456789abcdef0123456789abcdef");
  const auto mapping = Mapping::open(load("schema.json"), ring);
  ASSERT_TRUE(mapping) << mapping.error().message;
  const State state = load_state("network_state.txt");
  const Files files = assemble(*mapping, state);
  expect_golden("network_tree.txt", describe(files));
  EXPECT_EQ(parse(*mapping, files), state);
}

TEST(Golden, TheDefaultSchemaIsTheOneDocumented) {
  expect_golden("schema.json", std::string(default_schema_text()));
}

}  // namespace
}  // namespace bennu::sync
