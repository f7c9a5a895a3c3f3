"""Sequence numbers: AWS's own 186-bit layout, printed as 56 decimal digits.

    bits 184-185  2
    bits 148-183  creation second of the shard
    bits 144-147  low nibble of the shard's number in its stream
    bits  80-143  sequence index: here the record's dense ordinal in its shard
    bits  72-79   0
    bits  36-71   second of the record's arrival
    bits   4-35   shard's number
    bits   0-3    version, 2

KCL reads version and shard out of it, some tools the second. A shard's starting number has ordinal 0 and its creation
second; its ending number has ordinal 2^63 - 1 and the second it was closed.
"""

from __future__ import annotations

from itertools import accumulate, repeat
from typing import NamedTuple

VERSION = 2
ORDINAL_MAX = 2**63 - 1
STEP = 1 << 80
"""What one ordinal adds to the number."""

OLDEST_END = 1 << 128
"""Numbers of version 0 are below; their first hex digit does not matter."""

CREATION_SECOND_MAX = 16_025_175_000
"""AWS refuses shard creation seconds from here on."""

_SPLITS = tuple((10**digits, 10 ** (digits - 1)) for digits in (27, 28, 29, 30, 31))
"""Where run() may cut a number. Below 10^27 the lower part is 90 bits: three of CPython's digits."""


class SequenceNumber(NamedTuple):
    """The parts of a number. shard_index is negative where the upper bit of its field is set, as AWS reads it."""

    created_s: int
    shard_index: int
    ordinal: int
    second: int
    version: int = VERSION


def fixed_part(created_s: int, index: int) -> int:
    """What all numbers of one shard have in common."""
    return 2 << 184 | created_s << 148 | (index & 15) << 144 | index << 4 | VERSION


def encode(fixed: int, ordinal: int, second: int) -> str:
    """The number of one record."""
    return str(fixed + (ordinal << 80) + (second << 36))


def starting(created_s: int, index: int) -> str:
    """StartingSequenceNumber of a shard."""
    return encode(fixed_part(created_s, index), 0, created_s)


def ending(created_s: int, index: int, closed_s: int) -> str:
    """EndingSequenceNumber of a closed shard."""
    return encode(fixed_part(created_s, index), ORDINAL_MAX, closed_s)


def run(fixed: int, first: int, second: int, count: int) -> list[str]:
    """The numbers of count neighbours from ordinal first on, which arrived in one second.

    Only the digits that change are printed for each: the number is cut where the upper part is the same for all and
    the lower part begins with a digit other than 0 (so that nothing need be padded).
    """
    base = fixed + (first << 80) + (second << 36)
    if count < 4:
        return [str(base + STEP * i) for i in range(count)]
    last = base + STEP * (count - 1)
    for split, least in _SPLITS:
        high, low = divmod(base, split)
        if low >= least and last // split == high:
            prefix = str(high)
            return [prefix + str(part) for part in accumulate(repeat(STEP, count - 1), initial=low)]
    return [str(number) for number in range(base, last + 1, STEP)]


def decode(text: str) -> SequenceNumber | None:
    """The parts of a well-formed number of version 0, 1 or 2, or None."""
    if len(text) > 57 or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    if number < OLDEST_END:
        return _decode_oldest(number)
    version = number & 15
    if number >> 184 != 2 or version not in {1, VERSION}:
        return None
    created_s = number >> 148 & 2**36 - 1
    if created_s >= CREATION_SECOND_MAX:
        return None
    index = number >> 4 & 2**32 - 1
    index -= (index >> 31) << 32
    if version == 1:
        # The older layout: the second stands before a random part, there is no ordinal.
        return SequenceNumber(created_s, index, 0, number >> 100 & 2**36 - 1, version)
    ordinal = number >> 80 & 2**64 - 1
    if ordinal > ORDINAL_MAX:
        return None
    return SequenceNumber(created_s, index, ordinal, number >> 36 & 2**36 - 1, version)


def _decode_oldest(number: int) -> SequenceNumber | None:
    """Version 0: creation second of the shard, 72 bits of no use here, shard's number."""
    created_s = number >> 88 & 2**36 - 1
    return None if created_s >= CREATION_SECOND_MAX else SequenceNumber(created_s, number & 0xFFFF, 0, 0, 0)
