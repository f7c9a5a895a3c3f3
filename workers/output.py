"""One log of many children: each line with the name of its child before it.

Whoever reads the log may be slow or gone; the children must not feel it. So a write never blocks, and beyond
BUFFER_BYTES lines are dropped and counted.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Mapping

BUFFER_BYTES = 1_048_576
LINE_BYTES = 65_536
WRITE_BYTES = 4_096
"""What a pipe or terminal that says it is writable takes without blocking."""
FLUSH_ROUNDS = 100


class Output:
    """Lines from the children's pipes to one descriptor."""

    def __init__(self, descriptor: int, width: int, noise: Mapping[str, tuple[bytes, ...]]) -> None:
        self._descriptor = descriptor
        self._width = width
        self._noise = noise
        self._partial: dict[int, bytes] = {}
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._broken = False

    def add(self, name: str, pipe: int, data: bytes) -> None:
        """What came out of a pipe; whole lines go on."""
        *lines, rest = (self._partial.get(pipe, b"") + data).split(b"\n")
        if len(rest) > LINE_BYTES:
            lines.append(rest)
            rest = b""
        self._partial[pipe] = rest
        for line in lines:
            self._put(name, line)

    def end(self, name: str, pipe: int) -> None:
        """The pipe is closed: what is left of it is a line."""
        rest = self._partial.pop(pipe, b"")
        if rest:
            self._put(name, rest)

    def say(self, text: str) -> None:
        """Lines without a name before them."""
        self._queue(text.encode() + b"\n")

    def _put(self, name: str, line: bytes) -> None:
        if any(word in line for word in self._noise.get(name, ())):
            return
        self._queue(f"{name:<{self._width}} | ".encode() + line.rstrip(b"\r") + b"\n")

    def _queue(self, text: bytes) -> None:
        if self._size + len(text) > BUFFER_BYTES:
            self._dropped += 1
            return
        if self._dropped:
            text = f"… {self._dropped} lines dropped\n".encode() + text
            self._dropped = 0
        self._lines.append(text)
        self._size += len(text)

    def write_some(self) -> None:
        """Write as much as goes without waiting."""
        while self._lines and not self._broken and self._writable(0):
            chunk = self._lines.popleft()
            self._size -= len(chunk)
            head, tail = chunk[:WRITE_BYTES], chunk[WRITE_BYTES:]
            try:
                written = os.write(self._descriptor, head)
            except BlockingIOError:
                written = 0
            except OSError:
                self._broken = True  # nobody reads any more: go on without a log
                self._lines.clear()
                self._size = 0
                return
            tail = head[written:] + tail
            if tail:
                self._lines.appendleft(tail)
                self._size += len(tail)

    def _writable(self, wait_s: float) -> bool:
        return bool(select.select([], [self._descriptor], [], wait_s)[1])

    def flush(self) -> None:
        """Write what is left, waiting a little for a slow reader."""
        for _ in range(FLUSH_ROUNDS):
            self.write_some()
            if not self._lines or self._broken:
                return
            self._writable(0.02)
