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
LABELS = r"(What {3}|Why {4}|Use {4}|Units {2}|Errors |Threads |Source )"
FIELD = re.compile(r"// " + LABELS + r"(\S.*)$")
CONTINUED = re.compile(r"// {4,}(\S.*)$")
# Where an older clang-format joined the next field to a sentence's end.
JOINED = re.compile(r"(?<=[.;)] )" + LABELS + r"(?=\S)")


def block_of(lines, start):
    """The comment that begins at `start`, joined fields apart again, and the index after it."""
    end = start
    while end < len(lines) and lines[end].startswith("// "):
        end += 1
    block = lines[start:end]
    if all(FIELD.match(line) or CONTINUED.match(line) for line in block):
        return block, end
    text = " ".join(line[3:] if FIELD.match(line) else line[3:].strip() for line in block)
    return ["// " + part.strip() for part in JOINED.sub(r"\n\1", text).split("\n")], end


def fields_of(block):
    """[label, [text of each line]] of the template."""
    fields = []
    for line in block:
        field = FIELD.match(line)
        if field:
            fields.append([field[1].strip(), [field[2]]])
        else:
            fields[-1][1].append(line[2:].strip())
    return fields


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
    block, end = block_of(lines, start)
    return "\n".join(lines[:start] + wrapped(fields_of(block)) + lines[end:])


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
