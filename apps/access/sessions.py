"""Temporary credentials: a sealed token says who, until when, and with which limits.

The token is AES-256-GCM under a key that derives from the master key, so nobody but this installation makes or alters
one, and any process of it opens one without a database. What can be taken back is not in it but read every half second
as for other keys: the role or user itself, its policies, the key that asked for it.
"""

from __future__ import annotations

import binascii
import os
from functools import lru_cache
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.base.keys import derive

LABEL = "session-tokens"
VERSION = b"\x01"
NONCE_BYTES = 12
TOKEN_CHARS_MAX = 16_384
"""Session policies and tags at their largest make less."""


class Session(msgspec.Struct, frozen=True):
    """What a token holds. role: row id and unique id of the assumed role; without: the session of a key (GetSessionToken),
    and issuer is that key's id. policies: session policies, as documents. policy_arns: managed ones. tags: session tags;
    transitive: those that go on to the next role. source_identity: as given at the first role of a chain."""

    key_id: str
    secret: str
    issued_ms: int
    expires_ms: int
    name: str = ""
    role_key: int | None = None
    role_unique_id: str = ""
    issuer: str = ""
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    transitive: tuple[str, ...] = ()
    source_identity: str = ""


def seal(master_key_path: Path, session: Session) -> str:
    """The session token."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = _cipher(master_key_path).encrypt(nonce, msgspec.msgpack.encode(session), VERSION)
    return binascii.b2a_base64(VERSION + nonce + sealed, newline=False).decode()


def unseal(master_key_path: Path, token: str) -> Session | None:
    """The session of a token; None: nobody here issued it."""
    if len(token) > TOKEN_CHARS_MAX:
        return None
    try:
        raw = binascii.a2b_base64(token.encode("ascii"), strict_mode=True)
        if raw[:1] != VERSION:
            return None
        plain = _cipher(master_key_path).decrypt(raw[1 : 1 + NONCE_BYTES], raw[1 + NONCE_BYTES :], VERSION)
        return msgspec.msgpack.decode(plain, type=Session)
    except (ValueError, InvalidTag, msgspec.DecodeError):
        return None


@lru_cache(maxsize=4)
def _cipher(master_key_path: Path) -> AESGCM:
    return AESGCM(derive(master_key_path, LABEL))
