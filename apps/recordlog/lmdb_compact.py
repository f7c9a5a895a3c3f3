"""Give the room that trims freed back to the file system: rewrite an LMDB environment, nobody else using it.

LMDB reuses freed pages, but its file never shrinks. So all that is stored is copied, without the free pages, into a new
file beside it, which is flushed, compared with the old one entry by entry, and renamed into its place. Whatever stops
this before the rename leaves the old file as it was; after the rename the new one holds the same. The next run removes
what an unfinished one left.

Nobody else: the lock that every opener of the environment takes is held throughout, so whoever uses it now makes us
refuse, and whoever comes meanwhile waits. Its lock file describes the old data file, so it is emptied before the rename:
the next opener, being alone, makes it anew; one that has waited fails, and may try again.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import lmdb

from apps.base.units import MIB
from apps.recordlog.interface import LogFull, LogUnavailable
from apps.recordlog.lmdb_environment import translated
from apps.recordlog.room import DISK_RESERVE_BYTES, DISK_RESERVE_SHARE, FreeBytes, free_disk_bytes

DATA, LOCK, COPY = "data.mdb", "lock.mdb", "compacting.mdb"
DATABASES_MAX = 8
LOOK_S = 0.1
COMPARE_STEP = 1_000
"""Entries compared between two reports."""

Progress = Callable[[str, int, int], None]
"""Told what is being done ("Copying", "Comparing", "Replacing", "Done"), how much of it, and of how much."""


class LogInUse(LogUnavailable):
    """Some process has the environment open."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """Bytes of the file before and after; entries by database, the same in both."""

    before_bytes: int
    after_bytes: int
    entries: dict[str, int]


def compact(folder: Path, progress: Progress, free_bytes: FreeBytes = free_disk_bytes) -> Compacted:
    """Rewrite the environment in a folder. Raises LogInUse, LogFull, LogUnavailable; the old file then stands."""
    data, copy = folder / DATA, folder / COPY
    if not data.exists():
        raise LogUnavailable(f"There is no {data}; correct TIDEGATE_DATA_DIR or RECORD_LOG_URL.")
    lock = _hold(folder)
    try:
        copy.unlink(missing_ok=True)
        before_bytes = data.stat().st_size
        entries = _rewrite(folder, progress, free_bytes)
        after_bytes = copy.stat().st_size
        progress("Replacing", 0, 1)
        os.ftruncate(lock, 0)
        os.fsync(lock)
        copy.replace(data)
        _flush_names(folder)
        progress("Done", 1, 1)
        return Compacted(before_bytes, after_bytes, entries)
    except lmdb.Error as error:
        raise translated(error, folder) from error
    except OSError as error:
        raise LogUnavailable(
            f"The record log {folder} cannot be rewritten ({error.strerror}); it is as it was."
        ) from error
    finally:
        with suppress(OSError):
            copy.unlink(missing_ok=True)
        os.close(lock)


def _hold(folder: Path) -> int:
    """The lock file, with the lock that LMDB's openers want (its first byte) in our hands."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
    except OSError as error:
        os.close(descriptor)
        raise LogInUse(
            f"The record log {folder} is in use; stop every process of Tidegate on it, and compact it then."
        ) from error
    return descriptor


def _rewrite(folder: Path, progress: Progress, free_bytes: FreeBytes) -> dict[str, int]:
    # Without LMDB's own locks: we hold the one that matters, and closing LMDB's descriptor of it would let it go.
    with _open(folder / DATA) as old:
        expected = _used_bytes(old)
        _check_room(folder, expected, free_bytes)
        _copy(old, folder / COPY, expected, progress)
        with _open(folder / COPY) as new:
            return _compare(old, new, progress)


def _open(path: Path) -> lmdb.Environment:
    return lmdb.open(
        os.fspath(path), subdir=False, readonly=True, lock=False, max_dbs=DATABASES_MAX, map_size=path.stat().st_size
    )


def _names(env: lmdb.Environment) -> list[bytes]:
    with env.begin() as txn:
        return [bytes(name) for name in txn.cursor().iternext(values=False)]


def _used_bytes(env: lmdb.Environment) -> int:
    """What a copy without free pages has, about."""
    databases = {name: env.open_db(name, create=False) for name in _names(env)}
    with env.begin() as txn:
        stats = [txn.stat(database) for database in databases.values()]
    pages = sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats)
    return (pages + 3) * int(env.stat()["psize"])


def _check_room(folder: Path, need_bytes: int, free_bytes: FreeBytes) -> None:
    free, total = free_bytes(folder)
    if free - min(DISK_RESERVE_BYTES, total // DISK_RESERVE_SHARE) < need_bytes:
        raise LogFull(
            f"The copy of the record log needs {need_bytes // MIB} MiB beside it, and the disk under {folder} has "
            f"{free // MIB} MiB left; free some space there, and compact it then."
        )


def _copy(env: lmdb.Environment, path: Path, expected: int, progress: Progress) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    failures: list[Exception] = []

    def copy() -> None:
        try:
            env.copyfd(descriptor, compact=True)
            os.fsync(descriptor)
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            failures.append(error)

    try:
        thread = threading.Thread(target=copy, name="compact")
        thread.start()
        while thread.is_alive():
            thread.join(LOOK_S)
            progress("Copying", min(os.fstat(descriptor).st_size, expected), expected)
    finally:
        thread.join()
        os.close(descriptor)
    if failures:
        raise failures[0]


def _compare(old: lmdb.Environment, new: lmdb.Environment, progress: Progress) -> dict[str, int]:
    """Every entry of every database is in both, byte for byte. Answers how many by database."""
    names = _names(old)
    if names != _names(new):
        raise LogUnavailable("The copy has other databases than the record log; the log is as it was.")
    opened = {name: (old.open_db(name, create=False), new.open_db(name, create=False)) for name in names}
    with old.begin(buffers=True) as one, new.begin(buffers=True) as other:
        counts = {name: one.stat(opened[name][0])["entries"] for name in names}
        done, total = 0, sum(counts.values())
        for name in names:
            pairs = zip(one.cursor(opened[name][0]), other.cursor(opened[name][1]), strict=True)
            try:
                for ours, theirs in pairs:
                    if ours != theirs:
                        raise ValueError("another entry")  # noqa: TRY301 - told below, with the one of zip()
                    done += 1
                    if done % COMPARE_STEP == 0:
                        progress("Comparing", done, total)
            except ValueError as error:
                raise LogUnavailable(
                    f"The copy differs from the record log in {name.decode()}; the log is as it was. Check it with "
                    "`manage.py fsck`."
                ) from error
        progress("Comparing", done, total)
    return {name.decode(): count for name, count in counts.items()}


def _flush_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
