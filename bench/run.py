#!/usr/bin/env python3
"""Runs ours and the peer in turn on this machine; prints a table, writes build/bench/results.json.

Usage: run.py BUILD_DIR [NAME ...]      e.g. run.py build/release export_1m put_1

Each line of results.json: {"name", "ours", "peer", "ratio", "unit", "target", "met", "what"}. Ratios
are ours / peer for times and sizes, ours / peer for rates too (then more is better). Timed commands
run `REPEATS` times in turn, ours then the peer; the medians are compared.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPEATS = 3
MILLION = 1_000_000
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/release")
BENNU = os.path.join(BUILD, "bennu")
TOOL = os.path.join(BUILD, "bench", "bench_tool")
ENGINE = os.path.join(BUILD, "src", "kv", "embedded", "bennu_kv_embedded_bench")
OUT = os.path.abspath(os.path.join(BUILD, "..", "bench"))
GIT_ENV = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Bench",
           "GIT_AUTHOR_EMAIL": "bench@example.org", "GIT_COMMITTER_NAME": "Bench",
           "GIT_COMMITTER_EMAIL": "bench@example.org", "BENNU_ACTOR": "Bench <bench@example.org>"}
results = []


def run(*command, cwd=None, stdin=None):
    """Runs to the end; seconds, and the peak memory of the largest process of it in MB."""
    start = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), cwd=cwd, stdin=stdin, env=GIT_ENV,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate()
    seconds = time.monotonic() - start
    if process.returncode not in (0, 2):
        sys.exit(f"{command} failed: {err.decode()}")
    return seconds, out.decode()


def peak_mb(*command):
    """Peak memory of one command and its children, the largest single process, in MB."""
    code = ("import resource,subprocess,sys;"
            "subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss//1024)")
    done = subprocess.run([sys.executable, "-c", code, *map(str, command)], env=GIT_ENV, capture_output=True,
                          text=True, check=True)
    return int(done.stdout)


def report(name, ours, peer, unit, target, met, what):
    ratio = round(ours / peer, 3) if peer else None
    row = {"name": name, "ours": round(ours, 4), "peer": round(peer, 4) if peer else None, "ratio": ratio,
           "unit": unit, "target": target, "met": bool(met), "what": what}
    results.append(row)
    print(f"{name:<22}{row['ours']:>12}{row['peer'] if peer else '-':>12}{ratio if ratio else '-':>8}  {unit:<7}"
          f"{'met ' if met else 'MISS'}  {target}", flush=True)


class Place:
    """The data of this run, made once: stores, streams, repositories, by count and layout."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="bennu-bench-", dir=os.environ.get("TMPDIR"))
        self.made = {}

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def fresh(self, name):
        shutil.rmtree(self.path(name), ignore_errors=True)
        return self.path(name)

    def once(self, name, make):
        if name not in self.made:
            print(f"  making {name}", file=sys.stderr, flush=True)
            make(self.path(name))
            self.made[name] = self.path(name)
        return self.made[name]

    def store(self, count, layout):
        return self.once(f"store-{count}-{layout}", lambda p: run(TOOL, "fill", p, count, layout))

    def text(self, form, count, layout):
        """The content as bench_tool's verb `form` prints it."""
        def make(path):
            with open(path, "wb") as out:
                subprocess.run([TOOL, form, str(count), layout], stdout=out, check=True)
        return self.once(f"{form}-{count}-{layout}", make)

    def repository(self, count, layout):
        """A bare repository with that content, as an export leaves it."""
        def make(path):
            store = path + ".data"
            shutil.copytree(self.store(count, layout), store)
            run(BENNU, "export", "--data", store)
            os.rename(os.path.join(store, "repo.git"), path)
            shutil.rmtree(store)
        return self.once(f"repository-{count}-{layout}.git", make)


def median_of(times, ours, peer):
    ours_s, peer_s = [], []
    for _ in range(times):
        ours_s.append(ours())
        peer_s.append(peer())
    return statistics.median(ours_s), statistics.median(peer_s)


def export_1m(place, count=MILLION, layout="shards", name="export_1m"):
    store, stream = place.store(count, layout), place.text("stream", count, layout)

    def ours():
        copy = place.fresh("export")
        shutil.copytree(store, copy)
        os.sync()
        return run(BENNU, "export", "--data", copy)[0]

    def peer():
        repository = place.fresh("import.git")
        run("git", "init", "-q", "--bare", repository)
        os.sync()
        with open(stream, "rb") as stdin:
            return run("git", "fast-import", "--quiet", cwd=repository, stdin=stdin)[0]

    mine, theirs = median_of(REPEATS, ours, peer)
    tree = run("git", "rev-parse", "main^{tree}", cwd=place.path("export", "repo.git"))[1]
    assert tree == run("git", "rev-parse", "main^{tree}", cwd=place.path("import.git"))[1]
    report(name, mine, theirs, "s", "<= 1.0 x fast-import", mine <= theirs,
           f"{count} keys ({layout}) to a first commit, whole process, against git fast-import of a ready stream")


def restore_1m(place, count=MILLION, layout="shards", name="restore_1m"):
    # As a remote: a local path would only link the files.
    repository = "file://" + place.repository(count, layout)
    records = place.text("records", count, layout)

    def ours():
        data = place.fresh("restored")
        os.sync()
        seconds, out = run(BENNU, "restore", repository, "--data", data, "-o", "json")
        assert json.loads(out)["verified"] == "exact"
        return seconds

    def peer():
        clone, rocksdb = place.fresh("clone.git"), place.fresh("rocksdb")
        os.sync()
        seconds = run("git", "clone", "-q", "--bare", repository, clone)[0]
        with open(records, "rb") as stdin:
            return seconds + run(ENGINE, "bare_load", rocksdb, stdin=stdin)[0]

    mine, theirs = median_of(REPEATS, ours, peer)
    report(name, mine, theirs, "s", "<= 1.25 x (git clone --bare + bare RocksDB load)",
           mine <= 1.25 * theirs,
           f"{count} keys ({layout}) to a durable store with proof, whole process")


def export_100(place):
    def mine_of(count):
        data = place.once(f"export-{count}", lambda p: shutil.copytree(place.store(count, "shards"), p))
        run(BENNU, "export", "--data", data)
        times = []
        for seed in range(1, 2 * REPEATS):
            run(TOOL, "change", data, 100, count, "shards", seed)
            times.append(run(BENNU, "export", "--data", data)[0])
        return statistics.median(times)

    def peer():
        tree = place.once("worktree", lambda p: run(TOOL, "files", p, MILLION, "shards"))
        run("git", "init", "-q", cwd=tree)
        run("git", "add", "-A", cwd=tree)
        run("git", "commit", "-q", "-m", "begin", cwd=tree)
        times = []
        for seed in range(1, 1 + REPEATS):
            run(TOOL, "touch", tree, 100, MILLION, "shards", seed)
            times.append(run("sh", "-c", "git add -A && git commit -q -m change", cwd=tree)[0])
        return statistics.median(times)

    large, small = mine_of(MILLION), mine_of(10_000)
    theirs = peer()
    report("export_100_of_1m", large, theirs, "s", "<= 1/20 of git add -A && git commit", large <= theirs / 20,
           "100 changed keys of a million, whole process, against git in a work tree")
    report("export_100_of_1m:10k", large, small, "s", "<= 3 x the same in a store of 10 k", large <= 3 * small,
           "the same export in a store of a million and of ten thousand keys")


def memory_1m(place):
    data = place.fresh("memory")
    shutil.copytree(place.store(MILLION, "shards"), data)
    export = peak_mb(BENNU, "export", "--data", data)
    report("memory_1m:export", export, None, "MB", "<= 400 MB", export <= 400, "peak of export_1m")
    restore = peak_mb(BENNU, "restore", place.repository(MILLION, "shards"), "--data", place.fresh("memory"))
    report("memory_1m:restore", restore, None, "MB", "<= 400 MB", restore <= 400, "peak of restore_1m, git included")


def engine(place, case, *arguments):
    """The engine's own cases measure in process and print one object per line."""
    environment = {**GIT_ENV, "TMPDIR": place.root}
    done = subprocess.run([ENGINE, case, *map(str, arguments)], env=environment, capture_output=True,
                          text=True, check=True)
    for line in done.stdout.splitlines():
        report(**json.loads(line))


CASES = {
    "put_1": lambda place: engine(place, "put_1"),
    "put_100": lambda place: engine(place, "put_100"),
    "stall_1m": lambda place: engine(place, "stall", MILLION),
    "reopen_1m": lambda place: engine(place, "reopen", MILLION),
    "export_1m": export_1m,
    "export_100k_flat": lambda place: export_1m(place, 100_000, "flat", "export_100k_flat"),
    "restore_1m": restore_1m,
    "restore_100k_flat": lambda place: restore_1m(place, 100_000, "flat", "restore_100k_flat"),
    "export_100_of_1m": export_100,
    "memory_1m": memory_1m,
}


def main():
    names = sys.argv[2:] or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        sys.exit(f"bench: no case {unknown[0]}; there are {', '.join(CASES)}")
    place = Place()
    print(f"{'name':<22}{'ours':>12}{'peer':>12}{'ratio':>8}  {'unit':<7}      target", flush=True)
    try:
        for name in names:
            CASES[name](place)
    finally:
        shutil.rmtree(place.root, ignore_errors=True)
        os.makedirs(OUT, exist_ok=True)
        with open(os.path.join(OUT, "results.json"), "w") as out:
            for row in results:
                out.write(json.dumps(row) + "\n")
    print(f"written to {os.path.relpath(os.path.join(OUT, 'results.json'))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
