"""A client of /ws/v1/live over a real socket, and which process of the server holds a connection. Linux: reads /proc."""

import base64
import contextlib
import json
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any, Self

from tests.support.processes import HAPPENED_WITHIN_S, Up

TEXT, CLOSE = 0x1, 0x8
ESTABLISHED = "01"


class LiveSocket:
    """Signed in by a session's key. A thread reads and acknowledges; topic: what it looks at under the id `t`."""

    def __init__(self, running: Up, session_key: str, team: str, topic: str, since: float | None = None) -> None:
        self.points: dict[int, list[float | None]] = {}
        """By second: the newest values."""
        self.said: list[dict[str, Any]] = []
        """All else."""
        self._connection = socket.create_connection(("127.0.0.1", running.port), HAPPENED_WITHIN_S)
        self._rest = self._shake_hands(running, session_key)
        self.say(op="hello", v=1, team=team)
        self.say(op="sub", id="t", topic=topic, res=1, **({} if since is None else {"since": since}))
        self.ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """This end's."""
        return self._connection.getsockname()[1]

    @property
    def last_t(self) -> int:
        """The newest second it was told of."""
        return max(self.points, default=0)

    def total(self, column: int = 0) -> float:
        """Of all seconds."""
        return sum(row[column] or 0 for row in dict(self.points).values())

    def heard(self, op: str) -> list[dict[str, Any]]:
        return [message for message in self.said if message["op"] == op]

    def say(self, **message: Any) -> None:
        text, mask = json.dumps(message).encode(), os.urandom(4)
        assert len(text) < 65_536
        size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(text))
        self._connection.sendall(bytes([0x80 | TEXT]) + size + mask + masked)

    def close(self) -> None:
        """The reader sees the end and goes."""
        with contextlib.suppress(OSError):  # the server's end is gone
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join(HAPPENED_WITHIN_S)
        self._connection.close()

    def _shake_hands(self, running: Up, session_key: str) -> bytes:
        """What came after the head."""
        lines = (
            "GET /ws/v1/live HTTP/1.1", f"Host: localhost:{running.port}", f"Origin: {running.endpoint}",
            f"Cookie: sessionid={session_key}", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "", "",
        )  # fmt: skip
        self._connection.sendall("\r\n".join(lines).encode())
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._connection.recv(65_536)
            assert more, f"closed by the server: {data!r}"
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        assert head.split()[1] == b"101", head
        return rest

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            more = self._connection.recv(65_536)
            if not more:
                raise ConnectionError
            self._rest += more
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _read(self) -> None:
        try:
            while True:
                first, second = self._exactly(2)
                size = second & 0x7F
                if size >= 126:
                    size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
                data = self._exactly(size)
                if first & 0x0F == CLOSE:
                    break
                if first & 0x0F == TEXT:
                    self._take(json.loads(data))
        except OSError:
            pass
        finally:
            self.ended.set()

    def _take(self, message: dict[str, Any]) -> None:
        if "seq" in message:
            self.say(op="ack", seq=message["seq"])
        if message["op"] in {"snap", "pts"}:
            self.points |= dict(zip(message["t"], map(list, zip(*message["d"], strict=True)), strict=True))
        if message["op"] != "pts":
            self.said.append(message)


def inode_at(local_port: int, remote_port: int) -> str:
    """Of the end at local_port of an established TCP connection; "0" if no process has taken it yet."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():  # a kernel without IPv6
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            ports = [int(fields[n].rpartition(":")[2], 16) for n in (1, 2)]
            if ports == [local_port, remote_port] and fields[3] == ESTABLISHED:
                return fields[9]
    return "0"


def sockets_of(pid: int | str) -> set[str]:
    """Inodes."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        found |= set(re.findall(r"socket:\[(\d+)\]", target))
    return found


def ports_to(server_port: int) -> set[int]:
    """This process's ends of its connections to a port."""
    mine, found = sockets_of("self"), set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[9] in mine and int(fields[2].rpartition(":")[2], 16) == server_port:
                    found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def holder(running: Up, port: int) -> int:
    """The web process at the other end of this process's connection from that port."""
    inode = inode_at(running.port, port)
    for pid in web_processes(running):
        if inode in sockets_of(pid):
            return pid
    raise AssertionError(f"no web process holds the connection from {port}")


def web_processes(running: Up) -> list[int]:
    """Without their head."""
    serving = [seen for seen in running.tree() if "manage.py serve" in seen.command]
    return [seen.pid for seen in serving if seen.group != seen.pid]
