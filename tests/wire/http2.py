"""A small HTTP/2 client on h2: cleartext with prior knowledge, or TLS with ALPN."""

import socket
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Self

import h2.config
import h2.connection
import h2.events

from tests.support.processes import HAPPENED_WITHIN_S
from tests.wire.conftest import Endpoint
from tests.wire.raw import Answer


class Http2:
    """One connection. Streams are named by their numbers."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext | None = None) -> None:
        self._endpoint = endpoint
        self._scheme = "https" if tls else "http"
        self.socket: socket.socket = socket.create_connection(endpoint.address, HAPPENED_WITHIN_S)
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
            self.socket = tls.wrap_socket(self.socket, server_hostname=endpoint.address[0])
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self._events: dict[int, list[Any]] = defaultdict(list)
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.connection.data_to_send())

    def request(
        self, headers: Mapping[str, str], body: bytes, *, path: str = "/", method: str = "POST", end: bool = True
    ) -> int:
        """Send a request; the number of its stream."""
        stream = self.connection.get_next_available_stream_id()
        pseudo = [
            (":method", method),
            (":path", path),
            (":scheme", self._scheme),
            (":authority", self._endpoint.netloc),
        ]
        named = [(name.lower(), value) for name, value in headers.items() if name.lower() != "host"]
        self.connection.send_headers(stream, pseudo + named, end_stream=end and not body)
        self.send(stream, body, end=end)
        return stream

    def send(self, stream: int, body: bytes, *, end: bool) -> None:
        """Body, as the server's windows allow."""
        view = memoryview(body)
        while view:
            room = min(
                self.connection.local_flow_control_window(stream), self.connection.max_outbound_frame_size, len(view)
            )
            if not room:
                self._receive()
                continue
            self.connection.send_data(stream, bytes(view[:room]), end_stream=end and room == len(view))
            view = view[room:]
            self.flush()
        self.flush()

    def events(self, stream: int) -> Iterator[Any]:
        """Events of one stream, until it ends."""
        while True:
            while self._events[stream]:
                event = self._events[stream].pop(0)
                yield event
                if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                    return
            self._receive()

    def answer(self, stream: int) -> Answer:
        """A whole answer."""
        status, headers, body = 0, {}, b""
        for event in self.events(stream):
            if isinstance(event, h2.events.ResponseReceived):
                headers = dict(event.headers)
                status = int(headers.pop(":status"))
            elif isinstance(event, h2.events.DataReceived):
                body += event.data
            elif isinstance(event, h2.events.StreamReset):
                raise ConnectionError(f"stream reset: {event.error_code}")
        return Answer(status, headers, body)

    def _receive(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("closed by the server")
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._events[getattr(event, "stream_id", None) or 0].append(event)
        self.flush()
