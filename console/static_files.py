"""Static files from memory, compressed when they are first asked for: every first visit is measured in what comes over the wire
(a slow line's LCP)."""

from __future__ import annotations

import gzip
import mimetypes
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cramjam
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers

PREFIX: Final = "/static/"
KEPT_S: Final = 31_536_000
"""Names carry their content's hash; the file without a hash is another one tomorrow."""

BROTLI_QUALITY: Final = 5
"""A fiftieth of 11's time for a tenth more bytes; it is done once a process."""

SMALL_BYTES: Final = 200
"""Shorter answers gain nothing, as Django has it."""

TEXTS: Final = {"text/css", "text/javascript", "image/svg+xml"}

_REFUSED: Final = re.compile(r";\s*q=0(\.0*)?\s*$")

Answer = tuple[int, list[tuple[str, str]], bytes]


PACK: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "br": lambda data: bytes(cramjam.brotli.compress(data, level=BROTLI_QUALITY)),
    "gzip": lambda data: gzip.compress(data, 9, mtime=0),
}
"""By content encoding, the better one first."""


@dataclass(frozen=True, slots=True)
class _File:
    headers: list[tuple[str, str]]
    is_text: bool
    bodies: dict[str, bytes]
    """By content encoding, of those that were asked for; "" is as it is."""

    def body(self, encoding: str) -> bytes:
        """The whole file, packed if that makes it smaller."""
        if encoding not in self.bodies:
            plain = self.bodies[""]
            packed = PACK[encoding](plain) if self.is_text else plain
            self.bodies[encoding] = packed if len(packed) < len(plain) else plain
        return self.bodies[encoding]


class StaticFiles:
    """What collectstatic gathered in a folder (none: nothing), read once: a few hundred kilobytes."""

    def __init__(self, folder: Path) -> None:
        found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
        self._files = {PREFIX + path.relative_to(folder).as_posix(): _read(path) for path in found}

    def answer(self, method: str, path: str, accepted: str) -> Answer:
        """accepted: the request's Accept-Encoding."""
        file = self._files.get(path)
        if file is None:
            return (
                404,
                [("content-type", "text/plain"), ("x-content-type-options", "nosniff")],
                b"There is no such file.\n",
            )
        if method not in {"GET", "HEAD"}:
            return 405, [("allow", "GET, HEAD")], b""
        encodings = _encodings(accepted)
        body = file.body(encoding := next((name for name in PACK if name in encodings), ""))
        packed = body is not file.bodies[""]
        headers = [*file.headers, ("content-encoding", encoding)] if packed else file.headers
        return 200, headers, body if method == "GET" else b""


def _read(path: Path) -> _File:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    data = path.read_bytes()
    hashed = path.name.count(".") > 1 and path.suffixes[-2][1:].isalnum() and len(path.suffixes[-2]) == 13
    headers = [
        ("content-type", f"{kind}; charset=utf-8" if kind in TEXTS else kind),
        ("cache-control", f"public, max-age={KEPT_S}, immutable" if hashed else "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("vary", "accept-encoding"),
    ]
    return _File(headers, kind in TEXTS, {"": data})


class Compressed(GZipMiddleware):
    """Pages: brotli to those who take it, else Django's gzip; both with a random length, against guesses by length (BREACH).
    An answer with an ETag stays as it is: it would become a weak one, which If-Match never matches. So does a file that is
    sent piece by piece: Django makes a gzip member of each piece, and Chromium reads the first of them alone."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Django's hook."""
        if response.has_header("ETag") or (isinstance(response, StreamingHttpResponse) and response.is_async):
            return response
        if (
            not isinstance(response, HttpResponse)
            or len(response.content) < SMALL_BYTES
            or response.has_header("Content-Encoding")
            or "br" not in _encodings(request.headers.get("Accept-Encoding", ""))
        ):
            return super().process_response(request, response)
        response.content = bytes(cramjam.brotli.compress(response.content, level=BROTLI_QUALITY))
        response.headers["Content-Encoding"] = "br"
        response.headers["Content-Length"] = str(len(response.content))
        response.headers["X-Padding"] = "x" * secrets.randbelow(self.max_random_bytes)
        patch_vary_headers(response, ("Accept-Encoding",))
        return response


def _encodings(accepted: str) -> set[str]:
    return {part.partition(";")[0].strip() for part in accepted.split(",") if not _REFUSED.search(part)}
