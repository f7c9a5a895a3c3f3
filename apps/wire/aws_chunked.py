r"""`aws-chunked`: a body as chunks inside the body, each with its own signature, or none but a checksum at the end.

    <size in hex>[;chunk-signature=<hex>]\r\n<data>\r\n … 0[;chunk-signature=…]\r\n[<trailer>:<value>\r\n …]\r\n

Some SDKs send it when they are told to sign, or check, what they stream. Three kinds, told apart by what stands in
`x-amz-content-sha256`: signed chunks, signed chunks and trailers, unsigned chunks with trailers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from apps.wire.errors import IncompleteSignature, InvalidSignature

STREAMING: Final = "STREAMING-"
SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_WITH_TRAILER: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_WITH_TRAILER: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
KINDS: Final = frozenset({SIGNED, SIGNED_WITH_TRAILER, UNSIGNED_WITH_TRAILER})

CHUNKS_MAX: Final = 65_536
"""AWS wants chunks of 8 KiB at least: a 15 MiB body has 1,920 of them."""

LINE_BYTES_MAX: Final = 1_024
TRAILERS_MAX: Final = 16

_CHECKSUMS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "x-amz-checksum-crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda data: hashlib.sha256(data).digest(),
}
"""Checksums that a trailer may carry. Others are refused, for nobody would look at them."""

_NOTHING_HASHED = hashlib.sha256(b"").hexdigest()


@dataclass(slots=True)
class Seal:
    """The chain of chunk signatures: each signs its chunk and the signature before. last begins with the request's."""

    key: bytes
    timestamp: str
    scope: str
    last: str

    def next(self, what: str, *hashes: str) -> str:
        """The signature of the next chunk or of the trailers; it becomes the last."""
        text = "\n".join([f"AWS4-HMAC-SHA256-{what}", self.timestamp, self.scope, self.last, *hashes])
        self.last = hmac.digest(self.key, text.encode(), "sha256").hex()
        return self.last

    def check(self, claimed: str, what: str, *hashes: str) -> None:
        """Raise InvalidSignature unless claimed is the next signature."""
        if not hmac.compare_digest(self.next(what, *hashes).encode(), claimed.encode()):
            raise InvalidSignature.mismatch()


def decode(body: bytes, kind: str, headers: Mapping[str, str], seal: Seal) -> bytes:
    """The data of a chunked body, every chunk's signature and every checksum checked.

    kind: the request's x-amz-content-sha256. Raises IncompleteSignature (framing), InvalidSignature.
    """
    if kind not in KINDS:
        raise IncompleteSignature(f"The value '{kind}' of x-amz-content-sha256 is not supported.")
    reader = _Reader(body)
    data = _chunks(reader, seal if kind != UNSIGNED_WITH_TRAILER else None)
    declared = headers.get("x-amz-decoded-content-length")
    if declared is not None and declared != str(len(data)):
        raise _malformed("its length is not that of x-amz-decoded-content-length")
    if kind != SIGNED:
        _trailers(reader, data, headers, seal if kind == SIGNED_WITH_TRAILER else None)
    elif reader.line() != b"":
        raise _malformed("it does not end with an empty line")
    if not reader.at_end:
        raise _malformed("it goes on after its last chunk")
    return data


def encode(data: bytes, kind: str, seal: Seal, chunk_bytes: int, trailers: Mapping[str, str] | None = None) -> bytes:
    """A chunked body, for clients and tests. trailers: by lower-case name."""
    pieces = []
    signed = kind != UNSIGNED_WITH_TRAILER
    for start in (*range(0, len(data), chunk_bytes), len(data)):
        chunk = data[start : start + chunk_bytes]
        signature = f";chunk-signature={seal.next('PAYLOAD', _NOTHING_HASHED, _hash(chunk))}" if signed else ""
        pieces.append(f"{len(chunk):x}{signature}\r\n".encode() + (chunk + b"\r\n" if chunk else b""))
    lines = [f"{name}:{value}" for name, value in (trailers or {}).items()]
    if kind == SIGNED_WITH_TRAILER:
        text = "".join(f"{line}\n" for line in lines)
        lines.append(f"x-amz-trailer-signature:{seal.next('TRAILER', _hash(text.encode()))}")
    pieces.extend(f"{line}\r\n".encode() for line in lines)
    return b"".join([*pieces, b"\r\n"])


class _Reader:
    """Lines and counted bytes from a body."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position == len(self._body)

    def line(self) -> bytes:
        end = self._body.find(b"\r\n", self._position, self._position + LINE_BYTES_MAX)
        if end < 0:
            raise _malformed("a line does not end")
        start, self._position = self._position, end + 2
        return self._body[start:end]

    def take(self, size: int) -> bytes:
        data = self._body[self._position : self._position + size]
        if len(data) < size:
            raise _malformed("a chunk is cut short")
        self._position += size
        if self.line() != b"":
            raise _malformed("a chunk is longer than it says")
        return data


def _chunks(reader: _Reader, seal: Seal | None) -> bytes:
    """All chunks up to the empty one, joined."""
    chunks: list[bytes] = []
    for _ in range(CHUNKS_MAX):
        size, signature = _chunk_head(reader.line())
        chunk = reader.take(size) if size else b""
        if seal is not None:
            seal.check(signature, "PAYLOAD", _NOTHING_HASHED, _hash(chunk))
        if not size:
            return b"".join(chunks)
        chunks.append(chunk)
    raise _malformed("it has too many chunks")


def _chunk_head(line: bytes) -> tuple[int, str]:
    """Size and signature (empty if there is none) of a chunk."""
    digits, _, extension = line.partition(b";")
    name, _, signature = extension.partition(b"=")
    if not digits or len(digits) > 8 or digits.translate(None, b"0123456789abcdefABCDEF"):
        raise _malformed("a chunk has no size")
    if extension and name.strip() != b"chunk-signature":
        raise _malformed("a chunk has an unknown extension")
    return int(digits, 16), signature.decode("latin-1").strip()


def _trailers(reader: _Reader, data: bytes, headers: Mapping[str, str], seal: Seal | None) -> None:
    """Read the trailers, check their signature and the checksums in them."""
    trailers: dict[str, str] = {}
    signed_text = ""
    signature = ""
    for _ in range(TRAILERS_MAX):
        line = reader.line().decode("latin-1")
        if not line:
            break
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "x-amz-trailer-signature":
            signature = value
        else:
            trailers[name] = value
            signed_text += f"{name}:{value}\n"
    else:
        raise _malformed("it has too many trailers")
    if seal is not None:
        seal.check(signature, "TRAILER", _hash(signed_text.encode("latin-1")))
    announced = {name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",")} - {""}
    if announced != set(trailers):
        raise _malformed("its trailers are not those of x-amz-trailer")
    _check_sums(trailers, data)


def _check_sums(trailers: Mapping[str, str], data: bytes) -> None:
    for name, value in trailers.items():
        if name not in _CHECKSUMS:
            raise IncompleteSignature(f"The trailer '{name}' is not supported; use {', '.join(_CHECKSUMS)}.")
        if base64.b64encode(_CHECKSUMS[name](data)).decode() != value:
            raise InvalidSignature(f"The value of {name} is not that of the body.")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _malformed(why: str) -> IncompleteSignature:
    return IncompleteSignature(f"The aws-chunked body is malformed: {why}.")
