"""Opening LMDB, and its errors in our words."""

from __future__ import annotations

import errno
import os
import resource
import secrets
from pathlib import Path

import lmdb

from apps.base.units import MIB
from apps.recordlog.interface import LogFull, LogUnavailable, RecordLogError
from apps.recordlog.lmdb_format import FORMAT, Databases, check_version, open_databases
from apps.recordlog.room import free_disk_bytes

MAP_BYTES = 1 << 40
"""Address space, not disk: the file only grows as it is written. Lowered where a process may not map as much."""

MAP_BYTES_MIN = 64 * MIB
MAX_READERS = 1_024
SPARE_READS = 16
ALMOST_FULL_BYTES = MIB
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def open_environment(folder: Path, map_bytes: int) -> tuple[lmdb.Environment, Databases, str]:
    """Open the environment, or make it. Answers it, its databases and its incarnation.

    Raises LogUnavailable with a sentence that says what to do, or LogFull.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        env = _open_as_large_as_may_be(folder, map_bytes)
    except lmdb.Error as error:
        raise translated(error, folder) from error
    except OSError as error:
        raise LogUnavailable(
            f"The record log's folder {folder} cannot be used ({error.strerror}); "
            "make it a folder that this user may write, or set TIDEGATE_DATA_DIR or RECORD_LOG_URL to one."
        ) from error
    try:
        env.reader_check()
        databases = open_databases(env)
        incarnation = _incarnation(env, databases)
        _keep_names(folder)
    except lmdb.Error as error:
        env.close()
        raise translated(error, folder) from error
    except LogUnavailable:
        env.close()
        raise
    return env, databases, incarnation


def _open_as_large_as_may_be(folder: Path, map_bytes: int) -> lmdb.Environment:
    wanted = map_bytes
    while True:
        try:
            env = _open(folder, map_bytes)
        except (lmdb.MemoryError, MemoryError):
            if map_bytes // 2 < MAP_BYTES_MIN:
                raise
            map_bytes //= 2
        else:
            break
    if map_bytes < wanted and map_bytes // 2 >= MAP_BYTES_MIN:
        # The rest of the process needs address space too.
        env.close()
        env = _open(folder, map_bytes // 2)
    return env


def _open(folder: Path, map_bytes: int) -> lmdb.Environment:
    return lmdb.open(
        os.fspath(folder),
        map_size=map_bytes,
        mode=0o600,
        max_dbs=8,
        max_readers=MAX_READERS,
        max_spare_txns=SPARE_READS,
        lib_version=0,
        sync=True,
        metasync=True,
    )


def _incarnation(env: lmdb.Environment, databases: Databases) -> str:
    with env.begin(write=True) as txn:
        format_stored = txn.get(b"format", db=databases.about)
        if format_stored is None:
            txn.put(b"format", bytes([FORMAT]), db=databases.about)
            txn.put(b"incarnation", secrets.token_hex(8).encode(), db=databases.about)
        else:
            check_version(format_stored[0])
            if format_stored[0] < FORMAT:
                # From now on there may be entries that an older version must not guess at.
                txn.put(b"format", bytes([FORMAT]), db=databases.about)
        incarnation = txn.get(b"incarnation", db=databases.about)
    if incarnation is None:
        raise LogUnavailable("The record log has no incarnation; run `manage.py fsck` and restore a backup.")
    return incarnation.decode()


def _keep_names(folder: Path) -> None:
    """Make the names of the new files durable too; LMDB flushes only what is in them."""
    for path in (folder, folder.parent):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            # A parent we may not read was there before us, and so is its entry for the folder.
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _may_write_no_more(folder: Path) -> bool:
    """LMDB calls a write that was cut short, as by a full disk, an I/O error; nothing of that commit counts."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    file_bytes = (folder / "data.mdb").stat().st_size
    limit_left = ALMOST_FULL_BYTES if limit == resource.RLIM_INFINITY else limit - file_bytes
    return min(free_disk_bytes(folder)[0], limit_left) < ALMOST_FULL_BYTES


def translated(error: lmdb.Error, folder: Path) -> RecordLogError:
    """LMDB's error as one of ours."""
    match error:
        case lmdb.MapFullError() | lmdb.TxnFullError():
            return LogFull(
                f"The record log {folder} is full; shorten the retention of streams, and appends work again."
            )
        case lmdb.Error(code=code) if code in NO_ROOM or (code == errno.EIO and _may_write_no_more(folder)):
            return LogFull(f"The disk under {folder} is full; free some space there, and appends work again.")
        case lmdb.ReadonlyError() | lmdb.LockError():
            return LogUnavailable(
                f"The record log {folder} cannot be written by this user; make the folder and its files his, "
                "or set TIDEGATE_DATA_DIR or RECORD_LOG_URL to a folder of his own."
            )
        case lmdb.InvalidError() | lmdb.VersionMismatchError() | lmdb.CorruptedError() | lmdb.PageNotFoundError():
            return LogUnavailable(
                f"{folder / 'data.mdb'} is not a whole record log ({error}); restore it from a backup, "
                "or move it away to begin with an empty one."
            )
        case lmdb.MapResizedError() | lmdb.MemoryError():
            return LogUnavailable(
                f"The record log {folder} is larger than this process may map; "
                "raise its limit of address space (ulimit -v) and restart."
            )
        case lmdb.ReadersFullError():
            return LogUnavailable(f"More than {MAX_READERS} readers use the record log {folder}; stop some processes.")
    return LogUnavailable(f"The record log {folder} failed ({error}); look at the disk and restart Tidegate.")
