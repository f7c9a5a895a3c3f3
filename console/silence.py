"""Connections on which nothing was ever said.

Granian gives a client 30 s for the head of a request, but only from its first byte on: a connection that stays silent would
hold its place for ever, and places are limited. The kernel knows which those are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

SILENT_MS_MAX = 30_000
LOOK_EVERY_S = 10.0

_LAST_DATA_RECEIVED_AT, _BYTES_RECEIVED_AT, _INFO_BYTES = 52, 128, 136
"""In Linux's struct tcp_info: tcpi_last_data_recv (ms ago, 32 bits), tcpi_bytes_received (64 bits)."""


async def run(port: int) -> None:
    """Close silent connections to port, until cancelled. Only Linux says which they are."""
    while sys.platform == "linux":
        await asyncio.sleep(LOOK_EVERY_S)
        await asyncio.to_thread(close_silent, port)


def close_silent(port: int, silent_ms_max: int = SILENT_MS_MAX) -> int:
    """Shut down the connections to port that were silent from their beginning for so long; how many."""
    closed = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile, or no TCP socket
            if entry.readlink().name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as connection:
                    closed += _close_if_silent(connection, port, silent_ms_max)
    return closed


def _close_if_silent(connection: socket.socket, port: int, silent_ms_max: int) -> bool:
    connection.getpeername()  # raises for a listener
    name = connection.getsockname()
    if not isinstance(name, tuple) or name[1] != port:
        return False
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    if len(info) < _INFO_BYTES or struct.unpack_from("=Q", info, _BYTES_RECEIVED_AT)[0]:
        return False
    if struct.unpack_from("=I", info, _LAST_DATA_RECEIVED_AT)[0] <= silent_ms_max:
        return False
    connection.shutdown(socket.SHUT_RDWR)
    return True
