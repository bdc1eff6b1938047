#!/usr/bin/env python3
"""The style rules that a program can check: `file:line: rule: what`, exit 1 on a finding.

Each rule is one function below, with its reason; tools/lint_test.py shows what each one catches.
"""
import functools
import os
import re
import subprocess
import sys

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 100

# A layer includes only layers below it. The faces stand side by side and do not include each other.
LAYERS = [["base"], ["arch"], ["rt"], ["sync"], ["io"], ["net"], ["storage"], ["consensus"],
          ["etcd", "nas", "object", "tsdb", "gateway", "access", "stream"], ["observe"], ["bench"],
          ["cli"]]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

LIMITS_FILE = "src/base/limits.h"
# Compilers cache the addresses of these across a fiber switch; only these files may use them.
THREAD_LOCAL_FILE = "src/rt/current_worker.cc"
ERRNO_FILE = "src/base/syscall.cc"

# Words that say nothing, or that belong to no one's repository.
BANNED_WORDS = re.compile(
    r"\b(TODO|FIXME|XXX|HACK|blazing(ly)?|cutting[- ]edge|state[- ]of[- ]the[- ]art|"
    r"world[- ]class|seamless(ly)?|leverag(e|es|ing)|battle[- ]tested|production[- ]ready|"
    r"game[- ]chang\w+)\b", re.I)

SOURCES = (".cc", ".h", ".S")


def blank(text):
    """The text with comments and literals replaced by spaces: same length, same lines."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
                         r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_size(path, text):
    lines = text.split("\n")
    if len(lines) - 1 > FILE_LINES_MAX:
        yield 1, "size", f"{len(lines) - 1} lines; at most {FILE_LINES_MAX}: one concept a file"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and "http" not in line:
            yield number, "columns", f"{len(line)} columns; at most {COLUMNS_MAX}"
        if line.rstrip() != line:
            yield number, "space", "space at the end of the line"


def check_functions(path, text):
    """A function fits a screen. A body is a `{` after `)` (and what may stand between) where no
    other body is open; namespaces and classes are looked into."""
    if not path.endswith((".cc", ".h")):
        return
    code = blank(text)
    head = re.compile(r"\)\s*(?:const|noexcept(?:\([^()]*\))?|override|final|mutable|&&?|"
                      r"->\s*[\w:<>,*&\s]+|:\s[^;{}]*(?:\{[^{}]*\}[^;{}]*)*|\s)*$")
    depth, body_depth, body_start, last = 0, None, 0, 0
    for match in re.finditer(r"[{};]", code):
        at = match.start()
        if match.group() == "{":
            if body_depth is None and head.search(code[last:at]):
                body_depth, body_start = depth, at
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if body_depth is not None and depth == body_depth:
                length = line_of(code, at) - line_of(code, body_start) + 1
                if length > FUNCTION_LINES_MAX:
                    yield (line_of(code, body_start), "function",
                           f"{length} lines; at most {FUNCTION_LINES_MAX}: a screen")
                body_depth = None
                if re.match(r"\s*[,{]", code[match.end():]):
                    continue  # it was a member initializer: the body is still to come
        if body_depth is None:
            last = match.end()


def check_limits(path, text):
    """Every bound has its name in one file. A number that something else fixes (an RFC, a width) is
    no bound of ours; `// given: by what` behind it says so."""
    if path == LIMITS_FILE or path.endswith(("_test.cc", "_bench.cc", "_fuzz.cc", "_testing.cc",
                                             "_testing.h")):
        return
    constant = re.compile(r"\bconstexpr\b[^;=()]*?\b(k[A-Z]\w*(?:Max|Limit|Capacity)|"
                          r"kMax[A-Z]\w*)\s*[={]")
    for match in constant.finditer(blank(text)):
        line_end = text.find(";", match.end())
        # A name for another limit, or for the largest value of a type or a format, is no new bound.
        value = text[match.end():line_end]
        comment = text[line_end:text.find("\n", line_end)]
        known = ("limits::", "numeric_limits", "MAX")
        if "// given:" in comment or any(word in value for word in known):
            continue
        yield (line_of(text, match.start()), "limits",
               f"{match.group(1)} is a bound: its place is {LIMITS_FILE}")


def check_thread_state(path, text):
    """thread_local and errno are cached by compilers across a fiber switch."""
    code = blank(text)
    for match in re.finditer(r"\bthread_local\b|\b__thread\b", code):
        if path != THREAD_LOCAL_FILE:
            yield line_of(code, match.start()), "thread_local", f"only in {THREAD_LOCAL_FILE}"
    for match in re.finditer(r"\berrno\b", code):
        if path != ERRNO_FILE:
            yield (line_of(code, match.start()), "errno",
                   f"only in {ERRNO_FILE}; wrappers return -errno")


def check_includes(path, text):
    """A layer includes only layers below it, by paths from src/."""
    layer = path.split("/")[1]
    if layer not in RANK:
        yield 1, "layer", f"src/{layer} is no layer of tools/lint.py"
        return
    if path.endswith(".h") and "#pragma once" not in text:
        yield 1, "guard", "a header starts with #pragma once"
    for match in re.finditer(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
        target, number = match.group(1), line_of(text, match.start())
        other = target.split("/")[0]
        if "/" not in target:
            yield number, "include", f'"{target}": write the path from src/'
        elif other in RANK and other != layer and RANK[other] >= RANK[layer]:
            yield number, "include", f"{layer} may not include {other}"


def check_banners(path, text):
    """Comments say why; a row of dashes says nothing."""
    for match in re.finditer(r"^\s*//\s*([=*#~-])\1{7,}\s*$", text, re.M):
        yield line_of(text, match.start()), "banner", "no banners"


def check_words(path, text):
    for match in BANNED_WORDS.finditer(text):
        yield line_of(text, match.start()), "word", f"'{match.group()}'"


def check_doc_links(path, text):
    """What a document names exists: links, and paths that start at the root, in quotes or not."""
    roots = r"(?:src|docs|test|tools|cmake|proto|examples|bench|\.ci)/"
    for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        target = match.group(1)
        if "://" in target or target.startswith("mailto:"):
            continue
        if not os.path.exists(os.path.join(os.path.dirname(path), target)):
            yield line_of(text, match.start()), "link", f"{target} does not exist"
    for match in re.finditer(r"(?<![\w./(*-])" + roots + r"[\w./-]*\w(?![*<])", text):
        if not os.path.exists(match.group()):
            yield line_of(text, match.start()), "link", f"{match.group()} does not exist"


def check_doc_names(path, text):
    """A file that a document names without its folder exists in some folder, and a `kConstant`
    somewhere in the sources."""
    for match in re.finditer(r"`(?!x[._])([a-z]\w*\.(?:h|cc|py|sh))`|`(k[A-Z]\w+)`", text):
        file, constant = match.groups()
        if file and file not in known_names()["files"]:
            yield line_of(text, match.start()), "link", f"no file is called {file}"
        if constant and constant not in known_names()["constants"]:
            yield line_of(text, match.start()), "link", f"no constant is called {constant}"


def check_doc_index(path, text):
    """docs/README.md has a line for every page."""
    if path != "docs/README.md":
        return
    for page in tracked("docs/"):
        link = os.path.relpath(page, "docs")
        if page.endswith(".md") and page != path and f"]({link})" not in text:
            yield 1, "index", f"{link} is missing"


def check_doc_files(path, text):
    """A fenced block behind a link and a colon shows that file as it is."""
    shown = re.compile(r"\]\(([^)\s]+)\)\)?:\n\n```\w*\n(.*?)^```$", re.M | re.S)
    for match in shown.finditer(text):
        file = os.path.join(os.path.dirname(path), match.group(1))
        if not os.path.isfile(file):
            continue  # check_doc_links says it
        with open(file, encoding="utf-8") as source:
            if source.read() != match.group(2):
                yield line_of(text, match.start()), "shown", f"differs from {match.group(1)}"


def check_example_shown(path, text):
    """A program under examples/ is in a page of docs/."""
    for page in tracked("docs/"):
        if page.endswith(".md") and os.path.isfile(page):
            with open(page, encoding="utf-8") as file:
                if f"](../{path})" in file.read():
                    return
    yield 1, "shown", "no page of docs/ shows it"


@functools.cache
def tracked(prefix):
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", prefix]
    return subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()


@functools.cache
def known_names():
    constants = set()
    for source in tracked("src"):
        if source.endswith((".h", ".cc")) and os.path.isfile(source):
            with open(source, encoding="utf-8") as file:
                constants.update(re.findall(r"\bk[A-Z]\w+", file.read()))
    return {"files": {os.path.basename(name) for name in tracked(".")}, "constants": constants}


CODE_RULES = [check_size, check_functions, check_limits, check_thread_state, check_includes,
              check_banners, check_words]
DOC_RULES = [check_doc_links, check_doc_names, check_doc_index, check_doc_files, check_words]
PROGRAM_RULES = [check_size, check_functions, check_banners, check_words]
EXAMPLE_RULES = [*PROGRAM_RULES, check_example_shown]
SCRIPT_RULES = [check_size]


def rules_for(path):
    if path.startswith("src/") and path.endswith(SOURCES):
        return CODE_RULES
    if path.startswith("bench/") and path.endswith(SOURCES):
        return PROGRAM_RULES
    if path.startswith("examples/") and path.endswith(SOURCES):
        return EXAMPLE_RULES
    if path.endswith(".md"):
        return DOC_RULES
    if path.endswith((".py", ".sh", ".cmake", ".proto")) or path == "dev":
        return SCRIPT_RULES
    return []


def check(path, text):
    """All findings in one file: [(line, rule, what)]."""
    return [finding for rule in rules_for(path) for finding in rule(path, text)]


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    paths = tracked(".")
    findings = 0
    for path in sorted(set(paths)):
        if not os.path.isfile(path) or not rules_for(path):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for line, rule, what in check(path, text):
            print(f"{path}:{line}: {rule}: {what}")
            findings += 1
    print(f"lint: {len(paths)} files, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
