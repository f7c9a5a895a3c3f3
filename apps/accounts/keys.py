"""Access keys: how one is made, and when it works. A secret is told once, at its creation. What people do with keys is in
apps/teams/keys.py, what IAM's operations do in apps/access/operations/access_keys.py."""

from __future__ import annotations

import secrets
from typing import Any

from django.db import transaction
from django.db.models import Q

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


def is_over(key: AccessKey, now_ms: int) -> bool:
    """Has it stopped by itself, because its overlap with the key that replaced it is over?"""
    return key.ends_at_ms is not None and key.ends_at_ms <= now_ms


def works(key: AccessKey, now_ms: int) -> bool:
    """May clients sign with it?"""
    return key.is_active and not is_over(key, now_ms)


def working(now_ms: int) -> Q:
    """The same for a query."""
    return Q(is_active=True) & (Q(ends_at_ms__isnull=True) | Q(ends_at_ms__gt=now_ms))


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
