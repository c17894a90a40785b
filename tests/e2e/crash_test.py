"""Cut the power at any step, run the same command again, same end.

Each command runs once undisturbed, which counts its steps that reach the disk. Then, for every N, it
starts from the same state and ends right before step N, with everything that it had started. What it
left must be all of its work or none of it, and the same command, run again, must come to the end of
the undisturbed run. As a variant only a child of it (git) ends there.

BENNU_CRASH_STRIDE=1 takes every step; without it a few steps of each command, spread evenly.
"""

import os
import re
import shutil
import unittest

import harness
import power_switch

STRIDE = int(os.environ.get("BENNU_CRASH_STRIDE", "0"))
FEW = 4  # without a stride
ANNA, BOB = "Anna <a@example.org>", "Bob <b@example.org>"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LEFT_OVER = re.compile(r"\.lock$|tmp_|^\.tmp-|\.new$|^\.unfinished$|^bennu-")


class Crash(harness.Case):
    # What a killed process wrote is there without a disk, too.
    folder = harness.memory_folder()

    def setUp(self):
        super().setUp()
        self.env["BENNU_ACTOR"] = ANNA
        self.remote_path = None

    # ---- from and to a state ---------------------------------------------------------------------

    def save(self):
        os.makedirs(self.path("saved"))
        self.saved = [name for name in os.listdir(self.dir) if name != "saved"]
        for name in self.saved:
            self.copy(self.path(name), self.path("saved", name))

    def bring_back(self):
        for name in os.listdir(self.dir):
            if name != "saved":
                self.remove(self.path(name))
        for name in self.saved:
            self.copy(self.path("saved", name), self.path(name))

    @staticmethod
    def copy(source, target):
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target)

    @staticmethod
    def remove(path):
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def log(self, repository):
        if not repository or not os.path.exists(repository):
            return None
        told = self.git("log", "--format=%an <%ae>|%s|%T", "main", "--", cwd=repository, check=False)
        return [line.split("|") for line in told.splitlines()]

    def state(self, data="data"):
        """What matters: the keys with their values, the branch here and the branch there."""
        listed = self.bennu("kv", "ls", "--values", "-o", "json", data=data, expect=None)
        keys = None  # no store
        if listed.status == 0:
            keys = {UUID.sub("UUID", item["key"]): item.get("value", item.get("value_base64"))
                    for item in listed.json["items"] if not item["key"].startswith("/_bennu/local/")}
        else:
            self.assertRegex(listed.err, "interrupted|is not a data directory")
        return {"keys": keys, "here": self.log(self.path(data, "repo.git")) if keys is not None else None,
                "there": self.log(self.remote_path)}

    def look(self):
        """The state, seen in a copy: looking opens the store, and that may mend something."""
        if not os.path.exists(self.path("data")):
            return self.state()
        self.copy(self.path("data"), self.path("look"))
        try:
            return self.state("look")
        finally:
            self.remove(self.path("look"))

    def end(self):
        """The state after an export, with what must hold of any."""
        exported = self.ask("export")
        self.assertEqual(exported["push_problem"], "")
        self.assertTrue(self.ask("verify")["in_sync"])
        self.assertFalse(self.ask("export")["changed"])
        for repository in (self.remote_path, self.path("data", "repo.git")):
            self.assert_clean(repository)
        state = self.state()
        self.assertEqual(state["here"], state["there"])
        left = [os.path.join(folder, name) for folder, folders, files in os.walk(self.path("data"))
                for name in folders + files if LEFT_OVER.search(name)]
        self.assertEqual(left, [])
        return {**state, "changed": exported["changed"], "files": sorted(os.listdir(self.path("data")))}

    # ---- what is random --------------------------------------------------------------------------

    @staticmethod
    def varying(one, two):
        """Places whose content differs between two undisturbed runs: random keys and ids."""
        keys = {key for key in one["keys"] if one["keys"][key] != two["keys"].get(key)}
        trees = [a != b for a, b in zip(one["there"] or [], two["there"] or [])]
        return keys, trees

    @staticmethod
    def masked(state, varying):
        """The state without what is random in it."""
        random_keys, random_trees = varying
        masked = dict(state)
        if state["keys"] is not None:
            masked["keys"] = {key: "random" if key in random_keys else value
                              for key, value in state["keys"].items()}
        for side in ("here", "there"):
            if state[side] and any(random_trees):
                masked[side] = [commit[:2] for commit in state[side]]
        return masked

    # ---- the power switch ------------------------------------------------------------------------

    def switched(self, command, stop_at=0, mode=power_switch.EVERYTHING):
        return power_switch.run([harness.BENNU, *command, "--data", self.path("data")],
                                self.path("switch"), self.env, self.dir, stop_at, mode)

    def undisturbed(self, command, mode):
        run = self.switched(command, mode=mode)
        self.assertEqual(run.status, 0, run.err)
        after = self.look()
        return run, after, self.end()

    def chosen(self, total):
        stride = STRIDE or max(1, total // FEW)
        return sorted({*range(1, total + 1, stride), total})

    def check_every_step(self, *command, already=None, mode=power_switch.EVERYTHING):
        """`already`: how a command refuses whose work was done before it was cut off."""
        self.save()
        before = self.look()
        run, after, end = self.undisturbed(command, mode)
        self.bring_back()
        again, after_again, end_again = self.undisturbed(command, mode)
        varying = self.varying(end, end_again)
        after, end = self.masked(after, varying), self.masked(end, varying)
        self.assertEqual(self.masked(end_again, varying), end)
        before = self.masked(before, varying)
        self.assertNotEqual(before, after, "a command that does nothing tests nothing")
        total = max(len(run.names), len(again.names))
        cut = 0
        for number in self.chosen(total):
            name = run.names[number - 1] if number <= len(run.names) else "?"
            with self.subTest(before_step=number, of=total, step=name):
                self.bring_back()
                killed = self.switched(command, number, mode)
                reached = len(killed.names) >= number
                cut += reached
                if mode == power_switch.EVERYTHING:
                    self.assertEqual(killed.status, -9 if reached else 0, killed.err)
                found = self.masked(self.look(), varying)
                for part, value in found.items():
                    self.assertIn(value, (before[part], after[part]), f"{part} is half done")
                self.run_again(command, already, done=found == after)
                self.assertEqual(self.masked(self.end(), varying), end)
        self.assertGreater(cut, 1, "the command was never cut off")
        if STRIDE == 1:
            print(f"{' '.join(command[:3])}: cut off {cut} times, of {total} steps", flush=True)

    def run_again(self, command, already, done):
        answer = self.bennu(*command, expect=None)
        if answer.status != 0:
            self.assertTrue(already and done, answer.err)
            self.assertIn(already, answer.err)

    # ---- the commands ----------------------------------------------------------------------------

    def restored(self, files):
        self.remote_path = self.seeded_remote(files)
        self.ask("restore", self.remote_path)

    def test_import(self):
        self.restored({"a": "1", "b/c": "2"})
        self.push_files({"a": "2", "n/e/w": "3"}, self.remote_path, remove=["b/c"])
        self.check_every_step("import")

    def test_export(self):
        self.restored({"a": "1", "b/c": "2"})
        self.bennu("kv", "put", "/a", "new")
        self.check_every_step("export")

    def test_export_of_several_commits(self):
        self.restored({"a": "1", "b/c": "2"})
        self.bennu("kv", "put", "/a", "new")
        self.bennu("kv", "put", "/d", "x", "--actor", BOB)
        self.bennu("kv", "del", "/b/c")
        self.check_every_step("export")

    def test_secret_init(self):
        self.restored({"a": "1"})
        self.check_every_step("secret", "init", already="a key ring already")

    def test_restore_with_a_git_that_is_killed(self):
        self.remote_path = self.seeded_remote({"a": "1", "b/c": "2"})
        self.check_every_step("restore", self.remote_path, already="already holds a store",
                              mode=power_switch.ONE_CHILD)

    def test_export_with_a_git_that_is_killed(self):
        self.restored({"a": "1", "b/c": "2"})
        self.bennu("kv", "put", "/a", "new")
        self.check_every_step("export", mode=power_switch.ONE_CHILD)


if __name__ == "__main__":
    harness.main()
