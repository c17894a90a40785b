#!/usr/bin/env python3
"""Records a command in a pseudo terminal and draws it as an animated SVG, without outside fonts.

  tools/record_demo.py --out docs/demo.svg -- tools/demo.sh

The order and the pace are the command's own; where it is faster than one can read, a command line
gets a moment (DWELL) before what follows. A viewer that wants no motion sees the end. Block
characters (QR codes) are drawn as shapes, because fonts leave gaps. Only the standard library.
"""

import argparse
import codecs
import html
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from fcntl import ioctl

COLUMNS, ROWS = 100, 38
CELL_WIDTH, CELL_HEIGHT = 8.0, 16.0
DWELL_S = {"$": 0.9, "#": 0.5}  # after a command line, after a title
PAUSE_MAX_S, END_S = 1.5, 6.0
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#d29922", "34": "#79c0ff", "35": "#d2a8ff",
           "36": "#76e3ea"}
BACKGROUND, TEXT, DIM = "#161b22", "#c9d1d9", "#8b949e"
BACKGROUNDS = {231: "#ffffff", 16: "#000000"}  # of the 256 colours, what a QR code takes
BLOCKS = {"█": (0, 1), "▀": (0, 0.5), "▄": (0.5, 0.5)}
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


# ---- running -------------------------------------------------------------------------------------


def record(command):
    """[(seconds, text)] of what the command writes to its terminal, and its exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        os.execvp(command[0], command)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    start, pieces = time.monotonic(), []
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        select.select([terminal], [], [])
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not data:
            break
        pieces.append((time.monotonic() - start, decoder.decode(data)))
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    return pieces, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# ---- from bytes to lines -------------------------------------------------------------------------


class Screen:
    """Lines of (character, style) that only grow at the end; enough for a log-like program."""

    def __init__(self):
        self.lines = [[0.0, []]]
        self.column = 0
        self.style = ()

    def write(self, when, text):
        at = 0
        while at < len(text):
            escape = ESCAPE.match(text, at)
            if escape:
                self.control(escape[1], escape[2])
                at = escape.end()
                continue
            self.put(when, text[at])
            at += 1

    def control(self, numbers, kind):
        if kind == "K":
            del self.lines[-1][1][self.column:]
        for code in re.findall(r"[34]8;5;\d+|\d+", numbers or "0") if kind == "m" else []:
            self.style = () if code == "0" else (*self.style, code)

    def put(self, when, char):
        line = self.lines[-1]
        if char == "\n" or (self.column >= COLUMNS and char not in "\r"):
            self.lines.append([when, []])
            self.column = 0
            line = self.lines[-1]
        if char == "\r":
            self.column = 0
        elif char >= " ":
            cells = line[1]
            cells += [(" ", ())] * (self.column + 1 - len(cells))
            cells[self.column] = (char, self.style)
            self.column += 1
            line[0] = when


def paced(lines):
    """The lines with times that a reader can follow, in order."""
    clock, before, out = 0.0, 0.0, []
    for when, cells in lines:
        clock += min(max(when - before, 0.0), PAUSE_MAX_S)
        before = max(before, when)
        out.append((clock, cells))
        text = "".join(char for char, _ in cells)
        clock += DWELL_S.get(text[:1], 0.02 if text else 0.15)
    return out


# ---- from lines to SVG ---------------------------------------------------------------------------


def run_of(cells, start):
    """The longest run of one style and one kind (text or blocks) from `start`."""
    end = start
    while end < len(cells) and cells[end][1] == cells[start][1] \
            and (cells[end][0] in BLOCKS) == (cells[start][0] in BLOCKS):
        end += 1
    return end


def colour_of(style):
    chosen = DIM if "2" in style else TEXT
    for code in style:
        if code in COLOURS:
            chosen = COLOURS[code]
        elif code.startswith("38;5;"):
            chosen = BACKGROUNDS.get(int(code[5:]), TEXT)
    return chosen


def background_of(style):
    codes = [int(code[5:]) for code in style if code.startswith("48;5;")]
    return BACKGROUNDS.get(codes[-1]) if codes else None


def draw_blocks(cells, x, y, colour):
    shapes = []
    for index, (char, _) in enumerate(cells):
        top, height = BLOCKS[char]
        shapes.append(f"M{x + index * CELL_WIDTH:g} {y + top * CELL_HEIGHT:g}h{CELL_WIDTH:g}"
                      f"v{height * CELL_HEIGHT:g}h-{CELL_WIDTH:g}z")
    return f'<path d="{"".join(shapes)}" fill="{colour}" shape-rendering="crispEdges"/>'


def draw_line(cells, row):
    out, start, y = [], 0, row * CELL_HEIGHT
    while start < len(cells):
        end = run_of(cells, start)
        text = "".join(char for char, _ in cells[start:end])
        x, style = start * CELL_WIDTH, cells[start][1]
        if background_of(style):
            out.append(f'<rect x="{x:g}" y="{y:g}" width="{len(text) * CELL_WIDTH:g}" '
                       f'height="{CELL_HEIGHT:g}" fill="{background_of(style)}" '
                       'shape-rendering="crispEdges"/>')
        if text[0] in BLOCKS:
            out.append(draw_blocks(cells[start:end], x, y, colour_of(style)))
        elif text.strip():
            lead = len(text) - len(text.lstrip())
            text = text.strip()
            weight = ' font-weight="700"' if "1" in style else ""
            out.append(f'<text x="{x + lead * CELL_WIDTH:g}" y="{y + 12:g}" '
                       f'textLength="{len(text) * CELL_WIDTH:g}" fill="{colour_of(style)}"{weight}>'
                       f"{html.escape(text)}</text>")
        start = end
    return "".join(out)


def scroll_rule(lines, total):
    """Keyframes that move the page up one line whenever a new one would not fit."""
    steps = ["0%{transform:translateY(0)}"]
    for row, (when, _) in enumerate(lines):
        if row >= ROWS:
            offset = -(row - ROWS + 1) * CELL_HEIGHT
            steps.append(f"{100 * when / total:.3f}%{{transform:translateY({offset:g}px)}}")
    last = -max(0, len(lines) - ROWS) * CELL_HEIGHT
    steps.append(f"100%{{transform:translateY({last:g}px)}}")
    return "@keyframes scroll{" + "".join(steps) + "}", last


def svg(lines):
    total = lines[-1][0] + END_S
    scroll, last = scroll_rule(lines, total)
    rules, drawn, shown = [scroll], [], {}
    for row, (when, cells) in enumerate(lines):
        picture = draw_line(cells, row)
        if picture:
            name = shown.setdefault(f"{100 * when / total:.2f}", f"k{len(shown)}")
            drawn.append(f'<g class="{name}">{picture}</g>')
    for percent, name in shown.items():
        rules.append(f"@keyframes {name}{{0%{{opacity:0}}{percent}%{{opacity:1}}100%{{opacity:1}}}}"
                     f".{name}{{animation:{name} {total:.2f}s step-end infinite}}")
    width, height = COLUMNS * CELL_WIDTH + 32, min(ROWS, len(lines)) * CELL_HEIGHT + 32
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img"
 xml:space="preserve" aria-label="Recording of ./dev demo" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \
'DejaVu Sans Mono', monospace" font-size="13">
<style>
.page{{transform:translateY({last:g}px);animation:scroll {total:.2f}s step-end infinite}}
{"".join(rules)}
@media (prefers-reduced-motion:reduce){{.page,.page g{{animation:none!important}}}}
text{{white-space:pre}}
</style>
<rect width="{width:g}" height="{height:g}" rx="10" fill="{BACKGROUND}"/>
<svg x="16" y="16" width="{width - 32:g}" height="{height - 32:g}"><g class="page">
{chr(10).join(drawn)}
</g></svg>
</svg>
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    pieces, status = record(given.command)
    if status != 0:
        print(f"record: the command ended with status {status}; nothing written", file=sys.stderr)
        return 1
    screen = Screen()
    for when, text in pieces:
        screen.write(when, text)
    lines = paced(screen.lines)
    while lines and not lines[-1][1]:
        lines.pop()
    with open(given.out, "w", encoding="utf-8") as file:
        file.write(svg(lines))
    print(f"record: {given.out}, {len(lines)} lines, {lines[-1][0]:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
