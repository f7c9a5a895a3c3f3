"""Shard iterators: sealed tokens that hold a position in one shard and live five minutes.

Base64 of: 8 bytes 00…01, 12 bytes of nonce, and AES-256-GCM of a fixed-size record. Sizes follow AWS's: the length of
the bytes less 152 is a multiple of 16. Whoever alters one byte holds nothing; every process of the installation can
open what another one issued.
"""

from __future__ import annotations

import binascii
import os
import struct
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.base.keys import derive
from apps.runtime import Runtime
from apps.streams.errors import ExpiredIteratorException, InvalidArgumentException
from apps.streams.limits import ITERATOR_LIFE_MS

HEADER = b"\0\0\0\0\0\0\0\1"
NONCE_BYTES = 12
TAG_BYTES = 16
LEAST_BYTES = 152
LEAST_PLAIN_BYTES = LEAST_BYTES - len(HEADER) - NONCE_BYTES - TAG_BYTES

_FIELDS = struct.Struct(">QQIIQQB")
_MALFORMED = "Invalid ShardIterator."


class Position(NamedTuple):
    """Where a reader is. stream_key and shard_key are row ids, never reused, so a new stream of the same name is
    another one; name and shard_index are for texts. ordinal is the next record to read."""

    team_id: int
    stream_key: int
    shard_key: int
    shard_index: int
    ordinal: int
    issued_ms: int
    name: str


class ShardIterators:
    """Issues and opens iterators; one per process."""

    def __init__(self, runtime: Runtime) -> None:
        self._cipher = AESGCM(derive(runtime.config.master_key_path, "shard-iterators"))

    def issue(self, position: Position) -> str:
        """The token of a position."""
        name = position.name.encode()
        plain = _FIELDS.pack(*position[:6], len(name)) + name
        spare = (LEAST_PLAIN_BYTES - len(plain)) if len(plain) <= LEAST_PLAIN_BYTES else (4 - len(plain)) % 16
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, plain + bytes(spare), HEADER)
        return binascii.b2a_base64(HEADER + nonce + sealed, newline=False).decode()

    def open(self, token: str, now_ms: int) -> Position:
        """The position in a token. Double quotes around it are tolerated, as AWS does.

        Raises InvalidArgumentException (not a token of ours) and ExpiredIteratorException.
        """
        position = self._unsealed(token)
        if now_ms - position.issued_ms > ITERATOR_LIFE_MS:
            raise ExpiredIteratorException(
                f"Iterator expired. The iterator was created at time {_java_date(position.issued_ms)} while right now "
                f"it is {_java_date(now_ms)} which is further in the future than the tolerated delay of "
                f"{ITERATOR_LIFE_MS} milliseconds."
            )
        return position

    def _unsealed(self, token: str) -> Position:
        if len(token) > 2 and token[0] == token[-1] == '"':
            token = token[1:-1]
        try:
            raw = binascii.a2b_base64(token.encode("ascii"), strict_mode=True)
            if raw[:8] != HEADER or len(raw) < LEAST_BYTES:
                raise InvalidArgumentException(_MALFORMED)
            plain = self._cipher.decrypt(raw[8:20], raw[20:], HEADER)
        except (ValueError, InvalidTag):
            raise InvalidArgumentException(_MALFORMED) from None
        team_id, stream_key, shard_key, shard_index, ordinal, issued_ms, length = _FIELDS.unpack_from(plain)
        name = plain[_FIELDS.size : _FIELDS.size + length].decode()
        return Position(team_id, stream_key, shard_key, shard_index, ordinal, issued_ms, name)


def _java_date(at_ms: int) -> str:
    """As java.util.Date prints: Fri Nov 20 10:00:00 UTC 2026."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
