"""Pages of IAM's lists: Marker and MaxItems."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from apps.base.errors import ValidationException

PER_PAGE = 100

T = TypeVar("T")
Json = dict[str, Any]


def page(member: str, items: Iterable[T], params: Json, key: Callable[[T], str], shown: Callable[[T], Any]) -> Json:
    """The page that is asked for, in the order of the keys, which are unique. A marker is where the last one ended.

    Raises ValidationException for a marker that is none.
    """
    after = _opened(params["Marker"]) if params.get("Marker") is not None else ""
    rest = sorted(((key(item), item) for item in items if key(item) > after), key=lambda pair: pair[0])
    limit = params.get("MaxItems") or PER_PAGE
    answer: Json = {member: [shown(item) for _, item in rest[:limit]], "IsTruncated": len(rest) > limit}
    if len(rest) > limit:
        answer["Marker"] = urlsafe_b64encode(rest[limit - 1][0].encode()).decode()
    return answer


def _opened(marker: str) -> str:
    try:
        return b64decode(marker.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise ValidationException("Invalid Marker.") from None
