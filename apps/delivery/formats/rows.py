"""From records to rows: one JSON object after the other."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

Row = dict[str, Any]
Decode = Callable[[bytes], list[Row]]


class NotJson(ValueError):
    """The record is not JSON. The text says why."""


class NotObjects(ValueError):
    """The record is JSON, but not one or several objects."""


def decoder(exact: bool) -> Decode:
    """A function from a record's data to its rows. exact: keep all digits of fractions, for decimals.

    A record has one object or several, with white space or nothing between; an array of objects is none, as with AWS.
    Of equal keys the last counts.
    """
    made: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal if exact else None)
    one, several = made.decode, made.decode_lines

    def decode(data: bytes) -> list[Row]:
        try:
            row = one(data)
        except (ValueError, msgspec.MsgspecError, RecursionError, ArithmeticError):
            return _several(several, data)
        if type(row) is not dict:
            raise NotObjects(f"A row must be a JSON object, not {_named(row)}.")
        return [row]

    return decode


def _several(several: Callable[[bytes], list[Any]], data: bytes) -> list[Row]:
    try:
        rows = several(data)
    except RecursionError:
        raise NotJson("It is nested too deeply.") from None
    except UnicodeDecodeError:
        raise NotJson("It is not UTF-8.") from None
    except (ValueError, msgspec.MsgspecError, ArithmeticError) as error:
        raise NotJson(f"{error}.") from None
    if not rows:
        raise NotJson("There is nothing in it.")
    for row in rows:
        if type(row) is not dict:
            raise NotObjects(f"A row must be a JSON object, not {_named(row)}.")
    return rows


def _named(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
