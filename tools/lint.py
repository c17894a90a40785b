#!/usr/bin/env python3
"""clang-format and clang-tidy over the tree, on all cores, remembering what was already clean.

  tools/lint.py [--jobs N] [FILE...]   checks the format of everything and runs clang-tidy on the
                                       sources under src/ and apps/ (needs build/dev configured)
  tools/lint.py --format [--all]       formats what differs from main (or everything) in place
  tools/lint.py --profile              with a table of where clang-tidy's time goes

A source is clean for as long as its text, the text of every header of ours that it includes, its
compile command, .clang-tidy and clang-tidy itself stay the same: build/lint/ holds one empty file
per such hash, so a second run takes seconds. Only the Python standard library.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLEAN = ROOT / "build/lint"
FORMAT, TIDY = "clang-format-19", "clang-tidy-19"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True,
                          text=True).stdout.split("\n")


def cpp_files(names):
    return sorted({n for n in names if n.endswith((".cpp", ".hpp")) and (ROOT / n).is_file()})


def all_files():
    return cpp_files(git("ls-files", "--cached", "--others", "--exclude-standard"))


def changed_files():
    """What this branch and this work tree changed since it left main."""
    base = git("merge-base", "HEAD", "main")[0]
    return cpp_files(git("diff", "--name-only", base) +
                     git("ls-files", "--others", "--exclude-standard"))


# ---- format --------------------------------------------------------------------------------------


def format_files(files):
    if not files:
        return 0
    subprocess.run([sys.executable, "tools/wrap_comments.py", *files], cwd=ROOT, check=True)
    return subprocess.run([FORMAT, "-i", *files], cwd=ROOT).returncode


def check_format(files):
    wrong = subprocess.run([sys.executable, "tools/wrap_comments.py", "--check", *files],
                           cwd=ROOT).returncode
    output = subprocess.run([FORMAT, "--dry-run", *files], cwd=ROOT, capture_output=True,
                            text=True).stderr
    badly = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: warning", output, re.M)))
    for name in badly:
        print(f"{name}: not formatted; run ./dev format", file=sys.stderr)
    return len(badly) + wrong


# ---- clang-tidy ----------------------------------------------------------------------------------


def compile_commands():
    """Source -> compile command, of what ships: neither tests nor benchmarks."""
    path = ROOT / "build/dev/compile_commands.json"
    commands = {}
    for entry in json.loads(path.read_text()):
        name = os.path.relpath(entry["file"], ROOT)
        if name.startswith(("src/", "apps/")) and not name.endswith(("_test.cpp", "_bench.cpp")):
            commands[name] = entry.get("command", "")
    return commands


@functools.cache
def own_includes(name):
    """Every header of ours that a file includes, through others too."""
    found = {name}
    pending = [name]
    while pending:
        for header in INCLUDE.findall((ROOT / pending.pop()).read_text(errors="replace")):
            path = f"src/{header}"
            if path not in found and (ROOT / path).is_file():
                found.add(path)
                pending.append(path)
    return sorted(found)


@functools.cache
def file_hash(name):
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


@functools.cache
def tool_version():
    return subprocess.run([TIDY, "--version"], capture_output=True, text=True, check=True).stdout


def key_of(name, command):
    parts = [tool_version(), file_hash(".clang-tidy"), command]
    parts += [f"{header} {file_hash(header)}" for header in own_includes(name)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def tidy_one(name, profile):
    start = time.monotonic()
    # -Werror is for our compiler; what clang itself warns about is not in the list of checks.
    run = subprocess.run([TIDY, "-p", "build/dev", "--quiet", "--extra-arg=-Wno-error",
                          *(["--enable-check-profile"] if profile else []), name],
                         cwd=ROOT, capture_output=True, text=True)
    return name, run, time.monotonic() - start


def tidy(commands, jobs, profile):
    keys = {name: key_of(name, command) for name, command in commands.items()}
    CLEAN.mkdir(parents=True, exist_ok=True)
    stale = [name for name, key in keys.items() if profile or not (CLEAN / key).exists()]
    bad, times = 0, []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        largest_first = sorted(stale, key=lambda n: -(ROOT / n).stat().st_size)
        for name, run, seconds in pool.map(lambda n: tidy_one(n, profile), largest_first):
            times.append((seconds, name))
            if run.returncode == 0:
                (CLEAN / keys[name]).touch()
            else:
                bad += 1
                print(run.stdout + ("" if run.stdout else run.stderr), file=sys.stderr)
            if profile:
                print(name, run.stderr)
    print(f"clang-tidy: {len(commands)} sources, {len(stale)} checked anew, {bad} with problems")
    for seconds, name in sorted(times, reverse=True)[:5]:
        print(f"  {seconds:5.1f} s  {name}")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--format", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("files", nargs="*", help="sources to check, instead of all")
    given = parser.parse_args()
    if given.format:
        return format_files(given.files or (all_files() if given.all else changed_files()))
    commands = compile_commands()
    if given.files:
        commands = {name: commands[name] for name in given.files if name in commands}
    problems = check_format(given.files or all_files())
    return 1 if problems + tidy(commands, given.jobs, given.profile) else 0


if __name__ == "__main__":
    sys.exit(main())
