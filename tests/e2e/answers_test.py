"""What a script relies on: exit statuses, an answer that arrived, and messages that say what to do."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import harness


class Answers(harness.Case):
    def shell(self, script):
        done = subprocess.run(["bash", "-c", script], cwd=self.dir, capture_output=True, text=True,
                              env={**self.env, "BENNU": harness.BENNU, "BENNU_DATA": self.path("data")}, timeout=60)
        return harness.Answer(done.returncode, done.stdout, done.stderr)

    def test_an_answer_that_nobody_gets_is_a_failure(self):
        self.bennu("init", "--schema", "none")
        self.bennu("kv", "put", "/bin", "x")
        for script in ("$BENNU kv ls > /dev/full", "$BENNU kv ls -o json > /dev/full", "$BENNU kv get /bin >&-",
                       "$BENNU --help > /dev/full"):
            answer = self.shell(script)
            self.assertEqual(answer.status, 1, script)
            self.assert_one_line(answer, "standard output")
        self.assertEqual(self.bennu("kv", "get", "/bin").out, "x")

    def test_a_reader_that_has_enough_is_none(self):
        self.bennu("init", "--schema", "none")
        self.bennu("kv", "put", "/large", "--file", "-", stdin=b"x" * 1_000_000)
        answer = self.shell("$BENNU kv get /large | head -c 1; exit ${PIPESTATUS[0]}")
        self.assertEqual((answer.status, answer.out, answer.err), (141, "x", ""))

    def test_a_commit_that_the_remote_did_not_get_is_not_success(self):
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote)
        self.bennu("kv", "put", "/a", "1")
        os.rename(remote, remote + ".away")
        answer = self.bennu("export", expect=2)
        self.assertIn("not pushed", answer.err)
        self.bennu("kv", "put", "/a", "2")
        self.bennu("export", "--no-push", "--offline")
        self.assertIn("last fetched", self.bennu("drift", expect=0).err)
        os.rename(remote + ".away", remote)
        self.assertTrue(self.ask("export")["pushed"])

    def test_a_plan_file_that_was_changed_is_refused(self):
        self.bennu("init", "--schema", "none")
        self.bennu("kv", "put", "/q", "1")
        self.bennu("plan", "--out", self.path("plan"), expect=2)
        with open(self.path("plan")) as file:
            text = file.read()
        with open(self.path("edited"), "w") as file:
            file.write(text.replace("/q", "/r"))
        self.assert_one_line(self.bennu("apply", self.path("edited"), expect=1), "was changed")
        for bad in ("{}", "[]", '{"version": 1', '{"version": 1, "hash": 3, "direction": "kv"}'):
            with open(self.path("bad"), "w") as file:
                file.write(bad)
            self.assert_one_line(self.bennu("apply", self.path("bad"), expect=1), "no plan")
        self.bennu("apply", self.path("plan"))
        self.assertFalse(self.ask("export")["changed"])

    def test_a_plan_without_a_change_says_that_nothing_was_done(self):
        remote = self.seeded_remote({"a": "1"})
        self.ask("restore", remote)
        for side in ("git", "kv"):
            self.bennu("plan", "--from", side, "--out", self.path("plan"))
            self.assertIn("nothing to apply", self.bennu("apply", self.path("plan")).out)

    def test_an_unknown_command_is_named(self):
        for words in (("nosuch",), ("kv", "nosuch"), ("nosuch", "-o", "json")):
            self.assert_one_line(self.bennu(*words, expect=1), "`nosuch`", "--help")

    def test_a_bundle_or_a_clone_is_no_place_to_push_to(self):
        remote = self.seeded_remote({"a": "1"})
        self.git("bundle", "create", self.path("net.bundle"), "main", cwd=remote)
        self.git("clone", "-q", remote, self.path("clone"))
        for place in ("net.bundle", "clone"):
            restored = self.bennu("restore", self.path(place), data=f"of-{place}")
            self.assertIn("remote.url", restored.err)
            self.bennu("kv", "put", "/b", "2", data=f"of-{place}")
            exported = self.bennu("export", data=f"of-{place}")
            self.assertEqual(exported.err, "")

    def test_head_of_a_remote_is_its_own_branch(self):
        remote = self.seeded_remote({"a": "1"}, branch="trunk")
        self.push_files({"a": "2"}, remote, branch="trunk")
        for revision, value in (("HEAD", "2"), ("HEAD~1", "1")):
            data = f"data{revision}"
            self.assertEqual(self.ask("restore", f"{remote}@{revision}", data=data)["branch"], "trunk")
            self.assertEqual(self.bennu("kv", "get", "/a", data=data).out, value)
        self.assert_one_line(self.bennu("restore", f"{remote}@HEAD~7", expect=1), "remote.git`", "`HEAD~7`")

    def test_history_of_a_store_that_was_never_exported(self):
        self.bennu("init", "--schema", "none")
        for command in (("log",), ("diff", "HEAD", "live")):
            self.assert_one_line(self.bennu(*command, expect=1), "nothing was exported yet")

    def test_what_cannot_be_opened_says_what_to_do(self):
        self.bennu("init", "--schema", "none")
        with open(self.path("net.bundle"), "w") as file:
            file.write("x")
        for place, words in (("nowhere", "does not exist"), ("net.bundle", "git clone")):
            refused = self.bennu("--repo", self.path(place), "kv", "ls", data=None, expect=1)
            self.assert_one_line(refused, place, words)
        os.rename(self.path("data", "repo.git"), self.path("away"))
        self.assert_one_line(self.bennu("kv", "ls", expect=1), "repo.git is missing", "git clone --bare")

    def test_another_accounts_folder_is_named(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a folder to another account")
        self.bennu("init", "--schema", "none")
        self.git("clone", "-q", self.seeded_remote({"a": "1"}), self.path("clone"))
        os.chmod(self.dir, 0o755)
        os.chmod(self.path("data"), 0o755)
        for args, words in ((["kv", "ls", "--data", self.path("data")], "account"),
                            (["--repo", self.path("clone"), "kv", "ls"], "safe.directory")):
            done = subprocess.run([harness.BENNU, *args], capture_output=True, text=True, cwd="/", user=65534,
                                  group=65534, env={**self.env, "HOME": "/"})
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assert_one_line(harness.Answer(done.returncode, done.stdout, done.stderr), words)

    def test_recovery_quotes_what_is_said(self):
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        with open(os.path.join(root, "docs", "operations", "recovery.md")) as file:
            rows = file.read().split("## When it refuses")[1].splitlines()
        sources = ""
        for module in ("git", "sync"):
            for name in sorted(os.listdir(os.path.join(root, "src", module))):
                if name.endswith((".cpp", ".hpp")):
                    with open(os.path.join(root, "src", module, name)) as file:
                        sources += file.read()
        sources = re.sub(r'"\s*"', "", sources)  # a literal in pieces
        quoted = [row.split("|")[1].strip() for row in rows if row.startswith("| ")][1:]
        quoted = [text for text in quoted if not text.startswith("---")]
        self.assertGreater(len(quoted), 3)
        for text in quoted:
            said = text.replace(" (status 2)", "").replace("the branch", "branch {}")
            self.assertTrue(said in sources, said)

    def test_a_listing_shows_the_users_keys(self):
        self.bennu("init", "--schema", "none")
        names = ["!first", "/_a", "/_bennu", "/_bennu/locals", "/_c", "~last"]
        for name in names:
            self.bennu("kv", "put", name, "v", expect=None)
        names = [name for name in names if not name.startswith("/_bennu/")]
        whole = self.bennu("kv", "ls", "--all", "/").out
        self.assertIn("/_bennu/local/audit/", whole)
        self.assertIn("/_bennu/local/audit/", self.bennu("kv", "ls", "/_bennu/local/").out)

        def listed(*args):
            answer = self.ask("kv", "ls", *args)
            return [item["key"] for item in answer["items"] if not item["key"].startswith("/_bennu/tree/")], answer

        keys, answer = listed()
        self.assertEqual(keys, names)
        count = len(answer["items"])
        self.assertEqual(answer["count"], count)
        self.assertEqual(self.bennu("kv", "ls", "--count").out, f"{count}\n")
        self.assertEqual(listed("/_")[0], [name for name in names if name.startswith("/_")])
        for limit in range(1, count + 2):
            part = self.ask("kv", "ls", "--limit", limit)
            self.assertEqual((part["items"], part["count"]), (answer["items"][:limit], count))
            note = f"{limit} of {count} keys shown\n" if limit < count else ""
            self.assertEqual(self.bennu("kv", "ls", "--limit", limit).err, note)

    def test_a_watch_shows_the_users_keys(self):
        self.bennu("init", "--schema", "none")
        self.bennu("kv", "put", "/a", "1")
        for args, own in (([], False), (["--all"], True), (["/_bennu/"], True)):
            watcher = self.start("kv", "watch", *args, "--from", "1", "-o", "json")
            self.addCleanup(self.kill, watcher)
            keys = []
            while not keys or not keys[-1].startswith("/_bennu/local/audit/" if own else "/a"):
                keys.append(json.loads(watcher.stdout.readline())["key"])
            self.kill(watcher)
            self.assertEqual(any(key.startswith("/_bennu/local/") for key in keys), own, keys)

    def test_a_limit_or_a_transaction_that_cannot_be(self):
        self.bennu("init", "--schema", "none")
        self.assert_one_line(self.bennu("kv", "ls", "--limit", "-1", expect=1), "--limit", "-1")
        for text, words in ((b"{bad", "is not JSON (byte 2)"), (b"", "is not JSON"), (b"[]", "no object"),
                            (b'{"success": [{"op": "put"}]}', "lacks a member"),
                            (b'{"success": [{"op": 3, "key": "/a"}]}', "wrong kind")):
            answer = self.bennu("kv", "txn", stdin=text, expect=1)
            self.assert_one_line(answer, words, "bennu kv txn --help")
            self.assertNotIn("exception", answer.err)
        put, remove = '{"op": "put", "key": "/a", "value": "1"}', '{"op": "del", "key": "/a"}'
        for other in (put, remove):
            answer = self.bennu("kv", "txn", stdin=f'{{"success": [{put}, {other}]}}'.encode(), expect=1)
            self.assert_one_line(answer, "writes /a twice")

    def test_damage_of_ones_own_repository_is_not_the_remotes(self):
        remote = self.remote()
        self.bennu("init", "--schema", "none", "--remote", remote)
        for i in range(3):
            self.bennu("kv", "put", f"/k{i}", str(i))
            self.bennu("export")
        own = self.path("data", "repo.git")
        self.git("repack", "-q", "-a", "-d", cwd=own)
        packs = os.path.join(own, "objects", "pack")
        os.rename(packs, self.path("packs"))
        os.mkdir(packs)
        for name in os.listdir(self.path("packs")):
            if name.endswith(".pack"):
                with open(self.path("packs", name), "rb") as pack:
                    self.git("unpack-objects", "-q", cwd=own, stdin=pack.read())
        old = self.git("rev-parse", "main~1", cwd=own)
        place = os.path.join(own, "objects", old[:2], old[2:])
        os.chmod(place, 0o644)
        with open(place, "w") as damaged:
            damaged.write("junk")
        self.push_files({"theirs": "x"}, remote)
        for command in ("drift", "import", "export", "plan", "log"):
            refused = self.bennu(command, expect=1)
            self.assert_one_line(refused, "data/repo.git", old, "this repository is damaged", "git clone --bare")
            self.assertNotIn("remote.git", refused.err)
        # As the message advises.
        shutil.rmtree(own)
        self.git("clone", "-q", "--bare", remote, own)
        self.bennu("import")
        self.assertEqual(self.bennu("kv", "get", "/theirs").out, "x")
        self.assertTrue(self.ask("verify")["in_sync"])
        # What was not pushed is only in the store.
        self.bennu("kv", "put", "/own", "y")
        self.bennu("export", "--no-push")
        shutil.rmtree(own)
        self.git("clone", "-q", "--bare", remote, own)
        for command in ("drift", "import", "export", "plan", "verify"):
            self.assert_one_line(self.bennu(command, expect=1), "never pushed", "data/repo.git", "`bennu adopt --take kv`")
        self.bennu("adopt", "--take", "kv")
        self.assertEqual(self.git("show", "main:own", cwd=remote), "y")
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_an_ssh_remote_that_is_not_there_says_why(self):
        os.mkdir(self.path("bin"))
        with open(self.path("bin", "ssh"), "w") as file:
            file.write("#!/bin/sh\nprintf 'ssh: Could not resolve hostname nohost.invalid: no such name\\r\\n' >&2\n"
                       "exit 255\n")
        os.chmod(self.path("bin", "ssh"), 0o755)
        self.env["PATH"] = self.path("bin") + ":" + self.env["PATH"]
        refused = self.bennu("restore", "ssh://nohost.invalid/x", expect=1)
        self.assert_one_line(refused, "cannot fetch from `ssh://nohost.invalid/x`", "hostname nohost.invalid: no such name",
                             "check the network")

    def test_the_real_ssh_says_why_too(self):
        if shutil.which("ssh") is None:
            self.skipTest("there is no ssh here")
        nowhere = "ssh://nohost.invalid/x"
        words = ("cannot fetch from `ssh://nohost.invalid/x`", "ssh: Could not resolve hostname nohost.invalid")
        self.assert_one_line(self.bennu("restore", nowhere, data="other", expect=1), *words)
        self.bennu("init", "--schema", "none", "--remote", nowhere)
        self.bennu("kv", "put", "/a", "1")
        self.assert_one_line(self.bennu("export", expect=2), "not pushed", *words)
        for command in (("import",), ("import", nowhere, "--path", "a")):
            self.assert_one_line(self.bennu(*command, expect=1), *words)

    def test_progress_and_colours_are_for_a_terminal(self):
        many = self.many_files(20_000)
        shown = self.on_terminal("restore", many).err
        for words in ("\rCloning", "\rfiles to keys ", "\rkeys to tree "):
            self.assertIn(words, shown)
        self.assertIn("\r\x1b[K", shown)  # and taken away again
        self.assertEqual(self.bennu("restore", many, data="piped").err, "")
        self.bennu("kv", "put", "/a", "1")
        for command in (("diff", "HEAD", "live"), ("drift",)):
            for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
                shown = self.on_terminal(*command, env=env)
                self.assertIn("/a", shown.err)
                self.assertEqual(re.search(r"\x1b\[\d+m", shown.err) is not None, coloured, shown.err)
            self.assertNotIn("\x1b", self.bennu(*command, expect=None).out)

    def test_long_silence_is_counted_on_a_terminal(self):
        os.mkdir(self.path("bin"))
        with open(self.path("bin", "ssh"), "w") as file:  # answers nothing until it is ended
            file.write("#!/bin/sh\nexec sleep 100\n")
        os.chmod(self.path("bin", "ssh"), 0o755)
        self.env["PATH"] = self.path("bin") + ":" + self.env["PATH"]
        answer = self.on_terminal("restore", "ssh://nowhere.invalid/x", signal_at=b" 1.5 s\x1b[K")
        self.assertEqual(answer.status, 1, answer.err)
        self.assertRegex(answer.err, r"\rCloning.* 0\.5 s\x1b\[K\rCloning.* 1\.0 s")

    def test_a_second_signal_ends_at_once(self):
        self.bennu("init", "--schema", "none", "--remote", "ssh://nowhere.invalid/x")
        self.bennu("kv", "put", "/a", "1")
        os.mkdir(self.path("bin"))
        with open(self.path("bin", "git"), "w") as file:
            file.write("#!/bin/sh\ntrap '' TERM INT\n: > ready\nwhile [ ! -e done ]; do sleep 0.1; done\n")
        os.chmod(self.path("bin", "git"), 0o755)
        self.env["PATH"] = self.path("bin") + ":" + self.env["PATH"]
        process = self.start("export")
        self.addCleanup(lambda: open(self.path("done"), "w").close())
        while not os.path.exists(self.path("ready")):
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        self.assertIn(process.wait(timeout=60), (-signal.SIGINT, -signal.SIGTERM))
        process.stdout.close()
        process.stderr.close()


if __name__ == "__main__":
    harness.main()
