"""Types of columns as Glue tables say them: Hive's grammar, read into a tree."""

from __future__ import annotations

import re
from dataclasses import dataclass

TEXT_MAX = 131_072
"""Characters; AWS's limit of a column's Type."""

DEPTH_MAX = 32
"""Types within types."""

DECIMAL_DIGITS_MAX = 38
CHAR_MAX = 255
VARCHAR_MAX = 65_535

WHOLE_NUMBERS = {"tinyint": 8, "smallint": 16, "int": 32, "integer": 32, "bigint": 64}
"""Bits by name."""

PLAIN = frozenset({*WHOLE_NUMBERS, "float", "double", "boolean", "string", "binary", "date", "timestamp"})
SIZED = {"char": CHAR_MAX, "varchar": VARCHAR_MAX}
DECIMALS = frozenset({"decimal", "numeric"})

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[<>,:()])")
_FIELD = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^\s:<>,`][^:<>,`]*?))\s*:")


class BadType(ValueError):
    """Not a type of Hive, or one that objects cannot have. The text says why."""


@dataclass(frozen=True, slots=True)
class HiveType:
    """name: Hive's, in lower case. numbers: of decimal (precision, scale), char and varchar (length). parts: of array one,
    of map key and value, of struct the fields; names: of a struct's fields."""

    name: str
    numbers: tuple[int, ...] = ()
    parts: tuple[HiveType, ...] = ()
    names: tuple[str, ...] = ()


def parse(text: str) -> HiveType:
    """The type in text. Raises BadType."""
    if len(text) > TEXT_MAX:
        raise BadType(f"A type has at most {TEXT_MAX} characters.")
    reader = _Reader(text)
    found = reader.type(0)
    reader.end()
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def type(self, depth: int) -> HiveType:
        if depth > DEPTH_MAX:
            raise BadType(f"Types are nested more than {DEPTH_MAX} deep.")
        name = self._next().lower()
        if name in PLAIN:
            return HiveType("int" if name == "integer" else name)
        if name in SIZED:
            return HiveType(name, (self._length(name),))
        if name in DECIMALS:
            return HiveType("decimal", self._precision())
        if name == "array":
            return HiveType(name, parts=self._parts(1, depth))
        if name == "map":
            return self._map(depth)
        if name == "struct":
            return self._struct(depth)
        raise BadType(f"The type {name!r} is not supported.")

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise BadType(f"{self._text!r} goes on after its type.")

    def _next(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if not found:
            raise BadType(f"{self._text!r} is not a type.")
        self._at = found.end()
        return found[1]

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        return found[1] if found else ""

    def _take(self, wanted: str) -> None:
        if self._next() != wanted:
            raise BadType(f"{self._text!r} is not a type: {wanted!r} is missing.")

    def _number(self) -> int:
        token = self._next()
        if not token.isdigit() or len(token) > 6:
            raise BadType(f"{self._text!r} is not a type: {token!r} is not a length.")
        return int(token)

    def _length(self, name: str) -> int:
        self._take("(")
        length = self._number()
        self._take(")")
        if not 1 <= length <= SIZED[name]:
            raise BadType(f"The length of {name} must be between 1 and {SIZED[name]}.")
        return length

    def _precision(self) -> tuple[int, int]:
        precision, scale = 10, 0
        if self._peek() == "(":
            self._take("(")
            precision = self._number()
            if self._peek() == ",":
                self._take(",")
                scale = self._number()
            self._take(")")
        if not 1 <= precision <= DECIMAL_DIGITS_MAX or scale > precision:
            raise BadType(f"decimal({precision},{scale}) is not between decimal(1,0) and decimal(38,38).")
        return precision, scale

    def _parts(self, count: int, depth: int) -> tuple[HiveType, ...]:
        self._take("<")
        parts = [self.type(depth + 1)]
        for _ in range(count - 1):
            self._take(",")
            parts.append(self.type(depth + 1))
        self._take(">")
        return tuple(parts)

    def _map(self, depth: int) -> HiveType:
        parts = self._parts(2, depth)
        if parts[0].parts:
            raise BadType("The keys of a map must have a primitive type.")
        return HiveType("map", parts=parts)

    def _struct(self, depth: int) -> HiveType:
        self._take("<")
        names, parts = [], []
        while True:
            field = _FIELD.match(self._text, self._at)
            if not field:
                raise BadType(f"{self._text!r} is not a type: a field's name is missing.")
            self._at = field.end()
            names.append((field[1] or field[2]).replace("``", "`"))
            parts.append(self.type(depth + 1))
            if self._peek() != ",":
                break
            self._take(",")
        self._take(">")
        if len({name.lower() for name in names}) != len(names):
            raise BadType("A struct has two fields of one name.")
        return HiveType("struct", parts=tuple(parts), names=tuple(names))


def holds_decimals(kind: HiveType) -> bool:
    """True if there is a decimal anywhere in it."""
    return kind.name == "decimal" or any(holds_decimals(part) for part in kind.parts)


def size_of(kind: HiveType) -> int:
    """How many types it is made of, itself included."""
    return 1 + sum(map(size_of, kind.parts))
