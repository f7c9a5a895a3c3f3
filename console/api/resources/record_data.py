"""A record's data in JSON: as text, as a JSON value, or in base64; and back."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

import msgspec
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.api.strict import AnyBytes

TEXT: Final = "text"
JSON: Final = "json"
BASE64: Final = "base64"
ENCODINGS: Final = (TEXT, JSON, BASE64)

DEPTH_MAX: Final = 100
"""Of a JSON value in an answer; what is nested more deeply is told as text."""


@extend_schema_field({"description": "Text, base64 or any JSON value: `encoding` says which."})
class DataField(AnyBytes):
    """Whatever JSON has; encoded() makes bytes of it."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """null is a JSON value like any other."""
        return (False, None) if data is None else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        """As it came."""
        return data

    def to_representation(self, value: Any) -> Any:
        """As it is."""
        return value


def told(data: bytes, wanted: str) -> tuple[Any, str]:
    """Data and its encoding: as wanted if that is possible, else as text, else in base64."""
    if wanted == JSON:
        try:
            value = msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        else:
            if _is_flat(value):
                return value, JSON
    if wanted != BASE64:
        try:
            return data.decode(), TEXT
        except UnicodeDecodeError:
            pass
    return base64.b64encode(data).decode(), BASE64


def encoded(data: Any, encoding: str | None) -> bytes:
    """The bytes to put. encoding None: text for a text, JSON for any other value. Raises ValidationError."""
    encoding = encoding or (TEXT if isinstance(data, str) else JSON)
    if encoding == JSON:
        try:
            return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise serializers.ValidationError("This JSON value cannot be written.") from None
    if not isinstance(data, str):
        raise serializers.ValidationError(f"In the encoding {encoding} it must be a text.")
    if encoding == TEXT:
        return data.encode()
    try:
        return base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        raise serializers.ValidationError("This is not base64.") from None


def _is_flat(value: Any) -> bool:
    """No deeper than DEPTH_MAX."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False
