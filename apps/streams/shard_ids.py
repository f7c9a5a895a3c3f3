"""Names of shards: `shardId-000000000000`, numbered on within a stream and never reused."""

from __future__ import annotations

INDEX_MAX = 2_147_483_647


def shard_id(index: int) -> str:
    """AWS's name of the shard with that number in its stream."""
    return f"shardId-{index:012d}"


def parse_shard_id(text: str) -> int | None:
    """The shard's number, or None if AWS would not read text as a shard id.

    AWS reads what follows the first hyphen (all of it where there is none): digits, at most 2147483647; any prefix
    and leading zeros will do.
    """
    _, hyphen, rest = text.partition("-")
    digits = rest if hyphen else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    # A long row of digits is refused by its length: int() would take its time over it.
    significant = digits.lstrip("0") or "0"
    if len(significant) > 10:
        return None
    index = int(significant)
    return index if index <= INDEX_MAX else None
