// What the benchmarks need made: stores, streams and work trees of the same content, and changes.
//   fill DATA COUNT LAYOUT        a data directory with COUNT keys, not exported yet
//   change DATA COUNT TOTAL LAYOUT SEED   COUNT of TOTAL keys change, one transaction
//   stream COUNT LAYOUT           the same content for git fast-import, on stdout
//   records COUNT LAYOUT          the same content as lines "KEY VALUE", on stdout
//   files DIR COUNT LAYOUT        the same content as files
//   touch DIR COUNT TOTAL LAYOUT SEED     the same change to the files
// LAYOUT: shards (aa/bb/name) or flat (one directory). Content: fixed by the number of the key
// alone.

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "base/check.hpp"
#include "env/random.hpp"
#include "node/data_dir.hpp"
#include "sync/base_record.hpp"

namespace bennu::bench {
namespace {

// SplitMix64: the generator of every name, value and choice below.
std::uint64_t mix(std::uint64_t number) {
  number += 0x9E3779B97F4A7C15ULL;
  number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9ULL;
  number = (number ^ (number >> 27)) * 0x94D049BB133111EBULL;
  return number ^ (number >> 31);
}

std::string path_of(std::uint64_t number, bool flat) {
  const std::uint64_t name = mix(number);
  if (flat) return fmt::format("all/{:016x}", name);
  return fmt::format("{:02x}/{:02x}/{:012x}", name >> 56, (name >> 48) & 0xff,
                     name & 0xffffffffffffULL);
}

// 40 bytes that do not compress.
std::string value_of(std::uint64_t number, std::uint64_t round) {
  return fmt::format("{:016x}{:016x}{:08x}", mix(number ^ 0xABCD), mix(number + round * 7919),
                     round);
}

void must(const Status& status) {
  BENNU_CHECK(status.has_value(), status ? "" : status.error().message);
}
template <class T>
T must(Result<T> result) {
  BENNU_CHECK(result.has_value(), result ? "" : result.error().message);
  return std::move(*result);
}

std::map<std::string, std::string> sorted_content(std::uint64_t count, bool flat) {
  std::map<std::string, std::string> all;
  for (std::uint64_t i = 0; i < count; ++i) all.emplace(path_of(i, flat), value_of(i, 0));
  return all;
}

void fill(const std::filesystem::path& data, std::uint64_t count, bool flat) {
  auto directory = must(node::DataDir::create(data, {}));
  auto staged = must(directory.store().stage());
  for (const auto& [path, value] : sorted_content(count, flat))
    must(staged->put("/" + path, value));
  const kv::Op lineage{kv::PutRequest{.key = std::string(sync::kLineageKey),
                                      .value = env::random_uuid(env::system_random())}};
  (void)must(staged->commit({}, {lineage}));
  must(directory.commit({}));
}

void change(const std::filesystem::path& data, std::uint64_t count, std::uint64_t total, bool flat,
            std::uint64_t seed) {
  auto directory = must(node::DataDir::open(data));
  kv::TxnRequest request;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t number = (mix(seed) + i * (total / count)) % total;
    request.success.push_back(kv::Op{
        kv::PutRequest{.key = "/" + path_of(number, flat), .value = value_of(number, seed)}});
  }
  (void)must(directory.store().txn(request));
}

void stream(std::uint64_t count, bool flat) {
  std::printf(
      "commit refs/heads/main\ncommitter Bench <bench@example.org> 1700000000 +0000\ndata "
      "5\nbegin\n");
  for (const auto& [path, value] : sorted_content(count, flat)) {
    std::printf("M 100644 inline %s\ndata %zu\n%s\n", path.c_str(), value.size(), value.c_str());
  }
  std::printf("done\n");
}

void records(std::uint64_t count, bool flat) {
  for (const auto& [path, value] : sorted_content(count, flat))
    std::printf("/%s %s\n", path.c_str(), value.c_str());
}

void write_file(const std::filesystem::path& file, const std::string& value) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << value;
  BENNU_CHECK(out.good(), "cannot write a file");
}

void files(const std::filesystem::path& dir, std::uint64_t count, bool flat) {
  std::filesystem::path made;
  for (const auto& [path, value] : sorted_content(count, flat)) {
    const std::filesystem::path file = dir / path;
    if (file.parent_path() != made) std::filesystem::create_directories(made = file.parent_path());
    write_file(file, value);
  }
}

void touch(const std::filesystem::path& dir, std::uint64_t count, std::uint64_t total, bool flat,
           std::uint64_t seed) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t number = (mix(seed) + i * (total / count)) % total;
    write_file(dir / path_of(number, flat), value_of(number, seed));
  }
}

int run(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  const auto number = [&](int at) { return std::strtoull(argv[at], nullptr, 10); };
  const auto flat = [&](int at) { return std::string_view(argv[at]) == "flat"; };
  if (verb == "fill" && argc == 5) {
    fill(argv[2], number(3), flat(4));
  } else if (verb == "change" && argc == 7) {
    change(argv[2], number(3), number(4), flat(5), number(6));
  } else if (verb == "stream" && argc == 4) {
    stream(number(2), flat(3));
  } else if (verb == "records" && argc == 4) {
    records(number(2), flat(3));
  } else if (verb == "files" && argc == 5) {
    files(argv[2], number(3), flat(4));
  } else if (verb == "touch" && argc == 7) {
    touch(argv[2], number(3), number(4), flat(5), number(6));
  } else {
    std::fprintf(stderr, "bench_tool: see the head of bench_tool.cpp for its verbs\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace bennu::bench

int main(int argc, char** argv) { return bennu::bench::run(argc, argv); }
