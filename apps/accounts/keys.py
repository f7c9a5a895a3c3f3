"""Access keys as people manage them: create, disable, enable, delete. A secret is told once, at its creation."""

from __future__ import annotations

import secrets
from typing import Any

from django.db import transaction

from apps.accounts.models import AccessKey, Team, User
from apps.accounts.secrets import encrypt

ID_PREFIX = "AKIA"
ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
ID_RANDOM_CHARS = 16
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
SECRET_CHARS = 40

KEYS_PER_TEAM_MAX = 100


class TooManyKeys(Exception):
    """The team has KEYS_PER_TEAM_MAX access keys already."""


class StillActive(Exception):
    """The key must be disabled before it is deleted: whoever still uses it is found out without harm."""


def create(team: Team, user: User | None, name: str, now_ms: int, *, identity: Any = None) -> tuple[AccessKey, str]:
    """A new active key and its secret, which is not told again. identity: the IAM user whose key it is (whose own limit
    is the caller's to keep); None: a key of the team. Raises TooManyKeys."""
    secret = _random(LETTERS, SECRET_CHARS)
    with transaction.atomic():
        Team.objects.select_for_update().get(pk=team.pk)
        if identity is None and AccessKey.objects.filter(team=team, identity=None).count() >= KEYS_PER_TEAM_MAX:
            raise TooManyKeys
        key_id = ID_PREFIX + _random(ID_ALPHABET, ID_RANDOM_CHARS)
        sealed = encrypt(secret, key_id)
        key = AccessKey.objects.create(
            team=team,
            key_id=key_id,
            secret_encrypted=sealed,
            name=name,
            created_by=user,
            identity=identity,
            created_at_ms=now_ms,
        )
    return key, secret


def set_active(team: Team, key_id: str, *, active: bool) -> bool:
    """Enable or disable; it works everywhere within a second. False: the team has no such key."""
    return bool(AccessKey.objects.filter(team=team, key_id=key_id).update(is_active=active))


def delete(team: Team, key_id: str) -> bool:
    """Delete a disabled key. False: the team has no such key. Raises StillActive."""
    with transaction.atomic():
        deleted, _ = AccessKey.objects.filter(team=team, key_id=key_id, is_active=False).delete()
        if deleted:
            return True
        if AccessKey.objects.filter(team=team, key_id=key_id).exists():
            raise StillActive(key_id)
    return False


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
