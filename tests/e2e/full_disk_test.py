"""A full disk: one clear line for what cannot be done, and everything can still be read. Needs to mount a small tmpfs."""

import os
import subprocess

import harness


class FullDisk(harness.Case):
    def setUp(self):
        super().setUp()
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", self.disk],
                                 capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("mounting a small file system is not allowed here")
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)

    def leave(self, kilobytes):
        """Fills the disk up to so much."""
        filler = os.path.join(self.disk, "filler")
        if os.path.exists(filler):
            os.remove(filler)
        about = os.statvfs(self.disk)
        with open(filler, "wb") as out:
            out.write(bytes(max(0, about.f_bavail * about.f_frsize - (kilobytes << 10))))

    def free(self):
        os.remove(os.path.join(self.disk, "filler"))

    def refused(self, *command):
        """A command that finds no room: one line, and the keys are what they were."""
        self.leave(0)
        before = self.bennu("kv", "ls", "--values", data="disk/net").out
        answer = self.bennu(*command, expect=1, data="disk/net")
        self.assert_one_line(answer, "No space left on device")
        self.assertEqual(self.bennu("kv", "ls", "--values", data="disk/net").out, before)
        self.free()

    def test_exports_and_imports_do_all_or_nothing(self):
        remote = self.seeded_remote({"a": "1"})
        head = self.git("rev-parse", "main", cwd=remote)
        self.ask("restore", remote, data="disk/net")
        with open(self.path("large"), "wb") as out:
            out.write(os.urandom(100_000))
        self.bennu("kv", "put", "/large", "--file", self.path("large"), data="disk/net")
        self.refused("export")
        self.assertEqual(self.git("rev-parse", "main", cwd=remote), head)
        self.assertTrue(self.ask("export", data="disk/net")["pushed"])
        self.push_files({"more": os.urandom(100_000)}, remote)
        self.refused("import")
        self.assertTrue(self.ask("import", data="disk/net")["changed"])
        self.assertTrue(self.ask("verify", data="disk/net")["in_sync"])
        self.assert_clean(self.path("disk", "net", "repo.git"))

    def test_puts_say_so_in_one_line_and_reading_goes_on(self):
        self.bennu("init", data="disk/net")
        self.bennu("kv", "put", "/kept", "small", data="disk/net")
        with open(self.path("large"), "wb") as out:
            out.write(os.urandom(1_400_000))
        stored = {"/kept": "small"}
        refused = 0
        for kilobytes in (4000, 1000, 100, 20, 4, 0, 0):
            self.leave(kilobytes)
            for key, value in (("/large", ["--file", self.path("large")]),
                               (f"/small{kilobytes}", ["small"])):
                answer = self.bennu("kv", "put", key, *value, expect=None, data="disk/net")
                if answer.status == 0:
                    stored[key] = value[-1] if key != "/large" else None
                    continue
                refused += 1
                self.assertEqual(answer.status, 1, answer.err)
                self.assert_one_line(answer, "No space left on device", "free some disk space")
            keys = self.ask("kv", "ls", data="disk/net")["items"]
            self.assertLessEqual(set(stored), {item["key"] for item in keys})
            self.assertEqual(self.bennu("kv", "get", "/kept", data="disk/net").out, "small")
        self.assertGreater(refused, 4)
        self.free()
        self.bennu("kv", "put", "/again", "v", data="disk/net")
        for key, value in stored.items():
            if value is not None:
                self.assertEqual(self.bennu("kv", "get", key, data="disk/net").out, value)


if __name__ == "__main__":
    harness.main()
