"""Secrets of access keys at rest: AES-256-GCM, so that a copy of the database alone signs nothing.

Stored form, version 1: the byte 01, 12 random bytes of nonce, then ciphertext and tag. The version and the access
key's id are authenticated with it: a secret moved to another row does not open. The key derives from the master key.
Secrets must be readable, because SigV4 is an HMAC: the server computes what the client computed.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.base.config import Config
from apps.base.keys import derive

LABEL = "access-key-secrets"
VERSION = b"\x01"
NONCE_BYTES = 12


class SecretUnreadable(Exception):
    """The stored secret does not open: another master key, another row's secret, or damaged bytes."""


def encrypt(secret: str, key_id: str) -> bytes:
    """What AccessKey.secret_encrypted holds for this key id."""
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + _cipher(_master_key_path()).encrypt(nonce, secret.encode(), VERSION + key_id.encode())


def decrypt(stored: bytes | memoryview, key_id: str) -> str:
    """The secret. Raises SecretUnreadable."""
    data = bytes(stored)
    if data[:1] != VERSION:
        raise SecretUnreadable(f"the secret of {key_id} is stored in version {data[:1].hex() or 'none'}, not 01")
    nonce, sealed = data[1 : 1 + NONCE_BYTES], data[1 + NONCE_BYTES :]
    try:
        return _cipher(_master_key_path()).decrypt(nonce, sealed, VERSION + key_id.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise SecretUnreadable(f"the secret of {key_id} does not open with this master key") from error


@lru_cache(maxsize=1)
def _master_key_path() -> Path:
    return Config.from_environment().master_key_path


@lru_cache(maxsize=4)
def _cipher(master_key_path: Path) -> AESGCM:
    return AESGCM(derive(master_key_path, LABEL))
