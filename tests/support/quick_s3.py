"""A small, quick S3 server: objects whole or not at all, every attempt written down, and faults when they are wanted.

    python -m tests.support.quick_s3 PORT FOLDER [--faults SEED] [--no-log]

It keeps path-style PUT, GET (with Range), HEAD, DELETE, copies and ListObjectsV2 of objects in one folder a bucket; it asks for
a signature, but does not check it. Content-MD5 is checked. What it is for: S3's promises under load and under faults, where
moto would be the slowest part. Faults (with --faults, while `POST /-/faults/on`): for a third of the time requests are
answered 503, or cut off in the middle, or stored and cut off before the answer, or stalled.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

PIECE = 256 * 1024
WELL_S, ILL_S = (2.0, 6.0), (1.0, 3.0)
KINDS = ("503", "cut", "unanswered", "stalled")


@dataclass
class Faults:
    """Times of health and of illness, one after the other; ill a third of the time."""

    chance: random.Random
    on: bool = False
    _kind: str = ""
    _until: float = 0.0

    def now(self) -> str:
        """What happens to a request that comes now; empty: nothing."""
        if not self.on:
            return ""
        at = time.monotonic()
        while at >= self._until:
            self._kind = "" if self._kind else self.chance.choice(KINDS)
            self._until = max(self._until, at - 10) + self.chance.uniform(*(ILL_S if self._kind else WELL_S))
        return self._kind

    @property
    def rest_s(self) -> float:
        """How long it stays so."""
        return max(0.0, self._until - time.monotonic())


class Refused(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class Cut(Exception):
    """The connection ends here, without an answer."""


@dataclass
class Request:
    """One request; its body is still on the wire."""

    method: str
    bucket: str
    key: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    reader: asyncio.StreamReader
    left: int = 0

    async def pieces(self) -> Any:
        """The body."""
        while self.left:
            piece = await self.reader.read(min(PIECE, self.left))
            if not piece:
                raise Cut
            self.left -= len(piece)
            yield piece


@dataclass
class Store:
    """Objects in a folder. order: the place of each key among the first successful puts."""

    folder: Path
    faults: Faults
    log: Any = None
    checks: bool = True
    order: int = 0
    temporary: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def path(self, bucket: str, key: str) -> Path:
        """Where an object lies. Keys become flat names."""
        if not bucket or bucket.startswith("."):
            raise Refused(400, "InvalidBucketName")
        return self.folder / bucket / quote(key, safe="")

    def note(self, outcome: str, key: str = "", size: int = 0, md5: str = "") -> None:
        """Write an attempt down."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        if self.log is not None and key:
            self.order += 1
            line = {"n": self.order, "t": time.time(), "key": key, "size": size, "md5": md5, "outcome": outcome}
            self.log.write(json.dumps(line) + "\n")
            self.log.flush()

    async def put(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Store an object whole."""
        source = request.headers.get("x-amz-copy-source")
        if source:
            return self._copy(request, source)
        fault = self.faults.now()
        if fault == "503":
            async for _ in request.pieces():
                pass
            self.note("503", request.key)
            raise Refused(503, "SlowDown")
        self.temporary += 1
        temporary = self.folder / f".put-{self.temporary}"
        digest = hashlib.md5(usedforsecurity=False) if self.checks else None
        size = 0
        try:
            with temporary.open("wb") as file:
                half = request.left // 2
                async for piece in request.pieces():
                    file.write(piece)
                    size += len(piece)
                    if digest is not None:
                        digest.update(piece)
                    if fault == "cut" and request.left <= half:
                        self.note("cut", request.key)
                        raise Cut
            if fault == "stalled":
                await asyncio.sleep(self.faults.rest_s)
            self._check(request, digest)
            target = self.path(request.bucket, request.key)
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        md5 = digest.hexdigest() if digest is not None else ""
        self.note("unanswered" if fault == "unanswered" else "stored", request.key, size, md5)
        if fault == "unanswered":
            raise Cut
        return 200, {"ETag": f'"{md5}"'}, b""

    def _check(self, request: Request, digest: Any) -> None:
        said = request.headers.get("content-md5")
        if said and digest is not None and base64.b64decode(said) != digest.digest():
            self.note("bad digest", request.key)
            raise Refused(400, "BadDigest")

    def _copy(self, request: Request, source: str) -> tuple[int, dict[str, str], bytes]:
        bucket, _, key = unquote(source).lstrip("/").partition("/")
        try:
            data = self.path(bucket, key).read_bytes()
        except FileNotFoundError:
            raise Refused(404, "NoSuchKey") from None
        target = self.path(request.bucket, request.key)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)
        return 200, {}, b"<CopyObjectResult><ETag>&quot;copy&quot;</ETag></CopyObjectResult>"

    def get(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """An object, a part of it, or a listing."""
        if not request.key:
            return self._list(request)
        try:
            data = self.path(request.bucket, request.key).read_bytes()
        except FileNotFoundError:
            raise Refused(404, "NoSuchKey") from None
        headers = {"Last-Modified": "Fri, 20 Nov 2026 12:00:00 GMT", "ETag": '"x"'}
        asked = request.headers.get("range")
        if asked is None or request.method == "HEAD":
            return 200, headers, data
        first, _, last = asked.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return 206, headers, part

    def _list(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        folder = self.folder / request.bucket
        prefix = request.query.get("prefix", [""])[0]
        after = request.query.get("start-after", [""])[0] or request.query.get("continuation-token", [""])[0]
        limit = int(request.query.get("max-keys", ["1000"])[0])
        keys = sorted(unquote(path.name) for path in folder.glob("*")) if folder.is_dir() else []
        keys = [key for key in keys if key.startswith(prefix) and key > after]
        shown = keys[:limit]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-20T12:00:00.000Z</LastModified>"
            f"<Size>{self.path(request.bucket, key).stat().st_size}</Size></Contents>"
            for key in shown
        )
        more = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if len(keys) > limit else ""
        text = (
            f"<ListBucketResult><Name>{escape(request.bucket)}</Name><KeyCount>{len(shown)}</KeyCount>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}{rows}</ListBucketResult>"
        )
        return 200, {"Content-Type": "application/xml"}, text.encode()

    async def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """What a request is answered with. Raises Refused and Cut."""
        if request.bucket == "-":
            return self._manage(request)
        if "authorization" not in request.headers:
            raise Refused(403, "AccessDenied")
        match request.method:
            case "PUT" if request.key:
                return await self.put(request)
            case "GET" | "HEAD":
                return self.get(request)
            case "DELETE":
                self.path(request.bucket, request.key).unlink(missing_ok=True)
                return 204, {}, b""
        raise Refused(405, "MethodNotAllowed")

    def _manage(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.method == "POST" and request.key.startswith("faults/"):
            self.faults.on = request.key == "faults/on"
        return 200, {}, json.dumps(self.counts).encode()


async def _serve(store: Store, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, Cut, asyncio.LimitOverrunError):
        while True:
            request = await _read(reader)
            if request.headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            try:
                status, headers, body = await store.answer(request)
            except Refused as refused:
                status, headers = refused.status, {"Content-Type": "application/xml"}
                body = f"<Error><Code>{refused.code}</Code><Message>{refused.code}</Message></Error>".encode()
            async for _ in request.pieces():
                pass
            lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
            if status != 204:
                lines.append(f"Content-Length: {len(body)}")
            writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if request.method == "HEAD" else body))
            await writer.drain()
    writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    parts = urlsplit(target)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    return Request(method, bucket, key, query, headers, reader, int(headers.get("content-length", 0)))


async def serve(port: int, store: Store) -> None:
    """Until it is killed."""
    server = await asyncio.start_server(lambda r, w: _serve(store, r, w), "127.0.0.1", port, limit=1 << 20)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faults", type=int, default=0, help="seed")
    parser.add_argument("--no-log", action="store_true", help="neither attempts are written down nor digests checked")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    log = None if given.no_log else (given.folder / ".attempts").open("a")
    store = Store(given.folder, Faults(random.Random(given.faults)), log, checks=not given.no_log)
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(serve(given.port, store))


if __name__ == "__main__":
    main()
