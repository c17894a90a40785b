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
CORE, DEVICE = "203.0.113.7", "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11"
ANNA, BOB = "Anna <a@example.org>", "Bob <b@example.org>"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LEFT_OVER = re.compile(r"\.lock$|tmp_|^\.tmp-|\.new$|^\.unfinished$|^bennu-")


class Crash(harness.Case):
    # What a killed process wrote is there without a disk, too.
    folder = harness.memory_folder()

    def setUp(self):
        super().setUp()
        self.env["BENNU_ACTOR"] = ANNA
        self.remote_path = None
        self.random_trees = False

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
            keys = {UUID.sub("UUID", item["key"]): TIME.sub("TIME", UUID.sub("UUID", str(item["value"])))
                    for item in listed.json["items"] if not item["key"].startswith("/_bennu/local/")}
        else:
            self.assertRegex(listed.err, "interrupted|is not a data directory")
        here = self.path(data, "repo.git")
        kept = self.git("for-each-ref", "--format=%(refname)", "refs/bennu", cwd=here) if keys else ""
        return {"keys": keys, "here": self.log(here) if keys is not None else None,
                "there": self.log(self.remote_path), "kept": set(kept.split())}

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
        """The keys whose values differ between two undisturbed runs."""
        return {key for key in one["keys"] if one["keys"][key] != two["keys"].get(key)}

    def masked(self, state, varying):
        """The state without what is random in it."""
        masked = dict(state)
        if state["keys"] is not None:
            masked["keys"] = {key: "random" if key in varying else value
                              for key, value in state["keys"].items()}
        if self.random_trees:
            for side in ("here", "there"):
                masked[side] = state[side] and [commit[:2] for commit in state[side]]
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

    def check_every_step(self, *command, already=None, push_waits=False,
                         instead=None, mode=power_switch.EVERYTHING):
        """`already`: how a command refuses whose work was done before it was cut off. `push_waits`:
        a commit that was not pushed goes with the next export. `instead`: a command that is run
        first; if it does not refuse, it comes to the same end."""
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
                for part in found:
                    whole = [before[part], after[part]]
                    if part == "here":  # follows the remote first, then ours goes on
                        whole.append(before["there"])
                    if part != "kept":
                        self.assertIn(found[part], whole, f"{part} is half done")
                if instead and self.bennu(*instead, expect=None).status == 0:
                    pass
                elif self.run_again(command, already, took_effect=found != before):
                    ended = self.masked(self.state(), varying)
                    if push_waits:
                        self.assertIn(ended["there"], (before["there"], after["there"]))
                        ended["there"] = after["there"]
                    self.assert_same(ended, after)
                self.assert_same(self.masked(self.end(), varying), end)
        self.assertGreater(cut, 1, "the command was never cut off")
        if STRIDE == 1:
            print(f"{' '.join(command[:3])}: cut off {cut} times, of {total} steps", flush=True)

    def assert_same(self, found, wanted):
        """The same; commits that were cut off may be kept beside."""
        self.assertLessEqual(wanted["kept"], found["kept"])
        self.assertEqual({**found, "kept": wanted["kept"]}, wanted)

    def run_again(self, command, already, took_effect):
        """Whether it ran; if not, because it had done its work before it was cut off."""
        answer = self.bennu(*command, expect=None)
        if answer.status == 0:
            return True
        self.assertTrue(already and took_effect, answer.err)
        self.assertIn(already, answer.err)
        return False

    # ---- the commands ----------------------------------------------------------------------------

    def restored(self, files):
        self.remote_path = self.seeded_remote(files)
        self.ask("restore", self.remote_path)

    # ---- restore and init

    def test_restore_with_a_git_that_is_killed(self):
        self.remote_path = self.seeded_remote({"a": "1", "b/c": "2"})
        self.check_every_step("restore", self.remote_path, already="already holds a store",
                              mode=power_switch.ONE_CHILD)

    # ---- from Git

    def test_import(self):
        self.restored({"a": "1", "b/c": "2"})
        self.push_files({"a": "2", "n/e/w": "3"}, self.remote_path, remove=["b/c"])
        self.check_every_step("import")

    def test_import_of_more_than_one_transaction_holds(self):
        self.restored({"a": "1", "b/c": "2"})
        self.push_files({f"d{i % 9}/k{i}": str(i) for i in range(4200)}, self.remote_path, remove=["b/c"])
        self.check_every_step("import")

    def test_import_that_brings_documents_into_their_form(self):
        self.network()
        self.push_files({"users/9.json": '{"status": "active",   "username": "boris"}'}, self.remote_path)
        self.check_every_step("import", push_waits=True)

    # ---- to Git

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

    def test_export_with_a_git_that_is_killed(self):
        self.restored({"a": "1", "b/c": "2"})
        self.bennu("kv", "put", "/a", "new")
        self.check_every_step("export", mode=power_switch.ONE_CHILD)

    def test_export_of_a_whole_state(self):
        other = self.seeded_remote({f"d{i % 70}/k{i}": str(i) for i in range(2000)}, "other.git")
        self.remote_path = self.remote()
        self.bennu("init", "--schema", "none", "--remote", self.remote_path)
        self.bennu("import", other)
        self.bennu("kv", "compact", self.ask("kv", "put", "/a", "1")["revision"])
        self.check_every_step("export")

    # ---- with a plan, and by decision

    def test_apply_to_git(self):
        self.restored({f"k{i}": str(i) for i in range(50)})
        self.bennu("kv", "del", "/k", "--prefix", "--yes")
        self.bennu("plan", "--out", self.path("plan"), expect=2)
        self.check_every_step("apply", self.path("plan"), already="no longer fits")

    def rewritten(self):
        """A store with a commit that is not pushed, and a branch that was rewritten."""
        self.restored({"a": "1", "c": "1"})
        self.bennu("kv", "put", "/b", "2")
        self.ask("export")
        self.bennu("kv", "put", "/b", "3")
        self.ask("export", "--no-push")
        first = self.tree(self.remote_path, "main~1")
        other = self.git("commit-tree", first, "-m", "rewritten", cwd=self.remote_path)
        self.git("update-ref", "refs/heads/main", other, cwd=self.remote_path)

    def test_adopt_of_git(self):
        self.rewritten()
        self.check_every_step("adopt", "--take", "git", "--yes")

    def test_adopt_of_kv(self):
        self.rewritten()
        self.check_every_step("adopt", "--take", "kv", "--yes")

    # ---- secrets and the inventory

    def network(self):
        self.remote_path = self.remote()
        self.bennu("init", "--remote", self.remote_path)
        self.bennu("secret", "init", "--offline", self.path("offline.txt"))
        self.bennu("node", "add", CORE, "--role", "core")
        self.bennu("user", "add", "anna", "--core-node", CORE, "--email", "anna@example.org")
        self.ask("export")

    def test_secret_init(self):
        self.random_trees = True  # by the time of day, or by new keys
        self.remote_path = self.remote()
        self.bennu("init", "--remote", self.remote_path)
        self.check_every_step("secret", "init", already="has a key ring already")
        self.assertTrue(self.ask("secret", "check")["open"])

    def test_secret_unseal(self):
        self.network()
        self.env["BENNU_IDENTITY"] = self.path("identity.txt")
        os.rename(self.path("data", "identity.txt"), self.env["BENNU_IDENTITY"])
        self.remove(self.path("data"))
        self.ask("restore", self.remote_path, env={"BENNU_IDENTITY": ""})
        self.check_every_step("secret", "unseal")

    def test_user_add(self):
        self.random_trees = True  # by the time of day, or by new keys
        self.network()
        self.check_every_step("user", "add", "boris", "--core-node", CORE, already="boris is taken")

    def test_device_add(self):
        self.random_trees = True  # by the time of day, or by new keys
        self.network()
        self.check_every_step("device", "add", "--user", "anna", "--name", "phone", "--uuid", DEVICE,
                              already="exists already")


if __name__ == "__main__":
    harness.main()
