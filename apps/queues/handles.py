"""Receipt handles: which record, and which of its deliveries. Opaque to clients; useless in another queue.

A handle carries the random number that the delivery was given; the store keeps the last one of each record. So a handle
needs no signature: one that was not given out fits nothing.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64encode
from struct import Struct

from apps.queues.deliveries import RECEIPT_BYTES, Handle

VERSION = 1

_HANDLE = Struct(f">BIIQ{RECEIPT_BYTES}s")
_STANDARD = str.maketrans("-_+/", "+/  ")


def issue(queue: int, shard: int, offset: int, receipt: bytes) -> str:
    """The handle of a delivery."""
    return urlsafe_b64encode(_HANDLE.pack(VERSION, queue, shard, offset, receipt)).decode()


def open_handle(queue: int, text: str) -> Handle | None:
    """What a handle of this queue says; None if it is none, or another queue's."""
    try:
        raw = binascii.a2b_base64(text.translate(_STANDARD).encode("ascii"), strict_mode=True)
    except ValueError:
        return None
    if len(raw) != _HANDLE.size:
        return None
    version, of_queue, shard, offset, receipt = _HANDLE.unpack(raw)
    if version != VERSION or of_queue != queue:
        return None
    return Handle(shard, offset, receipt)
