"""Crash at any point, run again, same end: SIGKILL at every step that reaches the disk, one by one.

strace kills the process (or the git that it runs) at the N-th call that makes something durable or
visible, for every N until the command gets through. Then the command runs again, undisturbed.
"""

import os
import shutil
import subprocess
import unittest

import harness

CALLS = "fsync,fdatasync,rename,renameat2,link,unlink"
STRIDE = int(os.environ.get("BENNU_CRASH_STRIDE", "2"))


def strace_works():
    try:
        done = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync", "-e",
                               "inject=fsync:signal=KILL:when=1", "true"], capture_output=True)
        return done.returncode == 0
    except FileNotFoundError:
        return False


@unittest.skipUnless(strace_works(), "strace is missing or may not trace here")
class Crash(harness.Case):
    def crash_at(self, number, *args):
        """Runs bennu and kills it at the number-th durable step; whether it was killed."""
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}", "-e",
                   f"inject={CALLS}:signal=KILL:when={number}", harness.BENNU, *args, "--data", self.path("data")]
        done = subprocess.run(command, capture_output=True, cwd=self.dir, env=self.env, timeout=120)
        return done.returncode != 0

    def save(self, *names):
        for name in names:
            shutil.copytree(self.path(name), self.path("saved", name), symlinks=True)

    def bring_back(self, *names):
        for name in names:
            shutil.rmtree(self.path(name), ignore_errors=True)
            if os.path.exists(self.path("saved", name)):
                shutil.copytree(self.path("saved", name), self.path(name), symlinks=True)

    def every_step(self, *command):
        """Yields after each crash, until the command gets through without one."""
        number, crashes = 1, 0
        while self.crash_at(number, *command):
            crashes += 1
            yield number
            number += STRIDE
            self.assertLess(number, 2000)
        self.assertGreater(crashes, 1, "the command was never killed: this test tests nothing")

    def test_export(self):
        remote = self.seeded_remote({"a": "1", "b/c": "2"})
        self.ask("restore", remote)
        self.bennu("kv", "put", "/a", "new", "--actor", "Anna <a@example.org>")
        self.bennu("kv", "put", "/d", "x", "--actor", "Bob <b@example.org>")
        self.save("data", "remote.git")
        expected = None
        for step in self.every_step("export"):
            with self.subTest(step=step):
                self.ask("export")
                self.assertTrue(self.ask("verify")["in_sync"])
                found = self.git("log", "--format=%an %s %T", "main", cwd=remote)
                expected = expected or found
                self.assertEqual(found, expected)
                self.assertEqual(found.count("\n"), 2)  # Begin, Anna, Bob: each exactly once
                self.assertFalse(self.ask("export")["changed"])
                self.assert_clean(remote)
                self.assert_clean(self.path("data", "repo.git"))
            self.bring_back("data", "remote.git")

    def test_import(self):
        remote = self.seeded_remote({"a": "1", "b/c": "2"})
        self.ask("restore", remote)
        head = self.push_files({"a": "2", "n/e/w": "3"}, remote, remove=["b/c"])
        self.save("data", "remote.git")
        for step in self.every_step("import"):
            with self.subTest(step=step):
                # All of it or nothing of it, before it runs again.
                values = [self.bennu("kv", "get", key, expect=None).status for key in ("/b/c", "/n/e/w")]
                self.assertIn(values, ([0, 1], [1, 0]))
                self.ask("import")
                self.assertEqual(self.ask("verify")["commit"], head)
                self.assertTrue(self.ask("verify")["in_sync"])
                self.assertFalse(self.ask("export")["changed"])
                self.assertEqual(self.git("rev-parse", "main", cwd=remote), head)
            self.bring_back("data", "remote.git")

    def test_restore(self):
        remote = self.seeded_remote({f"d{i % 7}/k{i}": str(i) for i in range(300)})
        tree = self.tree(remote)
        for step in self.every_step("restore", remote):
            with self.subTest(step=step):
                # Not a store yet, and said so; or whole.
                state = self.bennu("verify", "-o", "json", expect=None)
                self.assertIn(state.status, (0, 1))
                if state.status == 1:
                    self.assertEqual(self.ask("restore", remote)["tree"], tree)
                self.assertTrue(self.ask("verify")["in_sync"])
                self.assertEqual(self.ask("kv", "ls", "--count")["count"] > 300, True)
            shutil.rmtree(self.path("data"))


if __name__ == "__main__":
    harness.main()
