"""Commits that no mapping can read: they hide no history, and they are named with a way on."""


import harness

BAD = '{"username": "anna" no json\n'


class Unreadable(harness.Case):
    def setUp(self):
        super().setUp()
        self.net = self.remote()
        self.bennu("init", "--schema", "network", "--remote", self.net)
        self.bennu("node", "add", "203.0.113.7", "--role", "core")
        self.bennu("user", "add", "--username", "anna", "--core-node", "203.0.113.7")
        self.ask("export")
        self.good = self.git("show", "main:users/1.json", cwd=self.net) + "\n"
        self.schema = self.git("show", "main:.bennu/schema.json", cwd=self.net) + "\n"

    def push_bad_and_mended(self, path, good):
        bad = self.push_files({path: BAD}, self.net, message="Bad")
        mended = self.push_files({path: good, "users/2.json": self.good.replace("anna", "bob")}, self.net,
                                 message="Mended")
        return bad, mended

    def test_one_bad_commit_hides_no_history(self):
        for path, good in (("users/1.json", self.good), (".bennu/schema.json", self.schema)):
            with self.subTest(path):
                bad, mended = self.push_bad_and_mended(path, good)
                self.ask("import")
                clone = self.path("clone" + path.replace("/", "-"))
                self.git("clone", "-q", self.net, clone)
                for where in ({"data": "data"}, {"data": None, "repo": clone}):
                    self.check_log_and_diff(bad, mended, path, **where)

    def check_log_and_diff(self, bad, mended, path, data=None, repo=None):
        place = ("--repo", repo) if repo else ()
        for key in ((), ("users/1",)) if path.startswith("users") else ((),):
            items = {item["commit"]: item for item in self.ask("log", *key, "--changes", *place, data=data)["items"]}
            self.assertIn(f"commit {bad[:10]}: {path}:1:", items[bad]["changes_problem"])
            self.assertIsNone(items[bad]["changes"])
            self.assertIn(f"commit {bad[:10]}: {path}:1:", items[mended]["changes_problem"])
            first = [item for item in items.values() if item["subject"].startswith("node add")
                     or item["subject"].startswith("user add")]
            self.assertTrue(first and all(item["changes"] and not item["changes_problem"] for item in first))
        told = self.bennu("log", "--changes", "--limit", 1, *place, data=data).out
        self.assertIn(f"its changes cannot be read: commit {bad[:10]}: {path}:1:", told)
        for sides in ((f"{bad}~1", bad), (bad, mended)):
            refused = self.bennu("diff", *sides, *place, data=data, expect=1)
            self.assert_one_line(refused, f"commit {bad[:10]}: {path}:1:")

    def test_a_clone_whose_newest_schema_is_bad_has_its_history(self):
        bad = self.push_files({".bennu/schema.json": "{"}, self.net)
        self.git("clone", "-q", self.net, self.path("clone"))
        items = self.ask("log", "/net/users/1", "--repo", self.path("clone"), data=None)["items"]
        self.assertEqual([item["subject"] for item in items][-1][:8], "user add")
        refused = self.bennu("kv", "get", "/a", "--repo", self.path("clone"), data=None, expect=1)
        self.assert_one_line(refused, f"commit {bad[:10]}: .bennu/schema.json:1:")

    def test_a_bad_newest_commit_is_named_and_there_are_two_ways_on(self):
        for path, good in (("users/1.json", self.good), (".bennu/schema.json", self.schema)):
            for way in ("mend", "kv"):
                with self.subTest(path=path, way=way):
                    bad = self.push_files({path: BAD, f"{way}-{len(path)}": "1"}, self.net)
                    self.check_refusals(bad, path)
                    self.go_on(way, path, good, bad)

    def check_refusals(self, bad, path):
        for command in (("drift",), ("plan",), ("import",), ("verify",), ("adopt", "--take", "git", "--yes")):
            refused = self.bennu(*command, expect=1)
            self.assert_one_line(refused, f"commit {bad[:10]}: {path}:1:", "push a commit that mends it",
                                 "`bennu adopt --take kv`")
        refused = self.bennu("adopt", "--take", "kv", expect=1)
        self.assert_one_line(refused, f"cannot be read (commit {bad[:10]}: {path}:1:", "--yes")

    def go_on(self, way, path, good, bad):
        if way == "mend":
            self.push_files({path: good}, self.net)
            self.ask("import")
        else:
            name = self.ask("user", "add", "--username", f"u{len(path)}", "--core-node", "203.0.113.7")["id"]
            refused = self.bennu("export", expect=1)
            self.assert_one_line(refused, f"commit {bad[:10]}: {path}:1:", "`bennu adopt --take kv`")
            self.bennu("adopt", "--take", "kv", "--yes")
            self.assertEqual(self.git("rev-parse", "main~1", cwd=self.net), bad)
            self.assertIn(f"u{len(path)}", self.git("show", f"main:users/{name}.json", cwd=self.net))
        self.assertTrue(self.ask("verify")["in_sync"])
        self.assertEqual(self.git("show", f"main:{path}", cwd=self.net) + "\n", good)


if __name__ == "__main__":
    harness.main()
