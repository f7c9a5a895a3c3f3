"""The data viewer's filter: words to look for, or conditions on key, data, size and the fields of JSON data.

    order                              the text anywhere in key or data
    data.event starts_with "order"     a field of JSON data, by dotted path
    key = cust-1 and data.total > 100  conditions joined by `and`

Operators: = != contains starts_with ends_with > >= < <= exists. Numbers are compared as numbers where both sides are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

CONDITIONS_MAX = 10
TEXT_MAX = 1_000

_CONDITION = re.compile(
    r"""(?P<field>key|size|data(?:\.[^\s=!<>]+)?)\s*
        (?:(?P<operator>=|!=|>=|<=|>|<|contains\b|starts_with\b|ends_with\b)\s*(?P<value>"(?:[^"\\]|\\.)*"|\S+)
        |(?P<exists>exists\b))\s*""",
    re.VERBOSE,
)
_AND = re.compile(r"and\s+")

_MISSING = object()

Test = Callable[[str, str], bool]

_OPERATORS: dict[str, Test] = {
    "=": lambda have, want: have == want,
    "!=": lambda have, want: have != want,
    "contains": lambda have, want: want in have,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda have, want: have > want,
    ">=": lambda have, want: have >= want,
    "<": lambda have, want: have < want,
    "<=": lambda have, want: have <= want,
}


class FilterError(Exception):
    """The text is not a filter. Says where it stops making sense."""


class Wanted(Protocol):
    """What reading.py asks: RecordFilter, or one that decodes as well. False: everything passes."""

    def __bool__(self) -> bool: ...

    def which(self, records: Sequence[tuple[str | None, bytes]]) -> list[bool]:
        """For each record (key, data), whether it passes."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. path is empty for the data as a whole."""

    field: str
    path: tuple[str, ...]
    operator: str
    value: str

    def holds(self, key: str, data: bytes) -> bool:
        """True if the record has it."""
        have = self._have(key, data)
        if self.operator == "exists":
            return have is not _MISSING
        if have is _MISSING:
            return self.operator == "!="
        if self.operator in _ORDERS:
            have_number, want_number = _number(have), _number(self.value)
            return (
                have_number is not None and want_number is not None and _ORDERS[self.operator](have_number, want_number)
            )
        return _OPERATORS[self.operator](_words(have), self.value)

    def _have(self, key: str, data: bytes) -> Any:
        if self.field == "key":
            return key
        if self.field == "size":
            return len(data)
        if not self.path:
            return data.decode("utf-8", "replace")
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            return _MISSING
        for name in self.path:
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                return _MISSING
        return found


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """What the text asks for: conditions, or else words to look for."""

    text: str
    conditions: tuple[Condition, ...] = ()
    words: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.conditions or self.words)

    def matches(self, key: str | None, data: bytes) -> bool:
        """True if the record passes."""
        if self.words and self.words not in data and self.words not in (key or "").encode():
            return False
        return all(condition.holds(key or "", data) for condition in self.conditions)

    def which(self, records: Sequence[tuple[str | None, bytes]]) -> list[bool]:
        """For each record (key, data), whether it passes."""
        return [self.matches(key, data) for key, data in records]


def read(text: str) -> RecordFilter:
    """Take the text apart. Raises FilterError with a sentence for the person who wrote it."""
    text = text.strip()
    if len(text) > TEXT_MAX:
        raise FilterError(f"A filter has at most {TEXT_MAX} characters.")
    if not _CONDITION.match(text):
        if re.match(r"(data\.\S+|(key|size|data)\s+(=|!=|<|>|contains|starts_with|ends_with))", text):
            raise FilterError(
                f"After the field comes one of {', '.join([*_OPERATORS, *_ORDERS, 'exists'])}, then a value."
            )
        return RecordFilter(text, words=text.encode())
    return RecordFilter(text, tuple(_conditions(text)))


def _conditions(text: str) -> list[Condition]:
    found, at = [], 0
    while at < len(text):
        match = _CONDITION.match(text, at)
        if match is None:
            raise FilterError(
                f"“{text[at : at + 40]}” is not a condition. Write for example data.event = order.placed."
            )
        found.append(_condition(match))
        at = match.end()
        joined = _AND.match(text, at)
        if at < len(text) and joined is None:
            raise FilterError(f"Join conditions by and: “{text[at : at + 40]}” does not follow from what is before it.")
        at = joined.end() if joined else at
    if len(found) > CONDITIONS_MAX:
        raise FilterError(f"A filter has at most {CONDITIONS_MAX} conditions.")
    return found


def _condition(match: re.Match[str]) -> Condition:
    field, _, path = match["field"].partition(".")
    value = match["value"] or ""
    if value.startswith('"'):
        try:
            value = json.loads(value)
        except ValueError:
            raise FilterError(f"{value} is not a well-formed text in quotes.") from None
    return Condition(field, tuple(path.split(".")) if path else (), match["operator"] or "exists", value)


def _words(value: Any) -> str:
    """As it stands in JSON, without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
