"""Records as rows of an Iceberg table: one JSON object per record, its keys are the columns, by exact name.

As AWS has it (Firehose guide, "Considerations and limitations" and "Understand supported data types" of Apache Iceberg
Tables): every column must be there, null where the column may be null; keys that are no column are skipped; timestamps
are microseconds; binary values are Base64 or hex. Ours: dates, times and timestamps may be ISO 8601 texts, too.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType, NestedField

BAD_DATA: Final = "ICEBERG_BAD_DATA"
MISSING_COLUMN: Final = "Iceberg.MissingColumnWithinRecord"

INT_BITS: Final = 32
LONG_BITS: Final = 64
FLOAT_MAX: Final = (2 - 2**-23) * 2.0**127
MICROSECONDS: Final = 1_000_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_DAY: Final = dt.date(1970, 1, 1)

_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")

Convert = Callable[[Any], Any]


class BadRow(Exception):
    """A record that is no row of the table. code: AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class _Mismatch(Exception):
    """A value is not of the column's type."""


class Rows:
    """Takes records apart for one schema of a table. sparse: a column that may be null may also be missing."""

    def __init__(self, schema: Schema, *, sparse: bool = False) -> None:
        self._sparse = sparse
        self._columns = [(field.name, field.required, _optional(field)) for field in schema.fields]
        self._has_default = {field.name for field in schema.fields if getattr(field, "write_default", None) is not None}
        self._decode = msgspec.json.Decoder(float_hook=Decimal if _has_decimal(schema) else None).decode

    def row(self, data: bytes) -> list[Any]:
        """The values of a record, in the order of the columns. Raises BadRow."""
        try:
            said = self._decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadRow(BAD_DATA, f"The record is not one JSON object: {error}"[:300]) from error
        if not isinstance(said, dict):
            raise BadRow(BAD_DATA, "The record is not one JSON object.")
        values = []
        for name, required, convert in self._columns:
            if name not in said and name not in self._has_default and (required or not self._sparse):
                raise BadRow(MISSING_COLUMN, f"The column {name} of the table is not in the record.")
            value = said.get(name)
            if value is None and required and name not in self._has_default:
                raise BadRow(BAD_DATA, f"The column {name} is required, and the record has null for it.")
            try:
                values.append(convert(value))
            except _Mismatch as error:
                raise BadRow(BAD_DATA, f"The value of the column {name} {error}.") from error
        return values


def table_of(rows: list[list[Any]], arrow_schema: pa.Schema) -> pa.Table:
    """The rows as an Arrow table of that schema."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else ([] for _ in arrow_schema)
    arrays = [pa.array(list(values), type=field.type) for values, field in zip(columns, arrow_schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=arrow_schema)


def _optional(field: NestedField) -> Convert:
    """The converter of a field, for which null is null; or its default, where it has one."""
    convert = _converter(field.field_type)
    default = getattr(field, "write_default", None)
    return lambda value: default if value is None else convert(value)


def _converter(kind: IcebergType) -> Convert:
    from pyiceberg import types

    match kind:
        case types.StructType():
            return _struct(kind)
        case types.ListType():
            return _list(kind)
        case types.MapType():
            return _map(kind)
        case types.DecimalType():
            return lambda value: _decimal(value, kind.precision, kind.scale)
        case types.FixedType():
            return lambda value: _fixed(value, len(kind))
        case types.IntegerType():
            return lambda value: _whole(value, INT_BITS)
        case types.LongType():
            return lambda value: _whole(value, LONG_BITS)
    simple: dict[Any, Convert] = {
        types.BooleanType: _boolean, types.FloatType: _short_number, types.DoubleType: _number, types.StringType: _text,
        types.DateType: _date, types.TimeType: _time, types.TimestampType: _timestamp,
        types.TimestamptzType: _timestamptz, types.UUIDType: _uuid, types.BinaryType: _binary,
    }  # fmt: skip
    found = simple.get(type(kind))
    return found or _unknown(str(kind))


def _unknown(kind: str) -> Convert:
    def refuse(_value: Any) -> Any:
        raise _Mismatch(f"cannot be written: the type {kind} is not written to")

    return refuse


def _struct(kind: Any) -> Convert:
    fields = [(field.name, field.required, _optional(field)) for field in kind.fields]

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Mismatch(f"must be an object, and is {_shown(value)}")
        for name, required, _ in fields:
            if required and value.get(name) is None:
                raise _Mismatch(f"lacks the required field {name}")
        return {name: inner(value.get(name)) for name, _, inner in fields}

    return convert


def _list(kind: Any) -> Convert:
    inner, required = _converter(kind.element_type), kind.element_required

    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            raise _Mismatch(f"must be an array, and is {_shown(value)}")
        if required and None in value:
            raise _Mismatch("has a null element, which the column does not allow")
        return [None if one is None else inner(one) for one in value]

    return convert


def _map(kind: Any) -> Convert:
    key, inner, required = _key(kind.key_type), _converter(kind.value_type), kind.value_required

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Mismatch(f"must be an object, and is {_shown(value)}")
        if required and None in value.values():
            raise _Mismatch("has a null value, which the column does not allow")
        return [(key(name), None if one is None else inner(one)) for name, one in value.items()]

    return convert


def _key(kind: IcebergType) -> Convert:
    """Keys of JSON objects are texts; numbers are read out of them."""
    from pyiceberg import types

    inner = _converter(kind)
    if not isinstance(kind, types.IntegerType | types.LongType):
        return inner

    def convert(name: str) -> Any:
        if re.fullmatch(r"-?[0-9]{1,19}", name) is None:
            raise _Mismatch(f"must have whole numbers as keys, and has {_shown(name)}")
        return inner(int(name))

    return convert


def _boolean(value: Any) -> Any:
    if not isinstance(value, bool):
        raise _Mismatch(f"must be true or false, and is {_shown(value)}")
    return value


def _whole(value: Any, bits: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _Mismatch(f"must be a whole number, and is {_shown(value)}")
    limit = 1 << (bits - 1)
    if not -limit <= value < limit:
        raise _Mismatch(f"must have {bits} bits, and is {_shown(value)}")
    if value % 1 != 0:
        raise _Mismatch(f"must be a whole number, and is {_shown(value)}")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _Mismatch(f"must be a number, and is {_shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise _Mismatch(f"is too large a number: {_shown(value)}") from None


def _short_number(value: Any) -> float:
    found = _number(value)
    if abs(found) > FLOAT_MAX:
        raise _Mismatch(f"is too large a number: {_shown(value)}")
    return found


def _decimal(value: Any, precision: int, scale: int) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise _Mismatch(f"must be a decimal number, and is {_shown(value)}")
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        raise _Mismatch(f"must be a decimal number, and is {_shown(value)}") from None
    if not exact.is_finite():
        raise _Mismatch(f"must be a decimal number, and is {_shown(value)}")
    _, digits, exponent = exact.normalize().as_tuple()
    whole_digits = len(digits) + int(exponent)
    if -int(exponent) > scale or whole_digits > precision - scale:
        raise _Mismatch(f"does not fit decimal({precision}, {scale}): {_shown(value)}")
    return exact


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Mismatch(f"must be a text, and is {_shown(value)}")
    return value


def _uuid(value: Any) -> bytes:
    try:
        return uuid.UUID(_text(value)).bytes
    except ValueError:
        raise _Mismatch(f"must be a UUID, and is {_shown(value)}") from None


def _binary(value: Any) -> bytes:
    """Base64 in any of its three alphabets, or hex; what could be both is Base64."""
    text = "".join(_text(value).split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4 if "=" not in text else 0), validate=True)
    except ValueError:
        if _HEX.fullmatch(text):
            return bytes.fromhex(text)
        raise _Mismatch(f"must be Base64 or hex, and is {_shown(value)}") from None


def _fixed(value: Any, size: int) -> bytes:
    found = _binary(value)
    if len(found) != size:
        raise _Mismatch(f"must have {size} bytes, and has {len(found)}")
    return found


def _date(value: Any) -> dt.date:
    """A text like 2026-07-13, or days since 1970."""
    try:
        if isinstance(value, str):
            return dt.date.fromisoformat(value)
        return _EPOCH_DAY + dt.timedelta(days=_whole(value, INT_BITS))
    except (ValueError, OverflowError):
        raise _Mismatch(f"must be a date, and is {_shown(value)}") from None


def _time(value: Any) -> dt.time:
    """A text like 14:31:07.331, or microseconds since midnight."""
    try:
        if isinstance(value, str):
            found = dt.time.fromisoformat(value)
        else:
            found = (_EPOCH + dt.timedelta(microseconds=_of_day(_whole(value, LONG_BITS)))).time()
    except (ValueError, OverflowError):
        raise _Mismatch(f"must be a time, and is {_shown(value)}") from None
    if found.tzinfo is not None:
        raise _Mismatch(f"must be a time without a zone, and is {_shown(value)}")
    return found


def _of_day(microseconds: int) -> int:
    if not 0 <= microseconds < 24 * 3_600 * MICROSECONDS:
        raise ValueError
    return microseconds


def _timestamp(value: Any) -> dt.datetime:
    found = _instant(value)
    if found.tzinfo is None:
        return found
    return found.astimezone(dt.UTC).replace(tzinfo=None)


def _timestamptz(value: Any) -> dt.datetime:
    found = _instant(value)
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found


def _instant(value: Any) -> dt.datetime:
    """A text in ISO 8601, or microseconds since 1970; without a zone it is UTC."""
    try:
        if isinstance(value, str):
            return dt.datetime.fromisoformat(value)
        return _EPOCH + dt.timedelta(microseconds=_whole(value, LONG_BITS))
    except (ValueError, OverflowError):
        raise _Mismatch(f"must be a timestamp, and is {_shown(value)}") from None


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _has_decimal(schema: Schema) -> bool:
    return "decimal(" in str(schema)
