"""The data directory: made, checked and locked before anything is started in it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from pathlib import Path

from apps.base.config import Config
from apps.base.keys import WRAPPED_IN
from apps.base.units import MIB

FREE_BYTES_MIN = 64 * MIB
LOCK_NAME = "up.lock"


class StartRefused(Exception):
    """Tidegate cannot start. The text is one sentence that says what to do."""


def prepare(config: Config) -> None:
    """Make the data directory and the sockets' folder (mode 0700) and see that they can be used. Raises StartRefused."""
    folder = config.data_path
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _try_to_write(folder)
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise StartRefused(_reason(folder, error)) from error
    if free_bytes < FREE_BYTES_MIN:
        raise StartRefused(_full(folder))
    if config.record_log.startswith("memory:"):
        raise StartRefused(
            "RECORD_LOG_URL=memory: is for one process alone, and Tidegate runs several;"
            " unset it, or set it to lmdb:<folder>."
        )
    if config.socket_dir != folder:
        _prepare_socket_dir(config.socket_dir)


def check_key(config: Config) -> None:
    """For every command: a master key that a setting names is never made, or a new one would stand where the right one is
    not mounted yet. Raises StartRefused."""
    if config.master_key_file and not config.master_key_path.exists():
        raise StartRefused(
            f"TIDEGATE_MASTER_KEY_FILE names {config.master_key_path}, which does not exist;"
            f" put your key there, or make a new one with: head -c 32 /dev/urandom > {config.master_key_path}"
        )


def find(config: Config) -> None:
    """For commands that look into what `up` has made, and make nothing themselves. Raises StartRefused."""
    if not config.master_key_path.exists() and not any((config.data_path / name).exists() for name in WRAPPED_IN):
        raise StartRefused(
            f"There is no data of Tidegate's in {config.data_path}; start Tidegate once, or correct TIDEGATE_DATA_DIR."
        )


def lock(config: Config) -> int:
    """Hold the data directory for this process; answers the descriptor to keep open. Raises StartRefused."""
    path = config.data_path / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartRefused(unusable(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
        os.close(descriptor)
        raise StartRefused(
            f"Tidegate already runs on {config.data_path} (process {holder});"
            " stop it, or set TIDEGATE_DATA_DIR to another folder."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def unusable(error: OSError) -> str:
    """The sentence for a file or folder in the data directory that cannot be used."""
    advice = "free some room there" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "give this user access to it"
    return f"{error.filename or 'The data directory'} cannot be used ({error.strerror}); {advice}."


def _try_to_write(folder: Path) -> None:
    """Read the folder, and write a file through to the disk."""
    next(folder.iterdir(), None)
    probe = folder / f".probe-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(bytes(4_096))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _reason(folder: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _full(folder)
    return (
        f"The data directory {folder} cannot be used ({error.strerror});"
        " give this user access to it, or set TIDEGATE_DATA_DIR to another folder."
    )


def _full(folder: Path) -> str:
    return (
        f"The disk of the data directory {folder} is full; free at least {FREE_BYTES_MIN // MIB} MiB,"
        " or set TIDEGATE_DATA_DIR to a folder on another disk."
    )


def _prepare_socket_dir(folder: Path) -> None:
    """A folder under /tmp may be somebody else's trap: it must be ours and closed to others."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StartRefused(unusable(error)) from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise StartRefused(
            f"The folder of sockets {folder} is not this user's alone; remove it, or shorten TIDEGATE_DATA_DIR."
        )
