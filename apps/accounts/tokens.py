"""API tokens: made by a member for one team, told once, revoked at any time. The REST API asks console/api/authentication.py."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import transaction

from apps.accounts.models import ApiToken, Membership

ID_PREFIX = "tok_"
ID_CHARS = 16
SHOWN_CHARS = 10
"""Of the token, in lists: its prefix and a few letters."""

TOKENS_PER_MEMBER_MAX = 50


class TooManyTokens(Exception):
    """The member has TOKENS_PER_MEMBER_MAX tokens already."""


class NotYours(Exception):
    """A scope that the maker may not use: a token can do no more than its member."""


def create(
    membership: Membership, name: str, scopes: Iterable[str], expires_at_ms: int | None, now_ms: int
) -> tuple[ApiToken, str]:
    """A new token and its text, which is not told again. scopes: names of permissions.ACTIONS. expires_at_ms None: never.
    Raises NotYours, TooManyTokens."""
    wanted = frozenset(scopes)
    if not wanted <= membership.actions:
        raise NotYours(", ".join(sorted(wanted - membership.actions)))
    with transaction.atomic():
        Membership.objects.select_for_update().get(pk=membership.pk)
        if ApiToken.objects.filter(membership=membership).count() >= TOKENS_PER_MEMBER_MAX:
            raise TooManyTokens
        made, text = ApiToken.objects.create(
            membership.user,
            expiry=None,
            membership=membership,
            public_id=ID_PREFIX
            + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(ID_CHARS)),
            name=name,
            scopes=sorted(wanted),
            shown_prefix="",
            created_at_ms=now_ms,
        )
        made.shown_prefix = text[:SHOWN_CHARS]
        made.expiry = datetime.fromtimestamp(expires_at_ms / 1_000, UTC) if expires_at_ms is not None else None
        made.save(update_fields=["shown_prefix", "expiry"])
    return made, text


def revoke(token: ApiToken) -> None:
    """It works no more, at once: every request looks it up."""
    token.delete()
