#!/usr/bin/env python3
"""Tests of tidy.py and wrap_comments.py: each rule catches what it is for, and nothing else."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import tidy  # noqa: E402
import wrap_comments  # noqa: E402

ARROWS = """
[modules]
base = []
kv = ["base"]
"kv/embedded" = ["base", "kv"]
[tests]
kv = ["kv/embedded"]
[about]
[third_party]
"rocksdb/" = ["kv/embedded"]
"gtest/" = ["tests"]
"fmt/" = ["*"]
"""
HEADER = "#pragma once\n// What   x.\n// Source own design.\n"


class Rules(unittest.TestCase):
    def tree(self, files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        defaults = {"tools/arrows.toml": ARROWS, "src/base/a.hpp": HEADER, "src/kv/k.hpp": HEADER,
                    "src/kv/embedded/e.hpp": HEADER}
        defaults |= {f"src/{m}/README.md": "x\n" for m in ("base", "kv", "kv/embedded")}
        for name, text in (defaults | files).items():
            path = Path(folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        subprocess.run(["git", "init", "-q", folder.name], check=True)
        return tidy.Tree(folder.name)

    def errors(self, files):
        return tidy.check(self.tree(files))

    def catches(self, files, *words):
        errors = self.errors(files)
        self.assertEqual(len(errors), 1, errors)
        for word in words:
            self.assertIn(word, errors[0])

    def test_a_good_tree_has_no_errors(self):
        self.assertEqual(self.errors({"src/kv/k.cpp": '#include "base/a.hpp"\n#include <vector>\n'
                                                      '#include <sys/stat.h>\n'}), [])

    def test_an_arrow_against_the_table_is_caught(self):
        self.catches({"src/base/b.cpp": '#include "kv/k.hpp"\n'}, "src/base/b.cpp:1", "kv")
        self.catches({"src/kv/k.cpp": '#include "kv/embedded/e.hpp"\n'}, "may not include")

    def test_a_unit_test_may_use_what_the_table_gives_it(self):
        self.assertEqual(self.errors({"src/kv/k_test.cpp": '#include "kv/embedded/e.hpp"\n'}), [])

    def test_an_include_by_bare_name_is_caught(self):
        self.catches({"src/kv/k.cpp": '#include "k.hpp"\n'}, '"kv/k.hpp"')

    def test_third_party_headers_stay_in_their_module(self):
        self.catches({"src/kv/k.cpp": "#include <rocksdb/db.h>\n"}, "kv/embedded")
        self.assertEqual(self.errors({"src/kv/embedded/e.cpp": "#include <rocksdb/db.h>\n"}), [])
        self.catches({"src/kv/k.cpp": "#include <boost/asio.hpp>\n"}, "no table")
        self.catches({"src/kv/k.cpp": "#include <gtest/gtest.h>\n"}, "tests")

    def test_a_cycle_and_a_folder_outside_the_table_are_caught(self):
        cycle = ARROWS.replace("base = []", 'base = ["kv"]')
        self.assertTrue(any("cycle" in e for e in self.errors({"tools/arrows.toml": cycle})))
        self.catches({"src/other/o.cpp": "int x;\n"}, "no module")
        more = ARROWS.replace("base = []", 'base = []\ngone = ["base"]')
        self.catches({"tools/arrows.toml": more}, "gone has no code")

    def test_long_functions_and_files_are_caught(self):
        body = "  f();\n" * 80
        self.catches({"src/kv/k.cpp": "int g(int x) {\n" + body + "}\n"}, "g has 82 lines")
        self.catches({"src/kv/k.cpp": "int x;\n" * 601}, "601 lines")
        self.assertEqual(self.errors({"src/kv/k.cpp": "namespace a {\n" + "void f() {}\n" * 90
                                                      + "}  // namespace a\n"}), [])
        self.assertEqual(self.errors({"src/kv/k.cpp": "struct A {\n" + "  int f() { return 1; }\n"
                                                      * 90 + "};\n"}), [])

    def test_the_ratchet_only_turns_one_way(self):
        long = {"src/kv/k.cpp": "int x;\n" * 700}
        self.assertEqual(self.errors(long | {"tools/ratchet.txt": "src/kv/k.cpp 700\n"}), [])
        self.catches(long | {"tools/ratchet.txt": "src/kv/k.cpp 650\n"}, "700 lines")
        self.catches({"tools/ratchet.txt": "src/kv/k.cpp 650\n"}, "is short now")

    def test_leftovers_are_caught(self):
        self.catches({"src/kv/k.cpp": "// TO" + "DO later\n"}, "leftover")

    def test_banned_calls_name_their_replacement(self):
        for line, word in [("auto t = std::chrono::steady_clock::now();", "env::Clock"),
                           ("int r = rand();", "env::Random"),
                           ("std::this_thread::sleep_for(x);", "condition"),
                           ("std::thread t;", "jthread"), ("#include <iostream>", "Error"),
                           ('auto* p = std::getenv("X");', "cli"), ("throw 1;", "Error"),
                           ("assert(x);", "BENNU_CHECK"), ('system("ls");', "env::run")]:
            with self.subTest(line):
                self.catches({"src/kv/k.cpp": line + "\n"}, "src/kv/k.cpp:1", word)

    def test_words_like_banned_calls_are_left_alone(self):
        lines = ["std::thread::hardware_concurrency();", "// never throw it", 'f("rand()");',
                 "static_assert(x);", "x.assert_held();", "env::system_clock();", "operand(x);"]
        self.assertEqual(self.errors({"src/kv/k.cpp": "\n".join(lines) + "\n"}), [])

    def test_headers_need_the_template(self):
        self.catches({"src/kv/k.hpp": "#pragma once\n// What   x.\n"}, "Source")
        self.catches({"src/kv/k.hpp": HEADER + "// Why    x. Use    y.\n"}, "share a line")

    def test_a_module_needs_a_readme(self):
        self.assertEqual(len(self.errors({"src/kv/README.md": "x\n" * 99})), 1)

    def test_dead_links_and_names_are_caught(self):
        self.catches({"docs/a.md": "[x](../nowhere.md)\n"}, "does not exist")
        self.catches({"docs/a.md": "[`Engine::commit`](../src/kv/k.hpp)\n"}, "has no `commit`")
        self.assertEqual(self.errors({"docs/a.md": "[`What`](../src/kv/k.hpp)\n"}), [])

    def test_a_stale_picture_is_caught(self):
        page = "<!-- modules: drawn -->\nold\n<!-- end of modules -->\n"
        tree = self.tree({"ARCHITECTURE.md": page})
        self.assertIn("stale", tidy.check(tree)[0])
        Path(tree.root, "ARCHITECTURE.md").write_text(tidy.drawn(tree)[1])
        self.assertEqual(tidy.check(tree), [])


class Wrapping(unittest.TestCase):
    def test_long_fields_are_wrapped_under_their_text(self):
        source = "#pragma once\n// What   " + "word " * 30 + "end\n// Source x.\n\nint a;\n"
        lines = wrap_comments.wrap_source(source).split("\n")
        self.assertTrue(all(len(line) <= 100 for line in lines))
        self.assertTrue(lines[2].startswith("//        word"))
        self.assertEqual(lines[-3:], ["", "int a;", ""])

    def test_what_fits_is_kept(self):
        source = "#pragma once\n// What   x.\n//        y.\n// Threads z.\n"
        self.assertEqual(wrap_comments.wrap_source(source), source)

    def test_joined_fields_come_apart(self):
        source = "#pragma once\n// What   x. Use    y\n// z. Threads none.\n\nint a;\n"
        self.assertEqual(wrap_comments.wrap_source(source),
                         "#pragma once\n// What   x.\n// Use    y z.\n// Threads none.\n\nint a;\n")


if __name__ == "__main__":
    unittest.main()
