"""What waits to go one way or the other: commits that were not pushed, values that a store keeps."""

import json

import harness


class Unpushed(harness.Case):
    def setUp(self):
        super().setUp()
        self.origin = self.seeded_remote({"a": "1", "b": "1"})
        self.ask("restore", self.origin)

    def commit_unpushed(self, *values):
        for value in values:
            self.bennu("kv", "put", "/a", value)
            self.ask("export", expect=2, env=self.break_pushes(arrive=False))

    def test_commits_that_wait_are_told_and_so_is_their_push(self):
        self.commit_unpushed("2", "3")
        for command, says in (("drift", "no drift\n"), ("verify", "in sync\n")):
            told = self.bennu(command)
            self.assertTrue(told.out.endswith(says), told.out)
            self.assertEqual(told.err, "2 commits are not pushed yet (`bennu export`)\n")
            self.assertEqual(self.ask(command)["unpushed"], 2)
        self.assertEqual(self.bennu("export").out, "pushed 2 commits that waited; this store changed nothing since\n")
        self.assertEqual(self.git("show", "main:a", cwd=self.origin), "3")
        self.assertEqual(self.bennu("export").out, "nothing to export: Git has this state already\n")
        for command in ("drift", "verify"):
            self.assertEqual((self.bennu(command).err, self.ask(command)["unpushed"]), ("", 0))
        self.commit_unpushed("4")
        self.bennu("kv", "put", "/a", "5")
        self.assertIn(", pushed with what waited: 2 commits\n", self.bennu("export").out)
        self.bennu("kv", "put", "/a", "6")
        sent = self.ask("export")
        self.assertEqual((sent["pushed"], sent["sent"]), (True, 1))

    def test_verify_says_that_both_sides_went_on(self):
        self.commit_unpushed("2")
        self.push_files({"b": "git"}, self.origin)
        self.bennu("drift", expect=2)  # asks the remote; verify does not
        told = self.bennu("verify", expect=2)
        self.assertIn("not in sync: both sides changed since the base (`bennu drift` shows both", told.out)
        self.assertNotIn("bennu import", told.out)
        self.assertEqual(told.err, "1 commit is not pushed yet\n")
        self.assertTrue(self.ask("verify", expect=2)["both_changed"])
        self.assertIn("both sides changed", self.bennu("import", expect=2).err)


class Operational(harness.Case):
    def setUp(self):
        super().setUp()
        with open(self.path("schema.json"), "w", encoding="utf-8") as file:
            json.dump({"version": 1, "mapping": 1, "prefixes": [{"prefix": "/op/", "class": "operational"}]}, file)
        self.origin = self.remote()
        self.bennu("init", "--schema", self.path("schema.json"), "--remote", self.origin)
        for key in ("/op/x", "/op/y"):
            self.bennu("kv", "put", key, "1")
        self.ask("export")

    def test_drift_shows_what_export_and_import_refuse(self):
        self.push_files({"op/x": "git"}, self.origin)
        self.bennu("kv", "put", "/op/y", "2")
        drift = self.ask("drift", expect=2)
        self.assertEqual((drift["kv"], drift["git"], drift["kept"]), (["/op/y"], ["/op/x"], ["/op/x"]))
        for command in ("export", "import"):
            self.assertIn("in KV /op/y; in Git (branch main) /op/x.", self.bennu(command, expect=2).err)

    def test_an_import_says_what_it_kept(self):
        self.push_files({"op/x": "git"}, self.origin)
        self.assertIn("  /op/x (operational: this store keeps its value)\n", self.bennu("drift", expect=2).out)
        self.assertIn("= /op/x: is operational; this store keeps its value\n",
                      self.bennu("plan", "--out", self.path("plan"), expect=2).out)
        told = self.bennu("import").out
        head = self.git("rev-parse", "main", cwd=self.origin)
        self.assertIn(f"kept 1 operational value of this store, and put back into Git by commit {head[:10]}\n", told)
        self.assertNotIn("canonical form", told)
        self.assertEqual(self.git("show", "main:op/x", cwd=self.origin), "1")
        self.assertEqual(self.bennu("drift").out, "no drift\n")
        self.push_files({"op/x": "again"}, self.origin)
        self.bennu("plan", "--out", self.path("plan"), expect=2)
        self.bennu("apply", self.path("plan"))
        self.assertEqual(self.git("show", "main:op/x", cwd=self.origin), "1")
        self.assertTrue(self.ask("verify")["in_sync"])


if __name__ == "__main__":
    harness.main()
