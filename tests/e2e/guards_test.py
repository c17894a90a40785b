"""Decisions 6, 7 and 9: what must stop, and that it stops with nothing written and a way on."""

import json
import os
import select
import shutil
import subprocess
import stat

import harness


class Guards(harness.Case):
    def head(self, remote):
        return self.git("rev-parse", "main", cwd=remote)

    def test_an_empty_store_never_exports_over_a_filled_repository(self):
        remote = self.seeded_remote({"a": "1"})
        head = self.head(remote)
        self.bennu("init", "--schema", "none", "--remote", remote)
        refused = self.bennu("export", expect=1)
        self.assert_one_line(refused, "never equal", "bennu adopt")
        told = self.bennu("verify", expect=2).out
        self.assertIn("not in sync: branch main already holds commits, and this store was never equal to it", told)
        self.assertIn("`bennu restore` into a new folder", told)
        self.assertEqual(self.head(remote), head)
        self.bennu("kv", "put", "/b", "2")
        self.bennu("export", expect=1)
        self.assertEqual(self.head(remote), head)

    def test_a_foreign_lineage_is_named(self):
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote, data="first")
        self.bennu("kv", "put", "/a", "1", data="first")
        self.ask("export", data="first")
        head = self.head(remote)
        self.bennu("init", "--schema", "none", "--remote", remote)
        self.bennu("kv", "put", "/b", "2")
        refused = self.bennu("export", "-o", "json", expect=1)
        self.assertEqual(refused.json["error"]["reason"], "sync.foreign_lineage")
        self.assertEqual(self.head(remote), head)

    def test_both_sides_changed_stops_with_two_and_names_the_keys(self):
        remote = self.seeded_remote({"a": "1", "b": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/a", "kv")
        head = self.push_files({"b": "git"}, remote)
        for command in (("export",), ("import",), ("plan",)):
            refused = self.bennu(*command, expect=2)
            self.assertIn("/a", refused.err)
            self.assertIn("b", refused.err)
        self.assertEqual(self.head(remote), head)
        self.assertEqual(self.bennu("kv", "get", "/b").out, "1")
        drift = self.bennu("drift", "-o", "json", expect=2).json
        self.assertEqual((drift["kv"], drift["git"], drift["both"]), (["/a"], ["/b"], []))

    def test_a_changed_mode_is_named_by_its_file(self):
        remote = self.seeded_remote({"run.sh": "1"})
        self.ask("restore", remote)
        self.git("clone", "-q", remote, self.path("clone"))
        os.chmod(self.path("clone", "run.sh"), 0o755)
        self.git("commit", "-qam", "Run", cwd=self.path("clone"))
        self.git("push", "-q", cwd=self.path("clone"))
        plan = self.bennu("plan", expect=2).out
        self.assertIn("+ run.sh (mode) = 100755\n", plan)
        self.bennu("kv", "put", "/b", "1")
        refused = self.bennu("import", expect=2)
        self.assert_one_line(refused, "in KV /b; in Git (branch main) run.sh (mode).")

    def test_both_sides_changed_alike_is_no_conflict(self):
        for command in ("export", "import"):
            with self.subTest(command):
                remote = self.seeded_remote({"a": "1"}, f"{command}.git")
                self.ask("restore", remote, data=command)
                self.bennu("kv", "put", "/same", "1", data=command)
                head = self.push_files({"same": "1"}, remote)
                self.assertEqual(self.bennu("drift", data=command).out, "no drift\n")
                self.bennu("plan", data=command)
                self.bennu(command, data=command)
                self.bennu("verify", data=command)
                self.assertEqual(self.head(remote), head)
                self.bennu("kv", "put", "/same", "2", data=command)
                self.bennu("export", data=command)
                self.assertEqual(self.git("rev-list", "--count", f"{head}..main", cwd=remote), "1")
                self.assertEqual(self.git("show", "main:same", cwd=remote), "2")

    def test_a_commit_that_somebody_pushed_alike_is_followed(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/same", "1")
        self.ask("export", "--no-push")
        head = self.push_files({"same": "1"}, remote)
        self.assertEqual(self.ask("export")["pushed"], True)
        self.assertEqual(self.head(remote), head)
        self.bennu("verify")
        self.bennu("kv", "put", "/same", "2")
        self.ask("export")
        self.assertEqual(self.git("rev-list", "--count", f"{head}..main", cwd=remote), "1")

    def test_what_both_sides_changed_alike_is_not_named(self):
        remote = self.seeded_remote({"a": "1", "b": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/same", "1")
        head = self.push_files({"same": "1", "b": "git"}, remote)
        # All that KV changed is in Git, too: only Git has something of its own.
        self.assertEqual(self.bennu("drift", "-o", "json", expect=2).json["git"], ["/b"])
        self.bennu("export")
        self.assertEqual(self.head(remote), head)
        self.assertEqual(self.ask("import")["puts"], 1)
        self.bennu("verify")
        # And the other way round.
        self.bennu("kv", "put", "/same", "2")
        self.bennu("kv", "put", "/a", "kv")
        head = self.push_files({"same": "2"}, remote)
        self.assertEqual(self.bennu("drift", "-o", "json", expect=2).json["kv"], ["/a"])
        self.bennu("import")
        self.ask("export")
        self.assertEqual(self.git("diff", "--name-only", head, "main", cwd=remote), "a")
        self.assertEqual(self.git("rev-list", "--count", f"{head}..main", cwd=remote), "1")
        self.bennu("verify")
        # Both have something of their own.
        self.bennu("kv", "put", "/same", "3")
        self.bennu("kv", "put", "/a", "own")
        self.push_files({"same": "3", "b": "own"}, remote)
        for command in ("export", "import"):
            refused = self.bennu(command, expect=2)
            self.assertIn("in KV /a; in Git (branch main) /b.", refused.err)

    def test_both_sides_with_a_commit_that_was_not_pushed_yet(self):
        remote = self.seeded_remote({"a": "1", "b": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/a", "kv")
        self.ask("export", "--no-push")
        head = self.push_files({"b": "git"}, remote)
        for command in ("export", "import"):
            refused = self.bennu(command, "-o", "json", expect=2)
            self.assertEqual(refused.json["error"]["reason"], "sync.both_changed")
            self.assertIn("in KV /a; in Git (branch main) /b.", refused.err)
        drift = self.ask("drift", expect=2)
        self.assertEqual((drift["kv"], drift["git"], drift["both"]), (["/a"], ["/b"], []))
        plan = self.ask("plan", "--from", "git", expect=2)
        self.assertEqual([change["key"] for change in plan["changes"]], ["/b"])
        self.assertEqual(self.head(remote), head)
        self.assertEqual(self.bennu("kv", "get", "/a").out, "kv")

    def test_a_commit_that_was_not_pushed_and_is_in_git_alike_is_not_named(self):
        remote = self.seeded_remote({"a": "1", "b": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/a", "kv")
        self.ask("export", "--no-push")
        head = self.push_files({"a": "kv", "b": "git"}, remote)
        drift = self.ask("drift", expect=2)
        self.assertEqual((drift["kv"], drift["git"], drift["both"]), ([], ["/b"], []))
        self.assertFalse(self.ask("export")["changed"])
        self.assertEqual(self.ask("import")["puts"], 1)
        self.assertEqual(self.head(remote), head)
        self.bennu("verify")
        self.assertFalse(self.ask("export")["changed"])

    def test_what_kv_took_back_itself_never_undoes_git(self):
        remote = self.seeded_remote({"a": "1", "b": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/a", "2")
        head = self.push_files({"b": "git", **{f"n/{i}": "1" for i in range(20)}}, remote)
        self.bennu("kv", "put", "/a", "1")
        self.assertEqual(self.ask("drift", expect=2)["kv"], [])
        exported = self.bennu("export")
        self.assertIn("changed nothing", exported.out)
        self.assertIn("bennu import", exported.err)
        self.assertEqual(self.head(remote), head)
        self.assertEqual(self.ask("import")["puts"], 21)
        self.bennu("verify")
        self.bennu("export")
        self.assertEqual(self.head(remote), head)

    def test_no_commit_in_between_undoes_what_both_sides_changed_alike(self):
        remote = self.seeded_remote({"a": "1", "b": "1", **{f"d/{i}": "1" for i in range(30)}})
        self.ask("restore", remote)
        for value in ("2", "3"):
            self.bennu("kv", "put", "/a", value)
        self.bennu("kv", "put", "/b", "own")
        self.bennu("kv", "del", "--prefix", "/d/", "--yes")  # no deletion of this store's alone
        head = self.push_files({"a": "3"}, remote, remove=[f"d/{i}" for i in range(30)])
        self.ask("export")
        self.assertEqual(self.git("log", "--format=", "--name-only", f"{head}..main", cwd=remote), "b")
        self.bennu("verify")

    def test_commits_that_were_taken_back_are_a_rewritten_base(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        first = self.head(remote)
        self.bennu("kv", "put", "/b", "2")
        self.ask("export")
        self.git("update-ref", "refs/heads/main", first, cwd=remote)
        self.bennu("kv", "put", "/c", "3")
        refused = self.bennu("export", "-o", "json", expect=1)
        self.assertEqual(refused.json["error"]["reason"], "sync.base_rewritten")
        self.assertEqual(self.head(remote), first)

    def test_a_branch_of_the_settings_that_does_not_hold_the_base(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        self.git("branch", "other", "main", cwd=remote)
        self.set_settings(branch="other")
        self.bennu("kv", "put", "/b", "2")
        base = self.ask("export")["commit"]
        self.set_settings(branch="main")
        refused = self.bennu("export", expect=1)
        self.assert_one_line(refused, f"base {base[:10]} is on branch other, and not on branch main. ", "remote.branch")
        self.git("update-ref", "-d", "refs/heads/main", cwd=remote)
        self.git("update-ref", "-d", "refs/remotes/origin/main", cwd=self.path("data", "repo.git"))
        self.assert_one_line(self.bennu("export", expect=1), "branch main, which the remote does not have")
        self.set_settings(branch="other")
        self.assertFalse(self.ask("export")["changed"])

    def test_a_branch_that_is_nowhere_yet_begins_with_the_history(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        head = self.head(remote)
        self.set_settings(branch="new")
        self.assertTrue(self.ask("export")["pushed"])
        self.assertEqual(self.git("rev-parse", "new", cwd=remote), head)
        self.assertTrue(self.ask("verify")["in_sync"])
        self.set_settings(branch="newer")
        self.bennu("kv", "put", "/b", "2")
        self.ask("export")
        self.assertEqual(self.git("rev-parse", "newer~1", cwd=remote), head)
        self.set_settings(branch="offline")
        self.bennu("kv", "put", "/c", "3")
        self.ask("export", "--offline", "--no-push")
        self.ask("export")
        self.assertEqual(self.git("rev-parse", "offline~2", cwd=remote), head)

    def test_a_commit_whose_push_got_no_answer_is_known_to_be_there_once_it_was_seen(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        first = self.head(remote)
        self.bennu("kv", "put", "/b", "2")
        self.bennu("export", env=self.break_pushes(arrive=True), expect=2)
        self.assertNotEqual(self.head(remote), first)
        self.ask("export")
        self.git("update-ref", "refs/heads/main", first, cwd=remote)
        for command in ("drift", "export"):
            refused = self.bennu(command, "-o", "json", expect=1)
            self.assertEqual(refused.json["error"]["reason"], "sync.base_rewritten")
        self.assertEqual(self.head(remote), first)

    def test_adopt_never_empties_either_side_unasked(self):
        remote = self.seeded_remote({"a": "1"})
        head = self.head(remote)
        self.bennu("init", "--schema", "none", "--remote", remote)
        self.bennu("adopt", "--take", "kv", "--yes", expect=1)
        self.bennu("kv", "put", "/mine", "1")
        for take in ("kv", "git"):
            refused = self.bennu("adopt", "--take", take, expect=1)
            self.assertIn("--yes", refused.err)
        self.assertEqual(self.head(remote), head)
        self.assertEqual(self.bennu("kv", "get", "/mine").out, "1")

    def test_adopt_counts_the_keys_of_the_user_alone(self):
        remote = self.seeded_remote({"a": "1", "run": "1"})
        self.bennu("init", "--remote", remote)
        for name in ("a", "b", "c"):
            self.bennu("kv", "put", f"/{name}", "2")
        told = self.bennu("adopt", "--take", "git", expect=1).err
        self.assertIn("taking Git's side deletes 2 of 3 keys of this store (and 1 of Bennu's own); add --yes", told)
        told = self.bennu("adopt", "--take", "kv", expect=1).err
        self.assertIn("taking this store's side deletes 1 and replaces 1 of 2 keys in Git; add --yes", told)
        self.ask("adopt", "--take", "kv", "--yes")
        taken = self.ask("adopt", "--take", "git", "--yes")
        self.assertEqual((taken["puts"], taken["deletes"]), (0, 0))

    def test_a_deletion_of_fields_in_a_whole_export_is_counted_too(self):
        remote = self.remote()
        self.bennu("init", "--remote", remote)
        self.bennu("node", "add", "203.0.113.7", "--role", "core")
        for i in range(20):
            self.bennu("user", "add", f"u{i}", "--core-node", "203.0.113.7")
        self.ask("export")
        for i in range(1, 21):
            self.bennu("kv", "del", f"/net/users/{i}/c", "--prefix", "--yes")
        self.bennu("secret", "init", "--offline", self.path("offline.txt"))
        refused = self.bennu("export", "-o", "json", expect=1)
        self.assertEqual(refused.json["error"]["reason"], "sync.delete_budget")

    def test_a_neighbour_that_goes_changes_what_a_leaf_means(self):
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote)
        self.bennu("kv", "put", "/a", "leaf")
        self.bennu("kv", "put", "/a/b", "below")
        self.bennu("kv", "put", "/z", "far")
        self.ask("export")
        self.push_files({}, remote, remove=["a/b"])
        self.ask("import")
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_an_operational_value_is_kept_and_the_change_beside_it_taken(self):
        remote = self.remote()
        fields = {"status": {"type": "string"}, "load": {"type": "string", "class": "operational"}}
        with open(self.path("schema.json"), "w", encoding="utf-8") as file:
            json.dump({"version": 1, "mapping": 1, "root": "/net/", "prefixes": [],
                       "entities": [{"name": "node", "path": "nodes/{ip}", "fields": fields}]}, file)
        self.bennu("init", "--schema", self.path("schema.json"), "--remote", remote)
        self.bennu("kv", "put", "/net/nodes/n1/status", "up")
        self.bennu("kv", "put", "/net/nodes/n1/load", "5")
        self.ask("export")
        text = self.git("show", "main:nodes/n1.json", cwd=remote) + "\n"
        changed = text.replace('"up"', '"drained"').replace('"5"', '"6"')
        head = self.push_files({"nodes/n1.json": changed}, remote)
        self.ask("import")
        for field, value in (("status", "drained"), ("load", "5")):
            self.assertEqual(self.ask("kv", "get", f"/net/nodes/n1/{field}")["value"], value)
        self.assertEqual(self.git("show", "main:nodes/n1.json", cwd=remote) + "\n",
                         text.replace('"up"', '"drained"'))
        self.assertEqual(self.git("rev-parse", "main~1", cwd=remote), head)
        self.assertTrue(self.ask("verify")["in_sync"])
        self.assertFalse(self.ask("export")["changed"])

    def test_what_git_alone_changed_is_not_kv_s_where_whole_states_are_compared(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/mine", "1")
        self.push_files({f"n{i}": str(i) for i in range(30)}, remote)
        self.bennu("secret", "init", "--offline", self.path("offline.txt"))  # another mapping
        differences = self.bennu("drift", "-o", "json", expect=2).json
        self.assertEqual((len(differences["git"]), differences["both"]), (30, []))
        self.assertIn("/mine", differences["kv"])
        plan = self.bennu("plan", "--from", "kv", "-o", "json", expect=2).json
        self.assertEqual((plan["deletes"], plan["over_budget"]), (0, False))

    def test_a_remote_branch_that_somebody_deleted_is_said_so(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/b", "2")
        head = self.ask("export")["commit"]
        self.git("update-ref", "-d", "refs/heads/main", cwd=remote)
        self.bennu("kv", "put", "/c", "3")
        for command in ("drift", "plan", "export", "import", "drift"):
            refused = self.bennu(command, "-o", "json", expect=1)
            self.assertEqual(refused.json["error"]["reason"], "sync.branch_gone")
            self.assertIn(head[:7], refused.err)
        self.assertEqual(self.git("for-each-ref", cwd=remote), "")
        # Either way on: it is put back, or made anew.
        self.git("push", "-q", remote, f"{head}:refs/heads/main", cwd=self.path("data", "repo.git"))
        self.assertTrue(self.ask("export")["pushed"])
        self.git("update-ref", "-d", "refs/heads/main", cwd=remote)
        self.bennu("kv", "put", "/d", "4")
        self.ask("adopt", "--take", "kv", "--yes")
        self.assertEqual(self.git("show", "main:d", cwd=remote), "4")
        self.assertFalse(self.ask("export")["changed"])

    def test_an_empty_commit_is_followed_by_our_branch(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        other = self.git("commit-tree", self.tree(remote), "-p", "main", "-m", "empty", cwd=remote)
        self.git("update-ref", "refs/heads/main", other, cwd=remote)
        self.assertFalse(self.ask("export")["changed"])
        self.assertEqual(self.git("rev-parse", "main", cwd=self.path("data", "repo.git")), other)

    def packs(self):
        return sorted(os.listdir(self.path("data", "repo.git", "objects", "pack")))

    def test_a_refused_export_leaves_no_pack(self):
        remote = self.seeded_remote({f"k{i}": str(i) for i in range(50)})
        self.ask("restore", remote)
        before = self.packs()
        self.bennu("kv", "del", "/k", "--prefix", "--yes")
        self.assertIn("50 of", self.bennu("export", expect=1).err)
        self.assertEqual(self.packs(), before)
        # The same where whole states are compared: the schema changes.
        self.bennu("kv", "put", "/a/b", "c")
        self.git("clone", "-q", remote, self.path("w"))
        self.bennu("secret", "init", "--offline", self.path("offline.txt"))
        self.assertIn("50 of", self.bennu("export", expect=1).err)
        self.assertEqual(self.packs(), before)

    def test_a_plan_that_was_edited_is_refused(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/q", "2")
        self.bennu("plan", "--out", self.path("p"), expect=2)
        with open(self.path("p"), encoding="utf-8") as file:
            text = file.read()
        for old, new in (("/q", "/r"), ('"after": "2"', '"after": "3"'), ('"puts": 1', '"puts": 0')):
            self.assertIn(old, text)
            with open(self.path("edited"), "w", encoding="utf-8") as file:
                file.write(text.replace(old, new))
            self.assert_one_line(self.bennu("apply", self.path("edited"), expect=1), "was changed")
        self.bennu("kv", "put", "/_elsewhere/but/local", "x", expect=None)
        self.bennu("kv", "del", "/_elsewhere/but/local", expect=None)
        self.ask("apply", self.path("p"))
        self.assertEqual(self.git("show", "main:q", cwd=remote), "2")

    def test_a_large_file_of_another_repository_comes_with_its_object(self):
        other = self.seeded_remote({"big": os.urandom(2_000_000), "x": "1"}, name="mono.git")
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote)
        self.ask("import", other)
        self.assertEqual(self.ask("export")["tree"], self.tree(other))
        self.assert_clean(remote)

    def test_another_repository_is_never_imported_over_the_stores_own_keys(self):
        other = self.seeded_remote({"bennu/local/sync/base": "{}"}, name="other.git")
        self.bennu("init", "--schema", "none")
        before = self.bennu("kv", "ls", "--all", "--values").out
        for prefix in ("/_bennu/local/", "/_bennu/tree/file/"):
            refused = self.bennu("import", other, "--prefix", prefix, expect=1)
            self.assert_one_line(refused, "/_bennu/", "the store's own", "another --prefix")
        self.assert_one_line(self.bennu("import", other, "--prefix", "/_", expect=1), "does not end with `/`")
        large = self.seeded_remote({"big": bytes(2 << 20)}, name="large.git")  # a record, and no key
        self.assert_one_line(self.bennu("import", large, "--prefix", "/_bennu/local/", expect=1), "the store's own")
        self.assertEqual(self.bennu("kv", "ls", "--all", "--values").out, before)
        # Nor where no export would take them.
        self.bennu("init", "--schema", "network", data="net")
        for prefix, named in (("/net/health/", "ephemeral"), ("/net/routes/", "derived")):
            refused = self.bennu("import", other, "--prefix", prefix, data="net", expect=1)
            self.assert_one_line(refused, f"{prefix}bennu/local/sync/base: ", named, "another --prefix")
        self.assertEqual(self.ask("kv", "ls", "/net/", data="net")["items"], [])

    def files(self, folder):
        return sorted((os.path.join(place, name), os.stat(os.path.join(place, name)).st_ino)
                      for place, _, names in os.walk(folder) for name in names)

    def test_two_restores_into_one_folder(self):
        remote = self.seeded_remote({f"d{i % 5}/k{i}": str(i) for i in range(300)})
        # The first is held where it fetches, with its store made.
        os.mkdir(self.path("bin"))
        for fifo in ("reached", "go_on"):
            os.mkfifo(self.path(fifo))
        with open(self.path("bin", "git"), "w", encoding="utf-8") as script:
            script.write(f'#!/bin/sh\necho x > {self.path("reached")}\nread x < {self.path("go_on")}\n'
                         f'exec "{shutil.which("git")}" "$@"\n')
        os.chmod(self.path("bin", "git"), 0o755)
        reached = os.open(self.path("reached"), os.O_RDWR)
        go_on = os.open(self.path("go_on"), os.O_RDWR)
        self.addCleanup(os.close, reached)
        self.addCleanup(os.close, go_on)
        held = subprocess.Popen([harness.BENNU, "restore", remote, "--data", self.path("data")], cwd=self.dir,
                                env={**self.env, "PATH": self.path("bin") + ":" + os.environ["PATH"]},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertTrue(select.select([reached], [], [], 120)[0])
        before = self.files(self.path("data"))
        self.assertIn("kv/CURRENT", " ".join(path for path, _ in before))
        self.assert_one_line(self.bennu("restore", remote, expect=1), "in use by another process")
        self.assertEqual(self.files(self.path("data")), before)
        os.write(go_on, b"x\n" * 100)
        _, err = held.communicate(timeout=120)
        self.assertEqual((held.returncode, err), (0, b""))
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_a_rewound_store_stops_and_adopt_goes_on(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        shutil.copytree(self.path("data"), self.path("copy"))
        self.bennu("kv", "put", "/b", "2")
        self.ask("export")
        head = self.head(remote)
        self.bennu("kv", "put", "/c", "3", data="copy")
        refused = self.bennu("export", "-o", "json", data="copy", expect=1)
        self.assertEqual(refused.json["error"]["reason"], "sync.rewound")
        self.assertEqual(self.head(remote), head)
        self.ask("adopt", data="copy")
        # With a lineage of its own it is an honest second site: both changed.
        self.bennu("export", data="copy", expect=2)
        self.bennu("kv", "del", "/c", data="copy")
        self.assertTrue(self.ask("import", data="copy")["changed"])
        self.assertEqual(self.bennu("kv", "get", "/b", data="copy").out, "2")

    def test_a_rewritten_base_stops_and_adopt_takes_either_side(self):
        for take in ("git", "kv"):
            with self.subTest(take=take):
                remote = self.seeded_remote({"a": "1"}, name=f"{take}.git")
                self.ask("restore", remote, data=take)
                self.bennu("kv", "put", "/b", "2", data=take)
                self.ask("export", data=take)
                other = self.git("commit-tree", self.tree(remote, "main~1"), "-m", "rewritten", cwd=remote)
                self.git("update-ref", "refs/heads/main", other, cwd=remote)
                refused = self.bennu("export", "-o", "json", data=take, expect=1)
                self.assertEqual(refused.json["error"]["reason"], "sync.base_rewritten")
                self.ask("adopt", "--take", take, "--yes", data=take)
                self.assertTrue(self.ask("verify", data=take)["in_sync"])
                self.bennu("kv", "get", "/b", data=take, expect=1 if take == "git" else 0)
                # Nothing was forced: the rewritten commit is still there.
                self.git("merge-base", "--is-ancestor", other, "main", cwd=remote)
                self.bennu("kv", "put", "/next", "x", data=take)
                self.assertTrue(self.ask("export", data=take)["pushed"])

    def test_adopt_without_a_side_is_for_a_rewound_copy_alone(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        self.assert_one_line(self.bennu("adopt", expect=1), "nothing to adopt: ", "branch main")
        self.bennu("kv", "put", "/b", "2")
        self.ask("export")
        lineage = self.bennu("kv", "ls", "/_bennu/local/", "--values").out
        other = self.git("commit-tree", self.tree(remote, "main~1"), "-m", "rewritten", cwd=remote)
        self.git("update-ref", "refs/heads/main", other, cwd=remote)
        self.assert_one_line(self.bennu("adopt", expect=1), "rewritten", "--take git", "--take kv")
        self.git("update-ref", "-d", "refs/heads/main", cwd=remote)
        self.assert_one_line(self.bennu("adopt", expect=1), "not at the remote any more", "--take kv")
        self.assertEqual(self.bennu("kv", "ls", "/_bennu/local/", "--values").out, lineage)

    def test_adopt_of_kv_is_one_commit_of_who_adopts(self):
        remote = self.seeded_remote({"a": "1", "n": "1"})
        self.ask("restore", remote)
        theirs = self.push_files({"a": "2", "n1": "theirs"}, remote)
        self.bennu("kv", "put", "/own", "1", env={"BENNU_ACTOR": "Tester <t@example.org>"})
        refused = self.bennu("adopt", "--take", "kv", expect=1)
        self.assert_one_line(refused, "deletes 1 and replaces 1 of 3 keys", "--yes")
        self.ask("adopt", "--take", "kv", "--yes")
        self.assertEqual(self.git("log", "--format=%an: %s", f"{theirs}..main", cwd=remote),
                         f"Ada: Adopt: this store's state over {theirs[:10]}")
        self.assertEqual(self.git("show", "main:own", cwd=remote), "1")
        self.bennu("kv", "put", "/next", "1")
        self.ask("export")
        self.assertEqual(self.git("log", "-1", "--format=%s", "main", cwd=remote), "kv put /next")

    def test_adopt_that_replaces_more_than_the_budget_asks(self):
        remote = self.seeded_remote({f"k{i}": "1" for i in range(20)})
        self.ask("restore", remote)
        head = self.push_files({f"k{i}": "2" for i in range(20)}, remote)
        self.bennu("kv", "put", "/own", "1")
        self.assert_one_line(self.bennu("adopt", "--take", "kv", expect=1), "replaces 20 of 20", "--yes")
        self.assertEqual(self.head(remote), head)

    def test_more_deletions_than_the_budget_need_a_confirmed_plan(self):
        files = {f"k{i}": str(i) for i in range(50)}
        remote = self.seeded_remote(files)
        self.ask("restore", remote)
        head = self.head(remote)
        self.bennu("kv", "del", "/k", "--prefix", "--yes")
        refused = self.bennu("export", "-o", "json", expect=1)
        self.assertEqual(refused.json["error"]["reason"], "sync.delete_budget")
        self.assertIn("50 of", refused.err)
        self.assertEqual(self.head(remote), head)
        plan = self.bennu("plan", "--out", self.path("p"), "-o", "json", expect=2).json
        self.assertEqual((plan["direction"], plan["deletes"], plan["over_budget"]), ("git", 50, True))
        self.ask("apply", self.path("p"))
        self.assertEqual(self.git("ls-tree", "-r", "main", cwd=remote), "")

    def test_an_emptied_branch_is_not_taken_in_however_small_it_was(self):
        remote = self.seeded_remote({"a": "1", "b": "2", "c": "3"})
        self.ask("restore", remote)
        self.push_files({}, remote, remove=["a", "b", "c"])
        refused = self.bennu("import", "-o", "json", expect=1)
        self.assertEqual(refused.json["error"]["reason"], "sync.delete_budget")
        self.assertEqual(self.bennu("kv", "get", "/b").out, "2")
        self.bennu("plan", "--out", "plan.json", expect=2)
        self.bennu("apply", "plan.json")
        self.bennu("kv", "get", "/b", expect=1)

    def test_a_plan_is_saved_in_an_ordinary_file_only(self):
        self.bennu("init")
        os.mkfifo(self.path("pipe"))
        self.assert_one_line(self.bennu("plan", "--out", "pipe", expect=1), "no ordinary file")
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("pipe")).st_mode))

    def test_the_budget_holds_for_imports_too_and_a_stale_plan_is_refused(self):
        files = {f"k{i}": str(i) for i in range(50)}
        remote = self.seeded_remote(files)
        self.ask("restore", remote)
        self.push_files({"new": "1"}, remote, remove=[f"k{i}" for i in range(40)])
        self.assertEqual(self.bennu("import", "-o", "json", expect=1).json["error"]["reason"],
                         "sync.delete_budget")
        self.bennu("kv", "get", "/k0")
        self.bennu("plan", "--out", self.path("p"), expect=2)
        self.push_files({"new": "2"}, remote)
        self.assertEqual(self.bennu("apply", self.path("p"), "-o", "json", expect=1).json["error"]["reason"],
                         "sync.plan_moved")
        self.bennu("kv", "get", "/k0")
        self.bennu("plan", "--out", self.path("p"), expect=2)
        self.ask("apply", self.path("p"))
        self.bennu("kv", "get", "/k0", expect=1)
        self.assertEqual(self.bennu("kv", "get", "/new").out, "2")
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_import_takes_what_was_pushed_and_makes_no_commit(self):
        remote = self.seeded_remote({"a": "1", "b": "1"})
        self.ask("restore", remote)
        head = self.push_files({"a": "2", "c/d": "3"}, remote, remove=["b"])
        plan = self.bennu("plan", "-o", "json", expect=2).json
        self.assertEqual([(c["op"], c["key"]) for c in plan["changes"]],
                         [("change", "/a"), ("delete", "/b"), ("add", "/c/d")])
        done = self.ask("import")
        self.assertEqual((done["puts"], done["deletes"], done["normalised"]), (2, 1, None))
        self.assertEqual(self.bennu("kv", "get", "/a").out, "2")
        self.bennu("kv", "get", "/b", expect=1)
        self.assertEqual(self.head(remote), head)
        self.assertFalse(self.ask("import")["changed"])
        self.assertFalse(self.ask("export")["changed"])
        self.assertEqual(self.head(remote), head)

    def test_a_remote_that_is_down_delays_only_the_push(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        self.git("mv", "-k", ".", ".", check=False)
        os.rename(remote, remote + ".away")
        self.bennu("kv", "put", "/b", "2")
        exported = self.bennu("export", "-o", "json", expect=2)
        self.assertTrue(exported.json["changed"])
        self.assertFalse(exported.json["pushed"])
        self.assertIn("not pushed", exported.err)
        os.rename(remote + ".away", remote)
        self.assertTrue(self.ask("export")["pushed"])
        self.assertEqual(self.head(remote), exported.json["commit"])

    def test_push_into_a_checked_out_branch_says_so(self):
        clone = self.path("work")
        self.git("init", "-q", "-b", "main", clone)
        self.git("commit", "-q", "--allow-empty", "-m", "x", cwd=clone)
        self.ask("restore", clone)
        self.bennu("kv", "put", "/b", "2")
        with open(self.path("data", "bennu.toml")) as file:
            settings = file.read()
        with open(self.path("data", "bennu.toml"), "w") as file:
            file.write("".join(f'url = "{clone}"\n' if line.startswith("url =") else line
                               for line in settings.splitlines(keepends=True)))
        exported = self.bennu("export", "-o", "json", expect=2)
        self.assertFalse(exported.json["pushed"])
        self.assertIn("check", exported.json["push_problem"])


if __name__ == "__main__":
    harness.main()
