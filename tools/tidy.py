#!/usr/bin/env python3
"""The rules of the tree, as a test. Each failure says where, what, and what to do instead.

  tools/tidy.py             checks everything that git tracks or would track; status 1 on a failure
  tools/tidy.py --picture   rewrites the picture of the modules in ARCHITECTURE.md
  tools/tidy.py --ratchet   writes today's long files and functions to tools/ratchet.txt

Checked: arrows between modules (tools/arrows.toml) and third-party headers outside their module;
length of lines, files and functions; leftovers; banned calls; the header template; a README in each
module; links and `function` references of the documents; the picture of the modules.
Only the Python standard library. Its own tests: tools/tidy_test.py.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

MAX_COLUMNS = 100
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70
MAX_TEST_FUNCTION_LINES = 100
MAX_README_LINES = 60
CODE = (".cpp", ".hpp")
SCRIPTS = (".py", ".sh", ".cmake")

# Headers of C and POSIX; anything else in <> with a dot needs a line in the table.
SYSTEM = re.compile(
    r"(sys|linux|netinet|arpa|net|asm)/|"
    r"(fcntl|unistd|poll|signal|spawn|errno|dirent|fnmatch|glob|pwd|termios|getopt|dlfcn|pthread|"
    r"stdio|stdlib|string|strings|time|limits|inttypes|stdint|malloc|sched|endian|syslog|ftw|"
    r"locale|langinfo|execinfo|libgen|wordexp)\.h$")

# (pattern, where it is allowed, what to do instead). Where: path prefixes; "_test.cpp" by suffix.
BANNED = [
    (r"\b(?:steady|system|high_resolution)_clock::now\b",
     ["src/env/", "bench/", "tests/", "_test.cpp"], "take an env::Clock& and ask that"),
    (r"(?<![\w:.>])s?rand\s*\(|\brandom_device\b", [],
     "take an env::Random&, or a fixed seed in a test"),
    (r"\bsleep_(?:for|until)\b|(?<![\w.>])u?sleep\s*\(", ["tests/e2e/", "bench/"],
     "wait on a condition with a stop token"),
    (r"\bstd::thread\b(?!::)", [], "use std::jthread with a stop token"),
    (r"#include <iostream>|\bstd::c(?:out|err)\b", ["apps/", "bench/"],
     "return an Error; only cli prints, through fmt or stdio"),
    (r"(?<![\w.>])getenv\s*\(", ["src/cli/", "src/env/", "tests/", "bench/", "_test.cpp"],
     "read the environment in cli and pass the value down"),
    (r"(?<![\w.>])(?:std::)?(?:system|popen)\s*\(", [], "use env::run: no shell, bounded output"),
    (r"\busing namespace\b(?!.*literals;)", [], "name what you use"),
    (r"(?<![\w.>])assert\s*\(", [], "use BENNU_CHECK, which stays on in release"),
    (r"(?<![\w.])throw\b(?!\()", ["tests/", "bench/", "_test.cpp"], "return an Error"),
]
LEFTOVERS = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) +
                       r")\b|(?i:not (?:yet )?" + r"implemented|place" + r"holder)")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


class Tree:
    """The files of the repository and the arrow table."""

    def __init__(self, root):
        self.root = Path(root)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
            check=True, capture_output=True).stdout.decode()
        self.files = sorted({name for name in listed.split("\0")
                             if name and (self.root / name).is_file()})
        self.table = tomllib.loads(self.text("tools/arrows.toml"))
        self.modules = self.table["modules"]

    def text(self, name):
        return (self.root / name).read_text(encoding="utf-8", errors="replace")

    def module_of(self, name):
        """The module that a file belongs to, or its top folder ("tests", "bench") outside them."""
        path = name.removeprefix("src/")
        folder = str(Path(path).parent)
        while folder not in (".", "/"):
            if folder in self.modules:
                return folder
            folder = str(Path(folder).parent)
        return name.split("/")[0]


def is_test(name):
    """Tests, and what only tests include."""
    return name.startswith("tests/") or "/testing/" in name or name.endswith(
        ("_test.cpp", "_for_tests.hpp", "_for_tests.cpp"))


def without_comments(line):
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', line).split("//")[0]


# ---- arrows --------------------------------------------------------------------------------------


def check_table(tree):
    """The table has no cycle, and every folder with code is in it."""
    done, errors = set(), []

    def visit(module, trail):
        if module in trail:
            errors.append(f"tools/arrows.toml: cycle {' -> '.join([*trail, module])}")
        elif module not in done:
            done.add(module)
            for other in tree.modules.get(module, []):
                visit(other, [*trail, module])

    for module, others in tree.modules.items():
        visit(module, [])
        errors += [f"tools/arrows.toml: {module} may include {other}, which is no module"
                   for other in others if other not in tree.modules]
    used = {tree.module_of(name) for name in tree.files if name.endswith(CODE)}
    errors += [f"tools/arrows.toml: {module} has no code; take its line out"
               for module in tree.modules if module not in used]
    for name in tree.files:
        if name.startswith("src/") and name.endswith(CODE):
            if tree.module_of(name) not in tree.modules:
                errors.append(f"{name}: its folder is no module; add it to tools/arrows.toml")
    return errors


def target_module(tree, header):
    if "/" not in header:
        return None
    return tree.module_of("src/" + header) if (tree.root / "src" / header).exists() else None


def check_quoted(tree, name, module, header):
    target = target_module(tree, header)
    if target is None:
        local = (tree.root / name).parent / header
        if local.exists() and module in tree.modules:
            return f'include by path from src/: "{module}/{header}"'
        return None
    allowed = [module, *tree.modules.get(module, [])]
    if is_test(name):
        allowed += tree.table.get("tests", {}).get(module, [])
    if module in tree.modules and target not in allowed:
        return (f"{module} may not include {target} (\"{header}\"); "
                f"it may include: {', '.join(allowed[1:]) or 'nothing'} (tools/arrows.toml)")
    return None


def check_angled(tree, name, module, header):
    for prefix, users in tree.table["third_party"].items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            group = [module] + (["tests"] if is_test(name) else [])
            if "*" in users or any(user in group for user in users):
                return None
            return f"<{header}> stays in {', '.join(users)}: call that module instead"
    if ("." in header or "/" in header) and not SYSTEM.match(header):
        return f"<{header}> is in no table; say in tools/arrows.toml which module wraps it"
    return None


def check_includes(tree):
    errors = []
    for name in tree.files:
        if not name.endswith(CODE):
            continue
        module = tree.module_of(name)
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            found = INCLUDE.match(line)
            if found:
                check = check_quoted if found[1] == '"' else check_angled
                error = check(tree, name, module, found[2])
                errors += [f"{name}:{number}: {error}"] if error else []
    return errors


# ---- length --------------------------------------------------------------------------------------


def functions_of(text):
    """(name, first line, lines) of each function body. Reads formatted code, no full parser."""
    text = re.sub(r'R"(\w*)\((?:.|\n)*?\)\1"', lambda m: '""' + "\n" * m[0].count("\n"), text)
    text = "\n".join("" if line.lstrip().startswith("#") else without_comments(line)
                     for line in re.sub(r"'(?:\\.|[^'\\\n])'", "0", text).split("\n"))
    found, stack, statement, line = [], [], "", 1
    for char in text:
        if char == "\n":
            line += 1
        if char == "{":
            head = statement.strip()
            inside = any(kind for kind, _, _ in stack)
            match = re.search(r"([\w:~]+|operator\S+)\s*\(", head)
            scope = re.match(r"(?:template\s*<.*>\s*)?(?:inline\s+)?(?:namespace|class|struct|enum|"
                             r"union|extern)\b[^()]*$", head, re.S)
            is_function = not inside and match and not scope and not head.endswith(("=", ","))
            stack.append((bool(is_function) or inside, match[1] if match else "",
                          line if is_function else 0))
            statement = ""
        elif char == "}":
            if stack:
                _, function, start = stack.pop()
                if start:
                    found.append((function, start, line - start + 1))
            statement = ""
        elif char == ";":
            statement = ""
        else:
            statement += char
    return found


def too_long(tree):
    """(key, lines, limit, what to say) of everything over a limit."""
    for name in tree.files:
        if name.endswith(CODE):
            text = tree.text(name)
            count = text.count("\n")
            if count > MAX_FILE_LINES:
                yield name, count, MAX_FILE_LINES, f"{name}: {count} lines; split it by purpose"
            limit = MAX_TEST_FUNCTION_LINES if is_test(name) else MAX_FUNCTION_LINES
            for function, start, lines in functions_of(text):
                if lines > limit:
                    yield (f"{name}:{function}", lines, limit,
                           f"{name}:{start}: {function} has {lines} lines, more than {limit}")


def read_ratchet(tree):
    path = tree.root / "tools/ratchet.txt"
    if not path.exists():
        return {}
    rows = [line.split() for line in path.read_text().split("\n") if line and line[0] != "#"]
    return {key: int(lines) for key, lines in rows}


def check_length(tree):
    ratchet = read_ratchet(tree)
    errors, seen = [], set()
    for key, lines, _, message in too_long(tree):
        seen.add(key)
        if lines > ratchet.get(key, 0):
            errors.append(message)
    errors += [f"tools/ratchet.txt: {key} is short now; take its line out (--ratchet)"
               for key in ratchet if key not in seen]
    return errors


def write_ratchet(tree):
    rows = sorted({key: lines for key, lines, _, _ in too_long(tree)}.items())
    head = "# What is longer than tidy.py allows, and may only get shorter.\n"
    (tree.root / "tools/ratchet.txt").write_text(
        head + "".join(f"{key} {lines}\n" for key, lines in rows))


# ---- lines ---------------------------------------------------------------------------------------


def check_lines(tree):
    errors = []
    for name in tree.files:
        if not name.endswith((*CODE, *SCRIPTS)) and name != "dev":
            continue
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            where = f"{name}:{number}"
            if len(line) > MAX_COLUMNS and "http" not in line and name.endswith(CODE):
                if not re.search(r'R"|"[^"]{60,}"', line):
                    errors.append(f"{where}: {len(line)} columns; run ./dev format")
            left = LEFTOVERS.search(line)
            if left:
                errors.append(f"{where}: leftover '{left[0]}': do it, or open an issue")
            if name.endswith(CODE):
                errors += [f"{where}: {error}" for error in banned_in(name, line)]
    return errors


def banned_in(name, line):
    code = line if line.lstrip().startswith("#") else without_comments(line)
    return [f"'{found[0].strip()}' is banned here: {instead}"
            for pattern, places, instead in BANNED
            if (found := re.search(pattern, code))
            and not any(name.endswith(p) if p.startswith("_") else name.startswith(p)
                        for p in places)]


# ---- headers and documents -----------------------------------------------------------------------


def check_headers(tree):
    errors = []
    for name in tree.files:
        if not (name.startswith("src/") and name.endswith(".hpp")):
            continue
        text = tree.text(name)
        if not text.startswith("#pragma once\n"):
            errors.append(f"{name}:1: begin with #pragma once")
        errors += [f"{name}:2: the header template lacks '{field}' (CONTRIBUTING.md)"
                   for field in ("What", "Source") if not re.search(rf"^// {field} ", text, re.M)]
        if re.search(r"^// .*\S (?:Why {4}|Use {4}|Units {2})\S", text, re.M):
            errors.append(f"{name}:2: fields of the header template share a line; one line each")
    return errors


def check_readmes(tree):
    errors = []
    for module in tree.modules:
        folder = module if module.startswith("apps/") else f"src/{module}"
        if not (tree.root / folder).is_dir() or module.startswith("apps/"):
            continue
        readme = f"{folder}/README.md"
        if readme not in tree.files:
            errors.append(f"{readme}: missing: purpose, main types, threads, what it must never do")
        elif tree.text(readme).count("\n") > MAX_README_LINES:
            errors.append(f"{readme}: longer than a page ({MAX_README_LINES} lines)")
    return errors


def check_references(tree):
    """Links of the documents lead somewhere; [`name`](file) names something that the file has."""
    errors = []
    for name in tree.files:
        if not name.endswith(".md"):
            continue
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            for label, link in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", line):
                target = link.split("#")[0]
                if not target or re.match(r"[a-z]+:", link):
                    continue
                path = (tree.root / name).parent / target
                where = f"{name}:{number}"
                if not path.exists():
                    errors.append(f"{where}: {link} does not exist")
                    continue
                code = re.fullmatch(r"`([\w:~]+)(?:\(\))?`", label)
                if code and path.is_file():
                    word = code[1].split("::")[-1]
                    if not re.search(rf"\b{re.escape(word)}\b", path.read_text(errors="replace")):
                        errors.append(f"{where}: {target} has no `{word}`")
    return errors


# ---- the picture ---------------------------------------------------------------------------------

PICTURE = re.compile(r"(<!-- modules: [^\n]*-->\n).*?(<!-- end of modules -->)", re.S)


def reduced(modules):
    """The arrows without those that follow from others, so that the picture can be read."""

    def reach(module, seen):
        for other in modules.get(module, []):
            if other not in seen:
                seen.add(other)
                reach(other, seen)
        return seen

    return {module: [other for other in others
                     if not any(other in reach(third, set()) for third in others if third != other)]
            for module, others in modules.items()}


def picture(tree):
    about = tree.table["about"]
    ident = {module: re.sub(r"\W", "_", module) for module in tree.modules}
    out = ["```mermaid", "flowchart TD"]
    out += [f'  {ident[m]}["<b>{m}</b><br/>{about.get(m, "")}"]' for m in reversed(tree.modules)]
    for module, others in reversed(reduced(tree.modules).items()):
        out += [f"  {ident[module]} --> {ident[other]}" for other in others]
    return "\n".join([*out, "```", ""])


def drawn(tree):
    text = tree.text("ARCHITECTURE.md")
    return text, PICTURE.sub(lambda m: m[1] + picture(tree) + m[2], text)


def check_picture(tree):
    if "ARCHITECTURE.md" not in tree.files:
        return []
    before, after = drawn(tree)
    if not PICTURE.search(before):
        return ["ARCHITECTURE.md: no picture of the modules (<!-- modules: ... -->)"]
    if before != after:
        return ["ARCHITECTURE.md: the picture is stale; run tools/tidy.py --picture"]
    return []


CHECKS = [check_table, check_includes, check_length, check_lines, check_headers, check_readmes,
          check_references, check_picture]


def check(tree):
    return [error for rule in CHECKS for error in rule(tree)]


def main(arguments):
    tree = Tree(Path(__file__).resolve().parent.parent)
    if arguments == ["--picture"]:
        (tree.root / "ARCHITECTURE.md").write_text(drawn(tree)[1])
    elif arguments == ["--ratchet"]:
        write_ratchet(tree)
    elif arguments:
        print(__doc__, file=sys.stderr)
        return 1
    else:
        errors = check(tree)
        for error in errors:
            print(error, file=sys.stderr)
        print(f"tidy: {len(tree.files)} files, {len(errors)} problems")
        return 1 if errors else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
