"""NextTokens: where to go on, good for the same request only."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import msgspec

from apps.cloudwatch.errors import InvalidNextToken


def issue(request: dict[str, Any], place: list[Any]) -> str:
    """A token for the next page of a request (its NextToken left out)."""
    return base64.urlsafe_b64encode(msgspec.json.encode([_of(request), *place])).decode()


def read(request: dict[str, Any], kinds: tuple[type, ...]) -> list[Any] | None:
    """The place that the request's token names; None without a token. Raises InvalidNextToken."""
    token = request.get("NextToken")
    if not token:
        return None
    try:
        digest, *place = msgspec.json.decode(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, binascii.Error, msgspec.DecodeError):
        raise InvalidNextToken from None
    fits = len(place) == len(kinds) and all(type(part) is kind for part, kind in zip(place, kinds, strict=True))
    if digest != _of(request) or not fits or any(part < 0 for part in place if isinstance(part, int)):
        raise InvalidNextToken
    return place


def _of(request: dict[str, Any]) -> str:
    asked = {name: value for name, value in request.items() if name != "NextToken"}
    return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()[:16]
