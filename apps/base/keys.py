"""The master key and what derives from it, by HKDF-SHA256 with a label each: the same in every process, after every start."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASTER_KEY_BYTES = 32
WRAPPED_IN = ("control.sqlite3", "credentials.json")
"""Files of a data directory that has been in use."""


class MasterKeyError(Exception):
    """The master key cannot be read or made. The text is one sentence that says what to do."""


@lru_cache(maxsize=64)
def derive(master_key_path: Path, label: str) -> bytes:
    """32 bytes for one purpose. Makes the master key file (mode 0600) if there is none yet.

    Raises MasterKeyError.
    """
    return HKDF(SHA256(), 32, salt=None, info=b"tidegate " + label.encode()).derive(_master_key(master_key_path))


def _master_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = _make(path)
    except OSError as error:
        raise MasterKeyError(
            f"The master key {path} cannot be read ({error.strerror}); give this user access to it."
        ) from error
    if len(key) != MASTER_KEY_BYTES:
        raise MasterKeyError(f"The master key {path} holds {len(key)} bytes, not 32; restore it from your backup.")
    return key


def _make(path: Path) -> bytes:
    """Written aside and linked into place, so that two processes starting at once agree on one key.

    A folder that holds what a key wrapped lost its key: a new one would open nothing.
    """
    if any((path.parent / name).exists() for name in WRAPPED_IN):
        raise MasterKeyError(
            f"The master key {path} is missing, though data beside it needs it; restore it from your backup."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(MASTER_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    except OSError as error:
        raise MasterKeyError(
            f"The master key {path} cannot be made ({error.strerror}); make its folder writable."
        ) from error
    return path.read_bytes()
