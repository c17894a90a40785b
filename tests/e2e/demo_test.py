"""The demo of the README, as a new user runs it: on the example network and on any repository."""

import hashlib
import os
import re
import subprocess
from pathlib import Path

import harness

ROOT = Path(__file__).resolve().parents[2]


class Demo(harness.Case):
    def demo(self, *arguments, expect=0):
        environment = {**self.env, "BENNU_BIN_DIR": str(Path(os.environ["BENNU_BIN"]).parent),
                       "BENNU_DEMO_DIR": self.path("demo")}
        done = subprocess.run([ROOT / "tools/demo.sh", *arguments], env=environment, text=True,
                              capture_output=True, timeout=300, stdin=subprocess.DEVNULL,
                              cwd=self.path("."))
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def repository(self):
        """With a merge, a link, an executable file and a name that needs an escape."""
        folder = Path(self.path("source"))
        folder.mkdir()
        self.git("init", "-q", "-b", "main", ".", cwd=folder)
        (folder / "a.txt").write_text("one\n")
        (folder / "100%").write_text("percent\n")
        (folder / "run.sh").write_text("#!/bin/sh\n")
        (folder / "run.sh").chmod(0o755)
        (folder / "link").symlink_to("a.txt")
        self.commit(folder, "first")
        self.git("checkout", "-q", "-b", "side", cwd=folder)
        (folder / "side").write_text("side\n")
        self.commit(folder, "side")
        self.git("checkout", "-q", "main", cwd=folder)
        (folder / "a.txt").write_text("two\n")
        self.commit(folder, "second")
        self.git("merge", "-q", "--no-ff", "-m", "merge", "side", cwd=folder)
        return folder

    def commit(self, folder, message):
        self.git("add", "-A", cwd=folder)
        self.git("commit", "-q", "-m", message, cwd=folder)

    def state_of(self, folder):
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(Path(folder).rglob("*")) if path.is_file()}

    def test_the_network_is_raised_changed_destroyed_and_raised_again(self):
        shown = self.demo().stdout
        self.assertIn("vless://", shown)
        self.assertIn("█", shown)
        self.assertIn("user add anna", shown)
        self.assertIn("Maria Keller", shown)
        self.assertIn("equal: nothing was lost", shown)
        self.assertNotIn("\x1b", shown)  # plain in a pipe
        steps = shown.partition("time of each step\n")[2].splitlines()
        for step in ("bennu restore", "bennu user add", "bennu export", "bennu diff", "bennu verify"):
            self.assertTrue(any(re.match(rf"  \d+\.\d\d s  {step}", line) for line in steps), (step, shown))

    def test_any_repository_goes_through_the_same_and_is_not_written(self):
        source = self.repository()
        before = self.state_of(source)
        shown = self.demo(str(source)).stdout
        self.assertIn("equal: nothing was lost", shown)
        self.assertIn("written to the store", shown)
        self.assertEqual(self.state_of(source), before)

    def test_an_older_commit_and_a_bundle(self):
        source = self.repository()
        first = self.git("rev-list", "--max-parents=0", "main", cwd=source).strip()
        shown = self.demo(f"{source}@{first}").stdout
        self.assertIn("equal: nothing was lost", shown)
        bundle = self.path("source.bundle")
        self.git("bundle", "create", "-q", bundle, "main", cwd=source)
        self.assertIn("equal: nothing was lost", self.demo(bundle).stdout)
        self.assertIn("equal: nothing was lost", self.demo(f"{bundle}@{first}").stdout)

    def test_what_cannot_be_shown_is_said_in_one_line(self):
        source = self.repository()
        bundle = Path(self.path("cut.bundle"))
        self.git("bundle", "create", "-q", str(bundle), "main", cwd=source)
        bundle.write_bytes(bundle.read_bytes()[:-40])
        self.git("init", "-q", self.path("empty"))
        for argument, word in [(self.path("nothing"), "nothing"), (str(bundle), "cut.bundle"),
                               (f"{source}@1234567", "1234567"), (self.path("empty"), "no commit")]:
            with self.subTest(argument):
                error = self.demo(argument, expect=1).stderr.strip()
                self.assertEqual(len(error.split("\n")), 1, error)
                self.assertIn(word, error)


if __name__ == "__main__":
    harness.main()
