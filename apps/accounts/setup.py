"""The one-time setup link: `up` seeds the owner and prints the link, /setup?token=… finishes the account, once.

Only the token's SHA-256 is stored. A used link stays as a row, so a second link for the same person is never issued.
"""

from __future__ import annotations

import hashlib
import secrets

from django.db import transaction

from apps.accounts.models import SetupLink, Team, User

TOKEN_BYTES = 24


def issue(user: User, team: Team) -> str | None:
    """A fresh token for the owner's setup link (an unused older one stops working); None once setup was finished, and for
    everybody but the first who got one: whoever owns the team by then has an account that is finished."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        if SetupLink.objects.exclude(user=user).exists():
            return None
        link, made = SetupLink.objects.get_or_create(user=user, defaults={"team": team, "token_sha256": _digest(token)})
        if link.used_at_ms is not None:
            return None
        if not made:
            SetupLink.objects.filter(pk=link.pk, used_at_ms=None).update(team=team, token_sha256=_digest(token))
    return token


def is_open(user: User) -> bool:
    """True while the person's setup link was issued and not used."""
    return SetupLink.objects.filter(user=user, used_at_ms=None).exists()


def find(token: str) -> SetupLink | None:
    """The unused link of this token, with its person and team; None for any other token."""
    links = SetupLink.objects.select_related("user", "team")
    return links.filter(token_sha256=_digest(token), used_at_ms=None).first()


@transaction.atomic
def finish(link: SetupLink, name: str, email: str, password: str, team_name: str, now_ms: int) -> bool:
    """Set the owner's name, address and password and the team's name, and close the link. False if somebody was quicker."""
    if not SetupLink.objects.filter(pk=link.pk, used_at_ms=None).update(used_at_ms=now_ms):
        return False
    link.user.name = name
    link.user.email = email.lower()
    link.user.set_password(password)
    link.user.save(update_fields=["name", "email", "password"])
    Team.objects.filter(pk=link.team_id).update(name=team_name)
    return True


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
