#!/usr/bin/env python3
"""Wraps the header template (What, Why, Use ...) at 100 columns, continued under its own text.

clang-format leaves those lines alone (CommentPragmas in .clang-format), because it would join them
into one paragraph. Usage: wrap_comments.py FILE...   changes the files in place
                           wrap_comments.py --check FILE...   names what would change, status 1
"""

import re
import sys
import textwrap

COLUMNS = 100
FIELD = re.compile(r"// (What {3}|Why {4}|Use {4}|Units {2}|Errors |Threads |Source )(\S.*)$")
CONTINUED = re.compile(r"// {4,}(\S.*)$")


def fields_of(lines, start):
    """The template that begins at `start` as [label, text] pairs, and the index after it."""
    fields = []
    at = start
    while at < len(lines):
        field = FIELD.match(lines[at])
        more = CONTINUED.match(lines[at])
        if field:
            fields.append([field[1].strip(), [field[2]]])
        elif more and fields:
            fields[-1][1].append(more[1])
        else:
            break
        at += 1
    return fields, at


def wrapped(fields):
    """Lines of the template; a field that fits is kept as its author broke it."""
    out = []
    for label, texts in fields:
        head = f"// {label:<6} "
        pad = "//" + " " * (len(head) - 2)
        if all(len(head) + len(text) <= COLUMNS for text in texts):
            out += [(head if i == 0 else pad) + text for i, text in enumerate(texts)]
        else:
            out += textwrap.wrap(" ".join(texts), COLUMNS, initial_indent=head,
                                 subsequent_indent=pad, break_long_words=False,
                                 break_on_hyphens=False)
    return out


def wrap_source(source):
    lines = source.split("\n")
    start = 1  # only right under #pragma once
    if len(lines) < 2 or lines[0] != "#pragma once" or not FIELD.match(lines[1]):
        return source
    fields, end = fields_of(lines, start)
    return "\n".join(lines[:start] + wrapped(fields) + lines[end:])


def main(arguments):
    check = arguments[:1] == ["--check"]
    changed = []
    for path in arguments[1:] if check else arguments:
        with open(path, encoding="utf-8") as file:
            before = file.read()
        after = wrap_source(before)
        if after == before:
            continue
        changed.append(path)
        if not check:
            with open(path, "w", encoding="utf-8") as file:
                file.write(after)
    for path in changed if check else []:
        print(f"{path}: header template is not wrapped; run ./dev format", file=sys.stderr)
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
