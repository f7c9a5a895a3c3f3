"""Texts of policies with `*`, `?` and `${variables}`: matched in time linear in the text where a
pattern has stars, and in the product of both lengths at most where it has question marks too.

A regular expression with many `.*` takes polynomial time on texts that its author chooses, and policies are written by
people whom the service does not trust. So a pattern is cut at its stars, and each piece is looked for once, from left
to right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

GLOBS_CACHED = 4_096

Context = Mapping[str, str | tuple[str, ...]]
"""What is known of a request: condition keys in lower case, and their values."""

_PART = re.compile(r"\$\{([^}]*)\}|(\*)|(\?)|([^*?$]+|\$)")
_LITERALS = {"*": "*", "?": "?", "$": "$"}
"""${*}, ${?} and ${$} are the characters themselves."""


class Glob:
    """A pattern without variables. Pieces are regular expressions without repetition."""

    __slots__ = ("_first", "_last", "_middle", "_whole")

    def __init__(self, pieces: list[str]) -> None:
        self._whole = re.compile(pieces[0], re.DOTALL) if len(pieces) == 1 else None
        self._first = re.compile(pieces[0], re.DOTALL)
        self._middle = [re.compile(piece, re.DOTALL) for piece in pieces[1:-1] if piece]
        self._last = re.compile(pieces[-1] + r"\Z", re.DOTALL)

    def matches(self, text: str) -> bool:
        """Is the whole text of this form?"""
        if self._whole is not None:
            return self._whole.fullmatch(text) is not None
        found = self._first.match(text)
        if found is None:
            return False
        at = found.end()
        for piece in self._middle:
            found = piece.search(text, at)
            if found is None:
                return False
            at = found.end()
        return self._last.search(text, at) is not None


class Pattern:
    """A text of a policy. names: the variables in it, in lower case."""

    __slots__ = ("_glob", "_parts", "names", "text")

    def __init__(self, text: str, *, variables: bool = True, wildcards: bool = True) -> None:
        self.text = text
        self._parts = _parts(text, variables=variables, wildcards=wildcards)
        self.names = frozenset(part[1] for part in self._parts if part[0] == "variable")
        self._glob = None if self.names else _glob(tuple(self._filled({})))

    def matches(self, value: str, context: Context) -> bool:
        """Is value of this form, with the request's values in the variables' places? A variable that the request has no
        value for, and no default, matches nothing."""
        if self._glob is not None:
            return self._glob.matches(value)
        filled = self._filled(context)
        return bool(filled) and _glob(tuple(filled)).matches(value)

    def filled(self, context: Context) -> str | None:
        """The text with its variables replaced; None if one has no value."""
        if not self.names:
            return "".join(part[1] for part in self._parts)
        found = self._filled(context)
        return "".join(part[1] for part in found) if found else None

    def has_values(self, context: Context) -> bool:
        """Has the request a value for every variable in it, or the variable a default?"""
        return not self.names or bool(self._filled(context))

    def matches_parts(self, value: str, context: Context, count: int) -> bool:
        """The same as matches, colon by colon: a star reaches over none but in the last of count parts. A pattern with
        fewer parts fits nothing, unless it is one star."""
        filled = self._filled(context)
        if filled == [("star", "*")]:
            return True
        patterns, parts = _split(filled, count), value.split(":", count - 1)
        return len(patterns) == len(parts) and all(
            _glob(tuple(pattern)).matches(part) for pattern, part in zip(patterns, parts, strict=True)
        )

    def _filled(self, context: Context) -> list[tuple[str, str]]:
        parts: list[tuple[str, str]] = []
        for part in self._parts:
            if part[0] != "variable":
                parts.append((part[0], part[1]))
                continue
            value = context.get(part[1])
            if isinstance(value, tuple):
                value = None  # many values have no place in a text
            if value is None:
                value = part[2]
            if value is None:
                return []
            parts.append(("text", value))
        return parts or [("text", "")]


@lru_cache(maxsize=GLOBS_CACHED)
def _glob(parts: tuple[tuple[str, str], ...]) -> Glob:
    pieces = [""]
    for kind, text in parts:
        if kind == "star":
            pieces.append("")
        else:
            pieces[-1] += "." if kind == "one" else re.escape(text)
    return Glob(pieces)


def _split(filled: list[tuple[str, str]], count: int) -> list[list[tuple[str, str]]]:
    """A filled pattern cut at its first colons. What a variable brought is text, whatever characters are in it."""
    split: list[list[tuple[str, str]]] = [[]]
    for kind, text in filled:
        pieces = text.split(":", count - len(split)) if kind == "text" else [text]
        split[-1].append((kind, pieces[0]))
        split += [[(kind, piece)] for piece in pieces[1:]]
    return split


def _parts(text: str, *, variables: bool, wildcards: bool) -> list[tuple[str, str, str | None]]:
    """(kind, text or the variable's name, its default)."""
    parts: list[tuple[str, str, str | None]] = []
    for found in _PART.finditer(text):
        name, star, one, literal = found.groups()
        if name is not None and variables:
            parts.append(_variable(name))
        elif star and wildcards:
            parts.append(("star", star, None))
        elif one and wildcards:
            parts.append(("one", one, None))
        elif name is not None:
            parts += _parts_of_plain(found.group(), wildcards=wildcards)
        else:
            parts.append(("text", literal or star or one, None))
    return parts


def _parts_of_plain(text: str, *, wildcards: bool) -> list[tuple[str, str, str | None]]:
    """`${…}` in a policy whose version knows no variables."""
    kinds = {"*": "star", "?": "one"} if wildcards else {}
    return [(kinds.get(character, "text"), character, None) for character in text]


def _variable(inside: str) -> tuple[str, str, str | None]:
    if inside in _LITERALS:
        return "text", inside, None
    name, comma, default = inside.partition(",")
    return "variable", name.strip().lower(), default.strip().strip("'") if comma else None
