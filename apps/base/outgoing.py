"""Requests to addresses that callers chose (webhooks), without letting them reach what only this machine can.

The name is resolved here, each address is checked, and the connection goes to the address that was checked: a name that
answers differently the second time changes nothing. No redirects, no proxy, a bounded answer, a deadline for the whole.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httpcore

ANSWER_BYTES_MAX: Final = 64 * 1024
URL_CHARACTERS_MAX: Final = 1_024


class OutgoingRefused(Exception):
    """The address may not be called; the text says why and may be shown to whoever chose it."""


class OutgoingFailed(Exception):
    """The request was made and no answer came, or could not be made."""


def check_url(url: str, *, allow_private: bool) -> SplitResult:
    """The parts of a URL that may be called, as far as it can be told without resolving it. Raises OutgoingRefused."""
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise OutgoingRefused(f"A URL has at most {URL_CHARACTERS_MAX} printable ASCII characters without spaces.")
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
    parts = check_url(url, allow_private=allow_private)
    ends_s = time.monotonic() + deadline_s
    backend = _Checked(ends_s, allow_private=allow_private)
    target = parts.path or "/"
    target = f"{target}?{parts.query}" if parts.query else target
    origin = f"{parts.scheme}://{parts.netloc}"
    with httpcore.ConnectionPool(ssl_context=verify or _trust(), max_connections=1, network_backend=backend) as pool:
        try:
            with pool.stream("POST", origin + target, headers=list(headers.items()), content=body) as response:
                _drain(response)
                return int(response.status)
        except (httpcore.ProtocolError, httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            raise OutgoingFailed(f"{type(error).__name__}: {error}"[:200]) from error


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """May an address be called by somebody outside? Addresses that carry another one are judged by it, too."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
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


def _drain(response: httpcore.Response) -> None:
    """Read a little of the answer, so that its sender sees it read; the rest is not waited for."""
    size = 0
    for piece in response.iter_stream():
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            return


class _Checked(httpcore.NetworkBackend):
    """Connects to checked addresses only, within the deadline."""

    def __init__(self, ends_s: float, *, allow_private: bool) -> None:
        self._inner = httpcore.SyncBackend()
        self._ends_s = ends_s
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
        addresses = _resolve(host, port, self._ends_s)
        if not self._allow_private and not all(is_public(ipaddress.ip_address(address)) for address in addresses):
            raise OutgoingRefused("Private and local addresses are not called.")
        failure: Exception = httpcore.ConnectError("The name has no address.")
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(address, port, _left(self._ends_s), local_address, socket_options)
                return _Bounded(stream, self._ends_s)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


def _resolve(host: str, port: int, ends_s: float) -> list[str]:
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
    asking.join(_left(ends_s))
    if failed:
        raise httpcore.ConnectError(f"The name could not be resolved: {failed[0]}") from failed[0]
    if asking.is_alive():
        raise httpcore.ConnectTimeout("The name was not resolved in time.")
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


def _left(ends_s: float) -> float:
    left = ends_s - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("The whole took too long.")
    return left


class _Bounded(httpcore.NetworkStream):
    """A connection whose every wait ends with the deadline of the whole."""

    def __init__(self, inner: httpcore.NetworkStream, ends_s: float) -> None:
        self._inner = inner
        self._ends_s = ends_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline is the bound
        """As the inner one."""
        return self._inner.read(max_bytes, _left(self._ends_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """As the inner one."""
        self._inner.write(buffer, _left(self._ends_s))

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
        return _Bounded(self._inner.start_tls(ssl_context, server_hostname, _left(self._ends_s)), self._ends_s)

    def get_extra_info(self, info: str) -> Any:
        """As the inner one."""
        return self._inner.get_extra_info(info)
