"""Random ids in AWS's forms, and the names that AWS allows."""

from __future__ import annotations

import secrets

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
UNIQUE_CHARS = 17
SESSION_KEY_CHARS = 16
SECRET_CHARS = 40

PREFIXES = {"user": "AIDA", "role": "AROA", "group": "AGPA", "policy": "ANPA"}


def unique_id(kind: str) -> str:
    """As AIDAJQABLZS4A3QDU576Q: of a user, role, group or policy."""
    return PREFIXES[kind] + "".join(secrets.choice(ALPHABET) for _ in range(UNIQUE_CHARS))


def session_key_id() -> str:
    """ASIA…: the access key id of temporary credentials."""
    return "ASIA" + "".join(secrets.choice(ALPHABET) for _ in range(SESSION_KEY_CHARS))


def secret() -> str:
    """A secret access key."""
    return "".join(secrets.choice(LETTERS) for _ in range(SECRET_CHARS))


def endpoint_id() -> str:
    """vpce- and 17 hex digits."""
    return f"vpce-{secrets.token_hex(9)[:17]}"
