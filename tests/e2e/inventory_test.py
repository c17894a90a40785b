"""The inventory through the real binary, and the example network that is made of it."""

import glob
import json
import os
import re
import subprocess
import sys

import harness

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import make_example_network  # noqa: E402

UUID = "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11"
OTHER = "aaaabbbb-2222-4333-8444-555555555555"
CORE, ENTRY = "203.0.113.7", "198.51.100.1"


class Inventory(harness.Case):
    def setUp(self):
        super().setUp()
        self.env["BENNU_IDENTITY"] = self.path("identity.txt")
        self.net = self.remote("net.git")
        self.bennu("init", "--schema", "network", "--remote", self.net)
        self.bennu("secret", "init", "--offline", self.path("offline.txt"))

    def build(self):
        """What docs/operations/inventory.md does from nothing."""
        self.bennu("cell", "add", "west.example.org")
        self.bennu("node", "add", CORE, "--role", "core", "--cell", "west.example.org")
        self.bennu("node", "add", ENTRY, "--role", "entry", "--domain", "alder.example.org")
        self.bennu("link", "add", ENTRY, CORE)
        self.bennu("user", "add", "anna", "--core-node", CORE)
        self.bennu("device", "add", "--user", "anna", "--name", "phone", "--uuid", UUID)

    def test_from_nothing_to_a_link(self):
        self.build()
        self.assertEqual(self.ask("node", "show", CORE)["domain"], "1.core.west.example.org")
        user = self.ask("user", "show", "anna")
        self.assertEqual((user["id"], user["status"], user["core_nodes"]), (1, "active", [CORE]))
        service = self.ask("link", "show", ENTRY, CORE)["client_service_name"]
        uri = (f"vless://{UUID}@alder.example.org:443?type=grpc&security=tls"
               f"&serviceName={service}&fp=chrome&alpn=h2#phone")
        config = self.ask("client-config", UUID)
        self.assertEqual([link["uri"] for link in config["links"]], [uri])
        printed = self.bennu("client-config", "--user", "anna", "phone", "--qr").out.splitlines()
        self.assertEqual(printed[0], uri)
        # 49 modules and the quiet zone, two in each line.
        self.assertGreater(len(printed), 20)
        self.assertTrue(all(set(line) <= set("█▀▄ ") for line in printed[1:] if line), printed)

    def test_each_change_is_a_commit_of_its_actor(self):
        self.build()
        self.bennu("export")
        self.bennu("user", "set", "anna", "--email", "anna@example.org", "--actor",
                   "Bob <bob@example.org>", "--reason", "she asked")
        self.bennu("user", "deactivate", "anna")
        self.bennu("export")
        log = self.git("log", "-2", "--format=%an: %s", "main", cwd=self.net).splitlines()
        self.assertEqual(log, ["Ada: user deactivate anna", "Bob: user set anna: email"])
        self.assertIn("Bennu-Reason: she asked",
                      self.git("log", "-1", "--format=%b", "main~1", cwd=self.net))
        # One commit has the user and the device that it took off.
        changed = self.git("diff", "--name-only", "main~1", "main", cwd=self.net).splitlines()
        self.assertEqual(len(changed), 2, changed)

    def test_the_actor_is_found_and_checked(self):
        self.env["BENNU_ACTOR"] = ""
        with open(self.path(".gitconfig"), "w", encoding="utf-8") as config:
            config.write("[user]\n\tname = Gita\n\temail = gita@example.org\n")
        self.bennu("user", "add", "anna")
        self.bennu("user", "add", "boris", env={"BENNU_ACTOR": "Eve <eve@example.org>"})
        self.bennu("user", "add", "carol", "--actor", "Bob <bob@example.org>",
                   env={"BENNU_ACTOR": "Eve <eve@example.org>"})
        self.bennu("export")
        log = self.git("log", "-3", "--format=%an <%ae>: %s", "main", cwd=self.net).splitlines()
        self.assertEqual(log, ["Bob <bob@example.org>: user add carol",
                               "Eve <eve@example.org>: user add boris",
                               "Gita <gita@example.org>: user add anna"])
        for actor in ("Eve", "Eve <>", "<eve@example.org>", "Eve <eve@example.org", "Eve <eve>", "a\nb"):
            for given in ({"env": {"BENNU_ACTOR": actor}}, {}):
                more = () if given else ("--actor", actor)
                self.assert_one_line(self.bennu("user", "add", "dora", *more, expect=1, **given),
                                     "--actor or BENNU_ACTOR", "mail")
        self.assertEqual(len(self.ask("user", "list")["items"]), 3)

    def test_refusals_are_one_line_and_change_nothing(self):
        self.build()
        self.bennu("export")
        refused = [
            (("user", "add", "anna"), "username anna is taken by user 1"),
            (("user", "add", "boris", "--core-node", "203.0.113.9"), "no node 203.0.113.9"),
            (("user", "add", "boris", "--core-node", ENTRY), "has role entry"),
            (("user", "add", "boris", "--email", "boris"), "email is not valid"),
            (("user", "add"), "needs username"),
            (("user", "add", "bob", "--username", "carol"), "two names: one as a word and one after --username"),
            (("device", "add", "--user", "anna", "tv", "--name", "radio"), "two names"),
            (("user", "show", "boris"), "no user with username boris"),
            (("device", "add", "--user", "9", "--name", "x"), "no user 9"),
            (("node", "add", "core-1", "--role", "core"), '"core-1" is not valid'),
            (("node", "remove", CORE, "--yes"), "user 1 (anna)"),
            (("node", "archive", ENTRY), f"link {ENTRY} -> {CORE} depends on it"),
            (("cell", "remove", "west.example.org", "--yes"), f"node {CORE} depends on it"),
            (("link", "add", CORE, ENTRY), "has role core"),
            (("user", "remove", "anna"), "add --yes"),
        ]
        for arguments, words in refused:
            with self.subTest(arguments):
                self.assert_one_line(self.bennu(*arguments, expect=1), words)
        self.bennu("user", "archive", "anna")
        self.assert_one_line(self.bennu("device", "add", "--user", "anna", "--name", "tv", expect=1),
                             "is archived")
        self.assert_one_line(self.bennu("client-config", UUID, expect=1), "is archived")
        self.bennu("export")
        self.assertEqual(self.git("log", "-1", "--format=%s", "main", cwd=self.net),
                         "user archive anna")

    def test_a_uuid_is_no_name(self):
        self.build()
        for arguments in (("device", "add", OTHER, "--user", "anna"), ("device", "add", "anna", OTHER.upper()),
                          ("device", "add", "--user", "anna", "--name", OTHER.replace("-", "")),
                          ("device", "set", UUID, "--name", OTHER), ("user", "add", OTHER),
                          ("user", "set", "anna", "--username", OTHER)):
            with self.subTest(arguments):
                refused = self.bennu(*arguments, expect=1)
                self.assert_one_line(refused, "is a UUID", "after --uuid")
                self.assertNotIn(OTHER[:8], refused.err.lower())
        self.assertIn("never its uuid", self.bennu("device", "add", "--help").out)
        # Past the commands it is told, and not repeated.
        told = self.bennu("kv", "put", f"/net/users/1/devices/{UUID}/name", OTHER)
        self.assertEqual(told.err, "bennu: warning: device of user 1: name is a UUID, and names stand in Git in "
                         "clear: give the name that people use; the uuid of a new device goes after --uuid\n")

    def test_what_git_brings_keeps_the_rules(self):
        """An import drops the derived indexes: a name that Git brought is taken from then on."""
        self.build()
        self.bennu("export")
        files = {"users/9.json": json.dumps({"username": "boris", "status": "active"}),
                 "nodes/198.51.100.9.json": json.dumps(
                     {"role": "entry", "status": "active", "domain": "birch.example.org"})}
        self.push_files(files, self.net)
        self.bennu("import")
        self.assert_one_line(self.bennu("user", "add", "boris", expect=1), "boris is taken by user 9")
        self.assert_one_line(self.bennu("node", "add", "198.51.100.10", "--role", "entry",
                                        "--domain", "birch.example.org", expect=1),
                             "birch.example.org is taken by node 198.51.100.9")

    def test_what_breaks_a_rule_is_taken_with_a_warning(self):
        self.build()
        self.bennu("user", "add", "boris", "--core-node", CORE)
        self.bennu("export")
        boris = json.loads(self.git("show", "main:users/2.json", cwd=self.net))
        files = {"users/2.json": json.dumps({**boris, "username": "anna", "core_nodes": ["9.9.9.9"]}),
                 "users/3.json": json.dumps({"status": "active"})}
        head = self.git("rev-parse", "main", cwd=self.net)
        self.push_files(files, self.net)
        self.ask("restore", f"{self.net}@{head}", data="planned")
        self.bennu("plan", "--out", "p", data="planned", expect=2)
        applied = self.ask("apply", "p", data="planned")["broken_rules"]
        done = self.bennu("import", "-o", "json")
        self.assertEqual(applied, done.json["broken_rules"])
        told = ["user 2 (anna): core node 9.9.9.9 does not exist",
                "user 2 (anna): username anna is also that of user 1 (anna)"]
        self.assertEqual(sorted(done.json["broken_rules"])[:2], told)
        self.assertIn("user 3: username is missing", done.json["broken_rules"])
        for line in done.json["broken_rules"]:
            self.assertIn("warning: " + line, done.err)
        names = [user.get("username") for user in self.ask("user", "list")["items"]]
        self.assertEqual(names, ["anna", "anna", None])
        self.assert_one_line(self.bennu("user", "add", "anna", expect=1), "anna is taken by user 1")
        # A change that breaks nothing more says nothing; a restore tells all of it.
        self.push_files({"users/9.json": json.dumps({**boris, "username": "dora"})}, self.net)
        self.assertEqual(self.ask("import")["broken_rules"], [])
        self.assertLessEqual(set(told), set(self.ask("restore", self.net, data="other")["broken_rules"]))
        self.bennu("user", "set", "2", "--username", "boris", "--core-node", CORE)
        self.bennu("user", "set", "3", "--username", "carol")
        self.assert_one_line(self.bennu("user", "add", "dora", expect=1), "dora is taken by user 9")

    def test_rules_that_cannot_be_checked_undo_nothing(self):
        self.build()
        self.bennu("export")
        anna = json.loads(self.git("show", "main:users/1.json", cwd=self.net))
        self.push_files({"users/1.json": json.dumps({**anna, "username": "x" * 9000})}, self.net)
        done = self.bennu("import", "-o", "json")  # the key of its index would be too long
        self.assertEqual((done.json["changed"], done.json["broken_rules"]), (True, None))
        self.assertIn("warning: the change is made, but", done.err)
        self.assertTrue(self.ask("verify")["in_sync"])
        restored = self.bennu("restore", self.net, "-o", "json", data="other")
        self.assertEqual(restored.json["verified"], "exact")
        self.assertIn("indexes could not be made", restored.err)
        self.assertIn("is not valid: give 1 to 64 bytes", restored.json["broken_rules"][0])
        self.bennu("kv", "put", "/net/users/1/username", "anna", data="other")
        self.assertEqual(self.ask("user", "add", "boris", data="other")["id"], 2)

    def test_a_plain_put_that_breaks_a_rule_is_told(self):
        self.build()
        self.bennu("user", "add", "boris", "--core-node", CORE)
        changes = [
            (("kv", "put", "/net/users/2/username", "anna"), "anna is also that of user 1"),
            (("kv", "put", "/net/users/abc/username", "zed"), "user abc (zed): id is not in its stored"),
            (("kv", "put", "/net/nodes/bad ip/role", "core"), "node bad ip: ip is not in its stored"),
            (("kv", "del", "/net/users/1/username"), "user 1: username is missing"),
            (("kv", "del", f"/net/nodes/{CORE}/", "--prefix", "--yes"),
             f"user 2 (anna): core node {CORE} does not exist"),
        ]
        for arguments, words in changes:
            self.assertIn(words, self.bennu(*arguments).err)
        quiet = self.bennu("kv", "put", "/net/users/2/username", "boris")
        self.assertEqual(quiet.err, f"bennu: warning: user 2 (boris): core node {CORE} does not exist\n")
        self.assertEqual(self.bennu("kv", "put", "/elsewhere", "x").err, "")

    def test_a_counter_that_gives_no_id_is_told(self):
        self.bennu("user", "add", "anna")
        for value, words in (("abc", "is not a number"), ("9223372036854775807", "leaves no id"), ("0", "is below")):
            self.assertIn(f"/net/counters/user_id {words}", self.bennu("kv", "put", "/net/counters/user_id", value).err)
            if value != "0":
                self.assert_one_line(self.bennu("user", "add", "boris", expect=1), "/net/counters/user_id")
        self.bennu("user", "add", "boris")
        self.assertEqual([user["id"] for user in self.ask("user", "list")["items"]], [1, 2])
        self.bennu("cell", "add", "west.example.org")
        self.bennu("kv", "put", "/net/cells/west.example.org/core_node_counter", "9223372036854775807")
        self.assert_one_line(self.bennu("node", "add", CORE, "--role", "core", "--cell", "west.example.org", expect=1),
                             "core_node_counter", "highest")

    def test_a_plain_put_is_noticed(self):
        self.build()
        self.bennu("kv", "put", "/net/users/1/username", "boris")
        self.assert_one_line(self.bennu("user", "add", "boris", expect=1), "boris is taken by user 1")
        self.bennu("user", "add", "anna")

    def test_a_clone_answers_like_a_store(self):
        self.build()
        self.bennu("export")
        clone = self.path("clone")
        self.git("clone", "-q", self.net, clone)
        for arguments in (("user", "list"), ("user", "show", "anna"), ("client-config", UUID)):
            with self.subTest(arguments):
                there = self.bennu("--repo", clone, *arguments, "-o", "json", data=None).json
                self.assertEqual(there, self.ask(*arguments))

    def test_without_the_identity_devices_are_listed_sealed(self):
        self.build()
        self.bennu("export")
        away = {"BENNU_IDENTITY": ""}
        self.ask("restore", self.net, data="sealed", env=away)
        device = self.ask("device", "list", data="sealed", env=away)["items"][0]
        self.assertTrue(device["uuid"].startswith("~sealed~"))
        self.assertEqual((device["name"], device["sealed"]), ("phone", ["uuid"]))
        refused = self.bennu("client-config", "--user", "anna", "phone", expect=1, data="sealed",
                             env=away)
        self.assert_one_line(refused, "is sealed here", "--identity")
        self.git("clone", "-q", self.net, self.path("clone"))
        refused = self.bennu("--repo", self.path("clone"), "client-config", UUID, expect=1, data=None, env=away)
        self.assert_one_line(refused, "no device with this uuid", "sealed here", "--identity")
        self.assertNotIn(UUID[:8], refused.err)


class Manual(harness.Case):
    def test_the_blocks_can_be_pasted_in_order(self):
        with open(os.path.join(ROOT, "docs", "operations", "inventory.md"), encoding="utf-8") as manual:
            blocks = re.findall(r"```sh\n(.*?)```", manual.read(), re.DOTALL)
        self.assertEqual(len(blocks), 4)
        folder = os.path.dirname(harness.BENNU)
        env = {**self.env, "PATH": folder + os.pathsep + os.environ["PATH"]}
        env.pop("BENNU_ACTOR")
        done = subprocess.run(["bash", "-e", "-c", "".join(blocks)], cwd=self.dir, env=env,
                              capture_output=True, timeout=300, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("vless://", done.stdout)


class ExampleNetwork(harness.Case):
    def setUp(self):
        super().setUp()
        self.env["BENNU_IDENTITY"] = os.path.join(ROOT, "examples", "network-identity.txt")
        self.net = self.remote("net.git")
        inside = ("--git-dir", self.net, "--work-tree", os.path.join(ROOT, "examples", "network"))
        self.git(*inside, "add", "-A")
        self.git(*inside, "commit", "-q", "-m", "The example network")

    def restore(self):
        return self.ask("restore", self.net)

    def test_it_is_what_its_generator_says(self):
        restored = self.restore()
        self.assertEqual(restored["verified"], "exact")
        self.assertEqual(restored["tree"], self.tree(self.net))
        wanted = make_example_network.Network().files
        found = {"counters.json": {"user_id": 60}}
        keys = {"user": ("users", "id"), "node": ("nodes", "ip"), "cell": ("cells", "domain"),
                "link": ("links", "entry_ip", "core_ip"),
                "device": ("users", "user_id", "devices", "uuid")}
        for kind, parts in keys.items():
            for item in self.ask(kind, "list")["items"]:
                path = "/".join(str(item.pop(p)) if p in item else p for p in parts)
                found[path + ".json"] = item
        if wanted.keys() != found.keys():
            self.fail(sorted(wanted.keys() ^ found.keys())[:5])
        for path, fields in wanted.items():
            self.assertEqual(found[path], fields, path)

    def test_it_has_the_numbers_that_are_said_of_it(self):
        self.restore()
        count = {kind: len(self.ask(kind, "list")["items"]) for kind in ("cell", "user", "device")}
        self.assertEqual(count, {"cell": 2, "user": 60, "device": 150})
        roles = [node["role"] for node in self.ask("node", "list")["items"]]
        self.assertEqual((roles.count("core"), roles.count("entry")), (5, 12))

    def test_no_secret_is_in_any_object(self):
        self.restore()
        self.bennu("user", "add", "anna", "--core-node", "203.0.113.11", "--email", "anna.k@example.org")
        self.bennu("device", "add", "--user", "anna", "--name", "phone")
        self.bennu("export")
        secrets = [device["uuid"] for device in self.ask("device", "list")["items"]]
        self.assertEqual(len(secrets), 151)
        for user in self.ask("user", "list")["items"]:
            secrets += [user[name] for name in ("email", "telegram") if name in user]
        for link in self.ask("link", "list")["items"]:
            secrets += [link["client_service_name"], link["core_service_name"]]
        objects = self.git("cat-file", "--batch", "--batch-all-objects", cwd=self.net)
        self.assertIn("bennu-sealed:", objects)
        self.assertEqual([secret for secret in secrets if secret in objects], [])

    def test_active_devices_of_active_users_have_a_link(self):
        self.restore()
        device = next(d for d in self.ask("device", "list", "--status", "active")["items"]
                      if "expires" not in d)
        links = self.ask("client-config", device["uuid"])["links"]
        self.assertGreater(len(links), 0)
        self.assertTrue(all(link["uri"].startswith("vless://" + device["uuid"]) for link in links))

    def test_its_files_are_as_git_takes_them(self):
        for name in glob.glob(os.path.join(ROOT, "examples", "network", "**", "*"), recursive=True):
            if os.path.isfile(name):
                self.assertEqual(os.stat(name).st_mode & 0o111, 0, name)


if __name__ == "__main__":
    harness.main()
