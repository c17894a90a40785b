"""What every end-to-end test needs: the real binary, real git, and a folder that is gone afterwards."""

import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import unittest

BENNU = os.environ["BENNU_BIN"]


def memory_folder(needed=1 << 29):
    """A folder in memory with that much room, for tests that need no disk; None if there is none."""
    folder = "/dev/shm"
    if os.path.isdir(folder) and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > needed:
        return folder
    return None


class Answer:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def json(self):
        return json.loads(self.out)


class Case(unittest.TestCase):
    """A temporary folder, `self.dir`, with a git identity of its own."""

    maxDiff = None
    folder = None  # where its folder is made; None: where temporary files go

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="bennu-e2e-", dir=self.folder)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.env = {**os.environ, "HOME": self.dir, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8",
                    "BENNU_ACTOR": "Ada <ada@example.org>", "GIT_AUTHOR_NAME": "Grace",
                    "GIT_AUTHOR_EMAIL": "grace@example.org", "GIT_COMMITTER_NAME": "Grace",
                    "GIT_COMMITTER_EMAIL": "grace@example.org"}

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def bennu(self, *args, expect=0, data="data", stdin=None, env=None):
        """Runs bennu on the data directory `data` and checks its exit status."""
        command = [BENNU, *map(str, args)]
        if data is not None:
            command += ["--data", self.path(data)]
        done = subprocess.run(command, input=stdin, capture_output=True, cwd=self.dir,
                              env={**self.env, **(env or {})}, timeout=300)
        answer = Answer(done.returncode, done.stdout.decode("utf-8", "replace"),
                        done.stderr.decode("utf-8", "replace"))
        if expect is not None:
            self.assertEqual(answer.status, expect, f"{command}\n{answer.out}\n{answer.err}")
        return answer

    def ask(self, *args, **more):
        """As bennu, with -o json: the document."""
        return self.bennu(*args, "-o", "json", **more).json

    def start(self, *args, data="data"):
        return subprocess.Popen([BENNU, *map(str, args), "--data", self.path(data)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.dir,
                                env=self.env)

    def on_terminal(self, *args, data="data", signal_at=None, env=None):
        """Runs bennu with stdout and stderr on a terminal: an Answer whose err is all it showed. SIGINT is sent once
        the bytes `signal_at` were shown."""
        master, terminal = pty.openpty()
        process = subprocess.Popen([BENNU, *map(str, args), "--data", self.path(data)], stdin=subprocess.DEVNULL,
                                   stdout=terminal, stderr=terminal, cwd=self.dir,
                                   env={**self.env, "TERM": "xterm", **(env or {})})
        os.close(terminal)
        shown = b""
        while True:
            try:
                piece = os.read(master, 1 << 16)
            except OSError:  # what Linux says of a terminal that nobody has open any more
                break
            if not piece:
                break
            shown += piece
            if signal_at is not None and signal_at in shown:
                process.send_signal(signal.SIGINT)
                signal_at = None
        os.close(master)
        return Answer(process.wait(timeout=60), "", shown.decode("utf-8", "replace"))

    def many_files(self, count, name="many.git"):
        """A bare repository with one commit of so many small files."""
        remote = self.remote(name)
        stream = ["blob\nmark :1\ndata 5\nvalue\n", "commit refs/heads/main\ncommitter G <g@example.org> 1 +0000\n",
                  "data 5\nBegin\n", *(f"M 100644 :1 d{i // 200}/k{i}\n" for i in range(count))]
        self.git("fast-import", "--quiet", cwd=remote, stdin="".join(stream).encode())
        return remote

    def kill(self, process):
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def git(self, *args, cwd=None, check=True, stdin=None):
        done = subprocess.run(["git", *args], cwd=cwd or self.dir, env=self.env,
                              input=stdin, capture_output=True, timeout=120)
        if check:
            self.assertEqual(done.returncode, 0, f"git {args}: {done.stderr.decode()}")
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def break_pushes(self, arrive):
        """An environment in which git fails at each push: before it, or after it has arrived."""
        push = f'  "{shutil.which("git")}" "$@" >/dev/null 2>&1\n' if arrive else ""
        return self.replace_git("push", f"{push}  echo 'fatal: the remote end hung up unexpectedly' >&2\n  exit 128\n")

    def replace_git(self, command, instead):
        """An environment in which git does something else at one of its commands."""
        os.makedirs(self.path("bin"), exist_ok=True)
        with open(self.path("bin", "git"), "w", encoding="utf-8") as script:
            script.write(f'#!/bin/sh\nfor argument in "$@"; do\n  [ "$argument" = {command} ] || continue\n'
                         f'  {instead}done\nexec "{shutil.which("git")}" "$@"\n')
        os.chmod(self.path("bin", "git"), 0o755)
        return {"PATH": self.path("bin") + ":" + os.environ["PATH"]}

    def remote(self, name="remote.git", branch="main"):
        self.git("init", "-q", "--bare", "-b", branch, self.path(name))
        return self.path(name)

    def seeded_remote(self, files, name="remote.git", branch="main"):
        """A bare repository with one commit of these files (path -> bytes)."""
        remote = self.remote(name, branch)
        self.push_files(files, remote, branch, "Begin")
        return remote

    def push_files(self, files, remote, branch="main", message="Change", remove=()):
        """Commits on top of the branch as a person with a clone would."""
        clone = tempfile.mkdtemp(dir=self.dir)
        self.git("clone", "-q", remote, clone)
        self.git("checkout", "-q", "-B", branch, cwd=clone)
        for path, content in files.items():
            full = os.path.join(clone, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as out:
                out.write(content if isinstance(content, bytes) else content.encode())
        for path in remove:
            os.remove(os.path.join(clone, path))
        self.git("add", "-A", cwd=clone)
        self.git("commit", "-q", "-m", message, cwd=clone)
        self.git("push", "-q", "origin", branch, cwd=clone)
        head = self.git("rev-parse", "HEAD", cwd=clone)
        shutil.rmtree(clone)
        return head

    def set_settings(self, data="data", **values):
        """Gives settings of a data directory another text (name -> value)."""
        with open(self.path(data, "bennu.toml"), encoding="utf-8") as file:
            lines = file.read().splitlines(keepends=True)
        with open(self.path(data, "bennu.toml"), "w", encoding="utf-8") as file:
            for line in lines:
                name = line.split(" =")[0]
                file.write(f'{name} = "{values[name]}"\n' if name in values else line)

    def tree(self, repository, revision="main"):
        return self.git("rev-parse", f"{revision}^{{tree}}", cwd=repository)

    def assert_one_line(self, answer, *words):
        """A refusal is one line on stderr that says these words."""
        lines = [line for line in answer.err.splitlines() if line]
        self.assertEqual(len(lines), 1, answer.err)
        self.assertTrue(lines[0].startswith("bennu: "), lines[0])
        for word in words:
            self.assertIn(word, lines[0])

    def assert_clean(self, repository):
        done = subprocess.run(["git", "fsck", "--strict", "--full"], cwd=repository, env=self.env,
                              capture_output=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertNotIn("error", done.stderr.decode())
        self.assertNotIn("warning", done.stderr.decode())


def main():
    unittest.main(verbosity=2)
