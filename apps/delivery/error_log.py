"""The error log of a delivery stream: one row for each cause, counted."""

from __future__ import annotations

import re

from django.db.models import F

from apps.delivery.models import DeliveryError

CAUSES_MAX = 200
"""Rows of one delivery stream; the one seen longest ago goes first."""

MESSAGE_CHARACTERS_MAX = 2_000
CAUSE_CHARACTERS_MAX = 500
CODE_CHARACTERS_MAX = 100

_DIFFERS = re.compile(r"“[^”]*”|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{16,}|\d+")
"""What makes two messages of one cause different: values out of records (“x”), ids, hashes, numbers."""


def cause_of(message: str) -> str:
    """What messages are grouped by."""
    return _DIFFERS.sub("#", message)[:CAUSE_CHARACTERS_MAX]


def note(delivery_stream_key: int, part: str, code: str, message: str, now_ms: int, count: int = 1) -> None:
    """Count `count` cases of a cause; the message of the newest is kept."""
    cause = cause_of(message)
    message, code = message[:MESSAGE_CHARACTERS_MAX], code[:CODE_CHARACTERS_MAX]
    rows = DeliveryError.objects.filter(delivery_stream_id=delivery_stream_key)
    found = rows.filter(part=part, code=code, cause=cause)
    if found.update(count=F("count") + count, last_at_ms=now_ms, message=message):
        return
    DeliveryError.objects.bulk_create(
        [
            DeliveryError(
                delivery_stream_id=delivery_stream_key, part=part, code=code, cause=cause, message=message,
                count=count, first_at_ms=now_ms, last_at_ms=now_ms,
            )
        ],
        ignore_conflicts=True,
    )  # fmt: skip
    newest = rows.order_by("-last_at_ms", "-pk").values_list("pk", flat=True)[:CAUSES_MAX]
    rows.exclude(pk__in=list(newest)).delete()
