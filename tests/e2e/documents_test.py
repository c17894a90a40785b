"""Documents, secrets and the inventory through the real binary and real git."""

import json
import os
import shutil
import subprocess

import harness

UUID = "6f1c1f0e-3a52-4c5b-9d0e-2f6f0c1b7a11"


class Network(harness.Case):
    def setUp(self):
        super().setUp()
        self.net = self.remote()
        self.bennu("init", "--schema", "network", "--remote", self.net)
        self.bennu("secret", "init", "--offline", self.path("offline.txt"))
        self.bennu("cell", "add", "west.example.org")
        self.bennu("node", "add", "203.0.113.7", "--role", "core", "--cell", "west.example.org")
        self.bennu("node", "add", "198.51.100.1", "--role", "entry", "--domain", "e1.example.org")
        self.bennu("link", "add", "198.51.100.1", "203.0.113.7")
        self.bennu("user", "add", "--username", "anna", "--core-node", "203.0.113.7", "--email",
                   "anna@example.org")
        self.device = self.ask("device", "add", "--user", "anna", "--name", "phone")
        self.ask("export")

    def objects(self):
        """Every object of the remote, inflated."""
        done = subprocess.run(["git", "cat-file", "--batch", "--batch-all-objects"], cwd=self.net,
                              env=self.env, capture_output=True, check=True)
        return done.stdout

    def test_documents_are_readable_and_secrets_are_not_there(self):
        user = json.loads(self.git("show", "main:users/1.json", cwd=self.net))
        self.assertEqual(user["username"], "anna")
        self.assertEqual(user["core_nodes"], ["203.0.113.7"])
        everything = self.objects()
        self.assertNotIn(self.device["uuid"].encode(), everything)
        self.assertNotIn(b"anna@example.org", everything)
        self.assertIn(b"anna", everything)
        names = self.git("ls-tree", "-r", "--name-only", "main", cwd=self.net)
        self.assertNotIn(self.device["uuid"], names)
        self.assert_clean(self.net)

    def test_a_restore_with_the_offline_identity_opens_everything(self):
        shutil.rmtree(self.path("data"))
        restored = self.ask("restore", self.net, "--identity", self.path("offline.txt"))
        self.assertEqual((restored["verified"], restored["sealed"]), ("exact", 0))
        links = self.bennu("client-config", self.device["uuid"]).out
        self.assertTrue(links.startswith(f"vless://{self.device['uuid']}@e1.example.org:443?type=grpc"))
        self.assertEqual(self.ask("user", "show", "anna")["email"], "anna@example.org")

    def test_a_restore_without_the_identity_works_sealed_and_unseals_without_a_commit(self):
        head = self.git("rev-parse", "main", cwd=self.net)
        shutil.copy(self.path("data", "identity.txt"), self.path("online.txt"))
        shutil.rmtree(self.path("data"))
        restored = self.bennu("restore", self.net, "-o", "json")
        self.assertEqual(restored.json["verified"], "exact")
        self.assertGreater(restored.json["sealed"], 0)
        self.assertEqual(self.ask("user", "show", "anna")["username"], "anna")
        self.bennu("client-config", "--user", "anna", "phone", expect=1)
        # What is not secret can be changed and exported; a new secret is refused where it is put.
        self.bennu("user", "set", "anna", "--hash-telegram-id", "abcdef0123")
        new_device = f"/net/users/1/devices/{UUID}/name"
        compared = {"success": [{"op": "put", "key": "/net/users/1/telegram", "value": "@anna"}]}
        refused = [
            (("user", "set", "anna", "--email", "new@example.org"), "/net/users/1/email: is secret"),
            (("device", "add", "--user", "anna", "--name", "tv", "--uuid", UUID),
             "/net/users/1/devices/{uuid}/"),
            (("link", "set", "198.51.100.1", "203.0.113.7", "--client-service-name", "x"),
             "/client_service_name: is secret"),
            (("kv", "put", "/net/users/1/email", "new@example.org"), "/net/users/1/email: is secret"),
            (("kv", "put", new_device, "tv"), "/net/users/1/devices/{uuid}/name: is secret"),
            (("kv", "put", new_device + "/deeper", "tv"), "is no field"),
            (("kv", "txn"), "/net/users/1/telegram: is secret"),
        ]
        before = self.ask("kv", "ls", "--count")["revision"]
        for arguments, words in refused:
            answer = self.bennu(*arguments, expect=1, stdin=json.dumps(compared).encode())
            self.assert_one_line(answer, words)
            self.assertNotIn(UUID[:8], answer.err)
            self.assertNotIn("new@example.org", answer.err)
        reason = self.bennu(*refused[0][0], "-o", "json", expect=1).json["error"]["reason"]
        self.assertEqual(reason, "sync.no_key")
        self.assertEqual(self.ask("kv", "ls", "--count")["revision"], before)
        commit = self.ask("export", "--no-push")["commit"]
        self.bennu("user", "set", "anna", "--unset", "hash_telegram_id")
        self.ask("export", "--no-push")
        # Named once, the identity is remembered.
        self.ask("secret", "unseal", "--identity", self.path("online.txt"))
        self.assertIn(self.device["uuid"], self.bennu("client-config", "--user", "anna", "phone").out)
        self.assertFalse(self.ask("export", "--no-push")["changed"])
        self.assertIsNotNone(commit)
        self.assertEqual(self.git("rev-parse", "main", cwd=self.net), head)

    def test_a_missing_identity_is_named(self):
        key = self.path("data", "identity.txt")
        os.rename(key, self.path("away.txt"))
        self.bennu("user", "set", "anna", "--username", "anni")
        for command in ("export",), ("verify",), ("user", "set", "anni", "--email", "anni@example.org"):
            refused = self.bennu(*command, expect=1)
            self.assert_one_line(refused, "is secret", f"there is no identity file {key}", "--identity FILE")
            self.assertNotIn("secret init", refused.err)
        self.ask("export", "--identity", self.path("away.txt"))

    def edited(self, path, **fields):
        """The text of a document of the remote with other fields."""
        return json.dumps({**json.loads(self.git("show", f"main:{path}", cwd=self.net)), **fields})

    def test_an_import_of_a_network_names_files_and_not_the_stores_own_keys(self):
        self.bennu("init", "--schema", "network", data="other")
        self.bennu("secret", "init", "--offline", self.path("another.txt"), data="other")
        refused = self.bennu("import", self.net, data="other", expect=1)
        self.assert_one_line(refused, " .bennu/keys/1.age is there already")
        self.assertNotIn("_bennu/", refused.err)

    def test_where_the_secrets_are_open_nothing_sealed_is_imported(self):
        device = self.git("ls-tree", "-r", "--name-only", "main", "users/1/devices", cwd=self.net)
        key = self.path("data", "identity.txt")
        self.ask("restore", self.net, data="sealed")
        self.ask("restore", self.net, "--identity", self.path("offline.txt"), data="second")
        self.bennu("user", "set", "anna", "--email", "new@example.org", data="second")
        changes = [  # what happens in Git, and the key that the refusal names
            (lambda: self.ask("export", data="second"), "/net/users/1/email: is sealed in Git"),
            (lambda: self.push_files({device: self.edited(device, status="inactive")}, self.net),
             "/net/users/1/devices/~sealed~"),
            (lambda: self.push_files({}, self.net, remove=[device]), "/net/users/1/devices/~sealed~"),
        ]
        for change, words in changes:
            change()
            before = self.bennu("kv", "ls", "--values", "/net/").out
            self.bennu("plan", "--out", self.path("p"), expect=2)
            os.rename(key, self.path("away.txt"))
            for command in ("import",), ("plan",), ("drift",), ("apply", self.path("p")):
                refused = self.bennu(*command, expect=1)
                self.assert_one_line(refused, words, f"there is no identity file {key}", "--identity FILE")
            self.assertEqual(self.bennu("kv", "ls", "--values", "/net/").out, before)
            refused = self.bennu("adopt", "--take", "git", expect=1)
            self.assert_one_line(refused, "is sealed in Git", f"there is no identity file {key}")
            self.bennu("import", "--identity", self.path("away.txt"))
            self.assertTrue(self.ask("verify", "--identity", self.path("away.txt"))["in_sync"])
            os.rename(self.path("away.txt"), key)
        self.assertEqual(self.ask("user", "show", "anna")["email"], "new@example.org")
        self.assertEqual(self.ask("device", "list")["items"], [])
        # What holds no secret needs no key, and neither does a store where all is sealed.
        os.remove(key)
        self.push_files({"cells/west.example.org.json": self.edited("cells/west.example.org.json", note="x")},
                        self.net)
        self.assertTrue(self.ask("import")["changed"])
        self.assertEqual(self.bennu("kv", "get", "/net/cells/west.example.org/note").out, "x")
        self.assertTrue(self.ask("import", data="sealed")["changed"])
        self.assertTrue(self.ask("verify", data="sealed")["in_sync"])

    def test_a_document_in_another_formatting_is_normalised_by_exactly_one_commit(self):
        text = self.git("show", "main:users/1.json", cwd=self.net)
        document = json.loads(text)
        document["core_nodes"] = ["203.0.113.7"]
        head = self.push_files({"users/1.json": json.dumps(document)}, self.net)
        done = self.ask("import")
        self.assertIsNotNone(done["normalised"])
        self.assertEqual(self.git("rev-parse", "main", cwd=self.net), done["normalised"])
        self.assertEqual(self.git("rev-parse", "main~1", cwd=self.net), head)
        self.assertEqual(self.git("show", "main:users/1.json", cwd=self.net), text)
        self.assertFalse(self.ask("import")["changed"])
        self.assertFalse(self.ask("export")["changed"])
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_restore_says_normalised_and_the_next_export_writes_it_once(self):
        text = self.git("show", "main:users/1.json", cwd=self.net)
        self.push_files({"users/1.json": json.dumps(json.loads(text))}, self.net)
        identity = self.path("offline.txt")
        restored = self.ask("restore", self.net, "--identity", identity, data="second")
        self.assertEqual(restored["verified"], "normalised")
        self.assertTrue(self.ask("export", data="second")["changed"])
        self.assertEqual(self.git("show", "main:users/1.json", cwd=self.net), text)
        self.assertFalse(self.ask("export", data="second")["changed"])

    def test_what_waits_to_be_normalised_undoes_nothing_and_is_not_forgotten(self):
        self.push_files({"users/1.json": self.edited("users/1.json", email="clear@example.org")}, self.net)
        self.ask("restore", self.net, "--identity", self.path("offline.txt"), data="second")
        head = self.push_files({"motd": "from a person"}, self.net)
        self.assertFalse(self.ask("export", data="second")["changed"])
        self.assertEqual(self.git("rev-parse", "main", cwd=self.net), head)
        self.ask("import", data="second")
        self.ask("export", data="second")
        self.assertTrue(self.ask("verify", data="second")["in_sync"])
        self.assertEqual(self.git("show", "main:motd", cwd=self.net), "from a person")
        self.assertNotIn("clear@example.org", self.git("show", "main:users/1.json", cwd=self.net))

    def test_a_secret_file_in_clear_is_named_restored_and_sealed(self):
        self.push_files({"public/pw": "hunter2", "public/run": "hunter2\n", "public/large": b"x" * 1_600_000,
                         "public/unsealable": b"x" * 1_200_000}, self.net)
        restored = self.bennu("restore", self.net, "--identity", self.path("offline.txt"), "-o", "json", data="second")
        self.assertEqual(restored.json["verified"], "normalised")
        for path in ("public/pw", "public/run", "public/large", "public/unsealable"):
            self.assertIn(f"{path}: holds a secret in clear", restored.err)
        imported = self.bennu("import", "-o", "json")
        self.assertIn("public/pw: holds a secret in clear", imported.err)
        self.assertIsNotNone(imported.json["normalised"])
        for data in ("data", "second"):
            self.ask("import", data=data)
            self.ask("export", data=data)
            self.assertTrue(self.ask("verify", data=data)["in_sync"])
        for key, value in (("/public/pw", "hunter2"), ("/public/run", "hunter2\n")):
            self.assertEqual(self.bennu("kv", "get", key, data="second").out, value)
            self.assertTrue(self.git("show", f"main:{key[1:]}", cwd=self.net).startswith("bennu-sealed:"))
        # The large one cannot be sealed, and so not be put or imported either.
        with open(self.path("large"), "wb") as out:
            out.write(b"x" * 1_100_000)
        self.assert_one_line(self.bennu("kv", "put", "/public/other", "--file", self.path("large"), expect=1),
                             "/public/other: a secret has at most 1 MiB")
        other = self.seeded_remote({"s/large": b"x" * 1_600_000}, "other.git")
        refused = self.bennu("import", other, "--path", "s", "--prefix", "/public/s/", expect=1)
        self.assert_one_line(refused, "larger than a secret can be", "nothing was imported")

    def test_a_device_that_a_person_added_in_clear_moves_to_its_hash(self):
        uuid = "9c2f7ba4-4c69-4ccc-a329-f2330ae155b4"
        self.ask("user", "add", "ben")
        self.ask("export")
        head = self.push_files({f"users/2/devices/{uuid}.json": '{"name": "tablet"}'}, self.net)
        self.bennu("import")
        self.assertTrue(self.ask("verify")["in_sync"])
        tree = self.ask("restore", self.net, "--identity", self.path("offline.txt"), data="second")["tree"]
        self.assertEqual(tree, self.tree(self.net))
        self.assertNotIn(uuid, self.git("ls-tree", "-r", "-t", "--name-only", "main", cwd=self.net))
        # Once more in clear: it is refused, and its other fields stay.
        self.push_files({f"users/2/devices/{uuid}.json": '{"name": "other"}'}, self.net)
        before = self.bennu("kv", "ls", "--values", "/net/").out
        self.assertIn("is here twice", self.bennu("import", expect=1).err)
        self.assertEqual(self.bennu("kv", "ls", "--values", "/net/").out, before)
        self.assertNotEqual(self.git("rev-parse", "main~1", cwd=self.net), head)

    def test_what_was_changed_under_a_sealed_name_stays_where_git_moved_too(self):
        self.ask("restore", self.net, data="second")
        name = self.bennu("kv", "ls", "/net/users/1/devices/", data="second").out.split("/")[5]
        self.bennu("kv", "put", f"/net/users/1/devices/{name}/status", "inactive", data="second")
        text = self.git("show", "main:users/1.json", cwd=self.net)
        self.push_files({"users/1.json": json.dumps(json.loads(text))}, self.net)
        self.ask("secret", "unseal", "--identity", self.path("offline.txt"), data="second")
        self.ask("export", data="second")
        self.ask("export", data="second")
        self.assertTrue(self.ask("verify", data="second")["in_sync"])
        self.ask("restore", self.net, "--identity", self.path("offline.txt"), data="third")
        self.assertEqual([item["status"] for item in self.ask("device", "list", data="third")["items"]], ["inactive"])

    def test_a_schema_that_brings_old_keys_into_the_tree_brings_them_to_git(self):
        self.bennu("kv", "put", "/net/health/x", "up")
        self.ask("export")
        schema = json.loads(self.git("show", "main:.bennu/schema.json", cwd=self.net))
        schema["prefixes"] = [one for one in schema["prefixes"] if one["prefix"] != "/net/health/"]
        self.push_files({".bennu/schema.json": json.dumps(schema, indent=2) + "\n"}, self.net)
        self.ask("import")
        self.assertEqual(self.ask("drift", expect=2)["kv"], ["/net/health/x"])
        self.ask("export")
        self.assertTrue(self.ask("verify")["in_sync"])
        self.ask("restore", self.net, data="second")
        self.assertEqual(self.bennu("kv", "get", "/net/health/x", data="second").out, "up")
        self.assertIsNone(self.ask("export")["commit"])

    def test_files_of_another_repository_have_the_paths_that_this_mapping_gives_them(self):
        other = self.seeded_remote({"f/users/2.json": b"x" * 1_700_000, "f/users/1.json": "{}"}, "other.git")
        clone = self.path("program")
        self.git("clone", "-q", other, clone)
        os.chmod(os.path.join(clone, "f/users/1.json"), 0o755)
        self.git("commit", "-qam", "A program", cwd=clone)
        self.git("push", "-q", "origin", "main", cwd=clone)
        self.bennu("import", other, "--path", "f", "--prefix", "/")
        self.ask("export")
        listed = self.git("ls-tree", "-r", "main", cwd=self.net)
        self.assertIn("100755 blob", next(line for line in listed.splitlines() if line.endswith("%r/users/1.json")))
        self.assertTrue(any(line.endswith("%r/users/2.json") for line in listed.splitlines()), listed)
        self.assertTrue(self.ask("verify")["in_sync"])
        refused = self.bennu("import", other, "--path", "f/users", "--prefix", "/net/users/7/", expect=1)
        self.assert_one_line(refused, "would be a field", "nothing was imported")

    def test_a_schema_that_makes_files_secret_seals_them(self):
        self.push_files({"notes/a": "hunter2"}, self.net)
        self.ask("import")
        schema = json.loads(self.git("show", "main:.bennu/schema.json", cwd=self.net))
        schema["prefixes"].append({"prefix": "/notes/", "class": "secret"})
        self.push_files({".bennu/schema.json": json.dumps(schema, indent=2) + "\n"}, self.net)
        imported = self.bennu("import")
        self.assertIn("notes/a: holds a secret in clear", imported.err)
        self.assertTrue(self.git("show", "main:notes/a", cwd=self.net).startswith("bennu-sealed:"))
        self.assertEqual(self.bennu("kv", "get", "/notes/a").out, "hunter2")
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_a_document_that_both_sides_changed_alike_is_not_changed_back_in_between(self):
        for field, value in (("note", "own"), ("status", "suspended")):
            self.bennu("kv", "put", f"/net/users/1/{field}", value)
        text = self.edited("users/1.json", status="suspended")
        head = self.push_files({"users/1.json": json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"}, self.net)
        self.ask("export")
        for commit in self.git("rev-list", f"{head}..main", cwd=self.net).split():
            self.assertEqual(json.loads(self.git("show", f"{commit}:users/1.json", cwd=self.net))["status"], "suspended")
        self.assertEqual(json.loads(self.git("show", "main:users/1.json", cwd=self.net))["note"], "own")
        self.assertTrue(self.ask("verify")["in_sync"])

    def test_after_unsealing_what_both_sides_changed_alike_is_no_commit(self):
        self.ask("restore", self.net, data="second")
        self.ask("secret", "unseal", "--identity", self.path("offline.txt"), data="second")
        for value in ("v1", "v2"):
            self.bennu("kv", "put", "/motd", value, data="second")
        head = self.push_files({"motd": "v2"}, self.net)
        self.bennu("export", data="second")
        self.bennu("export", data="second")
        self.assertEqual(self.git("rev-parse", "main", cwd=self.net), head)
        self.assertTrue(self.ask("verify", data="second")["in_sync"])

    def test_an_import_that_only_normalises_says_what_was_not_pushed(self):
        text = self.git("show", "main:users/1.json", cwd=self.net)
        head = self.push_files({"users/1.json": json.dumps(json.loads(text))}, self.net)
        self.ask("restore", self.net, "--identity", self.path("offline.txt"), data="second")
        done = self.bennu("import", "-o", "json", data="second", expect=2, env=self.break_pushes(arrive=False))
        self.assertIsNotNone(done.json["normalised"])
        self.assertIn("hung up", done.json["push_problem"])
        self.assertIn("not pushed", done.err)
        self.assertEqual(self.git("rev-parse", "main", cwd=self.net), head)
        self.assertTrue(self.ask("export", data="second")["pushed"])
        self.assertEqual(self.git("rev-parse", "main", cwd=self.net), done.json["normalised"])

    def test_a_field_that_a_person_changed_arrives_as_a_field(self):
        document = json.loads(self.git("show", "main:users/1.json", cwd=self.net))
        document["username"] = "anne"
        text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        self.push_files({"users/1.json": text}, self.net)
        plan = self.bennu("plan", "-o", "json", expect=2).json
        self.assertEqual([(c["key"], c["before"], c["after"]) for c in plan["changes"]],
                         [("/net/users/1/username", "anna", "anne")])
        self.ask("import")
        self.assertEqual(self.ask("user", "show", "anne")["id"], self.ask("user", "show", "1")["id"])
        refused = self.bennu("user", "add", "anne", "--core-node", "203.0.113.7", expect=1)
        self.assert_one_line(refused, "anne")
        self.bennu("user", "add", "anna", "--core-node", "203.0.113.7")

    def test_a_field_that_a_person_added_stays_beside_the_one_changed(self):
        path = "links/198.51.100.1/203.0.113.7.json"
        document = json.loads(self.git("show", f"main:{path}", cwd=self.net))
        document.update({"status": "inactive", "note": "spare line"})
        self.push_files({path: json.dumps(document)}, self.net)
        self.assertIsNotNone(self.ask("import")["revision"])
        there = json.loads(self.git("show", f"main:{path}", cwd=self.net))
        key = "/net/links/198.51.100.1/203.0.113.7/"
        for field, value in (("status", "active"), ("note", "spare line")):  # a status is operational
            self.assertEqual(there[field], value)
            self.assertEqual(self.ask("kv", "get", key + field)["value"], value)
        self.assertTrue(self.ask("verify")["in_sync"])
        self.assertFalse(self.ask("export")["changed"])

    def test_a_plain_clone_answers_without_store_and_server(self):
        clone = self.path("clone")
        self.git("clone", "-q", "-b", "main", self.net, clone)

        def ask(*args):
            return self.ask(*args, "--repo", clone, "--identity", self.path("offline.txt"), data=None)

        self.assertEqual([u["username"] for u in ask("user", "list")["items"]], ["anna"])
        self.assertEqual(ask("user", "show", "anna")["email"], "anna@example.org")
        self.assertEqual(ask("kv", "get", "/net/users/1/username")["value"], "anna")
        self.assertIn(self.device["uuid"], json.dumps(ask("client-config", self.device["uuid"])))
        log = ask("log", "/net/users/1")["items"]
        self.assertEqual({entry["actor"] for entry in log}, {"Ada"})
        self.assertTrue(any("user add" in entry["subject"] for entry in log))

    def test_log_and_diff_of_a_user(self):
        before = self.git("rev-parse", "main", cwd=self.net)
        self.bennu("user", "set", "anna", "--email", "b@example.org", "--actor", "Bob <b@example.org>")
        self.bennu("user", "deactivate", "anna", "--actor", "Eve <e@example.org>", "--reason", "left")
        self.ask("export")
        log = self.ask("log", "/net/users/1/")["items"]
        self.assertEqual([e["actor"] for e in log[:2]], ["Eve", "Bob"])
        self.assertEqual(log[0]["reason"], "left")
        diff = self.bennu("diff", before, "live", "/net/users/1/", "-o", "json", expect=2)
        changes = {c["key"]: c for c in diff.json["changes"]}
        self.assertEqual(changes["/net/users/1/status"]["after"], "inactive")
        self.assertTrue(changes["/net/users/1/email"]["secret"])
        self.assertNotIn("b@example.org", diff.out)

    def test_after_unsealing_a_changed_field_is_one_changed_field(self):
        offline = self.path("offline.txt")
        for edit_first in (False, True):
            data = f"sealed{edit_first}"
            self.ask("restore", self.net, data=data)
            set_core = ("user", "set", "anna", "--hash-telegram-id", f"abcdef012{int(edit_first)}")
            if edit_first:
                self.bennu(*set_core, data=data)
            self.ask("secret", "unseal", "--identity", offline, data=data)
            key = "/net/users/1/hash_telegram_id"
            self.assertEqual(self.bennu("drift", "-o", "json", data=data, expect=None).json["kv"],
                             [key] if edit_first else [])
            if not edit_first:
                self.bennu(*set_core, data=data)
            plan = self.bennu("plan", "-o", "json", data=data, expect=2).json
            self.assertEqual([c["key"] for c in plan["changes"]], [key])
            self.assertEqual(len(self.ask("export", data=data)["commits"]), 1)
            self.assertEqual(self.git("diff", "--numstat", "main~1", "main", cwd=self.net).split("\t"),
                             ["1", str(int(edit_first)), "users/1.json"])
            self.assertTrue(self.ask("verify", data=data)["in_sync"])

    def test_import_names_a_secret_that_a_person_wrote_in_clear(self):
        document = json.loads(self.git("show", "main:users/1.json", cwd=self.net))
        document["email"] = "clear@example.org"
        head = self.git("rev-parse", "main", cwd=self.net)
        self.push_files({"users/1.json": json.dumps(document)}, self.net)
        # While it can still be taken out of the branch, and by whoever applies a plan.
        self.ask("restore", f"{self.net}@{head}", "--identity", self.path("offline.txt"), data="second")
        for arguments, status in ((("plan", "--from", "git", "--out", self.path("p")), 2), (("apply", self.path("p")), 0)):
            answer = self.bennu(*arguments, "-o", "json", data="second", expect=status)
            self.assertIn("users/1.json: holds a secret in clear", answer.err)
            self.assertNotIn("clear@example.org", answer.out + answer.err)
        with open(self.path("p"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["plaintext"], ["users/1.json"])
        self.push_files({"users/1.json": json.dumps(document)}, self.net)
        done = self.bennu("import")
        self.assertIn("users/1.json: holds a secret in clear", done.err)
        self.assertNotIn("clear@example.org", done.out + done.err)
        self.assertNotIn("clear@example.org", self.git("show", "main:users/1.json", cwd=self.net))

    def put_fields(self, count, op="put"):
        ops = [{"op": op, "key": f"/net/users/1/f{i}", **({"value": "v"} if op == "put" else {})}
               for i in range(count)]
        self.bennu("kv", "txn", stdin=json.dumps({"success": ops}).encode())

    def test_a_document_that_no_restore_would_take_is_not_exported(self):
        head = self.git("rev-parse", "main", cwd=self.net)
        self.put_fields(5000)
        for _ in range(2):
            refused = self.bennu("export", "-o", "json", expect=1)
            self.assertEqual(refused.json["error"]["reason"], "sync.too_large_for_git")
            for word in ("users/1.json", "5006 fields", "4096", "/net/users/1/", "nothing is exported before"):
                self.assertIn(word, refused.err)
        self.assertEqual(self.git("rev-parse", "main", cwd=self.net), head)
        # What is taken away again hinders nothing, though the transaction before it cannot be written.
        self.put_fields(5000, "del")
        self.put_fields(4000)
        self.ask("export")
        self.ask("restore", self.net, "--identity", self.path("offline.txt"), data="again")
        self.assertEqual(self.bennu("kv", "get", "/net/users/1/f3999", data="again").out, "v")

    def test_no_digit_of_a_uuid_reaches_a_message_a_commit_or_the_audit_trail(self):
        device, digits = self.device["uuid"], self.device["uuid"][:8]
        other = "11111111-2222-4333-8444-" + "5" * 12
        place = f"/net/users/1/devices/{device}"
        self.bennu("device", "add", "--user", "anna", "--name", "phone")
        locked = ("--identity", "/dev/null")
        commands = [
            ("kv", "put", place + "/name", "tablet"), ("kv", "put", place + "/a/b", "x"),
            ("kv", "get", place + "/nope"), ("kv", "get", place), ("kv", "get", place[:-4] + "/x"),
            ("kv", "del", place + "/nope"), ("kv", "put", f"/net/routes/203.0.113.7/{device}/x", "y"),
            ("kv", "del", f"/net/routes/203.0.113.7/{device}/x"),
            ("kv", "put", f"/_bennu/local/unique/device/uuid/{device}", "y"),
            ("device", "add", "--user", "anna", "--name", "tv", "--uuid", device),
            ("device", "show", other), ("device", "show", "anna", other), ("client-config", other),
            ("client-config", "--user", "anna", "phone"), ("node", "remove", "203.0.113.7", "--yes"),
            ("user", "remove", "anna"), ("plan",), ("drift",), ("diff", "main", "live"),
            ("verify", *locked), ("export", *locked), ("verify",), ("export",), ("log", "--changes"),
            ("device", "remove", device), ("kv", "del", place + "/", "--prefix", "--yes"),
            ("plan",), ("export",), ("log",),
        ]
        for command in commands:
            done = self.bennu(*command, expect=None)
            self.assertNotIn(digits, done.out + done.err, command)
            self.assertNotIn(other[:8], done.out + done.err, command)
            trail = self.bennu("kv", "ls", "/_bennu/local/audit/", "--values").out
            self.assertNotIn(digits, trail, command)
        everything = self.objects().decode("utf-8", "replace")
        self.assertIn("tablet", everything)
        self.assertNotIn(digits, everything)
        hashed = self.git("log", "--format=%s", "main", cwd=self.net)
        self.assertRegex(hashed, r"kv put /net/users/1/devices/[0-9a-f]{32}/name")


    def test_a_secret_that_was_committed_in_clear_is_named_and_sealed(self):
        document = json.loads(self.git("show", "main:users/1.json", cwd=self.net))
        clear = json.dumps({**document, "email": "clear@example.org"})
        self.push_files({"users/1.json": clear}, self.net)
        told = self.bennu("import").err
        self.assertIn("users/1.json: holds a secret in clear", told)
        self.assertNotIn("clear@example.org", told)
        self.assertNotIn("clear@", self.git("show", "main:users/1.json", cwd=self.net))
        self.assertEqual(self.ask("user", "show", "anna")["email"], "clear@example.org")

    def push_schema(self, *changes):
        """Commits the schema with pieces of it replaced, as a person would."""
        schema = self.git("show", "main:.bennu/schema.json", cwd=self.net) + "\n"
        for old, new in changes:
            self.assertIn(old, schema)
            schema = schema.replace(old, new)
        return self.push_files({".bennu/schema.json": schema}, self.net)

    def test_what_was_a_secret_is_not_shown_after_a_schema_that_takes_that_from_it(self):
        old = '"email": {"type": "string", "class": "secret"}'
        schema = self.git("show", "main:.bennu/schema.json", cwd=self.net) + "\n"
        self.assertIn(old, schema)
        self.push_files({".bennu/schema.json": schema.replace(old, old.replace('"secret"', '"desired"')),
                         "users/1.json": self.edited("users/1.json", email="new@example.org")}, self.net)
        for command in (("plan",), ("diff", "live", "origin/main"), ("diff", "main", "origin/main"),
                        ("log", "users/1", "--changes")):
            if command[0] == "log":
                self.bennu("import")
            told = self.bennu(*command, "-o", "json", expect=0 if command[0] == "log" else 2)
            self.assertIn("/net/users/1/email", told.out)
            self.assertNotIn("anna@example.org", told.out + told.err, command)

    def test_a_schema_that_exposes_sealed_values_is_not_taken(self):
        self.bennu("kv", "put", "/public/token", "s3cret")
        self.ask("export")
        user, public = '"email": {"type": "string", "class": "secret"}', '{"prefix": "/public/", "class": "secret"}'
        listed = self.bennu("kv", "ls", "/", "--values").out
        for old, place in ((user, "users/1.json: email"), (public, "public/token")):
            head = self.push_schema((old, old.replace('"secret"', '"desired"')))
            for command in (("import",), ("plan",), ("plan", "--out", self.path("p")),
                            ("adopt", "--take", "git", "--yes")):
                refused = self.bennu(*command, "-o", "json", expect=1)
                self.assertEqual(refused.json["error"]["reason"], "sync.exposed", command)
                for word in (place, head[:7], "(1 such", "Revert"):
                    self.assertIn(word, refused.err)
            self.assertFalse(os.path.exists(self.path("p")))
            self.assertEqual(self.bennu("kv", "ls", "/", "--values").out, listed)
            # Another store that is raised from it keeps them sealed, and takes the reversal in.
            other = f"of {place[:5]}"
            raised = self.bennu("restore", self.net, "--identity", self.path("offline.txt"), "-o", "json", data=other)
            self.assertEqual((raised.json["exposed"], raised.json["verified"]), (1, "exact"))
            self.assertIn(place, raised.err)
            self.assertIn("bennu-sealed:1:", self.bennu("kv", "ls", "/", "--values", data=other).out)
            self.assertTrue(self.ask("verify", data=other)["in_sync"])
            self.push_schema((old.replace('"secret"', '"desired"'), old))
            self.ask("import", data=other)
            for data in ("data", other):
                self.ask("import", data=data)
                self.assertTrue(self.ask("verify", data=data)["in_sync"])
                self.assertEqual(self.bennu("kv", "get", "/public/token", data=data).out, "s3cret")
                self.assertEqual(self.ask("user", "show", "anna", data=data)["email"], "anna@example.org")

    def test_a_schema_that_exposes_sealed_names_is_not_taken(self):
        self.push_schema(('"secret_names": ["uuid"],', ''))
        listed = self.bennu("kv", "ls", "/", "--values").out
        for command in (("import",), ("plan",)):
            self.assert_one_line(self.bennu(*command, expect=1), "users/1/devices/", "`$uuid` is a sealed name",
                                 ".bennu/schema.json", "revert")
        self.assert_one_line(self.bennu("restore", self.net, data="other", expect=1), "`$uuid` is a sealed name")
        self.assertEqual(self.bennu("kv", "ls", "/", "--values").out, listed)

    def test_a_secret_whose_values_were_removed_before_may_become_public(self):
        self.bennu("kv", "del", "/net/users/1/email")
        self.ask("export")
        secret = '"email": {"type": "string", "class": "secret"}'
        self.push_schema((secret, secret.replace('"secret"', '"desired"')))
        self.ask("import")
        self.bennu("kv", "put", "/net/users/1/email", "public@example.org")
        self.ask("export")
        self.assertIn("public@example.org", self.git("show", "main:users/1.json", cwd=self.net))

    def test_a_commit_without_the_data_key_is_not_taken(self):
        head = self.git("rev-parse", "main", cwd=self.net)
        self.push_files({"a.txt": "x"}, self.net, remove=[".bennu/keys/1.age"])
        self.assert_one_line(self.bennu("import", expect=1), ".bennu/keys/1.age", "nothing was imported")
        self.assertTrue(self.ask("secret", "check")["open"])
        # What is restored from it says what is missing; the identity is not.
        restored = self.bennu("restore", self.net, "--identity", self.path("offline.txt"),
                              data="second")
        self.assertIn(".bennu/keys/1.age is missing", restored.err)
        self.assertNotIn("no identity file", restored.err)
        key = self.git("show", f"{head}:.bennu/keys/1.age", cwd=self.net) + "\n"
        self.push_files({".bennu/keys/1.age": key}, self.net)
        self.ask("import")
        self.assertTrue(self.ask("verify")["in_sync"])


class KeyRing(harness.Case):
    def setUp(self):
        super().setUp()
        self.bennu("init", "--schema", "network")

    def left(self):
        return sorted(name for name in os.listdir(self.path("data")) if "identity" in name)

    def test_it_says_where_the_identities_are(self):
        made = self.ask("secret", "init", "--offline", "off.txt")
        self.assertEqual((made["identity"], made["offline"]),
                         (self.path("data", "identity.txt"), self.path("off.txt")))
        for name in ("data/identity.txt", "off.txt"):
            self.assertEqual(os.stat(self.path(name)).st_mode & 0o777, 0o600)
        self.assert_one_line(self.bennu("secret", "init", expect=1), "a key ring already")

    def test_a_bad_place_leaves_nothing(self):
        with open(self.path("notes"), "w", encoding="utf-8") as notes:
            notes.write("mine")
        for place, words in (("/nonexist/x", "/nonexist/x"), (self.path("notes"), "no age identity"),
                             (self.path("data"), "no age identity"),
                             (self.path("data", "identity.txt"), "name another file")):
            refused = self.bennu("secret", "init", "--offline", place, expect=1)
            self.assert_one_line(refused, words)
            self.assertEqual(self.left(), [], place)
        # The other way round, too: the offline one goes again.
        self.bennu("secret", "init", "--offline", "off.txt", "--identity", "/nonexist/id", expect=1)
        self.assertFalse(os.path.exists(self.path("off.txt")))
        self.bennu("secret", "init", "--offline", "off.txt")

    def test_what_a_killed_run_left_is_taken(self):
        for name in ("data/identity.txt", "data/identity.txt.offline"):
            subprocess.run(["age-keygen", "-o", self.path(name)], check=True, capture_output=True)
        with open(self.path("data", "identity.txt.new"), "w", encoding="utf-8") as part:
            part.write("AGE-SECR")
        made = self.ask("secret", "init")
        self.assertEqual(len(set(made["recipients"])), 2)
        for name in ("identity.txt", "identity.txt.offline"):
            opened = self.ask("secret", "check", "--identity", self.path("data", name))
            self.assertTrue(opened["open"], name)

    def test_a_named_identity_is_remembered(self):
        self.bennu("secret", "init", "--identity", "mine.txt", "--offline", "off.txt")
        self.bennu("user", "add", "anna", "--email", "anna@example.org")
        self.assertTrue(self.ask("export")["changed"])
        self.assertEqual(self.left(), [])

    def test_a_folder_that_would_be_secret_needs_the_key_ring(self):
        other = self.seeded_remote({"x/y": "1", "devices/" + UUID + "/a/b": "2"}, name="other.git")
        refused = self.bennu("import", other, "--prefix", "/public/", expect=1)
        self.assert_one_line(refused, "is secret under this prefix", "nothing was imported")
        self.assertNotIn(UUID[:8], refused.err)
        refused = self.bennu("import", other, "--prefix", "/net/users/1/", expect=1)
        self.assert_one_line(refused, "its name would show in Git")
        self.assertNotIn(UUID[:8], refused.err)
        self.bennu("secret", "init", "--offline", "off.txt")
        self.bennu("import", other, "--prefix", "/public/")
        self.assertTrue(self.ask("export")["changed"])

    def test_a_repository_written_by_hand_is_restored_and_sealed_later(self):
        self.bennu("init", data="other")
        schema = self.bennu("kv", "get", "/_bennu/tree/file/.bennu/schema.json", data="other").out
        net = self.seeded_remote({".bennu/schema.json": schema,
                                  "users/1.json": '{"username": "anna", "email": "anna@example.org"}\n'})
        restored = self.bennu("restore", net, "-o", "json", data="hand", expect=2)
        self.assertEqual((restored.json["verified"], restored.json["tree"]), ("no", None))
        self.assertIn("users/1.json: holds a secret in clear", restored.err)
        self.assertIn("bennu secret init", restored.err)
        self.assertEqual(self.ask("user", "show", "anna", data="hand")["email"], "anna@example.org")
        self.assert_one_line(self.bennu("export", data="hand", expect=1), "/net/users/1/email")
        self.bennu("secret", "init", data="hand")
        exported = self.ask("export", data="hand")
        self.assertTrue(self.ask("verify", data="hand")["in_sync"])
        self.assertNotIn("anna@example.org", self.git("show", "main:users/1.json", cwd=net))
        self.assertEqual(exported["tree"], self.tree(net))
        self.assertIsNone(self.ask("export", data="hand")["commit"])

    def test_before_there_is_a_key_ring_no_secret_is_taken(self):
        refused = self.bennu("user", "add", "anna", "--email", "anna@example.org", expect=1)
        self.assert_one_line(refused, "/net/users/1/email: is secret", "`bennu secret init`")
        self.bennu("user", "add", "anna")
        self.assertEqual(self.ask("user", "show", "anna")["id"], 1)
        self.assertTrue(self.ask("export")["changed"])


if __name__ == "__main__":
    harness.main()
