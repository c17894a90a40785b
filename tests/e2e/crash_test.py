"""Cut the power at any step, run the same command again, same end.

Each command runs once undisturbed, which counts its steps that reach the disk. Then, for every N, it
starts from the same state and ends right before step N, with everything that it had started. What it
left must be all of its work or none of it, and the same command, run again, must come to the end of
the undisturbed run. As a variant only a child of it (git) ends there.

BENNU_CRASH_STRIDE=1 takes every step; without it BENNU_CRASH_POINTS steps of each command, spread
evenly.
"""

import json
import os
import re
import shutil
import signal

import harness
import power_switch

STRIDE = int(os.environ.get("BENNU_CRASH_STRIDE", "0"))
POINTS = int(os.environ.get("BENNU_CRASH_POINTS", "4"))
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
        self.random_trees = False  # by the time of day, or by new keys
        self.random_keys = "^$"

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
        """Where the next export leads, with what must hold there."""
        exported = self.ask("export")
        self.assertEqual(exported["push_problem"], "")
        self.assertTrue(self.ask("verify")["in_sync"])
        here = self.path("data", "repo.git")
        for repository in (here, self.remote_path):
            self.assert_clean(repository)
        self.assertEqual(self.log(here), self.log(self.remote_path))
        left = [os.path.join(folder, name) for folder, folders, files in os.walk(self.path("data"))
                for name in folders + files if LEFT_OVER.search(name)]
        self.assertEqual(left, [])
        return {"changed": exported["changed"], "there": self.log(self.remote_path),
                "files": sorted(os.listdir(self.path("data")))}

    def masked(self, state):
        """The state without what is random in it."""
        masked = dict(state)
        if state.get("keys"):
            masked["keys"] = {key: "random" if re.search(self.random_keys, key) else value
                              for key, value in state["keys"].items()}
        for side in ("here", "there"):
            if state.get(side) and self.random_trees:
                masked[side] = [commit[:2] for commit in state[side]]
        return masked

    # ---- the power switch ------------------------------------------------------------------------

    def switched(self, command, stop_at=0, mode=power_switch.EVERYTHING):
        return power_switch.run([harness.BENNU, *command, "--data", self.path("data")],
                                self.path("switch"), self.env, self.dir, stop_at, mode)

    def chosen(self, total):
        stride = STRIDE or max(1, total // POINTS)
        return [*range(stride, total, stride), total]

    def check_every_step(self, *command, already=None, waits=(), instead=None,
                         mode=power_switch.EVERYTHING):
        """`already`: how a command refuses whose work was done before it was cut off. `waits`: what
        of its work may wait for the next export. `instead`: a command that is run first; if it does
        not refuse, it comes to the same end."""
        self.save()
        before = self.masked(self.look())
        run = self.switched(command, mode=mode)
        self.assertEqual(run.status, 0, run.err)
        after, end = self.masked(self.look()), self.masked(self.end())
        self.assertNotEqual(before, after, "a command that does nothing tests nothing")
        total = len(run.names)
        self.assertGreater(total, POINTS, "the power switch counts nothing")
        cut = 0
        for number in self.chosen(total):
            with self.subTest(before_step=number, of=total, step=run.names[number - 1]):
                self.bring_back()
                killed = self.switched(command, number, mode)
                reached = len(killed.names) >= number  # a thread may have done less this time
                cut += reached
                if mode == power_switch.EVERYTHING:
                    self.assertEqual(killed.status, -signal.SIGKILL if reached else 0, killed.err)
                found = self.masked(self.look())
                self.assert_all_or_nothing(found, before, after)
                if instead and self.bennu(*instead, expect=None).status == 0:
                    ran = False
                else:
                    ran = self.run_again(command, already, took_effect=found != before)
                ended = self.masked(self.state())
                later = waits if ran else ("here", "there")
                self.assert_same({**ended, **{part: after[part] for part in later}}, after)
                exported = self.masked(self.end())
                if "here" in waits:
                    exported["changed"] = end["changed"]
                self.assertEqual(exported, end)
        self.assertGreater(cut, 0, "the command was never cut off")
        if STRIDE == 1:
            print(f"{' '.join(command[:3])}: cut off {cut} times, of {total} steps", flush=True)

    def assert_all_or_nothing(self, found, before, after):
        self.assertIn(found["keys"], (before["keys"], after["keys"]))
        self.assertIn(found["there"], (before["there"], after["there"]))
        # Our branch first follows the remote's, then ours goes on.
        self.assertIn(found["here"], (before["here"], before["there"], after["here"]))

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

    def test_restore(self):
        self.remote_path = self.seeded_remote({f"d{i % 7}/k{i}": str(i) for i in range(300)})
        self.check_every_step("restore", self.remote_path, already="already holds a store")

    def test_restore_with_a_git_that_is_killed(self):
        self.remote_path = self.seeded_remote({"a": "1", "b/c": "2"})
        self.check_every_step("restore", self.remote_path, already="already holds a store",
                              mode=power_switch.ONE_CHILD)

    def test_init(self):
        self.remote_path = self.remote()
        self.check_every_step("init", "--remote", self.remote_path, already="already holds a store")

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
        self.check_every_step("import", waits=("there",))

    def test_import_that_keeps_values(self):
        with open(self.path("schema.json"), "w") as out:
            json.dump({"version": 1, "mapping": 1, "prefixes": [{"prefix": "/now/", "class": "operational"}]}, out)
        self.remote_path = self.remote()
        self.bennu("init", "--schema", self.path("schema.json"), "--remote", self.remote_path)
        self.bennu("kv", "put", "/a", "1")
        self.bennu("kv", "put", "/now/b", "1")
        self.ask("export")
        self.push_files({"a": "2", "now/b": "2"}, self.remote_path)
        self.check_every_step("import", waits=("here", "there"))
        self.assertEqual(self.bennu("kv", "get", "/now/b").out, "1")

    def test_import_of_a_folder(self):
        self.restored({"a": "1"})
        large = bytes(range(256)) * 8000  # kept as a blob
        other = self.seeded_remote({"dns/a": "1", "dns/b/c": "2", "dns/large": large, "x": "3"}, "other.git")
        self.check_every_step("import", other, "--path", "dns", "--prefix", "/dns/")

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

    def test_export_of_what_both_sides_changed_alike(self):
        self.restored({"a": "1", "b": "1"})
        self.bennu("kv", "put", "/a", "new")
        self.push_files({"a": "new"}, self.remote_path)
        self.check_every_step("export")

    def test_export_beside_what_both_sides_changed_alike(self):
        self.restored({"a": "1", "b": "1"})
        self.bennu("kv", "put", "/a", "new")
        self.bennu("kv", "put", "/b", "own", "--actor", BOB)
        self.bennu("export", "--no-push")
        self.bennu("kv", "put", "/c", "own")
        self.push_files({"a": "new", "b": "own"}, self.remote_path)
        self.check_every_step("export")

    def test_export_with_a_git_that_is_killed(self):
        self.restored({"a": "1", "b/c": "2"})
        self.bennu("kv", "put", "/a", "new")
        self.check_every_step("export", mode=power_switch.ONE_CHILD)

    def test_export_of_a_whole_state(self):
        other = self.seeded_remote({f"d{i % 70}/k{i}": str(i) for i in range(2000)}, "other.git")
        self.remote_path = self.remote()
        self.bennu("init", "--schema", "none", "--remote", self.remote_path)
        self.bennu("kv", "put", "/a", "1")
        self.bennu("export")
        self.bennu("import", other)
        self.bennu("secret", "init", "--offline", self.path("offline.txt"))  # another mapping
        self.check_every_step("export")

    def many_packs(self):
        self.restored({"a": "1"})
        for i in range(19):  # the next pack is one too many
            self.bennu("kv", "put", f"/k{i}", str(i))
            self.bennu("export", "--no-push", "--offline")
        self.bennu("kv", "put", "/last", "x")

    def test_export_that_merges_packs(self):
        self.many_packs()
        self.check_every_step("export")

    def test_export_that_merges_packs_with_a_git_that_is_killed(self):
        self.many_packs()
        self.check_every_step("export", mode=power_switch.ONE_CHILD)

    def test_export_of_documents(self):
        self.random_trees = True
        self.network()
        self.bennu("user", "add", "boris", "--core-node", CORE, "--email", "boris@example.org")
        self.bennu("device", "add", "--user", "boris", "--name", "phone", "--uuid", DEVICE)
        self.check_every_step("export")

    # ---- with a plan, and by decision

    def test_apply_to_git(self):
        self.restored({f"k{i}": str(i) for i in range(50)})
        self.bennu("kv", "del", "/k", "--prefix", "--yes")
        self.bennu("plan", "--out", self.path("plan"), expect=2)
        self.check_every_step("apply", self.path("plan"), already="no longer fits")

    def test_apply_to_kv(self):
        self.restored({f"k{i}": str(i) for i in range(50)})
        self.push_files({"new": "1"}, self.remote_path, remove=[f"k{i}" for i in range(40)])
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

    def test_export_after_adopt_of_git(self):
        self.rewritten()
        self.check_every_step("adopt", "--take", "git", "--yes", instead=["export"])

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
        self.random_trees = True
        self.remote_path = self.remote()
        self.bennu("init", "--remote", self.remote_path)
        self.random_keys = "/.bennu/(keys|recipients)"
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
        self.random_trees = True
        self.network()
        self.check_every_step("user", "add", "boris", "--core-node", CORE, already="boris is taken")

    def test_device_add(self):
        self.random_trees = True
        self.network()
        self.check_every_step("device", "add", "--user", "anna", "--name", "phone", "--uuid", DEVICE,
                              already="exists already")


if __name__ == "__main__":
    harness.main()
