"""Random changes in KV and by a person in Git, with exports and imports in between, against a model of both sides.

BENNU_TWO_SIDES_SEEDS=3 or 1-200 runs those seeds instead of the few of the gate.
"""

import json
import os
import random

import harness

FILES = ("a", "b", "d/x", "d/y", "d/z/q")
FIELDS = ("note", "colour")  # of users/1.json
VALUES = ("0", "1", "2")
STEPS = 25


def seeds():
    first, _, last = os.environ.get("BENNU_TWO_SIDES_SEEDS", "1-5").partition("-")
    return range(int(first), int(last or first) + 1)


class TwoSides(harness.Case):
    def start_with(self, seed):
        self.random = random.Random(seed)
        self.log = [f"seed {seed}"]
        self.data, self.clone = f"data{seed}", self.path(f"clone{seed}")
        self.remote_path = self.remote(f"remote{seed}.git")
        self.bennu("init", "--remote", self.remote_path, data=self.data)
        self.bennu("user", "add", "anna", data=self.data)
        for name in FILES:
            self.bennu("kv", "put", self.key_of(name), "0", data=self.data)
        self.ask("export", data=self.data)
        self.git("clone", "-q", self.remote_path, self.clone)

    def key_of(self, name):
        return f"/net/users/1/{name}" if name in FIELDS else f"/{name}"

    def in_kv(self):
        items = self.ask("kv", "ls", "--values", data=self.data)["items"]
        values = {item["key"]: item["value"] for item in items}
        return {name: values[self.key_of(name)] for name in FILES + FIELDS if self.key_of(name) in values}

    def in_git(self, revision="main"):
        found = {}
        paths = self.git("ls-tree", "-r", "--name-only", revision, cwd=self.remote_path).split()
        for name in FILES:
            if name in paths:
                found[name] = self.git("show", f"{revision}:{name}", cwd=self.remote_path)
        user = json.loads(self.git("show", f"{revision}:users/1.json", cwd=self.remote_path))
        return {**found, **{name: user[name] for name in FIELDS if name in user}}

    def change_kv(self, name, value):
        command = ("put", self.key_of(name), value) if value else ("del", self.key_of(name))
        self.bennu("kv", *command, data=self.data, expect=None)  # there may be nothing to delete

    def change_git(self, name, value):
        self.git("pull", "-q", "--ff-only", cwd=self.clone)
        full = os.path.join(self.clone, "users/1.json" if name in FIELDS else name)
        if name in FIELDS:
            with open(full, encoding="utf-8") as file:
                user = json.load(file)
            user.pop(name, None)
            text = json.dumps({**user, **({name: value} if value else {})})
        else:
            text = value
        if text:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        elif os.path.exists(full):
            os.remove(full)
        self.git("add", "-A", cwd=self.clone)
        self.git("commit", "-q", "--allow-empty", "-m", f"Set {name}", cwd=self.clone)
        self.git("push", "-q", "origin", "main", cwd=self.clone)

    def expect(self, holds, *what):
        if not holds:
            self.fail("\n".join([*self.log, *map(str, what)]))

    def sync(self, *command):
        """One command against the model: what a side changed alone is taken or kept, else nothing happens."""
        kv, git, head = self.in_kv(), self.in_git(), self.head()
        done = self.bennu(*command, data=self.data, expect=None)
        self.log.append(f"{command} -> {done.status} {done.out.strip()} {done.err.strip()}")
        kv_after, git_after = self.in_kv(), self.in_git()
        self.expect(done.status in (0, 2), "an odd status")
        if done.status == 2 or "--no-push" in command:
            self.expect((kv_after, git_after) == (kv, git), "refused, and yet changed", kv, git, kv_after, git_after)
            return
        trees = self.git("rev-list", f"{head}..main", cwd=self.remote_path).split()
        for name in FILES + FIELDS:
            base, ours, theirs = (side.get(name) for side in (self.base, kv, git))
            if ours == base:
                self.expect(all(self.in_git(tree).get(name) == theirs for tree in trees), f"undid {name} in Git")
            if theirs == base or command[0] == "export":
                self.expect(kv_after.get(name) == ours, f"undid {name} in KV")
            if base not in (ours, theirs) and ours != theirs:
                self.expect(command[0] == "export" and git_after.get(name) == theirs, f"settled {name}")
        if kv_after == git_after:
            self.base = kv_after

    def head(self):
        return self.git("rev-parse", "main", cwd=self.remote_path)

    def test_neither_side_is_ever_undone(self):
        for seed in seeds():
            with self.subTest(seed=seed):
                self.start_with(seed)
                self.base = self.in_git()
                for _ in range(STEPS):
                    name, value = self.random.choice(FILES + FIELDS), self.random.choice(VALUES + ("",))
                    side = self.random.choice(("kv", "kv", "git", "git", "export", "import", "no push"))
                    self.log.append(f"{side} {name} {value!r}")
                    if side == "kv":
                        self.change_kv(name, value)
                    elif side == "git":
                        self.change_git(name, value)
                    else:
                        self.sync(*(("export", "--no-push") if side == "no push" else (side,)))
                for command in ("export", "import", "export"):
                    self.sync(command)
                if self.log[-1].startswith("('export',) -> 0"):
                    self.expect(self.in_kv() == self.in_git(), "not equal in the end", self.in_kv(), self.in_git())
                    self.assertTrue(self.ask("verify", data=self.data)["in_sync"], self.log)
                self.assert_clean(self.remote_path)


if __name__ == "__main__":
    harness.main()
