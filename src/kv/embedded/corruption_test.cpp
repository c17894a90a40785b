// What a damaged, full or forbidden disk does: an error that names the file, never a wrong answer.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>

#include "env/clock.hpp"
#include "env/temp_dir.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"

namespace bennu::kv {
namespace {

namespace fs = std::filesystem;
using testing::AnyOf;
using testing::HasSubstr;

Result<std::unique_ptr<Store>> open_at(const fs::path& path) {
  return open_embedded({.path = path, .create_if_missing = true});
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
}

// The largest file with this extension.
fs::path largest(const fs::path& folder, const std::string& extension) {
  fs::path best;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == extension &&
        (best.empty() || entry.file_size() > fs::file_size(best))) {
      best = entry.path();
    }
  }
  return best;
}

class Damage : public testing::Test {
 protected:
  static constexpr int kKeys = 200;

  void fill(int keys = kKeys) {
    auto store = open_at(path_);
    ASSERT_TRUE(store) << store.error().message;
    for (int i = 0; i < keys; ++i) {
      ASSERT_TRUE((*store)->put({.key = fmt::format("k{:04}", i), .value = std::string(100, 'v')}));
    }
  }
  // Many small logs are written to tables.
  void write_tables() {
    for (int i = 0; i < 10; ++i) {
      auto store = open_at(path_);
      ASSERT_TRUE(store) << store.error().message;
      ASSERT_TRUE((*store)->put({.key = "k0000", .value = std::string(100, 'v')}));
    }
    ASSERT_FALSE(largest(path_, ".sst").empty());
  }
  // The files of a folder, without its folders.
  static std::map<fs::path, std::string> copy_of_all(const fs::path& folder) {
    std::map<fs::path, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.is_regular_file()) files[entry.path()] = read_file(entry.path());
    }
    return files;
  }
  void put_back(const std::map<fs::path, std::string>& files) const {
    fs::remove_all(path_);
    fs::create_directories(path_);
    for (const auto& [path, bytes] : files) write_file(path, bytes);
  }
  // Opens and reads everything: either all of it is right, or the error tells.
  Result<std::int64_t> read_all() {
    BENNU_ASSIGN(const auto store, open_at(path_));
    std::int64_t count = 0;
    BENNU_TRY(store->scan(all_keys(), {}, [&](KeyValue& kv) -> Status {
      EXPECT_EQ(kv.key, fmt::format("k{:04}", count));
      EXPECT_EQ(kv.value, std::string(100, 'v'));
      ++count;
      return {};
    }));
    return count;
  }

  env::TempDir dir_;
  const fs::path path_ = dir_.path() / "kv";
};

TEST_F(Damage, AFlippedByteInATableIsNamed) {
  fill();
  write_tables();
  const std::string good = read_file(largest(path_, ".sst"));
  const auto whole = copy_of_all(path_);
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); at += good.size() / 23) {
    put_back(whole);  // opening may merge what is undamaged into other tables
    const fs::path table = largest(path_, ".sst");
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write_file(table, bad);
    const auto read = read_all();
    if (read) {
      EXPECT_EQ(*read, kKeys) << "at " << at;
      continue;
    }
    ++refused;
    EXPECT_EQ(read.error().code, Code::kDataLoss) << read.error().message;
    EXPECT_EQ(read.error().reason, reason::kCorrupt);
    // Of a version in a table's footer that it does not know, RocksDB names the list of tables.
    EXPECT_THAT(read.error().message, AnyOf(HasSubstr(".sst"), HasSubstr("format_version")));
  }
  EXPECT_GT(refused, 5);
}

TEST_F(Damage, AFlippedByteInTheMiddleOfTheLogIsNamed) {
  fill();
  const fs::path log = largest(path_, ".log");
  const std::string good = read_file(log);
  ASSERT_GT(good.size(), 20'000U);
  for (std::size_t at = 0; at < good.size() - 1000; at += 487) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    write_file(log, bad);
    const auto read = read_all();
    ASSERT_FALSE(read) << "at " << at;
    EXPECT_EQ(read.error().reason, reason::kCorrupt) << read.error().message;
    EXPECT_THAT(read.error().message, HasSubstr(log.filename().string()));
  }
  write_file(log, good);
  EXPECT_EQ(read_all().value_or(-1), kKeys);
}

TEST_F(Damage, ATornEndOfTheLogIsNoDamage) {
  fill(20);
  const fs::path log = largest(path_, ".log");
  const std::string good = read_file(log);
  const env::TempDir copy;
  for (std::size_t cut = 1; cut < 400; cut += 7) {
    fs::remove_all(copy.path() / "kv");
    fs::copy(path_, copy.path() / "kv", fs::copy_options::recursive);
    // Cut off, and as some file systems leave it: with zeros where the rest should be.
    write_file(
        copy.path() / "kv" / log.filename(),
        good.substr(0, good.size() - cut) + std::string(cut % 2 == 0 && cut >= 16 ? cut : 0, '\0'));
    auto store = open_at(copy.path() / "kv");
    ASSERT_TRUE(store) << cut << ": " << store.error().message;
    const auto found = (*store)->range({.range = all_keys(), .count_only = true});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->revision.value, found->count + 1);
    // What is written now goes to a log of its own, and both are read from now on.
    ASSERT_TRUE((*store)->put({.key = "more", .value = "v"}));
    store->reset();
    store = open_at(copy.path() / "kv");
    ASSERT_TRUE(store) << cut << ": " << store.error().message;
    const auto more = (*store)->range({.range = all_keys(), .count_only = true});
    ASSERT_TRUE(more);
    EXPECT_EQ(more->count, found->count + 1);
    EXPECT_GE(found->count, 20 - 1 - static_cast<std::int64_t>(cut) / 150);
    EXPECT_LT(found->count, 20);
  }
}

TEST_F(Damage, MissingFilesAreNamed) {
  fill();
  write_tables();
  const env::TempDir copy;
  const auto without = [&](const std::string& prefix, const std::string& extension) {
    const fs::path at = copy.path() / "kv";
    fs::remove_all(at);
    fs::copy(path_, at, fs::copy_options::recursive);
    std::vector<fs::path> gone;
    for (const auto& entry : fs::directory_iterator(at)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(prefix) &&
          (extension.empty() || entry.path().extension() == extension)) {
        gone.push_back(entry.path());
      }
    }
    for (const auto& path : gone) fs::remove(path);
    const auto store = open_at(at);
    EXPECT_FALSE(store) << prefix << extension;
    return store ? Error{} : store.error();
  };
  for (const auto& [prefix, extension] : std::vector<std::pair<std::string, std::string>>{
           {"CURRENT", ""}, {"MANIFEST", ""}, {"FORMAT", ""}, {"", ".sst"}}) {
    const Error error = without(prefix, extension);
    EXPECT_EQ(error.reason, reason::kCorrupt) << prefix << extension << ": " << error.message;
    EXPECT_EQ(error.message.find('\n'), std::string::npos);
  }
}

// A store that was opened four times has four logs, oldest first. Damage to the end of an older one
// must not look like a write that nobody was told of.
class OlderLogs : public Damage {
 protected:
  void SetUp() override {
    for (int i = 0; i < 4; ++i) {
      const auto store = open_at(path_);
      ASSERT_TRUE(store) << store.error().message;
      ASSERT_TRUE((*store)->put({.key = fmt::format("k{:04}", i), .value = std::string(100, 'v')}));
      ASSERT_TRUE((*store)->lease_grant({.id = LeaseId{i + 1}, .ttl_s = 1000}));
    }
    whole_ = copy_of_all(path_);
    for (const auto& [path, bytes] : whole_) {
      if (path.extension() == ".log") logs_.push_back(path);  // numbers of one width, in order
    }
    ASSERT_EQ(logs_.size(), 4U);
  }
  // Opened in every way, and again, it is refused and nothing in it is changed.
  void expect_refused(const std::string& text) {
    const auto before = copy_of_all(path_);
    for (const bool read_only : {true, false, true, false}) {
      const auto store = open_embedded({.path = path_, .read_only = read_only});
      ASSERT_FALSE(store) << text;
      EXPECT_EQ(store.error().code, Code::kDataLoss) << store.error().message;
      EXPECT_EQ(store.error().reason, reason::kCorrupt);
      EXPECT_THAT(store.error().message, HasSubstr(text));
      EXPECT_THAT(store.error().message, HasSubstr("restore the store from Git"));
    }
    for (const auto& [path, bytes] : before) {
      if (path.extension() != ".log") continue;
      EXPECT_EQ(read_file(path), bytes) << path;
    }
  }

  std::map<fs::path, std::string> whole_;
  std::vector<fs::path> logs_;
};

TEST_F(OlderLogs, ATornEndIsDamageInAllButTheNewest) {
  for (const fs::path& log : logs_) {
    const std::string good = whole_[log];
    std::string zeros = good;
    zeros.replace(zeros.size() - 20, 20, 20, '\0');
    // Of the last record, so that it reaches beyond the end.
    std::string longer = good;
    std::size_t last = 0;
    for (std::size_t at = 0; at < good.size();) {
      last = at;
      at += 7 + static_cast<unsigned char>(good[at + 4]) +
            256 * static_cast<std::size_t>(static_cast<unsigned char>(good[at + 5]));
    }
    longer[last + 5] = '\x40';
    for (const std::string& bad :
         {good.substr(0, good.size() - 1), good.substr(0, last + 3), zeros, longer}) {
      put_back(whole_);
      write_file(log, bad);
      if (log != logs_.back()) {
        expect_refused(log.filename().string());
        continue;
      }
      // RocksDB takes zeros for damage until they are cut.
      EXPECT_EQ(open_embedded({.path = path_, .read_only = true}).has_value(), bad != zeros);
      EXPECT_EQ(read_file(log), bad) << "reading changes nothing";
      // It is cut, so that it is whole once it is an older log.
      for (int round = 0; round < 3; ++round) {
        const auto store = open_at(path_);
        ASSERT_TRUE(store) << store.error().message;
        EXPECT_EQ((*store)->leases()->leases.size(), 3U);
        ASSERT_TRUE((*store)->put({.key = "more", .value = "v"}));
      }
      EXPECT_EQ(read_file(log), good.substr(0, last));
    }
  }
}

TEST_F(OlderLogs, AMissingLogIsNamedByItsRevisions) {
  for (std::size_t i = 0; i + 1 < logs_.size(); ++i) {
    put_back(whole_);
    fs::remove(logs_[i]);
    expect_refused(fmt::format("revisions {0} to {0} are missing", i + 2));
  }
  put_back(whole_);
  fs::remove(logs_[1]);
  fs::remove(logs_[2]);
  expect_refused("revisions 3 to 4 are missing");
}

// After a full disk RocksDB writes what it has to tables and begins a new log. If it cannot remove
// the one with the write that failed any more, that one is torn and older.
TEST_F(Damage, ATornLogThatIsNotNeededIsNone) {
  fill();
  const fs::path log = largest(path_, ".log");
  const std::string good = read_file(log);
  write_tables();
  ASSERT_FALSE(fs::exists(log));
  for (const bool read_only : {true, false}) {
    write_file(log, good.substr(0, good.size() - 50));
    const auto store = open_embedded({.path = path_, .read_only = read_only});
    ASSERT_TRUE(store) << store.error().message;
  }
  EXPECT_EQ(read_all().value_or(-1), kKeys);
}

TEST_F(Damage, AnUnknownFormatIsLeftAlone) {
  fill(3);
  write_file(path_ / "FORMAT", "bennu kv store, format 7\n");
  std::map<std::string, std::string> before;
  for (const auto& entry : fs::directory_iterator(path_))
    before[entry.path()] = read_file(entry.path());
  const auto store = open_at(path_);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().reason, reason::kUnknownFormat);
  EXPECT_THAT(store.error().message, HasSubstr("format 7"));
  std::map<std::string, std::string> after;
  for (const auto& entry : fs::directory_iterator(path_))
    after[entry.path()] = read_file(entry.path());
  EXPECT_EQ(after, before);
}

TEST_F(Damage, AFolderOfOtherThingsIsNotTakenOver) {
  fs::create_directories(path_);
  write_file(path_ / "letter.txt", "dear");
  const auto store = open_at(path_);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(std::distance(fs::directory_iterator(path_), {}), 1);
}

TEST_F(Damage, ACreationThatWasKilledIsFinished) {
  fs::create_directories(path_);
  write_file(path_ / "FORMAT", "bennu kv store, format 1\n");
  EXPECT_EQ(read_all().value_or(-1), 0);
}

TEST_F(Damage, WithoutWritePermissionItSaysSo) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  fill(3);
  fs::permissions(path_, fs::perms::owner_read | fs::perms::owner_exec);
  const auto store = open_at(path_);
  fs::permissions(path_, fs::perms::owner_all);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kPermissionDenied) << store.error().message;
}

// Files of this process cannot grow beyond a limit for as long as this lives.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SmallFiles() { ::setrlimit(RLIMIT_FSIZE, &old_); }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;

 private:
  rlimit old_{};
};

TEST_F(Damage, AFullDiskLosesNothingAcknowledged) {
  int acknowledged = 0;
  {
    auto store = open_at(path_);
    ASSERT_TRUE(store);
    const SmallFiles full(100'000);
    for (;; ++acknowledged) {
      const auto done = (*store)->put(
          {.key = fmt::format("k{:04}", acknowledged), .value = std::string(100, 'v')});
      if (done) continue;
      EXPECT_EQ(done.error().reason, reason::kNoSpace) << done.error().message;
      EXPECT_EQ(done.error().effect, Effect::kUnknown);
      break;
    }
    // Nothing more is acknowledged until it is known what is on disk; reading goes on.
    const auto next = (*store)->put({.key = "more", .value = ""});
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().reason, reason::kNoSpace);
    const auto found = (*store)->range({.range = all_keys(), .count_only = true});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->count, acknowledged);
  }
  EXPECT_GT(acknowledged, 100);
  const auto found = read_all();
  ASSERT_TRUE(found) << found.error().message;
  // The one whose effect was unknown may be there.
  EXPECT_TRUE(*found == acknowledged || *found == acknowledged + 1) << *found;
}

// Needs a file system of some 60 MB that it may fill, named by BENNU_SMALL_DISK.
TEST(FullDisk, IsWrittenOnOnceThereIsRoomAgain) {
  const char* const disk = std::getenv("BENNU_SMALL_DISK");
  if (disk == nullptr) GTEST_SKIP() << "BENNU_SMALL_DISK names no small file system";
  const fs::path path = fs::path(disk) / "kv";
  fs::remove_all(path);
  auto store = open_at(path);
  ASSERT_TRUE(store) << store.error().message;
  const fs::path filler = fs::path(disk) / "filler";
  write_file(filler, std::string(20 << 20, 'f'));
  int acknowledged = 0;
  Result<PutResponse> done = PutResponse{};
  for (; acknowledged < 100'000; ++acknowledged) {
    done = (*store)->put(
        {.key = fmt::format("k{:06}", acknowledged), .value = std::string(4000, 'v')});
    if (!done) break;
  }
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, reason::kNoSpace) << done.error().message;
  const auto still = (*store)->put({.key = "still", .value = std::string(100'000, 'v')});
  ASSERT_FALSE(still);
  fs::remove(filler);
  // RocksDB looks for room every few seconds.
  const auto put = [&] { return (*store)->put({.key = "healed", .value = "v"}); };
  const auto give_up = env::system_clock().monotonic() + std::chrono::seconds{30};
  auto healed = put();
  while (!healed && env::system_clock().monotonic() < give_up) healed = put();
  ASSERT_TRUE(healed) << healed.error().message;
  EXPECT_EQ(healed->revision.value, acknowledged + 2) << "what failed is not there";
  for (int round = 0; round < 2; ++round) {
    const auto found = (*store)->range({.range = all_keys(), .count_only = true});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->count, acknowledged + 1);
    EXPECT_EQ(found->revision, healed->revision);
    store->reset();
    store = open_at(path);
    ASSERT_TRUE(store) << store.error().message;
  }
  store->reset();
  fs::remove_all(path);
}

TEST_F(Damage, AFullDiskStopsAStageAndLeavesNothing) {
  auto store = open_at(path_);
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->put({.key = "k0000", .value = std::string(100, 'v')}));
  {
    auto stage = (*store)->stage();
    ASSERT_TRUE(stage);
    const SmallFiles full(1'000'000);
    Status done;
    for (int i = 0; done && i < 200'000; ++i) {
      done = (*stage)->put(fmt::format("s{:08}", i), fmt::format("{:x>100}", i * 7919));
    }
    if (done) {
      const auto committed = (*stage)->commit({}, {});
      ASSERT_FALSE(committed);
      done = committed.error();
    }
    EXPECT_EQ(done.error().reason, reason::kNoSpace) << done.error().message;
    EXPECT_EQ(done.error().effect, Effect::kNone);
  }
  EXPECT_TRUE(fs::is_empty(path_ / "staging"));
  ASSERT_TRUE((*store)->put({.key = "k0001", .value = std::string(100, 'v')}));
  store->reset();
  EXPECT_EQ(read_all().value_or(-1), 2);
}

// There is room again, but not all that was asked for would be in it.
TEST_F(Damage, AStageThatCouldNotTakeAllIsNotCommitted) {
  auto store = open_at(path_);
  ASSERT_TRUE(store);
  auto stage = (*store)->stage();
  ASSERT_TRUE(stage);
  Status done;
  {
    const SmallFiles full(100'000);
    for (int i = 200'000; done && i > 0; --i) {  // downwards: in runs, written at once
      done = (*stage)->put(fmt::format("s{:08}", i), fmt::format("{:x>100}", i * 7919));
    }
  }
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, reason::kNoSpace) << done.error().message;
  EXPECT_FALSE((*stage)->put("another", "1"));
  EXPECT_FALSE((*stage)->commit({}, {}));
  EXPECT_EQ((*store)->range({.range = all_keys(), .count_only = true})->count, 0);
}

}  // namespace
}  // namespace bennu::kv
