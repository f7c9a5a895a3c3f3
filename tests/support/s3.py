"""An S3 server that answers as AWS does (moto's), over real sockets; and a proxy before it that fails when told to.

In this process and a thread: `S3Server()`. As a process of its own, which outlives what is killed around it:
`python -m tests.support.s3 <port>`; its first line of output says where it listens.
"""

import itertools
import logging
import random
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Self

KEY, SECRET, REGION = "AKIDOFTHEOPERATOR", "secret-of-the-operator", "us-east-1"
SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
FAULTS = ("503", "early", "reset", "half", "unanswered", "stall", "cut")
"""503: after the whole request. early: 503 before the body is read, and the connection closed. reset: at once. half: reset in
the middle of the body. unanswered: the server does it, and the connection is reset before its answer. stall: nothing, until
the client goes. cut: the answer ends in its middle. Also: ("redirect", url), ("huge", bytes), ("says", (status, headers, body))."""

Fault = str | tuple[str, Any] | None


def settings_for(endpoint: str) -> dict[str, Any]:
    """Fields of Config with which it is the operator's S3: `memory_runtime(clock, **settings_for(s3.endpoint))`."""
    return {"aws_endpoint_url_s3": endpoint, "aws_access_key_id": KEY, "aws_secret_access_key": SECRET}


def client_of(endpoint: str) -> Any:
    """A boto3 client, for looking at what was written."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )  # fmt: skip


class S3Server:
    """moto's server in a thread, quiet. tls: files of a certificate and its key."""

    def __init__(self, port: int = 0, tls: tuple[str, str] | None = None) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
                pass

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet, ssl_context=tls)
        self.port = self._server.server_port
        self.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.client = client_of(self.endpoint)

    def stop(self) -> None:
        self.client.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        """Forget every bucket."""
        from moto.moto_api._internal import moto_api_backend

        moto_api_backend.reset()

    def make_bucket(self, bucket: str) -> str:
        self.client.create_bucket(Bucket=bucket)
        return bucket

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def body(self, bucket: str, key: str) -> bytes:
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """Keys with their bytes, in order of the keys."""
        return {key: self.body(bucket, key) for key in self.keys(bucket, prefix)}


class FaultProxy:
    """Before an S3 server: `fault` is asked at each request (method, path) what is to go wrong; None: nothing."""

    def __init__(self, port_behind: int, port: int = 0) -> None:
        self._behind = port_behind
        self.fault: Callable[[str, str], Fault] = lambda _method, _path: None
        self.requests: list[tuple[str, str, Fault]] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for one in list(self._open):
            _reset(one)

    def plan(self, faults: Iterable[Fault]) -> None:
        """These, one after the other, and nothing wrong after the last."""
        left = itertools.chain(faults, itertools.repeat(None))
        lock = threading.Lock()

        def chosen(_method: str, _path: str) -> Fault:
            with lock:
                return next(left)

        self.fault = chosen

    def share(self, share: float, seed: int = 0, kinds: tuple[Fault, ...] = FAULTS) -> None:
        """So many of all requests fail, in one of these ways."""
        chance = random.Random(seed)
        self.fault = lambda _method, _path: chance.choice(kinds) if chance.random() < share else None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            connection.settimeout(120)
            while self._one(connection):
                pass
        except OSError:
            pass
        finally:
            self._open.discard(connection)
            connection.close()

    def _one(self, connection: socket.socket) -> bool:
        """One request; True if another may follow."""
        head, rest = _head(connection)
        if not head:
            return False
        method, path = head.split(b" ", 2)[:2]
        length = _length(head)
        fault = self.fault(method.decode(), path.decode())
        self.requests.append((method.decode(), path.decode(), fault))
        kind, detail = fault if isinstance(fault, tuple) else (fault, None)
        if kind == "reset":
            return _reset(connection)
        if kind == "early":
            connection.sendall(_answer(b"503 Slow Down", SLOW_DOWN))
            return False
        if kind == "stall":
            while connection.recv(65_536):
                pass
            return False
        body = _body(connection, rest, length // 2 if kind == "half" else length)
        if kind == "half":
            return _reset(connection)
        if kind == "503":
            connection.sendall(_answer(b"503 Slow Down", SLOW_DOWN))
            return True
        if kind == "redirect":
            connection.sendall(_answer(b"307 Temporary Redirect", b"", b"Location: " + detail.encode() + b"\r\n"))
            return True
        if kind == "says":
            status, headers, said = detail
            connection.sendall(_answer(status, said, headers))
            return True
        if kind == "huge":
            return _huge(connection, detail)
        answer = self._ask(head, body)
        if kind == "unanswered":
            return _reset(connection)
        if kind == "cut":
            connection.sendall(answer[: len(answer) // 2])
            return _reset(connection)
        connection.sendall(answer)
        return False

    def _ask(self, head: bytes, body: bytes) -> bytes:
        """What the server behind answers, all of it."""
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"expect:"))]
        with socket.create_connection(("127.0.0.1", self._behind), timeout=120) as behind:
            behind.sendall(b"\r\n".join(lines).rstrip(b"\r\n") + b"\r\nConnection: close\r\n\r\n" + body)
            pieces = []
            while piece := behind.recv(262_144):
                pieces.append(piece)
        return b"".join(pieces)


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65_536)
        if not piece:
            return b"", b""
        read += piece
    head, _, rest = read.partition(b"\r\n\r\n")
    return head, rest


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _body(connection: socket.socket, begun: bytes, length: int) -> bytes:
    read = bytearray(begun)
    while len(read) < length:
        piece = connection.recv(262_144)
        if not piece:
            raise OSError("the client went away")
        read += piece
    return bytes(read)


def _answer(status: bytes, body: bytes, headers: bytes = b"") -> bytes:
    length = str(len(body)).encode()
    return (
        b"HTTP/1.1 "
        + status
        + b"\r\nContent-Type: application/xml\r\n"
        + headers
        + b"Content-Length: "
        + length
        + b"\r\n\r\n"
        + body
    )


def _huge(connection: socket.socket, size: int) -> bool:
    connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\n\r\n")
    for _ in range(size // 65_536):
        connection.sendall(b"<" * 65_536)
    return False


def _reset(connection: socket.socket) -> bool:
    """End a connection as a crashed peer does."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    except OSError:
        pass
    return False


def main() -> None:
    """Serve until the process is killed, or until Ctrl-C: also in the background, where there is nothing to read from."""
    server = S3Server(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(server.endpoint, flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
