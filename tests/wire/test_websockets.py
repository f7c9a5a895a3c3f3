"""The websocket's door over a real socket: which pages may open one, and what a stranger is told."""

import base64
import os
import socket

import pytest

from console.live.protocol import SIGN_IN
from tests.wire.conftest import Endpoint
from tests.wire.raw import connect

LIVE = "/ws/v1/live"


def open_websocket(endpoint: Endpoint, path: str, origin: str | None) -> tuple[int, socket.socket, bytes]:
    """The status of the handshake, the connection, and what came after the head."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {endpoint.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    ]
    if origin is not None:
        lines.append(f"Origin: {origin}")
    connection = connect(endpoint)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536) or pytest.fail("closed by the server")
    top, _, rest = data.partition(b"\r\n\r\n")
    return int(top.split()[1]), connection, rest


@pytest.mark.parametrize("origin", [None, "http://evil.test", "null", "http://localhost:1", "https://127.0.0.1"])
def test_another_sites_page_is_refused(endpoint: Endpoint, origin: str | None) -> None:
    status, connection, _ = open_websocket(endpoint, LIVE, origin)
    connection.close()
    assert status == 403


def test_a_path_that_nobody_wants_is_refused(endpoint: Endpoint) -> None:
    status, connection, _ = open_websocket(endpoint, "/ws/nowhere", f"http://{endpoint.netloc}")
    connection.close()
    assert status == 403


def test_a_stranger_is_told_to_sign_in(endpoint: Endpoint) -> None:
    status, connection, data = open_websocket(endpoint, LIVE, f"http://{endpoint.netloc}")
    with connection:
        assert status == 101
        data += b"".join(iter(lambda: connection.recv(65_536), b""))
    said = b'{"op":"closed","code":%d}' % SIGN_IN
    assert data == bytes([0x81, len(said)]) + said + b"\x88\x00"
