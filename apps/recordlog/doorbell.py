"""Tells the other processes on the same log that it has changed.

A process with waiters listens on a unix datagram socket in the log's folder; whoever commits sends the numbers
of the changed shards to every socket there. A bell is a hint: a lost one costs the listener the 250 ms until he
looks by himself. Sockets of dead processes are removed by the first who rings in vain.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

from apps.recordlog.interface import ShardKey

SOCKET_PATH_MAX = 100
"""Bytes; kernels end at 107 or 103."""

NAME_BYTES = 16
MAX_NAMED_SHARDS = 500
"""More changed shards than this ring as "any"."""

RECEIVE_BYTES = 4 * MAX_NAMED_SHARDS
MAX_RINGS_AT_ONCE = 64
SETTLE_S = 0.1
"""Folder times are coarse: for so long after a change the folder is listed again at each ring."""

LOOK_AGAIN_S = 0.005
"""So long a commit trusts what the one before found: looking gives the interpreter away, and the loop keeps it."""

Rung = Callable[[Collection[ShardKey] | None], None]
"""Called with the changed shards; None: any of them."""


def bell_folder(log_folder: Path) -> Path:
    """Where the sockets are: in the log's folder, or in a short temporary one if that path is too long."""
    folder = log_folder / "bells"
    if len(os.fsencode(folder)) + NAME_BYTES <= SOCKET_PATH_MAX:
        return folder
    name = hashlib.sha256(os.fsencode(log_folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tidegate-bells-{os.getuid()}-{name}"


class Doorbell:
    """ring is for the committer's thread, listen and silence for the loop's."""

    def __init__(self, log_folder: Path) -> None:
        self._folder = bell_folder(log_folder)
        self._own: Path | None = None
        self._in: socket.socket | None = None
        self._out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._out.setblocking(False)
        self._peers: dict[str, bool] = {}
        self._seen_ns = 0
        self._settled_at_s = 0.0
        self._settled = True
        self._look_again_s = 0.0

    def ring(self, shards: Collection[ShardKey]) -> None:
        """Tell the others. Never blocks, never raises."""
        self._find_peers()
        own = self._own
        for peer, owed in list(self._peers.items()):
            if own is not None and peer == own.name:
                continue
            named = not owed and len(shards) <= MAX_NAMED_SHARDS
            message = struct.pack(f">{len(shards)}I", *shards) if named else b""
            try:
                self._out.sendto(message, os.fspath(self._folder / peer))
                self._peers[peer] = False
            except BlockingIOError:
                # Its queue is full, so it will look soon; what it missed goes with the next ring.
                self._peers[peer] = True
            except ConnectionRefusedError:
                del self._peers[peer]
                with contextlib.suppress(OSError):
                    (self._folder / peer).unlink()
            except OSError:
                del self._peers[peer]

    def _find_peers(self) -> None:
        now_s = time.monotonic()
        if self._settled and now_s < self._look_again_s:
            return
        self._look_again_s = now_s + LOOK_AGAIN_S
        try:
            changed_ns = self._folder.stat().st_mtime_ns
        except OSError:
            self._peers.clear()
            return
        if changed_ns != self._seen_ns:
            self._seen_ns, self._settled, self._settled_at_s = changed_ns, False, now_s + SETTLE_S
        if not self._settled:
            self._settled = now_s >= self._settled_at_s
            with contextlib.suppress(OSError):
                self._peers = {path.name: self._peers.get(path.name, False) for path in self._folder.iterdir()}

    def listen(self, loop: asyncio.AbstractEventLoop, rung: Rung) -> None:
        """Begin to hear. Without a folder of our own there is no bell, and the listener's own looking must do."""
        if self._in is not None or not self._make_folder():
            return
        own = self._folder / f"{os.getpid()}-{secrets.token_hex(3)}"
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bell.setblocking(False)
        try:
            bell.bind(os.fspath(own))
        except OSError:
            bell.close()
            return
        self._in, self._own = bell, own
        loop.add_reader(bell.fileno(), self._hear, bell, rung)

    def _make_folder(self) -> bool:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            found = self._folder.lstat()
        except OSError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()

    @staticmethod
    def _hear(bell: socket.socket, rung: Rung) -> None:
        shards: set[ShardKey] = set()
        for _ in range(MAX_RINGS_AT_ONCE):
            try:
                message = bell.recv(RECEIVE_BYTES)
            except OSError:
                break
            if not message or len(message) % 4:
                rung(None)
                return
            shards.update(struct.unpack(f">{len(message) // 4}I", message))
        rung(shards)

    def silence(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear no more. Idempotent."""
        if self._in is None or self._own is None:
            return
        loop.remove_reader(self._in.fileno())
        self._in.close()
        with contextlib.suppress(OSError):
            self._own.unlink()
        self._in = self._own = None

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """The end; the committer's thread has ended before."""
        self.silence(loop)
        self._out.close()
