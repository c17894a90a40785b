// What another client of the same process writes while an import, an adoption or an unsealing is at
// work: it stops them, or it is exported later; it is never overwritten and never left out.

#include <gtest/gtest.h>

#include <memory>

#include "env/temp_dir.hpp"
#include "git/pack_writer.hpp"
#include "git/tree_editor.hpp"
#include "git/tree_walk.hpp"
#include "kv/embedded/engine.hpp"
#include "kv/reasons.hpp"
#include "sync/adopt.hpp"
#include "sync/age_keys.hpp"
#include "sync/import.hpp"
#include "sync/mapping_for_tests.hpp"
#include "sync/reasons.hpp"
#include "sync/seal.hpp"
#include "sync/unseal.hpp"
#include "sync/verify.hpp"

namespace bennu::sync {
namespace {

constexpr std::size_t kSpill = 10;

class Meanwhile : public testing::Test {
 protected:
  Meanwhile()
      : store_(std::move(
            *kv::open_embedded({.path = dir_.path() / "kv",
                                .create_if_missing = true,
                                .test_hooks = {.fail_point = {}, .stage_spill_changes = kSpill}}))),
        repository_(std::move(*git::Repository::init_bare(dir_.path() / "repo.git"))) {
    link_.node_name = "test";
    link_.progress = [this](std::string_view what, std::uint64_t, std::uint64_t) {
      if (what != "keys staged" || !other_) return;
      const auto once = std::exchange(other_, {});
      once();
    };
    put(std::string(kLineageKey), "first");
  }

  template <class T>
  static T value_of(Result<T> result) {
    EXPECT_TRUE(result) << result.error().message;
    if constexpr (!std::is_void_v<T>) return result ? std::move(*result) : T{};
  }

  void put(const std::string& key, const std::string& value) {
    value_of(store_->put({.key = key, .value = value}));
  }
  std::string get(const std::string& key) {
    const auto found = value_of(store_->range({.range = {.key = key}}));
    return found.kvs.empty() ? "-" : found.kvs[0].value;
  }

  // A person commits these files (nothing: removed) on the branch.
  git::ObjectId commit(const std::map<std::string, std::optional<std::string>>& files,
                       std::int64_t time_s = 0) {
    const auto head = value_of(repository_.find_ref("refs/heads/main"));
    git::CommitInfo info{.author = {.name = "P", .email = "p@p", .time_s = time_s},
                         .committer = {.name = "P", .email = "p@p", .time_s = time_s},
                         .message = "by hand\n"};
    git::ObjectId tree;
    if (head) {
      info.parents.push_back(*head);
      tree = value_of(repository_.read_commit(*head)).tree;
    }
    const auto pack = value_of(git::PackWriter::begin(repository_));
    git::TreeEditor editor(*pack, tree, {.leaf_name = "%v"});
    for (const auto& [path, bytes] : files) {
      if (!bytes) {
        value_of(editor.remove(path));
        continue;
      }
      value_of(
          editor.set(path, git::mode::kFile, value_of(pack->add(git::ObjectKind::kBlob, *bytes))));
    }
    info.tree = value_of(editor.finish());
    const auto id =
        value_of(pack->add(git::ObjectKind::kCommit, value_of(git::format_commit(info))));
    value_of(pack->finish());
    value_of(repository_.update_ref("refs/heads/main", id, head));
    return id;
  }

  // A schema with secrets, and the key ring that the identity in our folder opens.
  std::shared_ptr<const KeyRing> make_ring() {
    put(std::string(kSchemaKey), std::string(default_schema_text()));
    const std::string identity = dir_.path() / "identity.txt";
    const auto made = value_of(ensure_identity(identity));
    const auto offline = value_of(ensure_identity(dir_.path() / "offline.txt"));
    const std::vector<Recipient> recipients{{.key = made.recipient}, {.key = offline.recipient}};
    const std::string key_file = value_of(new_key_file(1, recipients, env::system_random()));
    put(std::string(kFileRecordPrefix) + key_file_path(1), key_file);
    return value_of(unlock({{1, key_file}}, identity));
  }

  ExportReport export_all() { return value_of(export_state(link_, {})); }

  std::vector<std::string> changed_in_kv() { return value_of(drift(link_, Fetch::kNo)).kv; }

  std::string file(const std::string& path) {
    const auto head = value_of(repository_.find_ref("refs/heads/main"));
    const auto tree = value_of(repository_.read_commit(head.value_or(git::ObjectId{}))).tree;
    const auto entry = value_of(repository_.find_path(tree, path));
    return entry ? value_of(repository_.read_blob(entry->id)) : "-";
  }

  // Few changes are an ordinary transaction, many are staged in files.
  static std::map<std::string, std::optional<std::string>> files(std::size_t count,
                                                                 const std::string& value) {
    std::map<std::string, std::optional<std::string>> all;
    for (std::size_t i = 0; i < count; ++i) all["k" + std::to_string(i)] = value;
    return all;
  }

  env::TempDir dir_;
  std::unique_ptr<kv::Store> store_;
  git::Repository repository_;
  std::function<void()> other_;  // another client, in the middle of the next staging
  Link link_{.store = *store_,
             .repository = repository_,
             .clock = env::system_clock(),
             .random = env::system_random()};
};

TEST_F(Meanwhile, AnImportStopsAtAKeyThatChanged) {
  put("/mine", "1");
  export_all();
  for (const std::size_t count : {std::size_t{3}, 3 * kSpill}) {
    commit(files(count, std::to_string(count)));
    other_ = [&] { put("/k1", "theirs"); };
    const auto refused = import_commits(link_, {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, kv::reason::kStageConflict);
    EXPECT_EQ(get("/k1"), "theirs");
    EXPECT_EQ(get("/k0"), count == 3 ? "-" : "3");
    // Both sides have changed now, and that is what the next run says.
    EXPECT_EQ(import_commits(link_, {}).error().reason, reason::kBothChanged);
    value_of(store_->delete_range({.range = {.key = "/k1"}}));
    if (count != 3) put("/k1", "3");
    value_of(import_commits(link_, {}));
    EXPECT_EQ(get("/k1"), std::to_string(count));
  }
}

TEST_F(Meanwhile, AnotherKeyIsExportedAfterTheImport) {
  put("/mine", "1");
  put("/old", "1");
  export_all();
  for (const std::size_t count : {std::size_t{3}, 3 * kSpill}) {
    const std::string value = std::to_string(count);
    commit(files(count, value));
    other_ = [&] { put("/other", value); };
    value_of(import_commits(link_, {}));
    // What the import itself wrote is no change.
    EXPECT_EQ(changed_in_kv(), std::vector<std::string>{"/other"});
    put("/k0", "changed");
    value_of(store_->delete_range({.range = {.key = "/k2"}}));
    EXPECT_EQ(changed_in_kv(), (std::vector<std::string>{"/k0", "/k2", "/other"}));
    const auto plan = value_of(plan_to_git(link_, value_of(examine(link_, Fetch::kNo))));
    EXPECT_EQ(plan.deletes, 1U);
    EXPECT_EQ(plan.changes[0].before, value);
    EXPECT_TRUE(export_all().changed);
    EXPECT_EQ(file("other"), value);
    EXPECT_EQ(file("k0"), "changed");
    EXPECT_EQ(file("k2"), "-");
    EXPECT_TRUE(value_of(verify(link_)).in_sync);
    EXPECT_TRUE(changed_in_kv().empty());
  }
}

// Two fields of one document: each side changes one of them.
class TwoFields : public Meanwhile {
 protected:
  static constexpr std::string_view kSchema =
      R"({"version":1,"mapping":1,"root":"/net/","prefixes":[{"prefix":"/now/","class":"operational"}],
          "entities":[{"name":"node","path":"nodes/{ip}","fields":{
            "status":{"type":"string"},"note":{"type":"string"},"name":{"type":"string"},
            "load":{"type":"string","class":"operational"}}}]})";

  TwoFields() {
    put(std::string(kSchemaKey), std::string(kSchema));
    put(kNode + "status", "up");
    put(kNode + "load", "5");
    export_all();
  }

  void put_signed(const std::string& key, const std::string& value, const std::string& actor) {
    const kv::AuditContext by{.actor = {.name = actor, .email = actor + "@x"}, .node = "test"};
    value_of(store_->txn(
        {.success = {kv::Op{kv::PutRequest{.key = key, .value = value}},
                     kv::audit_op(by, "put", "By " + actor, link_.clock, link_.random)}}));
  }

  static std::string document(const std::map<std::string, std::string>& fields) {
    std::string text;
    for (const auto& [name, value] : fields)
      text += (text.empty() ? "{\n  \"" : ",\n  \"") + name + "\": \"" + value + '"';
    return text + "\n}\n";
  }

  // Both sides have these fields, and nothing is left to do.
  void expect_both(const std::map<std::string, std::string>& fields) {
    for (const auto& [name, value] : fields) EXPECT_EQ(get(kNode + name), value) << name;
    EXPECT_EQ(file("nodes/n1.json"), document(fields));
    EXPECT_TRUE(value_of(verify(link_)).in_sync);
    EXPECT_FALSE(export_all().changed);
    EXPECT_TRUE(changed_in_kv().empty());
  }

  const std::string kNode = "/net/nodes/n1/";
};

TEST_F(TwoFields, AnImportThatKeepsAValueKeepsTheChangeBesideIt) {
  commit({{"nodes/n1.json", document({{"status", "drained"}, {"load", "6"}})}});
  value_of(import_commits(link_, {}));
  expect_both({{"status", "drained"}, {"load", "5"}});
}

TEST_F(TwoFields, AnImportThatKeepsTheValueOfAFileKeepsItsMode) {
  put("/now/b", "1");
  export_all();
  const auto head = value_of(repository_.find_ref("refs/heads/main"));
  auto info = value_of(repository_.read_commit(*head));
  const auto pack = value_of(git::PackWriter::begin(repository_));
  git::TreeEditor editor(*pack, info.tree, {.leaf_name = "%v"});
  const auto blob = value_of(pack->add(git::ObjectKind::kBlob, "2"));
  value_of(editor.set("now/b", git::mode::kExecutable, blob));
  info.tree = value_of(editor.finish());
  info.parents = {*head};
  info.message = "by hand\n";
  const auto id = value_of(pack->add(git::ObjectKind::kCommit, value_of(git::format_commit(info))));
  value_of(pack->finish());
  value_of(repository_.update_ref("refs/heads/main", id, head));
  value_of(import_commits(link_, {}));
  EXPECT_EQ(get("/now/b"), "1");
  EXPECT_EQ(file("now/b"), "1");
  EXPECT_TRUE(value_of(verify(link_)).in_sync);
}

TEST_F(TwoFields, AnotherFieldIsExportedBesideTheImportedOne) {
  auto files = Meanwhile::files(3 * kSpill, "1");
  files["nodes/n1.json"] = document({{"status", "drained"}, {"load", "6"}});
  commit(files);
  // After the transaction of the one key that it keeps, while its own is staged.
  link_.progress = [&](std::string_view what, std::uint64_t done, std::uint64_t) {
    if (what != "keys staged" || done != 2) return;
    put_signed(kNode + "note", "1", "Ada");
    put(kNode + "name", "x");
    put_signed(kNode + "load", "7", "Bob");
  };
  value_of(import_commits(link_, {}));
  export_all();
  expect_both({{"status", "drained"}, {"load", "7"}, {"note", "1"}, {"name", "x"}});
  put_signed(kNode + "note", "2", "Ada");
  export_all();
  expect_both({{"status", "drained"}, {"load", "7"}, {"note", "2"}, {"name", "x"}});
}

TEST_F(TwoFields, AFieldThatTheImportRemovesStaysRemoved) {
  put(kNode + "note", "1");
  export_all();
  commit({{"nodes/n1.json", document({{"load", "5"}})}});
  other_ = [&] {
    put_signed(kNode + "name", "x", "Ada");
    value_of(store_->delete_range({.range = {.key = kNode + "load"}}));
  };
  value_of(import_commits(link_, {}));
  export_all();
  expect_both({{"name", "x"}});
  EXPECT_EQ(get(kNode + "note"), "-");
}

TEST_F(TwoFields, AnotherFieldIsExportedBesideTheAdoptedOne) {
  put(kNode + "status", "mine");
  commit({{"nodes/n1.json", document({{"status", "drained"}, {"load", "5"}})}});
  other_ = [&] { put_signed(kNode + "note", "1", "Ada"); };
  value_of(adopt(link_, {.take = Take::kGit, .deletes_confirmed = true}));
  export_all();
  expect_both({{"status", "drained"}, {"load", "5"}, {"note", "1"}});
}

TEST_F(TwoFields, WholeStatesAreComparedWithTheBaseNotWithGitsHead) {
  put(std::string(kFileRecordPrefix) + ".bennu/more", "x");  // may be of the mapping
  put("/mine", "1");
  commit(Meanwhile::files(3 * kSpill, "1"));
  const auto differences = value_of(drift(link_, Fetch::kNo));
  EXPECT_TRUE(differences.both.empty());
  EXPECT_EQ(differences.git.size(), 3 * kSpill);
  EXPECT_EQ(differences.kv.size(), 2U);
  const auto plan = value_of(plan_to_git(link_, value_of(examine(link_, Fetch::kNo))));
  EXPECT_EQ((std::pair{plan.puts, plan.deletes}), (std::pair<std::uint64_t, std::uint64_t>{2, 0}));
  EXPECT_FALSE(plan.over_budget);
}

TEST_F(Meanwhile, AFolderIsNotTakenInOverAKeyThatCame) {
  for (const std::size_t count : {std::size_t{3}, 3 * kSpill}) {
    const std::string prefix = "/p" + std::to_string(count) + "/";
    commit(files(count, "git"));
    other_ = [&] { put(prefix + "k1", "theirs"); };
    const auto refused =
        import_folder(link_, {.url = (dir_.path() / "repo.git").string(), .prefix = prefix});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, kv::reason::kStageConflict);
    EXPECT_EQ(get(prefix + "k1"), "theirs");
    EXPECT_EQ(get(prefix + "k0"), "-");
  }
}

TEST_F(Meanwhile, AnAdoptionStopsAtAKeyThatChangedAndExportsWhatCame) {
  commit(files(3 * kSpill, "git"));
  put("/k1", "mine");
  put("/gone", "mine");
  const AdoptOptions take{.take = Take::kGit, .deletes_confirmed = true};
  other_ = [&] { put("/gone", "theirs"); };
  const auto refused = adopt(link_, take);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, kv::reason::kStageConflict);
  EXPECT_EQ(get("/gone"), "theirs");
  EXPECT_EQ(get("/k1"), "mine");
  EXPECT_EQ(get(std::string(kLineageKey)), "first");

  other_ = [&] { put("/other", "theirs"); };
  value_of(adopt(link_, take));
  EXPECT_EQ(get("/gone"), "-");
  EXPECT_EQ(changed_in_kv(), std::vector<std::string>{"/other"});
  EXPECT_TRUE(export_all().changed);
  EXPECT_EQ(file("other"), "theirs");
  EXPECT_TRUE(value_of(verify(link_)).in_sync);
}

TEST_F(Meanwhile, ARefusedAdoptionOfKvChangesNothing) {
  const git::ObjectId head = commit({{"a", "1"}});
  put("/b", std::string(R"(x)"));
  put(std::string(kSchemaKey), std::string(default_schema_text()));
  put("/net/users/1/email", "a@example.org");  // a secret, and no key to seal it with
  const Revision before = value_of(read_sync_state(*store_)).revision;
  const auto refused = adopt(link_, {.take = Take::kKv, .deletes_confirmed = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, reason::kNoKey);
  const auto state = value_of(read_sync_state(*store_));
  EXPECT_EQ(state.revision, before);
  EXPECT_EQ(state.lineage, "first");
  EXPECT_FALSE(state.base);
  EXPECT_EQ(value_of(repository_.find_ref("refs/heads/main")), head);
  // With the way free it goes through, as one commit on Git's.
  value_of(store_->delete_range({.range = {.key = "/net/users/1/email"}}));
  const auto done = value_of(adopt(link_, {.take = Take::kKv, .deletes_confirmed = true}));
  ASSERT_EQ(done.exported.commits.size(), 1U);
  const auto commit_made = value_of(repository_.read_commit(done.exported.commits[0]));
  EXPECT_EQ(commit_made.parents, std::vector<git::ObjectId>{head});
  EXPECT_EQ(git::find_trailer(commit_made.message, kTrailerLineage), done.lineage);
  EXPECT_EQ(value_of(read_sync_state(*store_)).lineage, done.lineage);
  EXPECT_TRUE(value_of(verify(link_)).in_sync);
}

TEST_F(Meanwhile, AnAdoptionOfAnEqualTreeNeedsNoCommit) {
  const git::ObjectId head = commit({{"a", "1"}});
  put("/a", "1");
  const auto done = value_of(adopt(link_, {.take = Take::kKv}));
  EXPECT_FALSE(done.exported.changed);
  const auto state = value_of(read_sync_state(*store_));
  EXPECT_EQ(state.lineage, done.lineage);
  ASSERT_TRUE(state.base);
  EXPECT_EQ(state.base->commit, head);
  EXPECT_NE(state.base->revision, kNeverEqual);
}

TEST_F(Meanwhile, AnUnsealingStopsAtAKeyThatChanged) {
  const auto ring = make_ring();
  const std::string identity = dir_.path() / "identity.txt";
  const std::string email = "/net/users/1/email";
  const std::string sealed = value_of(seal(*ring, email, "a@example.org"));
  put("/net/users/1/username", "anna");
  put(email, sealed);
  link_.identity = identity;
  export_all();

  other_ = [&] { put(email, "theirs"); };
  const auto refused = unseal(link_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, kv::reason::kStageConflict);
  EXPECT_EQ(get(email), "theirs");

  put(email, sealed);
  put("/net/users/1/username", "anne");  // waits to be exported
  value_of(unseal(link_));
  EXPECT_EQ(get(email), "a@example.org");
  EXPECT_EQ(changed_in_kv(), std::vector<std::string>{"/net/users/1/username"});
  put(email, "b@example.org");
  const auto plan = value_of(plan_to_git(link_, value_of(examine(link_, Fetch::kNo))));
  EXPECT_EQ((std::pair{plan.puts, plan.deletes}), (std::pair<std::uint64_t, std::uint64_t>{2, 0}));
  export_all();
  EXPECT_TRUE(value_of(verify(link_)).in_sync);
}

TEST_F(Meanwhile, WhatWasWrittenUnderASealedNameSurvivesItsUnsealing) {
  make_ring();
  const std::string device = "/net/users/1/devices/6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11/";
  put("/net/users/1/username", "anna");
  put("/net/users/1/email", "a@example.org");
  put(device + "name", "phone");
  put(device + "status", "active");
  link_.identity = dir_.path() / "identity.txt";
  export_all();
  link_.identity.clear();
  value_of(adopt(link_, {.take = Take::kGit, .deletes_confirmed = true}));
  const auto sealed = value_of(
      store_->range({.range = kv::prefix_range("/net/users/1/devices/~sealed~"), .limit = 1}));
  ASSERT_EQ(sealed.kvs.size(), 1U);
  const std::string_view key = sealed.kvs[0].key;
  put(std::string(key.substr(0, key.rfind('/'))) + "/status", "inactive");
  link_.identity = dir_.path() / "identity.txt";
  other_ = [&] { put("/net/users/1/username", "anne"); };
  value_of(unseal(link_));
  EXPECT_EQ(get(device + "status"), "inactive");
  put("/other", "1");
  export_all();
  EXPECT_TRUE(value_of(verify(link_)).in_sync);
}

TEST_F(Meanwhile, AnAdoptionThatWasCutOffIsEndedByTheNextRun) {
  put("/a", "1");
  const auto ours = *export_all().commit;
  put("/b", "1");
  const auto unpushed = *export_all().commit;
  // As it stands between the transaction and the branch: the base is Git's, the branch is ours.
  value_of(repository_.update_ref("refs/heads/main", ours, unpushed));
  const auto theirs = commit({{"c", "1"}});
  value_of(repository_.update_ref("refs/heads/main", unpushed, theirs));
  value_of(repository_.update_ref("refs/remotes/origin/main", theirs, std::nullopt));
  const auto tree = value_of(repository_.read_commit(theirs)).tree;
  value_of(store_->txn(
      {.success = {base_put({.commit = theirs, .tree = tree}),
                   kv::Op{kv::DeleteRangeRequest{.range = kv::prefix_range(kIntentPrefix)}}}}));
  link_.remote_url = "https://git.example.org/net.git";
  const auto sides = value_of(examine(link_, Fetch::kNo));
  EXPECT_EQ(sides.local_head, theirs);
  EXPECT_FALSE(sides.unpushed);
  EXPECT_EQ(value_of(repository_.find_ref("refs/heads/main")), theirs);
  EXPECT_EQ(value_of(repository_.find_ref("refs/bennu/kept/" + unpushed.hex())), unpushed);
}

TEST_F(Meanwhile, TimesOfCommitsNeverRunBackwards) {
  put("/a", "1");
  export_all();
  constexpr std::int64_t kFuture = 4'000'000'000;
  commit({{"b", "1"}}, kFuture);
  value_of(import_commits(link_, {}));
  put("/c", "1");
  const auto made = value_of(repository_.read_commit(*export_all().commit));
  EXPECT_EQ(made.committer.time_s, kFuture);
}

}  // namespace
}  // namespace bennu::sync
