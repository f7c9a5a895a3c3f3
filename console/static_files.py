"""Static files from memory, compressed once: every first visit is measured in what comes over the wire (a slow line's LCP)."""

from __future__ import annotations

import gzip
import mimetypes
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cramjam
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers

PREFIX: Final = "/static/"
KEPT_S: Final = 31_536_000
"""Names carry their content's hash; the file without a hash is another one tomorrow."""

BROTLI_QUALITY: Final = 5
"""A fiftieth of 11's time for a tenth more bytes; it is done at every start."""

SMALL_BYTES: Final = 200
"""Shorter answers gain nothing, as Django has it."""

TEXTS: Final = {"text/css", "text/javascript", "image/svg+xml"}

_REFUSED: Final = re.compile(r";\s*q=0(\.0*)?\s*$")

Answer = tuple[int, list[tuple[str, str]], bytes]


@dataclass(frozen=True, slots=True)
class _File:
    headers: list[tuple[str, str]]
    bodies: dict[str, bytes]
    """By content encoding; "" is as it is."""


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
        encoding = next((name for name in ("br", "gzip") if name in encodings and name in file.bodies), "")
        headers = [*file.headers, ("content-encoding", encoding)] if encoding else file.headers
        return 200, headers, file.bodies[encoding] if method == "GET" else b""


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
    bodies = {"": data}
    if kind in TEXTS:
        packed = {
            "br": bytes(cramjam.brotli.compress(data, level=BROTLI_QUALITY)),
            "gzip": gzip.compress(data, 9, mtime=0),
        }
        bodies |= {name: body for name, body in packed.items() if len(body) < len(data)}
    return _File(headers, bodies)


class Compressed(GZipMiddleware):
    """Pages: brotli to those who take it, else Django's gzip; both with a random length, against guesses by length (BREACH).
    An answer with an ETag stays as it is: it would become a weak one, which If-Match never matches."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Django's hook."""
        if response.has_header("ETag"):
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
