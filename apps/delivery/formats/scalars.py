"""From a value of JSON to a value of a column: as the OpenX SerDe does it, leniently, and as Hive's does, strictly.

Each function takes a value that is not null and answers what pyarrow takes, or raises Refused. None of them cuts a
number short: a value that does not fit makes its record fail.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import msgspec

from apps.delivery.formats.hive_types import WHOLE_NUMBERS, HiveType
from apps.delivery.formats.joda import MILLIS, Parse, compile_pattern

Convert = Callable[[Any], Any]

FLOAT_MAX = 3.4028235677973366e38
"""The first double that rounds to an infinite float."""

MILLIS_FROM = 10**11
"""OpenX: whole numbers are seconds below this, which is the year 5138, and milliseconds from it on, which is 1973."""

TEXT_SHOWN_MAX = 60
"""Characters of a value in an error message."""

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - columns have no zone; all is UTC

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_HEX = re.compile(r"0[xX]([0-9a-fA-F]{1,16})")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,5})?")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})[T ]([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_SQL_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2}) ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{1,9}))?()"
)
_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_WIDE = Context(prec=80)
_TEXT = msgspec.json.Encoder(decimal_format="number")


class Refused(ValueError):
    """The value does not fit. The text says why."""


def refuse(value: Any, wanted: str) -> Refused:
    """The error for a value that is no `wanted`."""
    return Refused(f"{shown(value)} is not a valid {wanted}")


def shown(value: Any) -> str:
    """A value for an error message, cut to a bearable length, in marks by which the error log finds it: messages that
    differ in values only are one cause there."""
    try:
        text = value if isinstance(value, str) else _TEXT.encode(value).decode()
    except (ValueError, TypeError, OverflowError, RecursionError):
        return f"a value of the type {type(value).__name__}"
    return f"“{text[:TEXT_SHOWN_MAX].replace('”', '')}{'…' if len(text) > TEXT_SHOWN_MAX else ''}”"


def lenient(kind: HiveType) -> Convert:
    """The conversion to a primitive type as the OpenX SerDe has it: texts to numbers, numbers to texts, times in five
    forms."""
    match kind.name:
        case name if name in WHOLE_NUMBERS:
            return _whole(name, from_text=True)
        case "float" | "double":
            return _real(kind.name, from_text=True)
        case "boolean":
            return _boolean_or_text
        case "string" | "char" | "varchar":
            return _text(kind, of_all=True)
        case "binary":
            return _base64
        case "date":
            return _dates(())
        case "timestamp":
            return _any_timestamp
    return _decimal(*kind.numbers)


def strict(kind: HiveType, formats: Sequence[str]) -> Convert:
    """The conversion as Hive's own JsonSerDe has it: a number is a number, a text is a text."""
    match kind.name:
        case name if name in WHOLE_NUMBERS:
            return _whole(name, from_text=False)
        case "float" | "double":
            return _real(kind.name, from_text=False)
        case "boolean":
            return _boolean
        case "string" | "char" | "varchar":
            return _text(kind, of_all=False)
        case "binary":
            return _bytes_of_text
        case "date":
            return _dates(formats)
        case "timestamp":
            return _timestamps(formats)
    return _decimal(*kind.numbers)


def _whole(name: str, *, from_text: bool) -> Convert:
    limit = 1 << (WHOLE_NUMBERS[name] - 1)

    def convert(value: Any) -> int:
        number = _whole_number(value, from_text=from_text)
        if number is None:
            raise refuse(value, name)
        if not -limit <= number < limit:
            raise Refused(f"{shown(value)} is out of the range of {name}")
        return number

    return convert


def _whole_number(value: Any, *, from_text: bool) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, Decimal):
        fits = value.is_finite() and value.adjusted() < 20 and value == value.to_integral_value()
        return int(value) if fits else None
    if from_text and isinstance(value, str):
        if _WHOLE.fullmatch(value):
            return int(value)
        if found := _HEX.fullmatch(value):
            return int(found[1], 16)
    return None


def _real(name: str, *, from_text: bool) -> Convert:
    limit = FLOAT_MAX if name == "float" else math.inf

    def convert(value: Any) -> float:
        if from_text and isinstance(value, str):
            if value in {"NaN", "Infinity", "+Infinity", "-Infinity"}:
                return float(value.replace("Infinity", "inf"))
            if not _REAL.fullmatch(value):
                raise refuse(value, name)
        elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise refuse(value, name)
        number = float(value)
        if abs(number) >= limit:
            raise Refused(f"{shown(value)} is out of the range of {name}")
        return number

    return convert


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise refuse(value, "boolean")


def _boolean_or_text(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return _boolean(value)


def _text(kind: HiveType, *, of_all: bool) -> Convert:
    """Scalars become their JSON text, and leniently so do objects and arrays. Hive cuts char and varchar to length."""
    length = kind.numbers[0] if kind.numbers else None

    def convert(value: Any) -> str:
        if isinstance(value, str):
            return value[:length]
        if isinstance(value, dict | list) and not of_all:
            raise refuse(value, kind.name)
        if type(value) is int:
            return str(value)[:length]
        return _TEXT.encode(value).decode()[:length]

    return convert


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise refuse(value, "binary (base64)") from None


def _bytes_of_text(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    raise refuse(value, "binary")


def _decimal(precision: int, scale: int) -> Convert:
    name, limit, step = f"decimal({precision},{scale})", Decimal(10) ** (precision - scale), Decimal(1).scaleb(-scale)

    def convert(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            raise refuse(value, name)
        if isinstance(value, str) and not _REAL.fullmatch(value):
            raise refuse(value, name)
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not number.is_finite() or number.adjusted() >= precision - scale + 1:
            raise Refused(f"{shown(value)} is out of the range of {name}")
        rounded = number.quantize(step, ROUND_HALF_UP, _WIDE)
        if abs(rounded) >= limit:
            raise Refused(f"{shown(value)} is out of the range of {name}")
        return rounded

    return convert


def _from_parts(parts: tuple[str | None, ...]) -> datetime:
    """Year to second, fraction, zone: to UTC."""
    year, month, day, hour, minute, second = (int(part or 0) for part in parts[:6])
    at = datetime(year, month, day, hour, minute, second, int((parts[6] or "").ljust(6, "0")[:6]))  # noqa: DTZ001
    zone = parts[7]
    if not zone or zone == "Z":
        return at
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return at + offset if zone[0] == "-" else at - offset


def _any_timestamp(value: Any) -> datetime:
    """AWS's five forms for OpenX: with T and Z, with a blank, seconds, milliseconds, seconds with a fraction."""
    if isinstance(value, str):
        if found := _TIMESTAMP.fullmatch(value):
            return _from_parts(found.groups())
        if _WHOLE.fullmatch(value):
            return _any_timestamp(int(value))
        if _REAL.fullmatch(value):
            return _any_timestamp(Decimal(value))
    elif type(value) is int:
        return EPOCH + (timedelta(milliseconds=value) if abs(value) >= MILLIS_FROM else timedelta(seconds=value))
    elif isinstance(value, float | Decimal):
        exact = Decimal(repr(value)) if isinstance(value, float) else value
        if exact.is_finite() and exact.adjusted() < 15:
            return EPOCH + timedelta(microseconds=int(exact * 1_000_000))
    raise refuse(value, "timestamp")


def _parsers(formats: Sequence[str]) -> list[Parse]:
    return [_millis if pattern == MILLIS else compile_pattern(pattern) for pattern in formats]


def _millis(text: str) -> datetime | None:
    return EPOCH + timedelta(milliseconds=int(text)) if _WHOLE.fullmatch(text) else None


def _by_formats(value: Any, parsers: list[Parse]) -> datetime | None:
    """By the first format that fits. Numbers are texts to Hive's parser."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return next((at for parser in parsers if (at := parser(text)) is not None), None)


def _timestamps(formats: Sequence[str]) -> Convert:
    """By the formats given, then as java.sql.Timestamp.valueOf reads."""
    parsers = _parsers(formats)

    def convert(value: Any) -> datetime:
        at = _by_formats(value, parsers)
        if at is not None:
            return at
        if isinstance(value, str) and (found := _SQL_TIMESTAMP.fullmatch(value)):
            return _from_parts(found.groups())
        raise refuse(value, "timestamp")

    return convert


def _dates(formats: Sequence[str]) -> Convert:
    """By the formats given, then as java.sql.Date.valueOf reads."""
    parsers = _parsers(formats)

    def convert(value: Any) -> date:
        at = _by_formats(value, parsers)
        if at is not None:
            return at.date()
        if isinstance(value, str) and (found := _DATE.fullmatch(value)):
            return date(int(found[1]), int(found[2]), int(found[3]))
        raise refuse(value, "date")

    return convert
