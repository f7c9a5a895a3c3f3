"""Decompression and CloudWatchLogProcessing: what CloudWatch Logs sends through a subscription, made readable.

Observed of AWS: what cannot be decompressed, is no JSON, or is no message of CloudWatch Logs where messages are to be
extracted, goes under `decompression-failed` as it came. Of an extracted message each event ends with a newline, and all
events of a message stay one record.
"""

from __future__ import annotations

import gzip
from typing import Final

import msgspec
from isal import isal_zlib
from isal.igzip_lib import IsalError

from apps.delivery.processing.work import Failure, Item, Work

DECOMPRESSED_BYTES_MAX: Final = 10 * 1_024_000
"""Ten times what a record may have: CloudWatch Logs compresses to about a tenth."""
RUN_BYTES_MAX: Final = 2 * DECOMPRESSED_BYTES_MAX
"""Of all records of a run, of which there are 128 KiB (configuration.py) or one larger record: what is compressed more than
a hundredfold is no log, and many of that would not fit into memory."""
GZIP_WINDOW: Final = 31
"""zlib's number for: a gzip header, and the largest window."""

ERROR_TYPE: Final = "decompression-failed"
CODE: Final = "Decompression failed."

DATA_MESSAGE: Final = "DATA_MESSAGE"
CONTROL_MESSAGE: Final = "CONTROL_MESSAGE"


class _Event(msgspec.Struct, gc=False):
    message: str


class _Message(msgspec.Struct):
    """What CloudWatch Logs puts; its other members (owner, logGroup …) are not needed."""

    messageType: str  # noqa: N815 - CloudWatch's name
    logEvents: list[_Event] = []  # noqa: N815


_any_json = msgspec.json.Decoder(msgspec.Raw).decode
_message = msgspec.json.Decoder(_Message).decode


class Decompression:
    """Takes the gzip off; and with extract leaves only the messages of the log events. What CloudWatch Logs sends to see
    whether somebody is there is dropped."""

    def __init__(self, *, extract: bool) -> None:
        self._extract = extract

    def run(self, work: Work) -> None:
        """See Step.run."""
        kept: list[Item] = []
        for item in work.items:
            try:
                plain = gunzipped(item.record.data, RUN_BYTES_MAX - work.done.decompressed_bytes)
                data = self._readable(plain)
            except (ValueError, RecursionError) as error:
                work.fail(item, Failure(ERROR_TYPE, CODE, f"The record could not be decompressed: {error}"))
                continue
            work.done.decompressed_bytes += len(plain)
            if data is None:
                work.done.dropped += 1
            else:
                made = item.with_data(data)
                made.pack = _packed_message if self._extract else _packed
                kept.append(made)
        work.items = kept

    def _readable(self, plain: bytes) -> bytes | None:
        """None: nothing is in it for anybody. Raises ValueError, RecursionError."""
        if not self._extract:
            _any_json(plain)
            return plain
        message = _message(plain)
        if message.messageType == CONTROL_MESSAGE:
            return None
        if message.messageType != DATA_MESSAGE:
            raise ValueError(f"messageType is {message.messageType[:50]!r}")
        return "".join(f"{event.message}\n" for event in message.logEvents).encode()


def _packed(piece: bytes) -> bytes:
    return gzip.compress(piece, 1, mtime=0)


def _packed_message(piece: bytes) -> bytes:
    """The piece as CloudWatch Logs would have sent it alone; one that is no text cannot have come from there alone."""
    try:
        event = {"id": "", "timestamp": 0, "message": piece.decode()}
    except UnicodeDecodeError:
        return piece
    return _packed(msgspec.json.encode({"messageType": DATA_MESSAGE, "logEvents": [event]}))


def gunzipped(data: bytes, room: int) -> bytes:
    """All members of gzip data. Raises ValueError with the reason. room: how much it may be besides."""
    plain = bytearray()
    most = min(DECOMPRESSED_BYTES_MAX, room)
    while True:
        member = isal_zlib.decompressobj(wbits=GZIP_WINDOW)
        try:
            plain += member.decompress(data, most + 1 - len(plain))
        except IsalError:  # type: ignore[misc]  # its stub calls it a value
            raise ValueError("it is not in GZIP format") from None
        if len(plain) > most:
            raise ValueError(f"it has more than {most} bytes when it is decompressed")
        if not member.eof:
            raise ValueError("its end is missing")
        data = member.unused_data
        if not data.strip(b"\0"):  # gzip files may be padded
            return bytes(plain)
