#!/usr/bin/env python3
"""Makes the network of examples/network: invented people, addresses reserved for documentation.

  tools/make_example_network.py --plain DIR
      writes the documents with every secret in clear: what the example is made of, the same bytes
      at each run
  tools/make_example_network.py --bennu build/release/bennu
      makes examples/network and its identities anew: restores the plain documents into a store,
      makes a key ring, exports, and takes the last commit's files. Sealed, so that other bytes
      come out each time, but what they open to is the same.

Run by developers, when the example or a format changes; the outcome is committed. Only the Python
standard library, git, and (for --bennu) age.
"""

import argparse
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEED = 20261120
START = datetime.datetime(2026, 2, 2, 9, 0, tzinfo=datetime.timezone.utc)
NOW = datetime.datetime(2026, 11, 20, 8, 0, tzinfo=datetime.timezone.utc)
DEVICES = 150

# (cell, place, addresses of its core nodes)
CELLS = [
    ("north.example.net", "Tromsø", ["203.0.113.11", "203.0.113.12", "2001:db8:10::11"]),
    ("south.example.net", "Palermo", ["203.0.113.21", "203.0.113.22"]),
]
# (address, domain, place, status, numbers of the core nodes that it reaches)
ENTRIES = [
    ("192.0.2.17", "alder.example.org", "Riga", "active", [0, 1]),
    ("192.0.2.44", "birch.example.org", "Tartu", "active", [0, 2]),
    ("192.0.2.81", "cedar.example.com", "Gdańsk", "active", [0, 1, 2]),
    ("198.51.100.9", "elder.example.com", "Brno", "active", [1, 3]),
    ("198.51.100.23", "hazel.example.org", "Graz", "active", [2, 3]),
    ("198.51.100.40", "juniper.example.net", "Trieste", "active", [3, 4]),
    ("198.51.100.77", "larch.example.org", "Split", "active", [3, 4]),
    ("198.51.100.112", "maple.example.com", "Bari", "active", [4]),
    ("2001:db8:20::5", "rowan.example.org", "Porto", "active", [0, 3]),
    ("2001:db8:20::9", "willow.example.net", "Vigo", "active", [1, 4]),
    ("198.51.100.130", "yew.example.org", "Lyon", "inactive", [2, 4]),
    # Blocked and replaced by the first of the list, which took the domain over.
    ("192.0.2.16", "alder.example.org", "Riga", "archived", [0]),
]
NAMES = """
agnes albin alma amadou anders astrid aurelia bashir beata bruno camille carlos chiara cosmin
dagmar davide elif elina emeka enzo eszter fatima filip freya gaspar greta hamid hanna henrik ilona
ines ismail ivana jakub jana joana kaito karim katja lars leila luca magda marek mateo milena nadia
nikola noor olga oskar paola petra quentin rafael rasa samira sven tomas zofia
""".split()
DEVICE_NAMES = ["phone", "laptop", "tablet", "work laptop", "old phone", "television", "desktop",
                "router at home", "phone of a child", "reader"]


def text_time(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Network:
    """The documents by their path."""

    def __init__(self):
        self.random = random.Random(SEED)
        self.files = {}
        self.cores = [(address, cell) for cell, _, addresses in CELLS for address in addresses]
        self.make_cells()
        self.make_cores()
        self.make_entries()
        self.make_users()

    def moment(self, after=START, before=NOW):
        seconds = self.random.randrange(int((before - after).total_seconds()))
        return after + datetime.timedelta(seconds=seconds)

    def uuid(self):
        return str(uuid.UUID(bytes=self.random.randbytes(16), version=4))

    def add(self, path, **fields):
        self.files[path + ".json"] = {name: v for name, v in fields.items() if v is not None}

    def make_cells(self):
        for cell, _, addresses in CELLS:
            self.add(f"cells/{cell}", status="active", status_at=text_time(START),
                     core_node_counter=len(addresses))

    def make_cores(self):
        for cell, place, addresses in CELLS:
            for number, address in enumerate(addresses, 1):
                self.add(f"nodes/{address}", role="core", status="active",
                         status_at=text_time(self.moment(before=START + datetime.timedelta(days=9))),
                         cell=cell, node_number=number, domain=f"{number}.core.{cell}",
                         hostname=f"core{number}-{cell.split('.')[0]}", location=place,
                         uuid=self.uuid())

    def make_entries(self):
        for address, domain, place, status, reaches in ENTRIES:
            self.add(f"nodes/{address}", role="entry", status=status, domain=domain, location=place,
                     status_at=text_time(self.moment()), hostname="entry-" + domain.split(".")[0])
            for number in reaches:
                self.add(f"links/{address}/{self.cores[number][0]}", status=status,
                         client_service_name=self.random.randbytes(12).hex(),
                         core_service_name=self.random.randbytes(12).hex(),
                         last_rotation=text_time(NOW - datetime.timedelta(
                             minutes=self.random.randrange(60))))

    def make_users(self):
        statuses = ["active"] * 52 + ["inactive"] * 5 + ["archived"] * 3
        self.random.shuffle(statuses)
        joined = sorted(self.moment() for _ in NAMES)
        # Everybody has a device, some have several.
        owners = list(range(len(NAMES))) + self.random.choices(range(len(NAMES)),
                                                               k=DEVICES - len(NAMES))
        for index, name in enumerate(NAMES):
            chance = self.random.random
            cores = sorted(core for core, _ in self.random.sample(self.cores, self.random.choice([1, 1, 2, 3])))
            since = joined[index] if statuses[index] == "active" else self.moment(after=joined[index])
            self.add(f"users/{index + 1}", username=name, status=statuses[index],
                     status_at=text_time(since), created=text_time(joined[index]), core_nodes=cores,
                     email=f"{name}@example.com" if chance() < 0.6 else None,
                     telegram=f"@{name}_{self.random.randrange(100)}" if chance() < 0.5 else None,
                     hash_telegram_id=self.random.randbytes(16).hex() if chance() < 0.5 else None)
            for position in range(owners.count(index)):
                self.make_device(index + 1, DEVICE_NAMES[position % len(DEVICE_NAMES)], since, cores)
        self.add("counters", user_id=len(NAMES))

    def make_device(self, user, name, since, cores):
        chance = self.random.random
        active = self.files[f"users/{user}.json"]["status"] == "active" and chance() < 0.9
        created = self.moment(after=since)
        expires = None
        if chance() < 0.1:
            expires = text_time(self.moment(after=NOW, before=NOW + datetime.timedelta(days=3650)))
        self.add(f"users/{user}/devices/{self.uuid()}", name=name,
                 status="active" if active else "inactive", status_at=text_time(created),
                 created=text_time(created), expires=expires,
                 core_node=self.random.choice(cores) if chance() < 0.3 else None)


def write_plain(folder):
    for path, fields in Network().files.items():
        file = Path(folder) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n",
                        encoding="utf-8")


def run(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(a) for a in arguments)}: {done.stderr.strip()}")
    return done.stdout


def git(folder, *arguments):
    return run("git", "-c", "user.name=Bennu", "-c", "user.email=bennu@example.org",
               "-c", "core.autocrlf=false", "-C", folder, *arguments)


def write_sealed(bennu):
    bennu = Path(bennu).resolve()
    target = ROOT / "examples" / "network"
    identity = ROOT / "examples" / "network-identity.txt"
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        remote = scratch / "remote.git"
        environment = {**os.environ, "BENNU_IDENTITY": str(scratch / "identity.txt"),
                       "BENNU_ACTOR": "Bennu <bennu@example.org>"}

        def bennu_in(data, *arguments):
            run(bennu, "--data", scratch / data, *arguments, env=environment)

        # A new network: its repository holds the schema and the key ring, and nobody yet.
        bennu_in("new", "init", "--schema", "network", "--branch", "main")
        bennu_in("new", "secret", "init", "--offline", scratch / "offline.txt")
        bennu_in("new", "export")
        # People write documents in clear; the next export seals them.
        run("git", "clone", "-q", "--bare", scratch / "new" / "repo.git", remote)
        run("git", "clone", "-q", remote, scratch / "plain")
        write_plain(scratch / "plain")
        git(scratch / "plain", "add", "-A")
        git(scratch / "plain", "commit", "-q", "-m", "The example network, in clear")
        git(scratch / "plain", "push", "-q", "origin", "main")
        bennu_in("data", "restore", remote)
        bennu_in("data", "export")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        run("git", "--git-dir", remote, "--work-tree", target, "checkout", "-f", "main", "--", ".")
        note = ("# The identity of examples/network. It is public: it opens nothing but that\n"
                "# example. Never use it for a network of your own.\n")
        identity.write_text(note + (scratch / "identity.txt").read_text(encoding="utf-8"),
                            encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--plain", metavar="DIR", help="write the documents in clear")
    what.add_argument("--bennu", metavar="BINARY", help="make examples/network anew")
    options = parser.parse_args()
    if options.plain:
        write_plain(options.plain)
    else:
        write_sealed(options.bennu)


if __name__ == "__main__":
    main()
