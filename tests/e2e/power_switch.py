"""Runs a command that ends, with everything it started, right before its N-th durable step.

power_switch.cpp, preloaded into the command and its children, does the counting and the ending.
"""

import os
import struct
import subprocess

LIBRARY = os.environ["BENNU_POWER_SWITCH_LIBRARY"]
MAX_STEPS, NAME_SIZE = 20000, 120
HEADER = struct.Struct("=QQIi")  # steps, stop_at, mode, first process
EVERYTHING, ONE_CHILD = 0, 1


class Run:
    """How it ended, and what its steps were: names[0] is step 1."""

    def __init__(self, status, out, err, names):
        self.status, self.out, self.err, self.names = status, out, err, names


def run(command, file, env, cwd, stop_at=0, mode=EVERYTHING):
    """Runs the command; returns when every process that it started is gone."""
    with open(file, "wb") as out:
        out.write(HEADER.pack(0, stop_at, mode, 0))
        out.truncate(HEADER.size + MAX_STEPS * NAME_SIZE)
    options = ":".join(filter(None, [env.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
    env = {**env, "LD_PRELOAD": LIBRARY, "BENNU_POWER_SWITCH": file, "ASAN_OPTIONS": options}
    # Whoever is left holds the pipe's other end open, children's children too.
    read, write = os.pipe()
    process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[write],
                               start_new_session=True)
    os.close(write)
    out, err = process.communicate(timeout=300)
    with os.fdopen(read, "rb") as rest:
        rest.read()
    with open(file, "rb") as taken:
        steps = HEADER.unpack(taken.read(HEADER.size))[0]
        if steps > MAX_STEPS:
            raise RuntimeError(f"{command}: {steps} steps are more than the switch can note")
        names = [taken.read(NAME_SIZE).rstrip(b"\0").decode("utf-8", "replace") for _ in range(steps)]
    return Run(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), names)
