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
SERVICE = ("apps", "console", "workers")
LONG_FILES = {"tests/bench/loadgen.py"}
"""One file so that it can be copied to another machine."""

TIME_AT = {"apps/base/clock.py"}
ENVIRONMENT_AT = {"apps/base/config.py", "manage.py"}
PRINTS_AT = ("console/management/commands/",)
DRAWERS = {"utils", "helpers", "helper", "manager", "managers", "signals", "core", "common", "misc"}
LEFT_OVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|NotImplemented" r"Error)\b|[Cc]oming" r" soon")
OF_A_MACHINE = re.compile(r"(?<![\w.$}])/(?:wo" r"rk|ho" r"me|Us" r"ers|ro" r"ot)/\w")


@cache
def trees():
    return [(name(path), ast.parse(text(path))) for path in files(".py")]


def service_trees():
    return [(path, tree) for path, tree in trees() if path.startswith(tuple(f"{folder}/" for folder in SERVICE))]


def test_functions_fit_on_a_screen():
    long = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX and path not in LONG_FILES:
                    long.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
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


def used_names(tree: ast.AST):
    """Dotted names as written, with `from time import time` counted as time.time."""
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
        for path, tree in service_trees()
        if not any(path.startswith(allowed) for allowed in allowed_at)
        for line, used in used_names(tree)
        if used in banned
    ]
    assert not found, "\n".join(found)


def test_nothing_is_left_for_later():
    found = [f"{name(path)}: {hit.group()}" for path in files(*TEXT) for hit in LEFT_OVER.finditer(text(path))]
    assert not found, "\n".join(found)


def test_no_path_of_a_machine():
    found = [f"{name(path)}: {hit.group()}" for path in files(*TEXT) for hit in OF_A_MACHINE.finditer(text(path))]
    assert not found, "\n".join(found)


def test_pins_name_no_index():
    pins = text(next(path for path in files(".txt") if path.name == "requirements.txt"))
    assert "://" not in pins
    assert "--" not in pins
    assert re.fullmatch(r"(#.*\n|[\w.-]+==\S+( ; [^#\n]+)?(\s+#.*)?\n)+", pins)
