"""RecordId: what PutRecord and PutRecordBatch name a record by. Long and opaque, as AWS's are; here it tells where the
record is: log and offset.

A text of 224 characters of base64's alphabet: 208 that are the same for all records of a log (the version 01, the log's
key, and bytes derived from the master key, so that nobody makes one up), then the offset in 16 hexadecimal digits. So
the hot path only formats a number.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from pathlib import Path

from apps.base.keys import derive

VERSION = b"\x01"
FIXED_BYTES = 156
FIXED_CHARACTERS = FIXED_BYTES // 3 * 4
KEY_BYTES = 4
OFFSET_DIGITS = 16


def fixed_part(master_key_path: Path, log_key: int) -> str:
    """What the ids of all records of a log begin with."""
    named = VERSION + log_key.to_bytes(KEY_BYTES)
    secret = derive(master_key_path, "record-ids")
    filler = hashlib.shake_256(secret + named).digest(FIXED_BYTES - len(named))
    return b64encode(named + filler).decode()


def encode(fixed: str, offset: int) -> str:
    """The id of the record at an offset of the log that fixed is of."""
    return f"{fixed}{offset:016x}"


def run(fixed: str, first: int, count: int) -> list[str]:
    """The ids of count neighbouring records."""
    return [f"{fixed}{offset:016x}" for offset in range(first, first + count)]


def decode(master_key_path: Path, text: str) -> tuple[int, int] | None:
    """Log key and offset; None if it is no id that we gave out."""
    fixed, digits = text[:FIXED_CHARACTERS], text[FIXED_CHARACTERS:]
    if len(digits) != OFFSET_DIGITS or not text.isascii():
        return None
    try:
        log_key = int.from_bytes(b64decode(fixed, validate=True)[1 : 1 + KEY_BYTES])
        offset = int(digits, 16)
    except ValueError:
        return None
    return (log_key, offset) if hmac.compare_digest(fixed, fixed_part(master_key_path, log_key)) else None
