"""Room left for appends: on the disk and in LMDB's map. Says "full" well before either is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import lmdb

from apps.base.units import MIB
from apps.recordlog.interface import LogFull
from apps.recordlog.lmdb_format import Databases

DISK_RESERVE_BYTES = 256 * MIB
DISK_RESERVE_SHARE = 20
"""The reserve is the smaller of these bytes and a 20th of the file system: trims, seals and the control database
still need some when appends are refused."""

MAP_RESERVE_BYTES = 64 * MIB
MAP_RESERVE_SHARE = 8
"""The same for the map: the smaller of these bytes and an eighth of it."""

INSIDE_RESERVE_BYTES = 16 * MIB
INSIDE_RESERVE_SHARE = 16
"""The same for free pages inside the file, once it cannot grow: trims need some to free more."""

LOOK_AGAIN_S = 0.05
WASTE = 2
"""Pages cost more than the bytes in them: what an append needs is multiplied by this."""

FreeBytes = Callable[[Path], tuple[int, int]]


def free_disk_bytes(folder: Path) -> tuple[int, int]:
    """Bytes that this user may still write to the folder's file system, and all bytes it has."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize


class Room:
    """Used by the committer's thread only."""

    def __init__(
        self, folder: Path, env: lmdb.Environment, databases: Databases, free_bytes: FreeBytes = free_disk_bytes
    ) -> None:
        self._folder = folder
        self._env = env
        self._databases = databases
        self._free_bytes = free_bytes
        self._page_bytes = env.stat()["psize"]
        self._surely_free = 0
        self._look_again_s = 0.0

    def check(self, txn: lmdb.Transaction[memoryview], need_bytes: int) -> None:
        """Raises LogFull, before anything is written, if an append of that many bytes would reach into a reserve."""
        need = WASTE * need_bytes
        if self._surely_free < need or time.monotonic() >= self._look_again_s:
            self._look(txn, need)
        self._surely_free -= need

    def _look(self, txn: lmdb.Transaction[memoryview], need: int) -> None:
        self._look_again_s = time.monotonic() + LOOK_AGAIN_S
        disk_left, map_left = self._left()
        self._surely_free = min(disk_left, map_left)
        if self._surely_free >= need:
            return
        # What trims gave back stays in the file, and appends may use it when the file itself cannot grow any more.
        map_bytes, file_bytes = self._sizes()
        reserve = min(INSIDE_RESERVE_BYTES, map_bytes // INSIDE_RESERVE_SHARE)
        self._surely_free = file_bytes - self._used_bytes(txn) - reserve
        if self._surely_free < need:
            raise LogFull(self._full_disk() if disk_left < map_left else self._full_map(map_bytes))

    def _left(self) -> tuple[int, int]:
        """Bytes by which the file may grow: on the disk, in the map; below 0 inside a reserve."""
        map_bytes, file_bytes = self._sizes()
        disk_free, disk_bytes = self._free_bytes(self._folder)
        return (
            disk_free - min(DISK_RESERVE_BYTES, disk_bytes // DISK_RESERVE_SHARE),
            map_bytes - file_bytes - min(MAP_RESERVE_BYTES, map_bytes // MAP_RESERVE_SHARE),
        )

    def _sizes(self) -> tuple[int, int]:
        info = self._env.info()
        return info["map_size"], (info["last_pgno"] + 1) * self._page_bytes

    def _used_bytes(self, txn: lmdb.Transaction[memoryview]) -> int:
        pages = 0
        for name in Databases.__slots__:
            stat = txn.stat(getattr(self._databases, name))
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * self._page_bytes

    def _full_disk(self) -> str:
        free, _ = self._free_bytes(self._folder)
        return (
            f"The disk under {self._folder} has {free // MIB} MiB left, which the record log keeps in reserve; "
            "free some space there or shorten the retention of streams, and appends work again."
        )

    def _full_map(self, map_bytes: int) -> str:
        return (
            f"The record log {self._folder} has filled the {map_bytes // MIB} MiB that this process may map; "
            "shorten the retention of streams, or raise the limit of address space (ulimit -v) and restart."
        )
