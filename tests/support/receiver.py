"""A small HTTP server in threads that other receivers are made of, and the ways in which it can misbehave on demand.

with SplunkReceiver() as splunk:
    splunk.fail(Fault("status", 503), Fault("reset", taken=True))   # the next two requests
    ...
    splunk.chooser = lambda request: Fault("reset") if …            # or by a rule, for every request
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

GIB = 1 << 30

Kind = Literal["status", "delay", "reset", "garbage", "redirect", "huge", "drip", "silent"]


@dataclass(frozen=True)
class Fault:
    """How one request is answered instead. taken: it is worked on first, so that only its answer is lost.

    status: value is the status; delay: seconds before the good answer; redirect: value is where to; huge: an answer of
    1 GiB; drip: a byte now and then, for ever; silent: no answer until the receiver is closed.
    """

    kind: Kind
    value: int | float | str = 0
    taken: bool = False

    @property
    def ends(self) -> bool:
        """Does the answer come to an end? A test may be short of patience only where it does not."""
        return self.kind not in {"drip", "silent"}


@dataclass(frozen=True)
class Request:
    """What came. Names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What goes back. The headers are sent as they are: content-length must be among them if there is to be one."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, body: bytes) -> Reply:
        """With the headers of JSON."""
        return cls(status, body, {"Content-Type": "application/json", "Content-Length": str(len(body))})


class Receiver:
    """A server on a free port of 127.0.0.1 while `with` lasts. Subclasses answer in `handle`, which may be called by several
    threads at a time and holds `self.lock` meanwhile."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.lock = threading.Lock()
        self.requests: list[Request] = []
        self.keeps_requests = True
        self.chooser: Callable[[Request], Fault | None] = lambda _request: None
        self._faults: deque[Fault] = deque()
        self._stopped = threading.Event()
        self._server = _Server(("127.0.0.1", port), self, tls)
        scheme = "https" if tls else "http"
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def handle(self, request: Request) -> Reply:
        """The good answer."""
        raise AssertionError(f"{type(self).__name__} answers nothing to {request.path}")

    def fail(self, *faults: Fault) -> None:
        """The next requests are answered so, one each."""
        with self.lock:
            self._faults.extend(faults)

    def recover(self) -> None:
        """No faults from now on."""
        with self.lock:
            self._faults.clear()
        self.chooser = lambda _request: None

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="receiver").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def _fault(self, request: Request) -> Fault | None:
        with self.lock:
            if self._faults:
                return self._faults.popleft()
        return self.chooser(request)

    def _answer(self, request: Request) -> Reply:
        with self.lock:
            if self.keeps_requests:
                self.requests.append(request)
            return self.handle(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], receiver: Receiver, tls: ssl.SSLContext | None) -> None:
        self.receiver, self.tls = receiver, tls
        super().__init__(address, _Handler)

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:
        """In the connection's own thread, so that a failed handshake stops nobody else."""
        with contextlib.suppress(OSError):
            if self.tls is None:
                super().finish_request(request, client_address)
                return
            with self.tls.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self._any()

    def do_GET(self) -> None:
        self._any()

    def do_PUT(self) -> None:
        self._any()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass

    def _any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        request = Request(self.command, self.path, headers, body)
        receiver = self.server.receiver
        fault = receiver._fault(request)
        if fault is None:
            self._send(receiver._answer(request))
            return
        if fault.taken or fault.kind == "delay":
            reply = receiver._answer(request)
        if fault.kind == "delay":
            receiver._stopped.wait(float(fault.value))
            self._send(reply)
            return
        self.close_connection = True
        with contextlib.suppress(OSError):
            self._misbehave(fault)

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if not any(name.lower() in {"content-length", "transfer-encoding"} for name in reply.headers):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(reply.body)

    def _misbehave(self, fault: Fault) -> None:
        match fault.kind:
            case "status":
                self._send(Reply(int(fault.value), b"{}", {"Content-Length": "2"}))
            case "redirect":
                self._send(Reply(307, b"", {"Location": str(fault.value), "Content-Length": "0"}))
            case "garbage":
                self.wfile.write(b"\x16\x03\x01\x00 this is no HTTP\r\n\r\n" * 8)
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            case "huge":
                self._stream(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            case "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
                while not self.server.receiver._stopped.wait(0.02):
                    self.wfile.write(b" ")
            case "silent":
                self.server.receiver._stopped.wait(600)

    def _stream(self, head: bytes) -> None:
        self.wfile.write(head)
        piece = b"10000\r\n" + bytes(65_536) + b"\r\n"
        for _ in range(GIB // 65_536):
            self.wfile.write(piece)
        self.wfile.write(b"0\r\n\r\n")
