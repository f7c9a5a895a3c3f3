"""What records are wrapped in, told by their first bytes: gzip, the KPL's aggregates, headers of schema registries."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from apps.base.units import MIB
from apps.delivery.aggregation import user_records

GZIP: Final = b"\x1f\x8b\x08"
UNPACKED_BYTES_MAX: Final = 4 * MIB
"""Of one record: a few bytes of gzip can say terabytes."""

GLUE_VERSION: Final = 3
GLUE_PLAIN, GLUE_ZLIB = 0, 5
GLUE_HEADER_BYTES: Final = 18
"""A byte of version, a byte of compression, the sixteen of the schema version's id."""

AVRO_CONTAINER: Final = b"Obj\x01"


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What is inside. steps: what was taken off, in words. parts: key and data of each user record of an aggregate.
    version: the schema version that a registry's header names; framed: the data with that header, for who does not know
    the version: then it was none."""

    data: bytes
    steps: tuple[str, ...] = ()
    parts: list[tuple[str, bytes]] = field(default_factory=list)
    version: UUID | None = None
    framed: bytes = b""

    @property
    def is_container(self) -> bool:
        """An Avro object container: it brings its own schema."""
        return self.data.startswith(AVRO_CONTAINER)


def unwrap(data: bytes) -> Unwrapped:
    """Take off gzip, then an aggregate or a header. What only looks like one stays as it is."""
    steps: tuple[str, ...] = ()
    if data.startswith(GZIP):
        inside = _unpacked(data, zlib.MAX_WBITS | 16)
        if inside is not None:
            data, steps = inside, ("gzip",)
    parts = user_records(data)
    if parts:
        return Unwrapped(data, (*steps, f"KPL aggregate of {len(parts)}"), parts)
    version = _glue_version(data)
    if version is None:
        return Unwrapped(data, steps)
    body: bytes | None = data[GLUE_HEADER_BYTES:]
    if data[1] == GLUE_ZLIB:
        body = _unpacked(data[GLUE_HEADER_BYTES:], zlib.MAX_WBITS)
    return Unwrapped(data, steps) if body is None else Unwrapped(body, steps, version=version, framed=data)


def _glue_version(data: bytes) -> UUID | None:
    """The id in a header of AWS Glue's schema registry; None for data without one."""
    if len(data) < GLUE_HEADER_BYTES or data[0] != GLUE_VERSION or data[1] not in {GLUE_PLAIN, GLUE_ZLIB}:
        return None
    return UUID(bytes=data[2:GLUE_HEADER_BYTES])


def _unpacked(data: bytes, wbits: int) -> bytes | None:
    """At most UNPACKED_BYTES_MAX of what is packed; None if it is not."""
    try:
        return zlib.decompressobj(wbits).decompress(data, UNPACKED_BYTES_MAX)
    except zlib.error:
        return None
