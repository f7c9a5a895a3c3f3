"""From rows of JSON to Arrow's columns, a column at a time.

A column whose values have the right types already goes to Arrow as it is; only else is each value looked at. A value
that does not fit does not stop anything: it is noted against the row it belongs to (`bad`), and the caller leaves that
row's whole record out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from apps.delivery.formats import scalars
from apps.delivery.formats.hive_types import HiveType
from apps.delivery.formats.reading import Reading

CELLS_MAX = 4_000_000
"""Values that are built at a time, nulls too: `{}` is a row of as many as a table has columns, in three bytes, and an item
of as many as a struct in an array has fields."""


class TooMany(Exception):
    """These rows have more than CELLS_MAX cells; fewer of them may have less."""


class Bad(dict[int, str]):
    """By row: why its record cannot be converted. And how many cells these rows have had so far."""

    cells = 0

    def count(self, cells: int) -> None:
        """So many are about to be built. Raises TooMany."""
        self.cells += cells
        if self.cells > CELLS_MAX:
            raise TooMany


SPELLINGS_MAX = 10_000
"""Of keys, remembered in each struct; hostile records have a new one in every row."""

NONE = type(None)
UNFIT = (ValueError, TypeError, OverflowError, ArithmeticError, RecursionError, pa.ArrowException)
"""What conversions raise for a value that does not fit. pyarrow's errors are mostly of the first two."""

DIRECT: Mapping[str, frozenset[type]] = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), frozenset({int, NONE})),
    "double": frozenset({float, int, NONE}),
    "float": frozenset({float, NONE}),
    "boolean": frozenset({bool, NONE}),
    "string": frozenset({str, NONE}),
}
"""Types of values that Arrow takes as they are, by Hive's type."""

ARROW = {
    "tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64(), "float": pa.float32(),
    "double": pa.float64(), "boolean": pa.bool_(), "string": pa.string(), "char": pa.string(), "varchar": pa.string(),
    "binary": pa.binary(), "date": pa.date32(), "timestamp": pa.timestamp("us"),
}  # fmt: skip
"""Timestamps are UTC without saying so, as Hive's are."""


class Column(Protocol):
    """Builds one column. type: Arrow's."""

    type: pa.DataType

    def build(self, values: list[Any], owners: Sequence[int], bad: Bad) -> pa.Array:
        """An array of the values' length. owners: the row that each value belongs to."""
        ...


def column(kind: HiveType, path: str, reading: Reading) -> Column:
    """The column of a type. path: what it is called in errors."""
    match kind.name:
        case "array":
            return ListColumn(kind, path, reading)
        case "map":
            return MapColumn(kind, path, reading)
        case "struct":
            return StructColumn(list(zip(kind.names, kind.parts, strict=True)), path, reading)
    return ScalarColumn(kind, path, reading)


class ScalarColumn:
    """A primitive type."""

    def __init__(self, kind: HiveType, path: str, reading: Reading) -> None:
        self.type = pa.decimal128(*kind.numbers) if kind.name == "decimal" else ARROW[kind.name]
        self._convert = scalars.lenient(kind) if reading.lenient else scalars.strict(kind, reading.formats)
        self._direct = DIRECT.get(kind.name, frozenset())
        self._checked = kind.name == "float"
        self._path = path

    def build(self, values: list[Any], owners: Sequence[int], bad: Bad) -> pa.Array:
        """At once if all values have the right type, else one by one."""
        kinds = set(map(type, values))
        if kinds <= self._direct:
            try:
                made = pa.array(values, self.type)
            except UNFIT:
                made = None
            if made is not None and not (self._checked and _has_infinity(made)):
                return made
        return self._one_by_one(values, owners, bad)

    def _one_by_one(self, values: list[Any], owners: Sequence[int], bad: Bad) -> pa.Array:
        convert, out = self._convert, [None] * len(values)
        for index, value in enumerate(values):
            if value is None:
                continue
            try:
                out[index] = convert(value)
            except UNFIT as error:
                why = error if isinstance(error, scalars.Refused) else f"{scalars.shown(value)} does not fit"
                bad.setdefault(owners[index], f"{self._path}: {why}")
        return pa.array(out, self.type)


def _has_infinity(made: pa.Array) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.is_inf(made)).as_py())


class _Spellings(dict[str, str]):
    """From a key as it is spelled to the field that it means; "" for none. Learns."""

    def __init__(self, fields: Sequence[str], reading: Reading) -> None:
        super().__init__()
        self._by_key = {reading.key_of(name): name for name in fields}
        self._reading = reading

    def __missing__(self, spelled: str) -> str:
        found = self._by_key.get(self._reading.key(spelled), "")
        if len(self) >= SPELLINGS_MAX:
            self.clear()
        self[spelled] = found
        return found


class StructColumn:
    """A struct; without a mask, the row itself."""

    def __init__(self, fields: Sequence[tuple[str, HiveType]], path: str, reading: Reading) -> None:
        self._names = [name for name, _ in fields]
        self._columns = [column(kind, f"{path}.{name}" if path else name, reading) for name, kind in fields]
        self._fields = [pa.field(n, c.type) for n, c in zip(self._names, self._columns, strict=True)]
        self.type = pa.struct(self._fields)
        self._path = path
        self._spellings = _Spellings(self._names, reading)
        self._mapped = any(reading.key_of(name) != name for name in self._names)
        self._as_spelled = not (reading.lower or reading.dots or self._mapped)

    def fields(self, rows: list[dict[str, Any]], owners: Sequence[int], bad: Bad) -> list[pa.Array]:
        """The arrays of the fields. Raises TooMany."""
        bad.count(len(rows) * len(self._names))
        spellings = self._spellings
        if not self._as_spelled:
            rows = [{spellings[key]: value for key, value in row.items()} for row in rows]
        return [
            part.build([row.get(name) for row in rows], owners, bad)
            for name, part in zip(self._names, self._columns, strict=True)
        ]

    def build(self, values: list[Any], owners: Sequence[int], bad: Bad) -> pa.Array:
        """The array of the struct, null where a value is."""
        rows, absent = [], []
        for index, value in enumerate(values):
            if value is not None and not isinstance(value, dict):
                bad.setdefault(owners[index], f"{self._path}: {scalars.shown(value)} is not an object")
                value = None  # noqa: PLW2901 - the row is left out
            rows.append(value or {})
            absent.append(value is None)
        mask = pa.array(absent, pa.bool_())
        return pa.StructArray.from_arrays(self.fields(rows, owners, bad), fields=self._fields, mask=mask)


class ListColumn:
    """An array. OpenX takes a single value for an array of one."""

    def __init__(self, kind: HiveType, path: str, reading: Reading) -> None:
        self._items = column(kind.parts[0], f"{path}[]", reading)
        self.type = pa.list_(self._items.type)
        self._path, self._lenient = path, reading.lenient

    def build(self, values: list[Any], owners: Sequence[int], bad: Bad) -> pa.Array:
        """All items in one array, and where each list begins."""
        offsets: list[int | None] = []
        items: list[Any] = []
        item_owners: list[int] = []
        for index, value in enumerate(values):
            if value is not None and not isinstance(value, list):
                if self._lenient:
                    value = [value]  # noqa: PLW2901 - as OpenX does
                else:
                    bad.setdefault(owners[index], f"{self._path}: {scalars.shown(value)} is not an array")
                    value = None  # noqa: PLW2901 - the row is left out
            offsets.append(None if value is None else len(items))
            if value:
                items += value
                item_owners += [owners[index]] * len(value)
        offsets.append(len(items))
        made = self._items.build(items, item_owners, bad)
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), made, type=self.type)


class MapColumn:
    """A map. OpenX has lower-cased its keys, too."""

    def __init__(self, kind: HiveType, path: str, reading: Reading) -> None:
        # Keys of JSON are texts, whatever the type of the map's.
        self._keys = column(kind.parts[0], f"{path}{{}}", Reading(lenient=True))
        self._items = column(kind.parts[1], f"{path}{{}}", reading)
        self.type = pa.map_(self._keys.type, self._items.type)
        self._path = path
        self._lower = reading.lenient and reading.lower

    def build(self, values: list[Any], owners: Sequence[int], bad: Bad) -> pa.Array:
        """All keys in one array, all items in another, and where each map begins."""
        kept = [value if self._fits(value, owner, bad) else None for value, owner in zip(values, owners, strict=True)]
        while True:
            offsets, keys, items, of = self._flat(kept, owners)
            key_array = self._keys.build(keys, of, bad)
            if not key_array.null_count:
                break
            # A key that does not fit is null, which a map cannot hold. The rows are lost anyway.
            kept = [None if owner in bad else value for value, owner in zip(kept, owners, strict=True)]
        made = self._items.build(items, of, bad)
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), key_array, made, type=self.type)

    def _fits(self, value: Any, owner: int, bad: Bad) -> bool:
        if value is None or isinstance(value, dict):
            return True
        bad.setdefault(owner, f"{self._path}: {scalars.shown(value)} is not an object")
        return False

    def _flat(
        self, values: list[Any], owners: Sequence[int]
    ) -> tuple[list[int | None], list[str], list[Any], list[int]]:
        offsets: list[int | None] = []
        keys: list[str] = []
        items: list[Any] = []
        of: list[int] = []
        for value, owner in zip(values, owners, strict=True):
            offsets.append(None if value is None else len(keys))
            if value:
                entries = {key.lower(): item for key, item in value.items()} if self._lower else value
                keys += entries
                items += entries.values()
                of += [owner] * len(entries)
        offsets.append(len(keys))
        return offsets, keys, items, of
