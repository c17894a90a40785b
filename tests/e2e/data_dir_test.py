"""The data directory: what a power loss leaves of it, and that nothing else ever stays in it."""

import os
import unittest

import harness
import power_switch

OURS = ["bennu.toml", "kv", "repo.git"]


class DataDirectory(harness.Case):
    def switched(self, *command, data="data", stop_at=0):
        return power_switch.run([harness.BENNU, *command, "--data", self.path(data)],
                                self.path("switch"), self.env, self.dir, stop_at)

    def test_its_name_and_marker_are_durable_before_anything_is_in_it(self):
        run = self.switched("init", "--schema", "none", data="a/b/data")
        self.assertEqual(run.status, 0, run.err)
        first_part = next(i for i, name in enumerate(run.names) if "data/kv" in name)
        before = run.names[:first_part]
        for folder in (os.path.basename(self.dir), "/a", "/a/b", "/a/b/data"):
            self.assertTrue(any(name.startswith("fsync ") and name.endswith(folder) for name in before),
                            f"{folder} is not synced: {before}")
        self.assertTrue(any(name.startswith("fsync ") and ".unfinished" in name for name in before), before)

    def test_a_killed_create_leaves_nothing_to_the_next(self):
        steps = self.switched("init", "--schema", "none", data="whole").names
        ours = [i + 1 for i, name in enumerate(steps)
                if any(word in name for word in ("repo.git", "bennu.toml", "unfinished"))]
        for number in sorted({*ours[:4], *ours[4:-6:len(ours) // 4], *ours[-6:]}):
            data = f"data{number}"
            self.switched("init", "--schema", "none", data=data, stop_at=number)
            self.bennu("init", "--schema", "none", data=data, expect=None)  # 1: it was done already
            self.bennu("kv", "put", "/a", "1", data=data)
            self.assertEqual(sorted(os.listdir(self.path(data))), OURS, steps[number - 1])

    def test_a_killed_import_of_another_repository_is_swept(self):
        other = self.seeded_remote({"x": "1"}, name="other.git")
        self.bennu("init", "--schema", "none")
        steps = self.switched("import", other).names
        self.assertEqual(sorted(os.listdir(self.path("data"))), OURS)
        inside = [i + 1 for i, name in enumerate(steps) if "bennu_tmp_" in name]
        self.bennu("kv", "del", "/x")
        self.switched("import", other, stop_at=inside[len(inside) // 2])
        self.assertEqual(sorted(os.listdir(self.path("data"))), OURS)
        repository = self.path("data", "repo.git")
        self.assertTrue([name for name in os.listdir(repository) if "tmp" in name])
        self.bennu("kv", "ls")
        self.assertEqual([name for name in os.listdir(repository) if "tmp" in name], [])

    def test_a_restore_that_fails_takes_its_folder_away(self):
        self.bennu("restore", self.path("nowhere"), expect=1)
        self.assertFalse(os.path.exists(self.path("data")))
        os.mkdir(self.path("mine"))
        self.bennu("restore", self.path("nowhere"), data="mine", expect=1)
        self.assertEqual(os.listdir(self.path("mine")), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
