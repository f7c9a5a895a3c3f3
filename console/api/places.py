"""What stands in braces in an address: in words, in its form, and an example for the reference page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Place:
    """`{name}` of an address. schema: in JSON Schema's words."""

    text: str
    example: str
    schema: dict[str, Any]


def text(words: str, example: str, **schema: Any) -> Place:
    """A text."""
    return Place(words, example, {"type": "string", "minLength": 1, **schema})


NAME: Final = {"pattern": r"^[a-zA-Z0-9_.~-]+$", "maxLength": 130}
"""Of streams and what belongs to them. A `.` or `..` carries a tilde: `~.` is the stream that is named `.`."""

ROW_ID: Final = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}

PLACES: Final[dict[str, Place]] = {
    "name": text("Its name.", "orders", **NAME),
    "shard": text("A shard's id, or its number.", "shardId-000000000000", maxLength=128),
    "Delivery streams/name": text("Its name.", "orders-to-s3", **NAME),
    "consumer": text("Its name.", "billing", **NAME),
    "queue": text("Its name.", "work", **NAME),
    "sequence": text(
        "A sequence number.", "49600000000000000000000000000000000000000000000000000002", pattern=r"^[0-9]{1,129}$"
    ),
    "key": text("The tag's key.", "team", maxLength=128),
    "part": Place("A part of it.", "s3", {"type": "string", "enum": ["s3", "backup", "lambda", "destination"]}),
    "number": Place("Its number.", "1", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}),
    "channel": text("The channel's id, the end of its ARN.", "0123456789abcdef01234567", maxLength=64),
    "dashboard": text("Its name.", "orders", pattern=r"^[A-Za-z0-9_-]{1,255}$"),
    "alarm": text("Its name.", "orders-iterator-age", maxLength=255),
    "Access keys/key": text("The access key's id.", "AKIAIOSFODNN7EXAMPLE", maxLength=128),
    "budget": Place("The budget's id.", "1", ROW_ID),
    "member": Place("The member's id.", "1", ROW_ID),
    "invitation": Place("The invitation's id.", "1", ROW_ID),
    "access_request": Place("The request's id.", "1", ROW_ID),
    "entry": Place("The entry's id.", "1", ROW_ID),
    "role": text("The role's key: one of the six, or as `own:1`.", "own:1", maxLength=24),
    "token": text("The token's id.", "tok_0123456789abcdef", maxLength=24),
    "credit": Place("The credit's id.", "1", ROW_ID),
    "flag": Place("The flag's id.", "1", ROW_ID),
    "book": Place("The price book's number.", "1", ROW_ID),
    "team": text("The team's short name.", "shop", maxLength=50),
    "Operator/number": text("The bill's number.", "TG-2026-10-123456789012", maxLength=40),
    "month": text("A month of UTC.", "2026-11", pattern=r"^[0-9]{4}-[0-9]{2}$"),
    "job": Place("The job's number.", "1", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}),
}
"""By `tag/name`, or by name where every tag means the same. A new place needs its line: the document is not made without."""
