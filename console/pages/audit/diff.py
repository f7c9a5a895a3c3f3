"""What changed between two states: one line for each member that differs, by its path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.access.changes import NOTE

LINES_MAX = 200
DEPTH_MAX = 12
VALUE_CHARS_MAX = 600

ADDED, REMOVED, CHANGED, SAME = "added", "removed", "changed", "same"
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Line:
    """path: `Tags.env`, `Policy.Statement[0].Effect`. old, new: as text; empty where there is none."""

    path: str
    kind: str
    old: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class Diff:
    """lines: what differs. same: what does not. is_cut: something of a state was not kept. left: lines that are not shown."""

    lines: list[Line]
    same: list[Line]
    is_new: bool
    is_gone: bool
    is_cut: bool
    left: int = 0


def compare(before: str | None, after: str | None) -> Diff | None:
    """Two states as the trail has them. None: neither is known."""
    if before is None and after is None:
        return None
    old, new = _flat(before), _flat(after)
    is_cut = NOTE in old or NOTE in new
    paths = [path for path in (*old, *(path for path in new if path not in old)) if path != NOTE]
    lines: list[Line] = []
    same: list[Line] = []
    for path in sorted(paths):
        line = _line(path, old.get(path, _NOTHING), new.get(path, _NOTHING))
        (same if line.kind == SAME else lines).append(line)
    left = max(len(lines) - LINES_MAX, 0)
    return Diff(lines[:LINES_MAX], same[:LINES_MAX], before is None, after is None, is_cut, left)


def _line(path: str, old: Any, new: Any) -> Line:
    if old is _NOTHING:
        return Line(path, ADDED, new=_text(new))
    if new is _NOTHING:
        return Line(path, REMOVED, old=_text(old))
    return Line(path, SAME if old == new else CHANGED, _text(old), _text(new))


def _flat(state: str | None) -> dict[str, Any]:
    try:
        return dict(_leaves("", json.loads(state), 0)) if state else {}
    except ValueError:
        return {"": state}


def _leaves(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Leaves by their path. A text that is JSON itself (a policy) is opened, too; what is empty is a leaf."""
    opened = _opened(value)
    if depth < DEPTH_MAX and isinstance(opened, dict) and opened:
        for name, item in opened.items():
            yield from _leaves(f"{path}.{name}" if path else name, item, depth + 1)
    elif depth < DEPTH_MAX and isinstance(opened, list) and opened:
        for number, item in enumerate(opened):
            yield from _leaves(f"{path}[{number}]", item, depth + 1)
    else:
        yield path, value


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _text(value: Any) -> str:
    if value is None or value in ("", {}, []):
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "…"
