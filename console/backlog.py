"""How much of a streamed answer has its client not taken yet?

Granian queues what is sent without a bound: a subscriber who stops reading would grow the process by 2 MiB a second.
The kernel knows how many bytes the other side has acknowledged (TCP_INFO), so a stream waits while too much is under
way. Where the kernel does not tell (not Linux), nothing waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

UNDER_WAY_BYTES_MAX = 4 * 1024 * 1024
LOOK_EVERY_BYTES = 256 * 1024
POLL_S = 0.02
GIVE_UP_S = 30.0

_ACKED_AT = 120
"""Offset of tcpi_bytes_acked in Linux's struct tcp_info (64 bits; Linux 4.2 and up)."""
_INFO_BYTES = 128


class ClientTooSlow(Exception):
    """The client took nothing for GIVE_UP_S."""


class Backlog:
    """Of one connection: HTTP/2 carries several streams on it."""

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection
        self._sent = 0
        self._unlooked = 0
        self._acked_before = self._acked()
        self.streams = 0

    def _acked(self) -> int:
        if self._connection is None:
            return 0
        info = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        return int(struct.unpack_from("=Q", info, _ACKED_AT)[0]) if len(info) == _INFO_BYTES else 0

    async def sent(self, size: int) -> None:
        """Count size bytes, and wait while the client is too far behind. Raises ClientTooSlow."""
        self._sent += size
        self._unlooked += size
        if self._connection is None or self._unlooked < LOOK_EVERY_BYTES:
            return
        self._unlooked = 0
        loop = asyncio.get_running_loop()
        acked, moved_s = self._acked(), loop.time()
        while self._sent - (acked - self._acked_before) > UNDER_WAY_BYTES_MAX:
            await asyncio.sleep(POLL_S)
            now = self._acked()
            if now != acked:
                acked, moved_s = now, loop.time()
            elif loop.time() - moved_s > GIVE_UP_S:
                raise ClientTooSlow

    def close(self) -> None:
        """Give the socket back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Backlogs:
    """The connections of this process that carry streams, by the client's address."""

    def __init__(self) -> None:
        self._by_client: dict[str, Backlog] = {}

    @contextlib.contextmanager
    def of(self, client: str) -> Iterator[Backlog]:
        """The connection's backlog while one more stream uses it. client: `address:port`."""
        backlog = self._by_client.get(client)
        if backlog is None:
            backlog = self._by_client[client] = Backlog(_connection_of(client))
        backlog.streams += 1
        try:
            yield backlog
        finally:
            backlog.streams -= 1
            if not backlog.streams:
                self._by_client.pop(client, None)
                backlog.close()


def _connection_of(client: str) -> socket.socket | None:
    """A duplicate of this process's socket whose other end is client; None if the system shows no such thing."""
    if sys.platform != "linux":
        return None
    host, _, port = client.rpartition(":")
    for entry in Path("/proc/self/fd").iterdir():
        found = _duplicate(entry)
        if found is not None and _peer(found) == (host.strip("[]"), port):
            return found
        if found is not None:
            found.close()
    return None


def _duplicate(entry: Path) -> socket.socket | None:
    """The open file of that number as a socket of our own, if it is a socket."""
    try:
        if not entry.readlink().name.startswith("socket:"):
            return None
        return socket.socket(fileno=os.dup(int(entry.name)))
    except OSError:  # closed meanwhile
        return None


def _peer(connection: socket.socket) -> tuple[str, str] | None:
    try:
        name = connection.getpeername()
    except OSError:  # a listener
        return None
    return (name[0].removeprefix("::ffff:"), str(name[1])) if isinstance(name, tuple) else None
