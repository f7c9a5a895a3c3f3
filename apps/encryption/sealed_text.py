"""Short texts kept encrypted in the control database, such as a partition key that a job will use.

Stored form: base64 of the byte 01, 12 random bytes of nonce, ciphertext and tag. The key derives from the master key.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.base.keys import derive

LABEL = "sealed-texts"
VERSION = b"\x01"
NONCE_BYTES = 12


def seal_text(master_key_path: Path, text: str) -> str:
    """What is stored."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(derive(master_key_path, LABEL)).encrypt(nonce, text.encode(), VERSION)
    return base64.b64encode(VERSION + nonce + sealed).decode()


def open_text(master_key_path: Path, stored: str) -> str:
    """The text. Raises cryptography's InvalidTag with another master key."""
    data = base64.b64decode(stored)
    nonce, sealed = data[1 : 1 + NONCE_BYTES], data[1 + NONCE_BYTES :]
    return AESGCM(derive(master_key_path, LABEL)).decrypt(nonce, sealed, data[:1]).decode()
