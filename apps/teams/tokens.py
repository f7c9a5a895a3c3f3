"""API tokens as people manage them: one makes one's own, and who may manage them revokes everybody's. Each change is one
transaction with its entry in the audit trail, and holds at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from apps.access import changes
from apps.accounts import tokens
from apps.accounts.models import ApiToken
from apps.accounts.permissions import allowed
from apps.teams.authority import By, Gone, NotAllowed, Refused, lock, within_reach

NAME_CHARS_MAX = 80


class TooManyTokens(Refused):
    """The member has as many tokens as one may have."""

    code = "TooManyTokens"
    field = "name"


class InThePast(Refused):
    """The token would never work."""

    code = "InThePast"
    field = "expiry"


@transaction.atomic
def create(by: By, name: str, scopes: Iterable[str], expires_at_ms: int | None) -> tuple[ApiToken, str]:
    """A new token of one's own and its text, which is not told again (CreateToken). Needs token:write. scopes: names of
    permissions.ACTIONS. expires_at_ms None: never.

    Raises NotAllowed (also for a scope that whoever asks does not have), TooManyTokens, InThePast."""
    by = lock(by, "token:write")
    wanted = frozenset(scopes)
    within_reach(by, wanted, "The token")
    if expires_at_ms is not None and expires_at_ms <= by.actor.at_ms:
        raise InThePast("The token would have expired already.")
    try:
        made, text = tokens.create(by.membership, name, wanted, expires_at_ms, by.actor.at_ms)
    except tokens.TooManyTokens:
        raise TooManyTokens(
            f"You have {tokens.TOKENS_PER_MEMBER_MAX} tokens in this team already. Revoke one first."
        ) from None
    changes.write(by.actor, "CreateToken", resource(made), None, state(made))
    return made, text


@transaction.atomic
def revoke(by: By, public_id: str) -> ApiToken:
    """End a token (RevokeToken): one's own with token:write, everybody's with token:manage. Answers what it was.

    Raises Gone (also for what whoever asks may not see), NotAllowed."""
    by = lock(by)
    if not allowed(by.actions, "token:write") and not allowed(by.actions, "token:manage"):
        raise NotAllowed("It needs the permission token:write.")
    found = visible(by).filter(public_id=public_id).first()
    if found is None:
        raise Gone("There is no such token.")
    changes.write(by.actor, "RevokeToken", resource(found), state(found), None)
    found.delete()
    return found


def visible(by: By) -> QuerySet[ApiToken]:
    """The tokens that whoever asks may see: their own, or everybody's of the team. With their owners, newest first."""
    rows = ApiToken.objects.filter(membership__team_id=by.membership.team_id)
    if not allowed(by.actions, "token:manage"):
        rows = rows.filter(membership_id=by.membership.pk)
    related = rows.select_related("membership__user", "membership__own_role", "membership__team")
    return related.order_by("-created_at_ms", "public_id")


def has_expired(token: ApiToken, now_ms: int) -> bool:
    """Is its time over?"""
    return token.expiry is not None and token.expiry <= datetime.fromtimestamp(now_ms / 1_000, UTC)


def resource(token: ApiToken) -> str:
    """How the audit trail names it."""
    return f"token/{token.public_id}"


def state(token: ApiToken) -> dict[str, Any]:
    """As the audit trail keeps it."""
    return {
        "Name": token.name,
        "Owner": token.membership.user.email,
        "Prefix": token.shown_prefix,
        "Scopes": token.scopes,
        "Expires": token.expiry.isoformat() if token.expiry is not None else None,
        "LastUsed": token.last_used_at_ms,
    }
