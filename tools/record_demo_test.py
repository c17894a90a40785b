#!/usr/bin/env python3
"""Tests of record_demo.py: what a terminal shows is what the picture holds, in order and in time."""

import re
import sys
import unittest
import xml.dom.minidom
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import record_demo  # noqa: E402


def lines_of(*pieces):
    screen = record_demo.Screen()
    for when, text in pieces:
        screen.write(when, text)
    return screen.lines


def text_of(line):
    return "".join(char for char, _ in line[1])


class Recording(unittest.TestCase):
    def test_a_progress_line_is_overwritten(self):
        lines = lines_of((0.0, "10 %\r"), (0.5, "\x1b[Kdone\r\n"), (1.0, "next"))
        self.assertEqual([text_of(line) for line in lines], ["done", "next"])

    def test_colours_end_where_they_are_reset(self):
        cells = lines_of((0.0, "\x1b[1m\x1b[32mgood\x1b[0m plain"))[0][1]
        self.assertEqual(record_demo.colour_of(cells[0][1]), record_demo.COLOURS["32"])
        self.assertEqual(cells[-1][1], ())

    def test_long_lines_are_folded_at_the_edge(self):
        lines = lines_of((0.0, "x" * (record_demo.COLUMNS + 5)))
        self.assertEqual([len(line[1]) for line in lines], [record_demo.COLUMNS, 5])

    def test_time_only_goes_forward_and_a_command_gets_a_moment(self):
        lines = record_demo.paced(lines_of((0.0, "$ bennu verify\n"), (0.01, "ok\n"), (60.0, "x")))
        times = [when for when, _ in lines]
        self.assertEqual(times, sorted(times))
        self.assertGreaterEqual(times[1], record_demo.DWELL_S["$"])
        self.assertLess(times[2], 5)

    def test_the_picture_is_well_formed_and_draws_blocks_as_shapes(self):
        lines = record_demo.paced(lines_of((0.0, "<a & b>\n█▀▄ qr\n")))
        picture = record_demo.svg(lines)
        xml.dom.minidom.parseString(picture)
        self.assertIn("&lt;a &amp; b&gt;", picture)
        self.assertEqual(len(re.findall(r"M\d", picture)), 3)
        self.assertNotIn("█", picture)

    def test_a_qr_code_keeps_its_white_ground(self):
        lines = record_demo.paced(lines_of((0.0, "\x1b[38;5;16;48;5;231m █ \x1b[0m\n")))
        picture = record_demo.svg(lines)
        self.assertIn('fill="#ffffff"', picture)
        self.assertIn('fill="#000000"', picture)

    def test_a_command_that_fails_is_reported(self):
        pieces, status = record_demo.record(["sh", "-c", "echo hello; exit 3"])
        self.assertEqual(status, 3)
        self.assertIn("hello", "".join(text for _, text in pieces))


if __name__ == "__main__":
    unittest.main()
