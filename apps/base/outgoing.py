"""Requests to addresses that callers chose (webhooks, endpoints that records are delivered to), without letting them reach
what only this machine can.

The name is resolved here, each address is checked, and the connection goes to the address that was checked: a name that
answers differently the second time changes nothing. No redirects, no proxy, a bounded answer, a deadline for the whole.
Certificates are checked against the system's trust, which SSL_CERT_FILE and SSL_CERT_DIR may name.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

import httpcore

ANSWER_BYTES_MAX: Final = 64 * 1024
URL_CHARACTERS_MAX: Final = 1_024
WRITE_BYTES: Final = 256 * 1024
"""Of a body at a time, between two looks at the deadline."""


LOCAL: Final = tuple(
    ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20")
)
"""What Python takes for addresses of the whole internet, and is not: IANA's special purposes (Oracle's metadata service is at
192.0.0.192), relays of 6to4, Azure's platform service, examples."""


class OutgoingRefused(Exception):
    """The address may not be called; the text says why and may be shown to whoever chose it."""


Failure = Literal["resolve", "connect", "connect-timeout", "certificate", "tls", "timeout", "closed", "protocol"]
"""Where it ended: no address; nobody there; nobody who answered in time; a certificate that is not trusted; another
failure of TLS; the deadline; a connection that broke; an answer that is no HTTP."""


class OutgoingFailed(Exception):
    """The request was made and no answer came, or could not be made."""

    def __init__(self, message: str, kind: Failure = "closed") -> None:
        super().__init__(message)
        self.kind: Failure = kind


class OutgoingTooLarge(OutgoingFailed):
    """The answer is longer than the caller's bound. status: what it began with."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, "protocol")
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. headers: names in lower case; of a repeated one all values, with commas between, but cookies, which
    have commas in them, with newlines."""

    status: int
    headers: dict[str, str]
    body: bytes


def check_url(url: str, *, allow_private: bool, characters_max: int = URL_CHARACTERS_MAX) -> SplitResult:
    """The parts of a URL that may be called, as far as it can be told without resolving it. Raises OutgoingRefused."""
    if len(url) > characters_max or not url.isascii() or not url.isprintable() or " " in url:
        raise OutgoingRefused(f"A URL has at most {characters_max} printable ASCII characters without spaces.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OutgoingRefused("It is no URL.") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_private):
        raise OutgoingRefused("Only https is called.")
    if not parts.hostname or port == 0:
        raise OutgoingRefused("The URL names no host.")
    if parts.username is not None or parts.password is not None:
        raise OutgoingRefused("A URL with a user name or password is not called.")
    if not allow_private:
        literal = _literal(parts.hostname)
        if literal is not None and not is_public(literal):
            raise OutgoingRefused("Private and local addresses are not called.")
    return parts


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow_private: bool,
    deadline_s: float,
    verify: ssl.SSLContext | None = None,
) -> int:
    """Send a POST; the HTTP status of the answer, whatever it is. At most so many seconds for everything.

    verify: another trust than the system's, for tests. Raises OutgoingRefused, OutgoingFailed.
    """
    asked = _Request("POST", url, body, headers, URL_CHARACTERS_MAX)
    ends = _Ends(time.monotonic() + deadline_s)
    with _answering(asked, ends, allow_private=allow_private, verify=verify) as response:
        _drain(response)
        return int(response.status)


def request(
    method: str,
    url: str,
    body: bytes | Iterator[bytes],
    headers: Mapping[str, str],
    *,
    allow_private: bool,
    deadline_s: float,
    answer_bytes_max: int,
    verify: ssl.SSLContext | None = None,
    url_characters_max: int = URL_CHARACTERS_MAX,
    connect_s: float = inf,
    wait_s: float = inf,
) -> Answer:
    """Send a request; the answer, whatever its status. At most so many seconds for everything.

    body: bytes, or pieces whose whole length the header content-length says (without it they are sent chunked).
    allow_private: for endpoints that the operator chose, and where Config.destinations_may_be_private. An answer longer than
    answer_bytes_max is not read any further. connect_s, wait_s: at most so long for finding and connecting to one address,
    and without a byte that moves. Raises OutgoingRefused, OutgoingFailed, OutgoingTooLarge.
    """
    asked = _Request(method, url, body, headers, url_characters_max)
    ends = _Ends(time.monotonic() + deadline_s, connect_s, wait_s)
    with _answering(asked, ends, allow_private=allow_private, verify=verify) as response:
        said: dict[str, str] = {}
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            between = "\n" if name == "set-cookie" else ", "
            said[name] = f"{said[name]}{between}{value}" if name in said else value
        return Answer(int(response.status), said, _read(response, said, answer_bytes_max))


def addresses(host: str, port: int, *, allow_private: bool, deadline_s: float) -> list[str]:
    """What a name stands for, each address fit to be called: for protocols other than HTTP, whose connection must then go
    to one of these. Raises OutgoingRefused, OutgoingFailed."""
    try:
        found = _resolve(host, port, _Ends(time.monotonic() + deadline_s))
    except (httpcore.NetworkError, httpcore.TimeoutException) as error:
        raise OutgoingFailed(str(error)[:200], "resolve") from error
    if not allow_private and not all(is_public(ipaddress.ip_address(address)) for address in found):
        raise OutgoingRefused("Private and local addresses are not called.")
    return found


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """May an address be called by somebody outside? Addresses that carry another one are judged by it, too."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if any(address in network for network in LOCAL):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    if address.is_site_local:  # fec0::/10, which Python counts among the global ones
        return False
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    return all(is_public(one) for one in inside if one is not None)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    body: bytes | Iterator[bytes]
    headers: Mapping[str, str]
    url_characters_max: int


@dataclass(frozen=True, slots=True)
class _Ends:
    """When the whole must be over, and how long one step of it may take."""

    at_s: float
    connect_s: float = inf
    wait_s: float = inf

    def of_connecting(self) -> _Ends:
        return _Ends(min(self.at_s, time.monotonic() + self.connect_s))


@contextmanager
def _answering(
    asked: _Request, ends: _Ends, *, allow_private: bool, verify: ssl.SSLContext | None
) -> Iterator[httpcore.Response]:
    """The answer as soon as its headers are there; whatever fails meanwhile, and while it is read, is OutgoingFailed."""
    parts = check_url(asked.url, allow_private=allow_private, characters_max=asked.url_characters_max)
    target = parts.path or "/"
    target = f"{target}?{parts.query}" if parts.query else target
    url = f"{parts.scheme}://{parts.netloc}{target}"
    backend = _Checked(ends, allow_private=allow_private)
    with httpcore.ConnectionPool(ssl_context=verify or _trust(), max_connections=1, network_backend=backend) as pool:
        try:
            headers = [(name.encode(), value.encode()) for name, value in asked.headers.items()]
            with pool.stream(asked.method, url, headers=headers, content=asked.body) as response:
                yield response
        except (httpcore.LocalProtocolError, UnicodeEncodeError) as error:
            raise OutgoingRefused(f"This cannot be sent by HTTP: {_without_value(error)}.") from None
        except (httpcore.ProtocolError, httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            raise OutgoingFailed(_words(error)[:200], _kind(error)) from error


def _without_value(error: Exception) -> str:
    """What h11 says of a header that cannot be sent, without the header: its value may be somebody's key."""
    if isinstance(error, UnicodeEncodeError):
        return "a header has a character that none can have"
    return str(error).partition(" b'")[0].partition(' b"')[0][:100]


def _words(error: Exception) -> str:
    """What failed, with the name of its class where that says something to people."""
    return str(error) if isinstance(error, _Unresolved) else f"{type(error).__name__}: {error}"


def _kind(error: Exception) -> Failure:
    cause = error.args[0] if error.args else None  # httpcore clears __cause__
    match error:
        case _Unresolved():
            return "resolve"
        case httpcore.ConnectTimeout():
            return "connect-timeout"
        case httpcore.TimeoutException() | TimeoutError():
            return "timeout"
        case httpcore.ProtocolError():
            return "protocol"
        case httpcore.ConnectError() if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate"
        case httpcore.ConnectError() if isinstance(cause, ssl.SSLError):
            return "tls"
        case httpcore.ConnectError():
            return "connect"
    return "closed"


def _read(response: httpcore.Response, headers: Mapping[str, str], bytes_max: int) -> bytes:
    status = int(response.status)
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > bytes_max:
        raise OutgoingTooLarge(f"The answer has {length[:20]} bytes; {bytes_max} are read.", status)
    read = bytearray()
    for piece in response.iter_stream():
        read += piece
        if len(read) > bytes_max:
            raise OutgoingTooLarge(f"The answer has more than {bytes_max} bytes.", status)
    return bytes(read)


def _drain(response: httpcore.Response) -> None:
    """Read a little of the answer, so that its sender sees it read; the rest is not waited for."""
    size = 0
    for piece in response.iter_stream():
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            return


class _Checked(httpcore.NetworkBackend):
    """Connects to checked addresses only, within the deadline."""

    def __init__(self, ends: _Ends, *, allow_private: bool) -> None:
        self._inner = httpcore.SyncBackend()
        self._ends = ends
        self._allow_private = allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline is the bound
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """The first address that answers; all of them must be fit to be called."""
        addresses = _resolve(host, port, self._ends.of_connecting())
        if not self._allow_private and not all(is_public(ipaddress.ip_address(address)) for address in addresses):
            raise OutgoingRefused("Private and local addresses are not called.")
        failure: Exception = httpcore.ConnectError("The name has no address.")
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(
                    address, port, _left(self._ends.of_connecting()), local_address, socket_options
                )
                return _Bounded(stream, self._ends)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Unresolved(httpcore.ConnectError):
    """No address."""


def _resolve(host: str, port: int, ends: _Ends) -> list[str]:
    """In a thread that is left behind at the deadline: a name server of the caller's may take its time."""
    found: list[Any] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:  # the latter: a label of more than 63 characters, or none
            failed.append(error)

    asking = threading.Thread(target=ask, name="resolve", daemon=True)
    asking.start()
    asking.join(_left(ends))
    if failed:
        raise _Unresolved(f"The name could not be resolved: {failed[0]}") from failed[0]
    if asking.is_alive():
        raise httpcore.ConnectTimeout("The name was not resolved in time.")
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


def _left(ends: _Ends) -> float:
    left = ends.at_s - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("The whole took too long.")
    return min(left, ends.wait_s)


class _Bounded(httpcore.NetworkStream):
    """A connection whose every wait ends with the deadline of the whole."""

    def __init__(self, inner: httpcore.NetworkStream, ends: _Ends) -> None:
        self._inner = inner
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline is the bound
        """As the inner one."""
        return self._inner.read(max_bytes, _left(self._ends))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """As the inner one, but that who reads byte by byte is not waited for at each byte anew."""
        sending = self._inner.get_extra_info("socket")
        left = memoryview(buffer)
        try:
            while left:
                sending.settimeout(_left(self._ends))
                left = left[sending.send(left[:WRITE_BYTES]) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """As the inner one."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """As the inner one: the certificate is checked against the name, not the address."""
        return _Bounded(self._inner.start_tls(ssl_context, server_hostname, _left(self._ends)), self._ends)

    def get_extra_info(self, info: str) -> Any:
        """As the inner one."""
        return self._inner.get_extra_info(info)
