"""Which stream a request means: StreamName, StreamARN, or both. No database; the data plane uses it too."""

from __future__ import annotations

import re

from apps.base.arn import parse_stream_arn
from apps.streams.errors import InvalidArgumentException, ResourceNotFoundException


class Unadmitted(ResourceNotFoundException):
    """The call needs a look at policies that it has not had: its stream is another account's, or has a policy of its own.
    The gateway looks and calls again (apps/gateway/admission.py); the usual call is spared the question."""


_SHARD_NUMBER = re.compile(r"[0-9]{1,128}")
_LAST_SHARD_INDEX = 2**31 - 1


def stream_name(account_id: str, name: str | None, arn: str | None) -> str:
    """The name of the stream meant, in the caller's own account. Whoever finds the stream then compares its ARN with
    the one that was given: a stream keeps the region it was made in, whatever the region is today.

    Raises InvalidArgumentException if neither is given or the two disagree, Unadmitted for an ARN of another account
    (whose existence is none of the caller's business).
    """
    if arn is None:
        if name is None:
            raise InvalidArgumentException("Either StreamARN or StreamName should be provided.")
        return name
    parsed = parse_stream_arn(arn)
    if parsed is None:
        raise ResourceNotFoundException.stream(arn.partition(":stream/")[2], account_id)
    if parsed.account_id != account_id:
        raise Unadmitted.stream(parsed.name, parsed.account_id)
    if name is not None and name != parsed.name:
        raise InvalidArgumentException(f"StreamName {name} and StreamARN {arn} do not name the same stream.")
    return parsed.name


def shard_index(shard_id: str, name: str, account_id: str) -> int:
    """The shard number in a shard id: the digits after the first hyphen, or the whole, whatever stands before it.

    Raises ResourceNotFoundException with the id as sent if that is not a number up to 2147483647. AWS checks this
    before it looks whether the stream exists.
    """
    _, hyphen, rest = shard_id.partition("-")
    digits = rest if hyphen else shard_id
    if _SHARD_NUMBER.fullmatch(digits) and int(digits) <= _LAST_SHARD_INDEX:
        return int(digits)
    raise ResourceNotFoundException.could_not_find_shard(shard_id, name, account_id)


def shard_id_text(index: int) -> str:
    """AWS's spelling, shardId-000000000000."""
    return f"shardId-{index:012d}"
