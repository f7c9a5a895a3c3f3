"""Is each member of a request the type that the model wants? If so, here is the request in Python values.

Runs on what a parser made of the body, JSON or CBOR. The first member of the wrong type, in the order of the body,
raises SerializationException with AWS's text. Unknown members and nulls are dropped, numbers that are too large are
clamped, fractions of whole numbers cut off: all as recorded from AWS.
"""

from __future__ import annotations

import binascii
import re
from typing import Any, Final

from apps.base.errors import SerializationException
from apps.wire.blobs import LAST_BEFORE_PAD
from apps.wire.model import Shape
from apps.wire.timestamps import TIME_MS_MAX, TIME_MS_MIN, TIME_S_MAX, TIME_S_MIN, milliseconds, seconds

INT_MIN: Final = -(2**31)
INT_MAX: Final = 2**31 - 1
LONG_MIN: Final = -(2**63)
LONG_MAX: Final = 2**63 - 1

ECHO_CHARACTERS_MAX: Final = 65_536
"""How much of a refused text its error repeats. AWS's limit is unknown; a body may be 15 MiB."""

_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_BOOLEANS = {"TRUE": True, "YES": True, "1": True, "FALSE": False, "NO": False, "0": False}
_JAVA_NAMES = {bool: "java.lang.Boolean", str: "java.lang.String", bytes: "java.nio.HeapByteBuffer"}
_NUMBER = "com.amazon.coral.value.json.numbers.TruncatingBigNumber"


class Instant:
    """CBOR's tag 1: a point in time. time_ms: whatever stood under the tag."""

    __slots__ = ("time_ms",)

    def __init__(self, time_ms: Any) -> None:
        self.time_ms = time_ms


def check(value: Any, shape: Shape, *, in_cbor: bool, times_in_seconds: bool) -> dict[str, Any]:
    """A request's members as Python values: blobs bytes, timestamps int milliseconds (or float seconds for structs).

    Raises SerializationException.
    """
    if value is None:
        raise SerializationException
    return _Checker(in_cbor, times_in_seconds).structure(value, shape)


class _Checker:
    def __init__(self, in_cbor: bool, times_in_seconds: bool) -> None:
        self._in_cbor = in_cbor
        self._times_in_seconds = times_in_seconds
        self._by_type = {
            "structure": self.structure,
            "list": self.list_of,
            "map": self.map_of,
            "string": self.string,
            "blob": self.blob,
            "boolean": self.boolean,
            "integer": self.integer,
            "long": self.long,
            "float": self.number,
            "double": self.number,
            "timestamp": self.timestamp,
        }

    def member(self, value: Any, shape: Shape) -> Any:
        return None if value is None else self._by_type[shape.type](value, shape)

    def structure(self, value: Any, shape: Shape) -> dict[str, Any]:
        if isinstance(value, list):
            raise _list_not_expected()
        if not isinstance(value, dict):
            raise SerializationException("Expected null")
        members = shape.members
        return {
            name: self._by_type[members[name].type](item, members[name])
            for name, item in value.items()
            if item is not None and name in members
        }

    def list_of(self, value: Any, shape: Shape) -> list[Any]:
        if isinstance(value, dict):
            raise _map_not_expected()
        if not isinstance(value, list):
            raise SerializationException("Expected list or null")
        assert shape.member is not None
        item_shape = shape.member
        return [self.member(item, item_shape) for item in value]

    def map_of(self, value: Any, shape: Shape) -> dict[str, Any]:
        if isinstance(value, list):
            raise _list_not_expected()
        if not isinstance(value, dict):
            raise SerializationException("Expected map or null")
        assert shape.value is not None
        value_shape = shape.value
        return {self.string(key, shape): self.member(item, value_shape) for key, item in value.items()}

    def string(self, value: Any, _shape: Shape) -> str:
        if isinstance(value, str):
            return value
        raise _not_convertible(value, "an String")

    def integer(self, value: Any, _shape: Shape) -> int:
        return _whole(value, "an Integer", INT_MIN, INT_MAX)

    def long(self, value: Any, _shape: Shape) -> int:
        return _whole(value, "an Long", LONG_MIN, LONG_MAX)

    def number(self, value: Any, shape: Shape) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        raise _not_convertible(value, f"an {shape.type.capitalize()}")

    def boolean(self, value: Any, _shape: Shape) -> bool:
        if isinstance(value, bool):
            return value
        if not isinstance(value, str):
            raise _not_convertible(value, "an Boolean")
        text = value.upper()
        if text not in _BOOLEANS:
            raise SerializationException(f"'{_echo(text)}' can not be converted to an Boolean")
        return _BOOLEANS[text]

    def timestamp(self, value: Any, _shape: Shape) -> float:
        inside = value.time_ms if isinstance(value, Instant) else value
        if isinstance(inside, bool) or not isinstance(inside, int | float) or inside != inside:  # noqa: PLR0124 - NaN
            raise _not_convertible(inside, "milliseconds since epoch")
        if self._in_cbor:
            time_ms = int(min(max(inside, TIME_MS_MIN), TIME_MS_MAX))
            return seconds(time_ms) if self._times_in_seconds else time_ms
        time_s = min(max(inside, TIME_S_MIN), TIME_S_MAX)
        return float(time_s) if self._times_in_seconds else milliseconds(time_s)

    def blob(self, value: Any, _shape: Shape) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, str) and not self._in_cbor:
            return _from_base64(value)
        raise _not_convertible(value, "a Blob")


def _whole(value: Any, wanted: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _not_convertible(value, wanted)
    if value != value:  # noqa: PLR0124 - NaN, which Java turns into 0
        return 0
    return int(min(max(value, least), most))


def _from_base64(text: str) -> bytes:
    if len(text) % 4:
        raise _not_base64(text, f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(text)}")
    core = text.removesuffix("=").removesuffix("=")
    pads = len(text) - len(core)
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        wrong = _NOT_BASE64.search(core)
        raise _not_base64(text, f"Invalid Base64 character: '{wrong.group() if wrong else '='}'") from None
    if pads and core[-1:] not in LAST_BEFORE_PAD[pads]:
        raise _not_base64(text, "Invalid last non-pad Base64 character dectected")
    return data


def _not_base64(text: str, why: str) -> SerializationException:
    return SerializationException(f"'{_echo(text)}' can not be converted to a Blob: {why}")


def _not_convertible(value: Any, wanted: str) -> SerializationException:
    if isinstance(value, dict):
        return _map_not_expected()
    if isinstance(value, list):
        return _list_not_expected()
    if isinstance(value, int | float) and not isinstance(value, bool):
        name = _NUMBER
    elif isinstance(value, Instant):
        name = "java.util.Date"
    else:
        name = _JAVA_NAMES.get(type(value), "java.lang.Object")
    return SerializationException(f"class {name} can not be converted to {wanted}")


def _list_not_expected() -> SerializationException:
    return SerializationException("Start of list found where not expected")


def _map_not_expected() -> SerializationException:
    """With a full stop; the text for lists has none. So recorded."""
    return SerializationException("Start of structure or map found where not expected.")


def _echo(text: str) -> str:
    return text if len(text) <= ECHO_CHARACTERS_MAX else text[:ECHO_CHARACTERS_MAX] + "..."
