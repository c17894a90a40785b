// How many keys a second pass the mapping, alone: 1 M raw keys of 40 B in shards of 2+2 hex digits,
// out and in again, and the same as documents of 10 fields. Prints one JSON object per line.

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "env/clock.hpp"
#include "sync/mapping.hpp"
#include "sync/tree_assembler.hpp"
#include "sync/tree_parser.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kKeys = 1'000'000;

struct Kv {
  std::string key;
  std::string value;
};

std::vector<Kv> raw_state() {
  std::vector<Kv> state;
  state.reserve(kKeys);
  for (std::size_t i = 0; i < kKeys; ++i) {
    const auto shard = static_cast<unsigned>(i / 16 % 65536);
    state.push_back({fmt::format("/data/{:02x}/{:02x}/{:08}", shard >> 8U, shard & 255U, i),
                     fmt::format("{:040}", i * 2654435761U)});
  }
  return state;
}

std::vector<Kv> document_state() {
  std::vector<Kv> state;
  state.reserve(kKeys);
  for (std::size_t i = 0; i < kKeys / 10; ++i) {
    for (std::size_t field = 0; field < 10; ++field) {
      state.push_back({fmt::format("/net/nodes/{:06}/field_{}", i, field),
                       fmt::format("value {} of {}", field, i)});
    }
  }
  return state;
}

template <class Work>
void measure(std::string_view name, const Work& work) {
  const env::Monotonic start = env::system_clock().monotonic();
  const std::uint64_t bytes = work();
  const std::chrono::duration<double> took = env::system_clock().monotonic() - start;
  fmt::print(R"({{"name":"{}","keys_per_s":{:.0f},"seconds":{:.3f},"bytes":{}}})"
             "\n",
             name, static_cast<double>(kKeys) / took.count(), took.count(), bytes);
}

void run(std::string_view name, const Mapping& mapping, const std::vector<Kv>& state) {
  std::vector<Kv> files;
  files.reserve(state.size());
  measure(fmt::format("assemble_{}", name), [&] {
    std::uint64_t bytes = 0;
    const auto probe = [](std::string_view) -> Result<bool> { return false; };
    TreeAssembler assembler(mapping, probe, [&](const TreeFile& file) -> Status {
      bytes += file.path.size() + file.bytes.size();
      return {};
    });
    for (const Kv& kv : state) BENNU_CHECK(assembler.add(kv.key, kv.value, false), "adds");
    BENNU_CHECK(assembler.finish(), "finishes");
    return bytes;
  });
  TreeAssembler assembler(
      mapping, [](std::string_view) -> Result<bool> { return false; },
      [&](const TreeFile& file) -> Status {
        files.push_back({std::string(file.path), std::string(file.bytes)});
        return {};
      });
  for (const Kv& kv : state) BENNU_CHECK(assembler.add(kv.key, kv.value, false), "adds");
  BENNU_CHECK(assembler.finish(), "finishes");
  measure(fmt::format("parse_{}", name), [&] {
    std::uint64_t bytes = 0;
    TreeParser parser(mapping, [&](std::string_view key, std::string_view value) -> Status {
      bytes += key.size() + value.size();
      return {};
    });
    for (const Kv& file : files) {
      BENNU_CHECK(parser.add({.path = file.key, .bytes = file.value}), "adds");
    }
    const auto stats = parser.finish();
    BENNU_CHECK(stats && stats->exact() && stats->keys == state.size(), "exact");
    return bytes;
  });
}

int run_all() {
  auto schema = Mapping::open(std::string(default_schema_text()), nullptr);
  BENNU_CHECK(schema, "the default schema is good");
  const auto raw = raw_state();
  run("raw", Mapping(), raw);
  run("raw_with_schema", *schema, raw);
  run("documents", *schema, document_state());
  return 0;
}

}  // namespace
}  // namespace bennu::sync

int main() { return bennu::sync::run_all(); }
