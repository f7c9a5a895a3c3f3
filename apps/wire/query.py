"""AWS query: requests as a form (`Action=…&Version=…&Names.member.1=…`) or in the URL, answers and errors in XML.

Members of structures are joined by dots; items of lists stand under `.member.N` (a flattened list: `.N`), those of maps
under `.entry.N.key` and `.entry.N.value`. Times are ISO 8601 both ways, blobs base64, booleans `true` and `false`.
Names that the model does not know are dropped.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec

from apps.base.errors import SerializationException, ServiceError, UnknownOperationException
from apps.wire import validate
from apps.wire.member_types import INT_MAX, INT_MIN, LONG_MAX, LONG_MIN
from apps.wire.model import Operation, ServiceModel, Shape
from apps.wire.service_codec import ServiceCodec, unpacked
from apps.wire.timestamps import TIME_MS_MAX, TIME_MS_MIN

PAIRS_MAX: Final = 65_536
"""Names in one form; 1 MB of PutMetricData's shortest has half of it."""

INDEX_DIGITS_MAX: Final = 6
NUMBER_CHARACTERS_MAX: Final = 512
"""The longest double that any language writes out has 330 or so."""

ECHO_CHARACTERS_MAX: Final = 256

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Pairs = list[tuple[str, str]]

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold, however written."""


class Query(ServiceCodec):
    """One service's query protocol for one request, whose id stands in every answer.

    in_url: the query string of the request; what the body says wins.
    """

    CONTENT_TYPE = "text/xml"

    def __init__(self, service: ServiceModel, request_id: str, in_url: str) -> None:
        super().__init__(service)
        self._request_id = request_id
        self._in_url = in_url

    def action(self, body: bytes) -> str:
        """The operation that a form names. Raises UnknownOperationException: no action, or another version's."""
        named = dict(self._pairs(body))
        action, version = named.get("Action", ""), named.get("Version", "")
        if not action or version not in {self.service.api_version, ""}:
            raise self.no_operation(action, version)
        return action

    def no_operation(self, action: str, version: str = "") -> UnknownOperationException:
        """The error of an operation that the service does not have."""
        said = f"{_echo(action)} for version {_echo(version or self.service.api_version)}"
        return UnknownOperationException(f"Could not find operation {said}")

    def decode(self, body: bytes, operation: Operation, request_type: type[msgspec.Struct] | None = None) -> Any:
        """A request's members, checked. Raises SerializationException, ValidationException."""
        assert request_type is None, "typed requests are for JSON 1.1 and CBOR 1.1"
        params = _structure(self._pairs(body), operation.input)
        validate.check(operation, params)
        return params

    def check_body(self, body: bytes) -> None:
        """Any bytes are a form: what is wrong with the signature is told first."""

    def failure(self, error: ServiceError) -> tuple[int, list[tuple[str, str]]]:
        """The HTTP status of an error; the code stands in the body alone."""
        return self.error_shape(error).status, []

    def encode(self, operation: Operation, answer: Any) -> bytes:
        """An answer's document."""
        assert operation.output is not None or answer is None, f"{operation.name} has no output"
        inside = "" if operation.output is None else _members_in_xml({} if answer is None else answer, operation.output)
        wrapper = operation.result_wrapper
        result = f"<{wrapper}>{inside}</{wrapper}>" if wrapper else inside
        metadata = f"<ResponseMetadata><RequestId>{self._request_id}</RequestId></ResponseMetadata>"
        return self._document(f"{operation.name}Response", result + metadata)

    def encode_shape(self, shape: Shape, value: Any) -> bytes:
        """Any structure of the model, without an element around it."""
        return _members_in_xml(value, shape).encode()

    def encode_members(self, members: dict[str, Any]) -> bytes:
        """Plain texts by name."""
        return "".join(_element(name, _text(str(value))) for name, value in members.items()).encode()

    def encode_error(self, error: ServiceError) -> bytes:
        """An error's document."""
        shape = self.error_shape(error)
        said = _element("Type", "Sender" if shape.is_callers else "Receiver") + _element(
            "Code", _text(shape.query_code)
        )
        said += _element("Message", _text(error.message or ""))
        inside = _element("Error", said) + _element("RequestId", self._request_id)
        return self._document("ErrorResponse", inside)

    def _document(self, root: str, inside: str) -> bytes:
        return f'<{root} xmlns="{self.service.xml_namespace}">{inside}</{root}>\n'.encode()

    def _pairs(self, body: bytes) -> Pairs:
        """Names and values of URL and body, decoded. Of a name that stands twice the last counts."""
        try:
            form = str(unpacked(body), "utf-8")
            pairs = parse_qsl(self._in_url, True, max_num_fields=PAIRS_MAX, errors="strict")
            pairs += parse_qsl(form, True, max_num_fields=PAIRS_MAX, errors="strict")
        except ValueError:
            raise SerializationException("The parameters are no form of UTF-8, or too many.") from None
        return pairs


def _echo(text: str) -> str:
    return text if len(text) <= ECHO_CHARACTERS_MAX else text[:ECHO_CHARACTERS_MAX] + "..."


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, Pairs]:
    """Pairs by the first part of their names, without that part."""
    groups: dict[str, Pairs] = {}
    for name, value in pairs:
        first, _, rest = name.partition(".")
        groups.setdefault(first, []).append((rest, value))
    return groups


def _member(pairs: Pairs, shape: Shape) -> Any:
    if shape.type == "structure":
        return _structure(pairs, shape)
    if shape.type == "list":
        return _list(pairs, shape)
    if shape.type == "map":
        return _map(pairs, shape)
    scalars = [value for rest, value in pairs if not rest]
    if not scalars:
        raise SerializationException("Unexpected complex element termination")
    return _SCALARS[shape.type](scalars[-1])


def _structure(pairs: Pairs, shape: Shape) -> dict[str, Any]:
    groups = _grouped(pairs)
    return {name: _member(groups[name], member) for name, member in shape.members.items() if name in groups}


def _list(pairs: Pairs, shape: Shape) -> list[Any]:
    assert shape.member is not None
    item = shape.member
    inside = pairs if shape.is_flattened else _grouped(pairs).get(shape.item_name, [])
    return [_member(group, item) for group in _numbered(inside)]


def _map(pairs: Pairs, shape: Shape) -> dict[str, Any]:
    assert shape.key is not None
    assert shape.value is not None
    inside = pairs if shape.is_flattened else _grouped(pairs).get("entry", [])
    found = {}
    for group in _numbered(inside):
        parts = _grouped(group)
        if "key" not in parts or "value" not in parts:
            raise SerializationException("An entry of a map needs a key and a value.")
        found[_member(parts["key"], shape.key)] = _member(parts["value"], shape.value)
    return found


def _numbered(pairs: Pairs) -> list[Pairs]:
    """Groups in the order of their numbers, which may have gaps. Nothing but an empty name is an empty list."""
    groups = _grouped(pairs)
    groups.pop("", None)
    for number in groups:
        if not number.isascii() or not number.isdecimal() or len(number) > INDEX_DIGITS_MAX:
            raise SerializationException(f"'{_echo(number)}' is no number of a list's member.")
    return [groups[number] for number in sorted(groups, key=int)]


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            return min(max(int(_digits(text)), least), most)
        except ValueError:
            raise _not_convertible(text, "a whole number") from None

    return parse


def _number(text: str) -> float:
    try:
        return float(_digits(text))
    except ValueError:
        raise _not_convertible(text, "a number") from None


def _digits(text: str) -> str:
    """A number's text without what only Python takes for one (1_000, other scripts' digits), and of a length that is no
    burden. Raises ValueError."""
    if len(text) > NUMBER_CHARACTERS_MAX or not text.isascii() or "_" in text:
        raise ValueError("no number")
    return text


def _boolean(text: str) -> bool:
    found = {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
    if found is None:
        raise _not_convertible(text, "a boolean")
    return found


def _blob(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise _not_convertible(text, "a blob") from None


def _timestamp(text: str) -> int:
    """Milliseconds of ISO 8601 (UTC, if it names no zone) or of epoch seconds."""
    try:
        moment = datetime.fromisoformat(text[:64])
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        time_ms: float = (moment - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        try:
            time_ms = float(_digits(text)) * 1000
        except ValueError:
            raise _not_convertible(text, "a timestamp") from None
    if math.isnan(time_ms):
        raise _not_convertible(text, "a timestamp")
    return int(min(max(time_ms, TIME_MS_MIN), TIME_MS_MAX))


def _not_convertible(text: str, wanted: str) -> SerializationException:
    return SerializationException(f"'{_echo(text)}' can not be converted to {wanted}")


_SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    "string": str,
    "integer": _whole(INT_MIN, INT_MAX),
    "long": _whole(LONG_MIN, LONG_MAX),
    "float": _number,
    "double": _number,
    "boolean": _boolean,
    "blob": _blob,
    "timestamp": _timestamp,
}


def _members_in_xml(value: dict[str, Any], shape: Shape) -> str:
    """A structure's members in the model's order, absent ones left out. One the model does not know is a bug."""
    unknown = value.keys() - shape.members.keys()
    assert not unknown, f"{shape.name} has no member {unknown}"
    return "".join(
        _in_xml(name, value[name], member) for name, member in shape.members.items() if value.get(name) is not None
    )


def _in_xml(name: str, value: Any, shape: Shape) -> str:
    if shape.type == "structure":
        return _element(name, _members_in_xml(value, shape))
    if shape.type == "list":
        assert shape.member is not None
        member = shape.member
        if shape.is_flattened:
            return "".join(_in_xml(name, item, member) for item in value)
        return _element(name, "".join(_in_xml(shape.item_name, item, member) for item in value))
    if shape.type == "map":
        return _map_in_xml(name, value, shape)
    return _element(name, _scalar_in_xml(value, shape))


def _map_in_xml(name: str, value: dict[str, Any], shape: Shape) -> str:
    assert shape.key is not None
    assert shape.value is not None
    entries = [_in_xml("key", key, shape.key) + _in_xml("value", item, shape.value) for key, item in value.items()]
    if shape.is_flattened:
        return "".join(_element(name, entry) for entry in entries)
    return _element(name, "".join(_element("entry", entry) for entry in entries))


def _scalar_in_xml(value: Any, shape: Shape) -> str:
    if shape.type == "boolean":
        return "true" if value else "false"
    if shape.type == "timestamp":
        return iso_8601(value)
    if shape.type == "blob":
        return binascii.b2a_base64(value, newline=False).decode()
    if shape.type in {"float", "double"}:
        return repr(float(value))
    return _text(str(value))


def iso_8601(time_ms: int) -> str:
    """`2026-11-20T12:00:00Z`, with milliseconds only if there are any."""
    whole_s, part_ms = divmod(time_ms, 1000)
    text = (EPOCH + timedelta(seconds=whole_s)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{part_ms:03d}Z" if part_ms else f"{text}Z"


def _element(name: str, inside: str) -> str:
    return f"<{name}>{inside}</{name}>"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})
