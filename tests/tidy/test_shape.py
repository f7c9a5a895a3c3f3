"""What no linter knows: sizes, banned names, words that must not be left."""

import ast
import re
from functools import cache

import pytest

from tests.tidy.tree import TEXT, files, name, text

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
TEST_LINES_MAX = 750
"""A contract suite states every sentence of an interface, and stays in one piece."""
SERVICE = ("apps/", "console/", "workers/")
LONG_FILES = {"tests/bench/loadgen.py"}
"""One file so that it can be copied to another machine."""

TIME_AT = {"apps/base/clock.py"}
ENVIRONMENT_AT = {"apps/base/config.py", "manage.py"}
PRINTS_AT = ("console/management/commands/",)
DRAWERS = {"utils", "helpers", "helper", "manager", "managers", "signals", "core", "common", "misc"}
LEFT_OVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|NotImplemented" r"Error)\b|[Cc]oming" r" soon")
OF_A_MACHINE = re.compile(r"(?<![\w.$}])/(?:wo" r"rk|ho" r"me|Us" r"ers|ro" r"ot)/\w")


BANNED_AT_ALL = re.compile(r"\b(time|datetime|timezone|environ|getenv|putenv|print)\b")
"""A file without one of these words has no banned name, and is not parsed for it: parsing all of them takes seconds."""


def functions(statements: list[ast.stmt]):
    """Every function under these statements. (ast.walk looks into expressions, too, and takes ten times as long.)"""
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, block, None)
            if isinstance(inner, list):
                yield from functions(inner)


def test_functions_fit_on_a_screen():
    long = []
    for path in files(".py"):
        if text(path).count("\n") <= FUNCTION_LINES_MAX or name(path) in LONG_FILES:
            continue
        for node in functions(ast.parse(text(path)).body):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                long.append(f"{name(path)}:{node.lineno} {node.name}: {lines} lines")
    assert not long, "\n".join(long)


def test_files_stay_readable():
    counts = {name(path): text(path).count("\n") for path in files(".py", ".js", ".mjs", ".html", ".css")}
    long = {
        path: lines
        for path, lines in counts.items()
        if lines > (TEST_LINES_MAX if path.startswith("tests/") else FILE_LINES_MAX) and path not in LONG_FILES
    }
    assert not long


def test_files_are_named_after_their_thing():
    assert [name(path) for path in files(".py") if DRAWERS.intersection((path.stem, *path.parent.parts[-2:]))] == []


@cache
def used_names():
    """(file, line, dotted name as written) in the service, with `from time import time` counted as time.time."""
    found = []
    for path in files(".py"):
        if name(path).startswith(SERVICE) and BANNED_AT_ALL.search(text(path)):
            found += [(name(path), *used) for used in names_in(ast.parse(text(path)))]
    return found


def names_in(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in {"time", "os", "datetime"}:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, f"{node.func.id}()"


@pytest.mark.parametrize(
    ("banned", "allowed_at"),
    [
        ({"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "timezone.now"}, TIME_AT),
        ({"os.environ", "os.getenv", "os.putenv"}, ENVIRONMENT_AT),
        ({"print()"}, PRINTS_AT),
    ],
    ids=["time only by Clock", "environment only in Config", "print only in commands"],
)
def test_banned_names(banned, allowed_at):
    found = [
        f"{path}:{line} {used}"
        for path, line, used in used_names()
        if used in banned and not any(path.startswith(allowed) for allowed in allowed_at)
    ]
    assert not found, "\n".join(found)


def test_nothing_is_left_for_later():
    found = [f"{name(path)}: {hit.group()}" for path in files(*TEXT) for hit in LEFT_OVER.finditer(text(path))]
    assert not found, "\n".join(found)


def test_tests_with_a_browser_are_marked():
    """Playwright keeps an event loop running: an unmarked one breaks every asynchronous test after it."""
    browsing = [path for path in files(".py") if name(path).startswith("tests/browser/") and "/test_" in name(path)]
    assert browsing
    assert [name(path) for path in browsing if "pytest.mark.browser" not in text(path)] == []


def test_no_path_of_a_machine():
    found = [f"{name(path)}: {hit.group()}" for path in files(*TEXT) for hit in OF_A_MACHINE.finditer(text(path))]
    assert not found, "\n".join(found)


def test_pins_name_no_index():
    pins = text(next(path for path in files(".txt") if path.name == "requirements.txt"))
    assert "://" not in pins
    assert "--" not in pins
    assert re.fullmatch(r"(#.*\n|[\w.-]+==\S+( ; [^#\n]+)?(\s+#.*)?\n)+", pins)
