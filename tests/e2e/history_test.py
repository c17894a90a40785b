"""Every commit of a history, each restored alone and its tree compared with git's.

The history is one that git fast-import makes from a seed (merges, every mode, submodules, odd names,
files that become folders, an empty tree), or, with BENNU_HISTORY=URL-OR-PATH, any repository's.
BENNU_SEED=N replays a seed.
"""

import os
import random
import shutil
import unittest

import harness

NAMES = [b"a", b"b", b"README.md", b"with space", b"percent%20", b"caf\xc3\xa9", b"\xff\xfe", b"%v", b"%",
         b"a.json", b".hidden", b"git~2", b"COM1", b"x" * 255, b"\x01", b"tab\there", b"1", b"users"]


def quoted(path):
    """A path as a fast-import stream has it."""
    return b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'


def random_stream(rng, count):
    """A fast-import stream of `count` commits on main; merges among them."""
    def path():
        return b"/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4)))

    def change(out):
        kind, name = rng.random(), quoted(path())
        if kind < 0.2:
            out.append(b"D " + name)
        elif kind < 0.25:
            out.append(b"M 160000 %040x %s" % (rng.getrandbits(160), name))
        else:
            mode = rng.choice([b"100644", b"100644", b"100755", b"120000"])
            content = rng.randbytes(rng.choice([0, 1, 40, 3000])) if mode != b"120000" else b"../" + rng.choice(NAMES[:4])
            out.append(b"M %s inline %s\ndata %d\n%s" % (mode, name, len(content), content))

    out = []
    for number in range(1, count + 1):
        out.append(b"commit refs/heads/main\nmark :%d\ncommitter Grace <grace@example.org> %d +0000\ndata 1\nc" %
                   (number, 1700000000 + number))
        if number > 1:
            out.append(b"from :%d" % max(1, number - (rng.random() < 0.1) - 1))
        if number > 3 and rng.random() < 0.3:
            out.append(b"merge :%d" % rng.randint(1, number - 2))
        if rng.random() < 0.05:
            out.append(b"deleteall")
        for _ in range(rng.randint(0, 6)):
            change(out)
    return b"\n".join(out) + b"\ndone\n"


class History(harness.Case):
    def test_every_commit_comes_back_as_it_was(self):
        repository = self.path("history.git")
        given = os.environ.get("BENNU_HISTORY")
        if given:
            self.git("clone", "-q", "--mirror", os.path.abspath(given) if os.path.exists(given) else given, repository)
        else:
            seed = int(os.environ.get("BENNU_SEED", random.randrange(1 << 32)))
            print(f"BENNU_SEED={seed}", flush=True)
            self.git("init", "-q", "--bare", "-b", "main", repository)
            self.git("fast-import", "--quiet", "--force", cwd=repository, stdin=random_stream(random.Random(seed), 40))
        commits = self.git("log", "--all", "--format=%H %T", cwd=repository).split("\n")
        self.assertGreater(len(commits), 10)
        for line in commits:
            commit, tree = line.split()
            with self.subTest(commit=commit):
                answer = self.ask("restore", f"{repository}@{commit}")
                self.assertEqual((answer["tree"], answer["verified"]), (tree, "exact"))
                shutil.rmtree(self.path("data"))
        print(f"{len(commits)} commits came back as they were", flush=True)


if __name__ == "__main__":
    harness.main()
