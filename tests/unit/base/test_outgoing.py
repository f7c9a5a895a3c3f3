"""Requests to addresses that callers chose: what is never called, and what a server can do to us."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from apps.base import outgoing, tls
from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.base.outgoing import OutgoingFailed, OutgoingRefused, check_url, is_public, post

LOCAL = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.192",
    "192.88.99.1",
    "168.63.129.16",
    "::1",
    "::",
    "3fff::1",
    "2002:c000:c0::",
    "fe80::1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::",
]


@pytest.mark.parametrize("address", LOCAL)
def test_private_and_local_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(OutgoingRefused):
        check_url(f"https://{host}/", allow_private=False)
    assert check_url(f"https://{host}/", allow_private=True).hostname


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888"])
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https:///path",
        "https://user:password@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com/a b",
        "https://exämple.com/",
        "https://example.com/\n",
        "https://[::1",
        "https://example.com/" + "x" * 1_100,
    ],
)
def test_urls_that_are_not_called(url: str) -> None:
    with pytest.raises(OutgoingRefused):
        check_url(url, allow_private=False)


def test_a_name_that_resolves_to_a_local_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_args: object, **_kwargs: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443)),
        ]

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", resolve)
    with pytest.raises(OutgoingRefused):
        post("https://rebinding.test/", b"", {}, allow_private=False, deadline_s=5)


@pytest.mark.parametrize("host", ["a" * 70 + ".test", "a..test", ".test"])
def test_a_name_that_can_be_none(host: str) -> None:
    with pytest.raises(OutgoingFailed, match=r"^The name could not be resolved"):
        post(f"https://{host}/", b"", {}, allow_private=False, deadline_s=30)


def test_a_name_server_that_takes_its_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, over = threading.Event(), threading.Event()

    def resolve(*_args: object, **_kwargs: object) -> list[object]:
        answer.wait(60)
        over.set()
        return []

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", resolve)
    with pytest.raises(OutgoingFailed, match="The name was not resolved in time"):
        post("https://slow.test/", b"", {}, allow_private=False, deadline_s=0.1)
    assert not over.is_set()
    answer.set()


@contextmanager
def server(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """A local server that takes one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    try:
                        handle(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        stop.set()
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(60)


def request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    return data


def test_a_post_arrives_and_redirects_are_not_followed() -> None:
    seen = []

    def handle(connection: socket.socket) -> None:
        seen.append(request(connection))
        connection.sendall(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")

    with server(handle) as url:
        assert (
            post(url + "/hook?a=1", b'{"x":1}', {"content-type": "application/json"}, allow_private=True, deadline_s=20)
            == 302
        )
    [data] = seen
    assert data.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert b"content-length: 7" in data.lower()


def test_a_server_that_drips_is_given_up() -> None:
    def handle(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(10_000):
            connection.sendall(b"x-%d: y\r\n" % number)
            threading.Event().wait(0.05)

    with server(handle) as url, pytest.raises(OutgoingFailed):
        post(url, b"", {}, allow_private=True, deadline_s=0.5)


def test_a_large_answer_is_not_read() -> None:
    def handle(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            connection.sendall(bytes(65_536))

    with server(handle) as url:
        assert post(url, b"", {}, allow_private=True, deadline_s=20) == 200


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(OutgoingFailed):
        post(f"http://127.0.0.1:{port}/", b"", {}, allow_private=True, deadline_s=5)


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer)

    return handle


def test_a_request_is_answered_with_status_headers_and_body() -> None:
    said = b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a: 2\r\nSet-Cookie: a=b, c\r\nSet-Cookie: d=e\r\nContent-Length: 3\r\n\r\nno!"
    with server(answering(said)) as url:
        got = outgoing.request("PUT", url, b"", {}, allow_private=True, deadline_s=20, answer_bytes_max=3)
    assert (got.status, got.body) == (404, b"no!")
    assert got.headers["x-a"] == "1, 2"
    assert got.headers["set-cookie"] == "a=b, c\nd=e"


def test_a_body_in_pieces_of_known_length() -> None:
    seen = []

    def handle(connection: socket.socket) -> None:
        data = request(connection)
        while not data.endswith(b"defg"):
            data += connection.recv(100)
        seen.append(data)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with server(handle) as url:
        pieces = iter([b"abc", b"defg"])
        outgoing.request(
            "POST", url, pieces, {"Content-Length": "7"}, allow_private=True, deadline_s=20, answer_bytes_max=0
        )
    assert b"content-length: 7" in seen[0].lower()
    assert b"transfer-encoding" not in seen[0].lower()


@pytest.mark.parametrize(
    "head",
    [b"content-length: 1000000000\r\n", b"transfer-encoding: chunked\r\n", b""],
    ids=["length", "chunked", "until closed"],
)
def test_an_answer_that_is_too_long_is_left_at_once(head: bytes) -> None:
    def handle(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while True:
            connection.sendall(b"8000\r\n" + bytes(32_768) + b"\r\n")

    with server(handle) as url, pytest.raises(outgoing.OutgoingTooLarge) as caught:
        outgoing.request("POST", url, b"", {}, allow_private=True, deadline_s=60, answer_bytes_max=100_000)
    assert caught.value.status == 200


def test_a_server_that_reads_byte_by_byte_is_given_up() -> None:
    over = threading.Event()

    def handle(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        while not over.wait(0.01) and connection.recv(1):
            pass

    with server(handle) as url, pytest.raises(OutgoingFailed) as caught:
        try:
            outgoing.request(
                "POST", url, bytes(64 * 1024 * 1024), {}, allow_private=True, deadline_s=0.5, answer_bytes_max=100
            )
        finally:
            over.set()
    assert caught.value.kind == "timeout"


def test_how_it_failed() -> None:
    def kind(url: str, **more: Any) -> str:
        with pytest.raises(OutgoingFailed) as caught:
            outgoing.request(
                "POST", url, b"", {}, allow_private=True, answer_bytes_max=10, **({"deadline_s": 20} | more)
            )
        return caught.value.kind

    with server(answering(b"nonsense\r\n\r\n")) as url:
        assert kind(url) == "protocol"
    with server(lambda connection: connection.sendall(b"nonsense\r\n\r\n")) as url:
        assert kind(url.replace("http:", "https:")) == "tls"
    with server(lambda _connection: None) as url:
        assert kind(url) in {"closed", "protocol"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert kind(f"http://127.0.0.1:{port}/", deadline_s=0.1) == "timeout"
    assert kind(f"http://127.0.0.1:{port}/") == "connect"
    assert kind("http://a..test/") == "resolve"


def test_certificates_are_checked_for_trust_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tls.served(replace(Config(), data_dir=tmp_path, tls="self-signed"), SystemClock())
    assert made is not None
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(made.certificate, made.key)

    def handle(connection: socket.socket) -> None:
        with serving.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65_536)
            secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    with server(handle) as url:
        port = int(url.rpartition(":")[2])
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(outgoing.socket, "getaddrinfo", lambda *_, **__: [address])
        trusting = ssl.create_default_context(cafile=str(made.authority))
        ask = partial(outgoing.request, "GET", body=b"", headers={}, deadline_s=30, answer_bytes_max=10)
        assert ask(f"https://localhost:{port}/", allow_private=True, verify=trusting).body == b"ok"
        for host, verify in [("localhost", None), ("other.test", trusting)]:
            with pytest.raises(OutgoingFailed) as caught:
                ask(f"https://{host}:{port}/", allow_private=True, verify=verify)
            assert caught.value.kind == "certificate"
