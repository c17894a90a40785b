"""The main job through the real binary: restore, change, commit, destroy, restore, with proof."""

import json
import os
import shutil

import harness


class Cycle(harness.Case):
    def test_a_store_is_raised_changed_destroyed_and_raised_again(self):
        remote = self.seeded_remote({"a/b": "one", "README.md": "hello\n"})
        restored = self.ask("restore", remote)
        self.assertEqual(restored["tree"], self.tree(remote))
        self.assertEqual(restored["verified"], "exact")
        self.assertEqual(restored["keys"], 2)
        self.assertEqual(restored["commit"], self.git("rev-parse", "main", cwd=remote))
        self.assertGreater(restored["seconds"], 0)

        self.bennu("kv", "put", "/a/c", "two", "--actor", "Anna <anna@example.org>", "--reason",
                   "she asked", "--request-id", "r-7")
        self.bennu("kv", "del", "/a/b", "--actor", "Bob <bob@example.org>")
        exported = self.ask("export")
        self.assertTrue(exported["changed"])
        self.assertTrue(exported["pushed"])
        self.assertEqual(exported["commit"], self.git("rev-parse", "main", cwd=remote))
        self.assertEqual(exported["tree"], self.tree(remote))
        self.assertEqual(len(exported["commits"]), 2)
        authors = self.git("log", "-2", "--format=%an <%ae> %s", "main", cwd=remote)
        self.assertEqual(authors, "Bob <bob@example.org> kv del /a/b\n"
                                  "Anna <anna@example.org> kv put /a/c")
        trailers = self.git("log", "-1", "--format=%(trailers)", "main~1", cwd=remote)
        self.assertIn("Bennu-Reason: she asked", trailers)
        self.assertIn("Bennu-Request-Id: r-7", trailers)
        self.assert_clean(remote)

        shutil.rmtree(self.path("data"))
        again = self.ask("restore", remote)
        self.assertEqual(again["tree"], exported["tree"])
        self.assertEqual(again["verified"], "exact")
        self.assertEqual(self.bennu("kv", "get", "/a/c").out, "two")
        self.bennu("kv", "get", "/a/b", expect=1)

    def test_an_export_without_a_change_makes_no_commit(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        head = self.git("rev-parse", "main", cwd=remote)
        self.bennu("kv", "put", "/a", "2")
        self.bennu("kv", "put", "/a", "1")
        self.ask("export")
        self.bennu("kv", "put", "/a", "1")
        same = self.ask("export")
        self.assertEqual((same["commit"], same["changed"]), (None, False))
        self.assertEqual(self.git("rev-parse", "main", cwd=remote, check=True) == head, False)
        # Put and put back are two audited changes: two commits, and the tree of the beginning.
        self.assertEqual(self.tree(remote), self.tree(remote, head))
        self.assertEqual(self.git("rev-list", "--count", f"{head}..main", cwd=remote), "2")

    def test_verify_says_what_the_two_sides_are(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        verified = self.ask("verify")
        self.assertTrue(verified["in_sync"])
        self.assertEqual(verified["kv_tree"], verified["git_tree"])
        self.assertEqual(verified["exceptions"], [])
        self.bennu("kv", "put", "/b", "2")
        moved = self.bennu("verify", "-o", "json", expect=2).json
        self.assertFalse(moved["in_sync"])
        self.assertNotEqual(moved["kv_tree"], moved["git_tree"])
        self.assertEqual(moved["keys"], ["/b"])
        self.bennu("init", "--schema", "none", data="new")
        self.bennu("kv", "put", "/b", "2", data="new")
        self.assertIn("not in sync: nothing was exported yet (`bennu export`)",
                      self.bennu("verify", data="new", expect=2).out)

    def test_an_older_commit_can_be_restored(self):
        remote = self.seeded_remote({"a": "1"})
        first = self.git("rev-parse", "main", cwd=remote)
        self.push_files({"a": "2"}, remote)
        restored = self.ask("restore", f"{remote}@{first[:12]}")
        self.assertEqual(restored["commit"], first)
        self.assertEqual(self.bennu("kv", "get", "/a").out, "1")
        # The branch is further on: said so, with the way back and the way on.
        self.push_files({"a": "3"}, remote)
        drift = self.bennu("drift", expect=2).out
        self.assertIn("by 2 commits since the base", drift)
        self.assertIn("bennu adopt --take kv", drift)
        told = self.bennu("verify", expect=2).out
        self.assertIn(f"KV is what commit {first[:10]} holds, and branch main is 2 commits further on", told)
        self.assertIn("bennu import", told)
        verified = self.ask("verify", expect=2)
        self.assertEqual((verified["base"], verified["beyond_base"]), (first, 2))
        self.ask("adopt", "--take", "kv", "--yes")
        self.assertTrue(self.ask("verify")["in_sync"])
        self.assertEqual(self.tree(remote), self.tree(remote, first))
        self.assertEqual(self.git("rev-list", "--count", f"{first}..main", cwd=remote), "3")

    def test_a_first_export_has_a_commit_for_each_command(self):
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote)
        self.bennu("kv", "put", "/a", "1", "--actor", "Anna <a@example.org>")
        self.bennu("kv", "put", "/b", "2", "--actor", "Bob <b@example.org>")
        self.ask("export")
        self.assertEqual(self.git("log", "--format=%an", "main", cwd=remote), "Bob\nAnna")
        self.assert_clean(remote)

    def test_a_store_from_a_bundle_goes_on_and_moves_to_a_new_remote(self):
        remote = self.seeded_remote({"a": "1"})
        self.git("bundle", "create", "-q", self.path("net.bundle"), "main", cwd=remote)
        self.ask("restore", self.path("net.bundle"))
        for value in ("2", "3"):
            self.bennu("kv", "put", "/a", value)
            self.assertTrue(self.ask("export")["changed"])
            self.assertEqual(self.ask("drift")["kv"], [])
        new = self.remote("new.git")
        settings = self.path("data", "bennu.toml")
        with open(settings, encoding="utf-8") as file:
            text = file.read()
        with open(settings, "w", encoding="utf-8") as file:
            file.write(text.replace("url = ''", f"url = '{new}'"))
        self.assertTrue(self.ask("export")["pushed"])
        self.assertEqual(self.git("show", "main:a", cwd=new), "3")
        self.assertEqual(self.git("rev-list", "--count", "main", cwd=new), "3")

    def test_a_store_goes_on_with_a_new_remote_and_branch_and_is_told_the_way_back(self):
        self.git("bundle", "create", "-q", self.path("net.bundle"), "main", cwd=self.seeded_remote({"a": "1"}))
        self.bennu("restore", self.path("net.bundle"))
        self.bennu("init", "--schema", "none", data="first")
        self.bennu("kv", "put", "/a", "1", data="first")
        self.bennu("export", data="first")
        for data in ("data", "first"):
            fresh = self.remote(f"{data}.git")
            base = self.ask("log", data=data)["items"][0]["commit"]
            self.set_settings(data, branch="fresh")
            self.bennu("export", data=data)
            self.bennu("kv", "put", "/b", "2", data=data)
            self.bennu("export", data=data)
            self.set_settings(data, branch="fresher", url=fresh)
            self.bennu("kv", "put", "/c", "3", data=data)
            self.ask("export", data=data)
            self.assertEqual(self.git("ls-tree", "--name-only", "fresher", cwd=fresh), "a\nb\nc")
            self.assertEqual(self.git("rev-parse", "fresher~2", cwd=fresh), base)
            self.set_settings(data, branch="main")
            for command in ("drift", "verify", "plan", "export", "import"):
                refused = self.bennu(command, data=data, expect=1)
                self.assert_one_line(refused, "is on branch fresher, and not on branch main", "remote.branch")

    def test_every_kind_of_tree_entry_comes_back(self):
        remote = self.remote()
        clone = self.path("clone")
        self.git("clone", "-q", remote, clone)
        self.git("checkout", "-q", "-b", "main", cwd=clone)
        names = ["plain", "with space", "käse", "50%25 off", "%v", "%", "a%2Fb", "-", "dir/%v",
                 "dir/deep/er/file", "x" * 255, "tab\there", "users/1.json", ".gitignore"]
        for name in names:
            full = os.path.join(clone, name)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as out:
                out.write(name.encode())
        with open(os.path.join(clone, os.fsdecode(b"latin\xe9")), "wb") as out:
            out.write(b"\x00\xff")
        with open(os.path.join(clone, "tool.sh"), "w") as out:
            out.write("#!/bin/sh\n")
        os.chmod(os.path.join(clone, "tool.sh"), 0o755)
        os.symlink("tool.sh", os.path.join(clone, "link"))
        with open(os.path.join(clone, "large"), "wb") as out:
            out.write(os.urandom(2 * 1024 * 1024))
        open(os.path.join(clone, "empty"), "wb").close()
        self.git("add", "-A", cwd=clone)
        self.git("update-index", "--add", "--cacheinfo",
                 "160000,1234567890123456789012345678901234567890,sub/module", cwd=clone)
        self.git("commit", "-q", "-m", "odd", cwd=clone)
        self.git("push", "-q", "origin", "main", cwd=clone)
        restored = self.ask("restore", remote)
        self.assertEqual(restored["verified"], "exact")
        self.assertEqual(restored["tree"], self.tree(remote))
        # An incremental export beside them leaves them alone, and so does a whole one.
        self.bennu("kv", "put", "/dir/new", "x")
        exported = self.ask("export")
        shutil.rmtree(self.path("data"))
        self.assertEqual(self.ask("restore", remote)["tree"], exported["tree"])
        listed = self.git("ls-tree", "-r", "main", cwd=remote)
        self.assertIn("160000 commit 1234567890123456789012345678901234567890\tsub/module", listed)
        self.assertIn("120000 blob", listed)
        self.assertIn("100755 blob", listed)

    def restore_odd_files(self):
        """A store of a repository with two large files (one a program), two links and a program."""
        remote = self.remote()
        clone = self.path("odd")
        self.git("clone", "-q", remote, clone)
        self.git("checkout", "-q", "-b", "main", cwd=clone)
        os.mkdir(os.path.join(clone, "s"))
        for name in ("big", "s/big", "s/tool.bin"):
            with open(os.path.join(clone, name), "wb") as out:
                out.write(os.urandom(2 * 1024 * 1024))
        for name in ("s/plain", "tool.sh"):
            with open(os.path.join(clone, name), "w") as out:
                out.write("plain")
        for name in ("tool.sh", "s/tool.bin"):
            os.chmod(os.path.join(clone, name), 0o755)
        os.symlink("plain", os.path.join(clone, "s/link"))
        os.symlink("s/plain", os.path.join(clone, "other"))
        self.git("add", "-A", cwd=clone)
        self.git("update-index", "--add", "--cacheinfo", f"160000,{'12' * 20},sub", cwd=clone)
        self.git("commit", "-q", "-m", "odd", cwd=clone)
        self.git("push", "-q", "origin", "main", cwd=clone)
        self.ask("restore", remote)
        return remote

    def exported_modes(self, remote):
        """Exports: path -> mode in Git, after the store was raised again as the same tree."""
        self.ask("export")
        self.ask("verify")
        self.assertEqual(self.ask("restore", remote, data="again")["tree"], self.tree(remote))
        shutil.rmtree(self.path("again"))
        lines = self.git("ls-tree", "-r", "main", cwd=remote).splitlines()
        return {line.split("\t")[1]: line.split()[0] for line in lines}

    def test_a_deleted_file_takes_its_mode_link_and_large_file_with_it(self):
        remote = self.restore_odd_files()
        self.bennu("kv", "put", "/big", "small")
        self.assertEqual(self.exported_modes(remote)["big"], "100644")
        self.assertEqual(self.ask("kv", "del", "/big")["deleted"], 1)
        self.assertNotIn("big", self.exported_modes(remote))
        self.assertIn("no key", self.bennu("kv", "del", "/big", expect=1).err)
        for key in ("/sub", "/other", "/tool.sh"):
            self.assertEqual(self.ask("kv", "del", key)["deleted"], 1)
        self.assertEqual(sorted(self.exported_modes(remote)), ["s/big", "s/link", "s/plain", "s/tool.bin"])
        self.assertIn("4 keys", self.bennu("kv", "del", "--prefix", "/s/", expect=1).err)
        self.assertEqual(self.ask("kv", "del", "--prefix", "/s/", "--yes")["deleted"], 4)
        self.bennu("kv", "put", "/end", "1")
        self.assertEqual(self.exported_modes(remote), {"end": "100644"})
        self.assertEqual(self.ask("kv", "ls", "/_bennu/tree/")["items"], [])

    def test_a_new_value_takes_no_mode_of_a_deleted_file(self):
        remote = self.restore_odd_files()
        self.bennu("kv", "del", "/other")
        self.exported_modes(remote)
        for key in ("/other", "/tool.sh", "/s/tool.bin", "/sub"):
            self.bennu("kv", "put", key, "hello")
        self.bennu("kv", "put", "/s/link", "elsewhere")  # a link stays one
        modes = self.exported_modes(remote)
        self.assertEqual([modes[path] for path in ("other", "tool.sh", "s/tool.bin", "sub", "s/link")],
                         ["100644", "100755", "100755", "100644", "120000"])

    def test_a_transaction_takes_the_records_with_it_too(self):
        remote = self.restore_odd_files()
        request = {"success": [{"op": "put", "key": "/big", "value": "small"}, {"op": "del", "key": "/s/big"},
                               {"op": "del", "key": "/s/link"}]}
        answer = self.bennu("kv", "txn", "-o", "json", stdin=json.dumps(request).encode()).json
        self.assertEqual(len(answer["responses"]), 3)
        self.bennu("kv", "put", "/s/link", "hello")
        modes = self.exported_modes(remote)
        self.assertNotIn("s/big", modes)
        self.assertEqual((modes["big"], modes["s/link"]), ("100644", "100644"))
        self.bennu("kv", "txn", stdin=json.dumps({"success": [{"op": "del", "key": "/big"}]}).encode())
        self.assertNotIn("big", self.exported_modes(remote))

    def test_modes_of_old_repositories_are_kept(self):
        remote = self.remote()
        blob = self.git("hash-object", "-w", "--stdin", cwd=remote, stdin=b"old")
        raw = b"100664 old\0" + bytes.fromhex(blob) + b"100644 plain\0" + bytes.fromhex(blob)
        tree = self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", cwd=remote, stdin=raw)
        commit = self.git("commit-tree", tree, "-m", "old", cwd=remote)
        self.git("update-ref", "refs/heads/main", commit, cwd=remote)
        self.assertEqual(self.ask("restore", remote)["tree"], tree)
        self.bennu("kv", "put", "/plain", "new")
        self.ask("export")
        self.assertIn(b"100664 old\0", self.raw_tree(remote))

    def raw_tree(self, repository):
        import subprocess
        return subprocess.run(["git", "cat-file", "tree", "main^{tree}"], cwd=repository, check=True,
                              capture_output=True).stdout

    def test_a_leaf_that_is_also_a_directory(self):
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote)
        self.bennu("kv", "put", "/a", "leaf")
        self.ask("export")
        self.assertEqual(self.git("ls-tree", "-r", "--name-only", "main", cwd=remote), "a")
        self.bennu("kv", "put", "/a/b", "below")
        self.ask("export")
        self.assertEqual(self.git("ls-tree", "-r", "--name-only", "main", cwd=remote), "a/%v\na/b")
        self.ask("restore", remote, data="second")
        self.assertEqual(self.bennu("kv", "get", "/a", data="second").out, "leaf")
        self.bennu("kv", "del", "/a/b")
        self.ask("export")
        self.assertEqual(self.git("ls-tree", "-r", "--name-only", "main", cwd=remote), "a")

    def in_packs(self):
        counted = self.git("count-objects", "-v", cwd=self.path("data", "repo.git"))
        return int(dict(line.split(": ") for line in counted.splitlines())["in-pack"])

    def test_an_export_writes_only_the_touched_trees(self):
        remote = self.seeded_remote({f"{a}/{b}/{c}": f"{a}{b}{c}"
                                     for a in range(5) for b in range(5) for c in range(5)})
        self.ask("restore", remote)
        before = self.in_packs()
        self.bennu("kv", "put", "/1/2/3", "new")
        self.ask("export")
        self.assertEqual(self.in_packs() - before, 5, "commit, root, 1, 1/2, value")

    def test_small_exports_leave_no_loose_objects(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        for i in range(30):
            self.bennu("kv", "put", f"/k{i}", str(i))
            self.bennu("export", "--no-push", "--offline")
        counted = self.git("count-objects", "-v", cwd=self.path("data", "repo.git"))
        numbers = dict(line.split(": ") for line in counted.splitlines())
        self.assertEqual(numbers["count"], "0")
        self.assertLessEqual(int(numbers["packs"]), 25)
        self.assert_clean(self.path("data", "repo.git"))


if __name__ == "__main__":
    harness.main()
