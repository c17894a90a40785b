"""Section by section what a newcomer gets wrong: one clear line, the right status, nothing half done."""

import json
import os
import resource
import shutil
import signal
import subprocess
import uuid

import harness


class BadInput(harness.Case):
    def refused(self, *args, words=(), status=1, **more):
        answer = self.bennu(*args, expect=status, **more)
        self.assert_one_line(answer, *words)
        return answer

    def assert_no_store(self, data="data"):
        """A failed restore leaves nothing that looks like a store."""
        self.assertFalse(os.path.exists(self.path(data, "bennu.toml")))

    def test_not_a_repository(self):
        os.mkdir(self.path("plain"))
        self.refused("restore", self.path("plain"), words=["plain", "nothing there is a repository"])
        self.assert_no_store()
        self.refused("restore", self.path("nowhere"), words=["nowhere"])
        self.assert_no_store()
        # The same folder takes the right address afterwards.
        remote = self.seeded_remote({"a": "1"})
        self.assertEqual(self.ask("restore", remote)["verified"], "exact")

    def test_an_unknown_commit(self):
        remote = self.seeded_remote({"a": "1"})
        self.refused("restore", f"{remote}@nosuchbranch", words=["nosuchbranch"])
        self.refused("restore", f"{remote}@{'0' * 39}1", words=["0" * 39])
        self.assert_no_store()

    def test_an_empty_repository(self):
        self.refused("restore", self.remote(), words=["no commit"])

    def test_a_truncated_bundle(self):
        remote = self.seeded_remote({"a": os.urandom(100_000)})
        bundle = self.path("net.bundle")
        self.git("bundle", "create", bundle, "main", cwd=remote)
        self.assertEqual(self.ask("restore", bundle, data="whole")["verified"], "exact")
        with open(bundle, "r+b") as file:
            file.truncate(os.path.getsize(bundle) // 2)
        self.refused("restore", bundle, words=["net.bundle"])
        self.assert_no_store()
        with open(bundle, "r+b") as file:
            file.truncate(10)
        self.refused("restore", bundle, words=["net.bundle"])

    def test_a_tree_that_git_itself_would_refuse(self):
        remote = self.remote()
        blob = self.git("hash-object", "-w", "--stdin", cwd=remote, stdin=b"x")
        raw = b"100644 .git\0" + bytes.fromhex(blob)
        tree = self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", cwd=remote, stdin=raw)
        commit = self.git("commit-tree", tree, "-m", "bad", cwd=remote)
        self.git("update-ref", "refs/heads/main", commit, cwd=remote)
        self.refused("restore", remote, words=[".git"])
        raw = b"100600 odd\0" + bytes.fromhex(blob)
        tree = self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", cwd=remote, stdin=raw)
        commit = self.git("commit-tree", tree, "-m", "bad", cwd=remote)
        self.git("update-ref", "refs/heads/main", commit, cwd=remote)
        self.refused("restore", remote, words=["odd", "100600"])

    def test_a_bad_schema_is_named_with_line_and_column(self):
        remote = self.seeded_remote({".bennu/schema.json": '{\n  "version": 1,\n  "mapping": 1,\n  "oops": 3\n}\n'})
        self.refused("restore", remote, words=[".bennu/schema.json:4:"])
        self.assert_no_store()
        self.push_files({".bennu/schema.json": '{\n  "version": 1,\n'}, remote)
        self.refused("restore", remote, words=[".bennu/schema.json:"])
        self.push_files({".bennu/schema.json": '{"version": 99, "mapping": 1}'}, remote)
        self.refused("restore", remote, words=["99"])
        with open(self.path("schema.json"), "w") as file:
            file.write("{]")
        self.refused("init", "--schema", self.path("schema.json"), words=["schema.json", "1:2"])
        self.assert_no_store()

    def test_a_folder_where_a_file_is_wanted(self):
        os.mkdir(self.path("folder"))
        remote = self.seeded_remote({"a": "1"})
        self.refused("init", "--schema", self.path("folder"), words=["--schema", "folder", "directory"])
        for command in (("restore", remote), ("init",)):
            self.refused(*command, "--identity", self.path("folder"), words=["--identity", "folder"])
            self.assertFalse(os.path.exists(self.path("data")))
        self.bennu("init")
        for command in (("kv", "put", "/a", "--file"), ("apply",), ("kv", "txn"), ("plan", "--out"),
                        ("secret", "init", "--offline"), ("secret", "init", "--identity"),
                        ("secret", "check", "--identity")):
            with self.subTest(command):
                self.refused(*command, self.path("folder"), words=["folder"])
        self.assertEqual(os.listdir(self.path("folder")), [])

    def test_a_document_that_is_no_json(self):
        self.bennu("init", "--schema", "network", data="first", env={})
        schema = self.bennu("kv", "get", "/_bennu/tree/file/.bennu/schema.json", data="first").out
        remote = self.seeded_remote({".bennu/schema.json": schema, "nodes/192.0.2.1.json": '{"role": "core",\n  oops}'})
        self.refused("restore", remote, words=["nodes/192.0.2.1.json:2:"])
        self.assert_no_store()

    def network(self):
        self.bennu("init", "--schema", "network")
        self.bennu("node", "add", "203.0.113.7", "--role", "core")
        self.bennu("user", "add", "anna", "--core-node", "203.0.113.7")

    def test_the_inventorys_rules(self):
        self.network()
        before = self.ask("kv", "hash")["hash"]
        self.refused("user", "add", "anna", "--core-node", "203.0.113.7", words=["anna"])
        self.refused("user", "add", "bob", "--core-node", "203.0.113.9", words=["203.0.113.9"])
        self.refused("user", "add", "bob", "--core-node", "203.0.113.7", "--email", "nobody", words=["email"])
        self.refused("device", "add", "--user", "nobody", "--name", "x", words=["nobody"])
        self.refused("node", "add", "not-an-ip", "--role", "core", words=["not-an-ip"])
        self.refused("user", "remove", "anna", words=["--yes"])
        self.assertEqual(self.ask("kv", "hash")["hash"], before)
        self.bennu("user", "archive", "anna")
        self.refused("device", "add", "--user", "anna", "--name", "x", words=["anna"])

    def test_a_key_over_the_limit(self):
        self.bennu("init", "--schema", "none")
        self.refused("kv", "put", "/" + "k" * 9000, "v", words=["8192"])
        with open(self.path("large"), "wb") as file:
            file.write(b"x" * (1536 * 1024 + 1))
        self.refused("kv", "put", "/k", "--file", self.path("large"), words=["1572864"])
        self.refused("kv", "put", "", "v", words=["key"])

    def test_two_processes_on_one_store(self):
        self.bennu("init", "--schema", "none")
        watcher = self.start("kv", "watch", "/")
        self.addCleanup(self.kill, watcher)
        watcher.stderr.readline()  # it says when it watches
        self.refused("kv", "put", "/a", "1", words=["data"])

    def test_no_write_permission(self):
        if os.geteuid() == 0:
            # Root may write anywhere: run as somebody who may not.
            self.env["BENNU_ACTOR"] = "x <x@example.org>"
            os.chmod(self.dir, 0o755)
            user = {"user": 65534, "group": 65534}
        else:
            user = {}
        os.mkdir(self.path("closed"), 0o555)
        done = subprocess.run([harness.BENNU, "init", "--data", self.path("closed", "data")], capture_output=True,
                              cwd="/", env=self.env, text=True, **user)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("closed", done.stderr)
        self.assertIn("ermission", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_no_store_here(self):
        self.refused("kv", "get", "/a", words=["data", "bennu restore"])
        self.refused("export", words=["data"])
        os.mkdir(self.path("data"))
        with open(self.path("data", "notes.txt"), "w") as file:
            file.write("mine")
        self.refused("init", words=["not empty"])
        self.assertTrue(os.path.exists(self.path("data", "notes.txt")))

    def test_a_second_restore_does_not_touch_the_first(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/b", "2")
        self.refused("restore", remote, words=["already holds a store"])
        self.assertEqual(self.bennu("kv", "get", "/b").out, "2")

    def test_a_full_disk(self):
        remote = self.seeded_remote({f"k{i}": os.urandom(4000) for i in range(200)})

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

        done = subprocess.run([harness.BENNU, "restore", remote, "--data", self.path("data")], capture_output=True,
                              cwd=self.dir, env=self.env, text=True, preexec_fn=small_files)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assert_no_store()
        self.assertEqual(self.ask("restore", remote)["verified"], "exact")

    def test_a_limit_of_the_size_of_files(self):
        self.bennu("init", "--schema", "none")
        size = 20_000
        done = subprocess.run([harness.BENNU, "kv", "put", "/a", "x" * 50_000, "--data", self.path("data")],
                              capture_output=True, cwd=self.dir, env=self.env, text=True,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("free some", done.stderr)
        self.bennu("kv", "put", "/a", "x" * 50_000)

    def test_a_manifest_that_was_cut(self):
        self.bennu("init", "--schema", "none")
        folder = self.path("data", "kv")
        manifest = next(os.path.join(folder, name) for name in os.listdir(folder) if name.startswith("MANIFEST"))
        size = os.path.getsize(manifest)
        for part in (size // 2, size // 4, 10, 0):
            os.truncate(manifest, part)
            answer = self.bennu("kv", "ls", "-o", "json", expect=1)
            self.assertEqual(answer.json["error"]["code"], "DATA_LOSS", answer.out)
            self.assertIn("restore the store from Git or a backup", answer.out)

    def test_a_corrupt_store_file(self):
        remote = self.seeded_remote({f"k{i}": os.urandom(2000) for i in range(500)})
        self.ask("restore", remote)
        tables = [f for f in os.listdir(self.path("data", "kv")) if f.endswith((".sst", ".log"))]
        largest = max(tables, key=lambda f: os.path.getsize(self.path("data", "kv", f)))
        with open(self.path("data", "kv", largest), "r+b") as file:
            file.seek(os.path.getsize(file.name) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0xff]))
        answer = self.bennu("verify", expect=1)
        self.assert_one_line(answer, largest)
        os.truncate(self.path("data", "kv", "CURRENT"), 0)
        answer = self.bennu("kv", "get", "/k1", expect=1)
        self.assert_one_line(answer, "data")

    def test_an_interrupted_restore_leaves_nothing_half_done(self):
        many = self.many_files(20_000)
        for moment in (b"Cloning", b"files to keys", b"keys to tree"):
            shutil.rmtree(self.path("data"), ignore_errors=True)
            answer = self.on_terminal("restore", many, signal_at=moment)
            if answer.status == 0:  # the signal came too late
                self.assertTrue(self.ask("verify")["in_sync"])
                continue
            self.assertEqual((answer.status, answer.err.count("bennu: ")), (1, 1), answer.err)
            self.assertIn("interrupted", answer.err.splitlines()[-1])
            self.assert_no_store()
            self.assertEqual(self.ask("restore", many)["verified"], "exact")

    def test_an_interrupt_that_git_got_first_is_said_so(self):
        remote = self.seeded_remote({"a": "1"})
        # On a terminal Ctrl-C goes to git as well: it ends with a complaint, and not by the signal.
        waits = "while grep -q 'ShdPnd:.*[2367abef]$' /proc/$PPID/status; do :; done"
        path = self.replace_git("clone", "echo 'fatal: fetch-pack: invalid index-pack output' >&2\n"
                                f"  kill -INT $PPID; {waits}\n  exit 128\n")
        refused = self.bennu("restore", remote, expect=1, env=path)
        self.assert_one_line(refused, "interrupted")
        self.assert_no_store()

    def test_a_pack_that_cannot_be_read_is_damage(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        packs = self.path("data", "repo.git", "objects", "pack")
        for name in os.listdir(packs):
            if name.endswith(".idx"):
                os.chmod(os.path.join(packs, name), 0o644)
                os.truncate(os.path.join(packs, name), 100)
        for command in (("log",), ("plan",), ("verify",), ("diff", "main", "live"), ("diff", "main~1", "live")):
            # Debian 12's libgit2 forgets the reference of a name whose commit it cannot read (git_revparse_ext).
            refused = self.bennu(*command, expect=1, env={"ASAN_OPTIONS": "detect_leaks=0"})
            self.assert_one_line(refused, "data/repo.git", "this repository is damaged", "git clone --bare")

    def test_an_interrupted_import_leaves_nothing_half_done(self):
        many = self.many_files(40_000)
        statuses = []
        for moment in (b"Cloning", b"files to keys", b"keys staged"):
            shutil.rmtree(self.path("data"), ignore_errors=True)
            self.bennu("init", "--schema", "none")
            before = self.ask("kv", "hash")
            answer = self.on_terminal("import", many, signal_at=moment)
            statuses.append(answer.status)
            self.assert_whole_or_nothing(answer, before)
            if answer.status != 0:
                self.assertEqual(self.ask("import", many)["keys"], 40_000)
        self.assertIn(1, statuses)
        self.assertEqual(self.ask("kv", "ls", "/d", "--count")["count"], 40_000)
        # An export of it, cut off too: no commit, and the next one makes the whole.
        answer = self.on_terminal("export", signal_at=b"keys to tree")
        if answer.status != 0:
            self.assertEqual((answer.status, answer.err.count("bennu: ")), (1, 1), answer.err)
            self.assertEqual(self.git("for-each-ref", cwd=self.path("data", "repo.git")), "")
        self.ask("export")
        self.assertTrue(self.ask("verify")["in_sync"])
        self.assert_clean(self.path("data", "repo.git"))

    def assert_whole_or_nothing(self, answer, before):
        """After a signal: done, or refused in one line with the state as it was."""
        if answer.status == 0:  # the signal came after the transaction
            return
        self.assertEqual((answer.status, answer.err.count("bennu: ")), (1, 1), answer.err)
        self.assertIn("interrupted", answer.err.splitlines()[-1])
        self.assertEqual(self.ask("kv", "hash"), before)

    def test_an_interrupted_adopt_leaves_nothing_half_done(self):
        many = self.many_files(20_000)
        self.bennu("init", "--schema", "none", "--remote", many)
        self.bennu("kv", "put", "/mine", "1")
        before = self.ask("kv", "hash")
        for moment in (b"Enumerating", b"files to keys", b"keys staged"):
            answer = self.on_terminal("adopt", "--take", "git", "--yes", signal_at=moment)
            self.assert_whole_or_nothing(answer, before)
            if answer.status == 0:
                break
        self.bennu("adopt", "--take", "git", "--yes")
        self.assertEqual(self.ask("kv", "ls", "--count")["count"], 20_000)
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_an_interrupted_unseal_leaves_nothing_half_done(self):
        remote = self.remote()
        self.bennu("init", "--schema", "network", "--remote", remote, data="first")
        self.bennu("secret", "init", "--offline", self.path("offline.txt"), data="first")
        devices = [{"op": "put", "key": f"/net/users/{i}/devices/{uuid.uuid4()}/name", "value": "x"}
                   for i in range(1, 2001)]
        self.bennu("kv", "txn", stdin=json.dumps({"success": devices}).encode(), data="first")
        self.bennu("export", data="first")
        self.bennu("restore", remote)
        before = self.ask("kv", "hash")
        unseal = ("secret", "unseal", "--identity", self.path("offline.txt"))
        for moment in (b"keys to tree", b"keys staged"):
            answer = self.on_terminal(*unseal, signal_at=moment)
            self.assert_whole_or_nothing(answer, before)
            self.assertTrue(self.ask("verify")["in_sync"])
            if answer.status == 0:
                break
        self.bennu(*unseal)
        self.assertEqual(self.bennu("kv", "get", devices[0]["key"]).out, "x")
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_mistakes_of_the_command_line(self):
        self.refused("kv", "gett", "/a", words=["--help"])
        self.refused("frobnicate", words=["--help"], data=None)
        self.refused("kv", "get", words=["KEY"])
        self.refused("kv", "get", "/a", data=None, words=["--data"])
        answer = self.bennu("kv", "get", "/a", "-o", "json", data=None, expect=1)
        self.assertEqual(answer.json["error"]["code"], "INVALID_ARGUMENT")

    def test_revisions_and_keys_that_cannot_be(self):
        self.bennu("init")
        for value in ("1", "2"):
            self.bennu("kv", "put", "/a", value)
        self.assert_one_line(self.bennu("kv", "compact", "3", expect=1), "revision 3 is not exported yet", "bennu export")
        self.bennu("export")
        self.bennu("kv", "compact", "3")
        for command in (["get", "/a", "--rev"], ["ls", "--rev"], ["hash", "--rev"], ["compact"]):
            self.assert_one_line(self.bennu("kv", *command, "99", expect=1), "no revision 99 yet",
                                 "the newest is ")
            self.assert_one_line(self.bennu("kv", *command, "2", expect=1), "revision 2 is compacted",
                                 "bennu log")
        for command in (["get", "/a", "--rev", "-4"], ["ls", "--rev", "-4"], ["ls", "--limit", "-4"], ["hash", "--rev", "-4"],
                        ["compact", "-4"], ["watch", "--from", "-4"]):
            self.assert_one_line(self.bennu("kv", *command, expect=1), "-4 is no whole number", "bennu --help")
        self.assert_one_line(self.bennu("kv", "watch", "--from", "9" * 20, expect=1), "too large")
        self.assert_one_line(self.bennu("log", "--limit", "-4", expect=1), "-4", "bennu --help")
        for command in (["get", ""], ["put", "", "x"], ["del", ""]):
            self.assert_one_line(self.bennu("kv", *command, expect=1), "the key is empty")
        self.assert_one_line(self.bennu("kv", "put", "/a", expect=1), "name the value", "--file")
        self.bennu("kv", "put", "/a", "")

    def test_bad_settings_are_named_with_their_place(self):
        self.bennu("init", "--schema", "none")
        with open(self.path("data", "bennu.toml"), "a") as file:
            file.write("\n[remote2]\nx = 1\n")
        self.refused("kv", "ls", words=["bennu.toml", "line"])

    def test_the_inventory_of_a_store_without_a_schema(self):
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote)
        self.bennu("kv", "put", "/motd", "hello")
        self.bennu("export")
        schema = ".bennu/schema.json"
        self.refused("user", "add", "anna", words=["has no schema", f"`bennu kv get /_bennu/tree/file/{schema}`",
                                                   f"as {schema} to its branch", "`bennu import`"])
        # What it advises, literally.
        self.bennu("init", data="new")
        text = self.bennu("kv", "get", f"/_bennu/tree/file/{schema}", data="new").out
        self.push_files({schema: text}, remote)
        self.bennu("import")
        self.bennu("user", "add", "anna")
        self.bennu("export")
        self.assertTrue(self.ask("verify")["in_sync"])
        self.assertIn("users/1.json", self.git("ls-tree", "-r", "--name-only", "main", cwd=remote))

    def test_secrets_without_a_key_ring(self):
        for schema, status in (("none", 0), ("network", 2)):
            self.bennu("init", "--schema", schema, data=schema)
            answer = self.bennu("secret", "check", data=schema, expect=status)
            self.assertIn("there is no key ring; make one with `bennu secret init`", answer.out)
            self.assertNotIn("locked", answer.out)
            self.refused("secret", "unseal", data=schema, words=["no key ring", "bennu secret init"])
        self.bennu("secret", "init", "--offline", self.path("offline.txt"), data="network")
        keys = [item["recipient"] for item in self.ask("secret", "recipients", data="network")["items"]]
        both = [word for key in keys for word in ("--recipient", key)]
        self.refused("secret", "init", *both, "--offline", self.path("other.txt"), data="none",
                     words=["--offline", "--recipient"])
        self.bennu("secret", "init", *both, data="none")
        # Nothing is sealed yet; what unseal does then is said.
        opened = self.bennu("secret", "unseal", "--identity", self.path("offline.txt"), data="none").out
        self.assertIn("no value is sealed", opened)
        self.assertIn("offline.txt opens its key ring, from now on without --identity", opened)
        self.assertIn("opens the key ring", self.bennu("secret", "check", data="none").out)
        again = self.bennu("secret", "unseal", data="none").out
        self.assertTrue(again.endswith("opens its key ring\n"), again)

    def test_a_branch_that_git_does_not_take(self):
        remote = self.seeded_remote({"a": "1"})
        for branch in ("a b", "-x", "a..b"):
            for command in (("init",), ("restore", remote)):
                self.refused(*command, f"--branch={branch}", words=["--branch", f'"{branch}"'])
                self.assertFalse(os.path.exists(self.path("data")))
        self.bennu("init", "--branch", "live/west")
        settings = self.path("data", "bennu.toml")
        with open(settings) as file:
            good = file.read()
        for branch in ("a b", "", "-x"):
            with open(settings, "w") as file:
                file.write(good.replace('"live/west"', f'"{branch}"').replace("'live/west'", f'"{branch}"'))
            self.refused("kv", "ls", words=["bennu.toml", "remote.branch", "line 5", f'"{branch}"'])

    def test_nobody_says_who_they_are(self):
        self.bennu("init", "--schema", "none")
        for name in ("BENNU_ACTOR", "GIT_AUTHOR_NAME"):
            self.env.pop(name, None)
        self.refused("kv", "put", "/a", "1", words=["--actor"])

    def test_a_folder_of_another_repository_names_credentials(self):
        key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"
        other = self.seeded_remote({"dns/zone": "z", "dns/id_key": key, "web/x": "y"}, name="mono.git")
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote)
        answer = self.bennu("import", other, "--path", "dns", "-o", "json")
        self.assertEqual([c["path"] for c in answer.json["credentials"]], ["/id_key"])
        self.assertIn("id_key", answer.err)
        self.assertNotIn("abc", answer.err + answer.out)
        exported = self.ask("export")
        self.assertEqual(exported["tree"], self.git("rev-parse", "main:dns", cwd=other))
        self.refused("import", other, "--path", "nope", words=["nope"])
        self.bennu("kv", "put", "/zone", "mine")
        self.refused("import", other, "--path", "dns", words=["/zone"])
        self.refused("import", other, "--path", "dns", "--prefix", "/dns", words=["--prefix", '"/dns"', "end with `/`"])
        self.assertEqual(self.ask("import", other, "--path", "dns", "--prefix", "/dns/")["keys"], 2)
        self.assertEqual(self.bennu("kv", "get", "/dns/zone").out, "z")


if __name__ == "__main__":
    harness.main()
