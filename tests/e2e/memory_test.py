"""What Git remembers when the store has forgotten, and what differs between the two."""

import harness


class Memory(harness.Case):
    def setUp(self):
        super().setUp()
        self.origin = self.seeded_remote({"a": "1", "b": "1"})
        self.ask("restore", self.origin)

    def test_git_remembers_what_compaction_gave_up(self):
        self.bennu("kv", "put", "/a", "2", "--actor", "Anna <anna@example.org>")
        old = self.ask("kv", "put", "/a", "3", "--actor", "Bob <bob@example.org>")["revision"]
        self.ask("export")
        newest = self.ask("kv", "put", "/b", "2")["revision"]
        self.assert_one_line(self.bennu("kv", "compact", newest, expect=1), "export")
        self.ask("export")
        self.bennu("kv", "compact", newest)
        self.assert_one_line(self.bennu("kv", "get", "/a", "--rev", old - 1, expect=1), "compacted")
        entries = self.ask("log", "/a", "--changes")["items"]
        told = [(entry["actor"], change["before"], change["after"])
                for entry in entries for change in entry.get("changes", [])]
        self.assertIn(("Anna", "1", "2"), told)
        self.assertIn(("Bob", "2", "3"), told)

    def test_a_key_is_found_however_it_begins(self):
        def run(*args, expect=0):
            return self.bennu("-o", "json", *args, data=None, env={"BENNU_DATA": self.path("data")}, expect=expect).json

        before = self.git("rev-parse", "main", cwd=self.origin)
        for key in ("noslash", "-dash", "a/b", "//twice"):
            run("kv", "put", "--", key, "x")
        self.ask("export")
        for key in ("noslash", "-dash", "a/b", "//twice", "//"):
            with self.subTest(key):
                name = "//twice" if key == "//" else key
                entries = run("log", "--changes", "--", key)["items"]
                self.assertEqual([entry["subject"] for entry in entries], [f"kv put {name}"])
                self.assertEqual([change["key"] for change in entries[0]["changes"]], [name])
                for after in ("main", "live"):
                    changes = run("diff", "--", before, after, key, expect=2)["changes"]
                    self.assertEqual([change["key"] for change in changes], [name])
        # Below the schema's root, and as git names it, too.
        for key in ("a", "/a", "/a/"):
            self.assertEqual(self.ask("log", key)["items"][-1]["subject"], "Begin")

    def test_the_branch_of_the_settings_is_the_history(self):
        self.push_files({"d": "1"}, self.origin, branch="dev")
        self.set_settings(branch="dev")
        self.bennu("adopt", "--take", "git", "--yes")
        self.bennu("kv", "put", "/d", "2")
        commit = self.ask("export")["commit"]
        self.assertEqual(self.ask("log", "/d")["items"][0]["commit"], commit)
        self.assertEqual([change["after"] for change in self.ask("diff", "HEAD~1", "HEAD", expect=2)["changes"]], ["2"])
        on_main = self.ask("log", "--repo", self.path("data", "repo.git"), data=None)["items"]
        self.assertNotIn(commit, [item["commit"] for item in on_main])
        self.set_settings(branch="nowhere")
        self.assert_one_line(self.bennu("log", expect=1), "branch nowhere has no commit here yet")

    def test_drift_tells_three_groups_apart(self):
        nothing = {"kv": [], "git": [], "both": [], "kept": [], "unpushed": 0, "beyond_base": 0,
                   "remote_problem": ""}
        self.assertEqual(self.ask("drift"), nothing)
        self.push_files({"b": "git", "c": "git"}, self.origin)
        self.bennu("kv", "put", "/a", "kv")
        self.bennu("kv", "put", "/c", "kv")
        drift = self.ask("drift", expect=2)
        self.assertEqual(drift, {**nothing, "kv": ["/a"], "git": ["/b"], "both": ["/c"], "beyond_base": 1})


if __name__ == "__main__":
    harness.main()
