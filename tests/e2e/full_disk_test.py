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

    def test_every_command_says_so_in_one_line_and_reading_goes_on(self):
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
        os.remove(os.path.join(self.disk, "filler"))
        self.bennu("kv", "put", "/again", "v", data="disk/net")
        for key, value in stored.items():
            if value is not None:
                self.assertEqual(self.bennu("kv", "get", key, data="disk/net").out, value)


if __name__ == "__main__":
    harness.main()
