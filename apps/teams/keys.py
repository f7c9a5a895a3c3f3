"""Access keys as people manage them: create, rotate with an overlap, disable, enable, delete. Each change is one
transaction with its entry in the audit trail, and holds everywhere within a second.

A key may do whatever the account may, and a key of an IAM user what its policies allow, which keys of the team can change. So
who makes a key, or one work again, must hold all that a key gives: nobody gets by a key what they were not given."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from apps.access import changes
from apps.accounts import keys
from apps.accounts.models import AccessKey
from apps.accounts.permissions import GIVEN_BY_KEYS
from apps.base.units import DAY_MS
from apps.teams.authority import By, Gone, Refused, lock, within_reach

OVERLAP_MAX_MS = 30 * DAY_MS
"""So long both keys may work after a rotation."""

KEYS_PER_USER_MAX = 2
"""Of an IAM user, as with AWS: a key and the one that replaces it."""

NAME_CHARS_MAX = 80


class TooManyKeys(Refused):
    """The team, or the IAM user, has as many keys as it may have."""

    code = "TooManyKeys"
    field = "name"


class StillActive(Refused):
    """The key must be disabled before it is deleted: whoever still uses it is found out without harm."""

    code = "StillActive"


class NotRotating(Refused):
    """The key is not being replaced."""

    code = "NotRotating"


class CannotRotate(Refused):
    """The key does not work, or is being replaced already."""

    code = "CannotRotate"


def within_reach_of(by: By) -> None:
    """Raise NotAllowed, with the permissions that are missing, if a key may do what whoever asks may not."""
    within_reach(by, GIVEN_BY_KEYS, "An access key")


@transaction.atomic
def create(by: By, name: str) -> tuple[AccessKey, str]:
    """A new key of the team and its secret, which is not told again (CreateAccessKey). Needs key:write and all that a key
    gives.

    Raises TooManyKeys, NotAllowed."""
    by = lock(by, "key:write")
    within_reach_of(by)
    try:
        key, secret = keys.create(by.membership.team, by.membership.user, name, by.actor.at_ms)
    except keys.TooManyKeys:
        raise TooManyKeys(f"The team has {keys.KEYS_PER_TEAM_MAX} keys already. Delete one first.") from None
    changes.write(by.actor, "CreateAccessKey", resource(key), None, state(key, by.actor.at_ms))
    return key, secret


@transaction.atomic
def rotate(by: By, key_id: str, overlap_ms: int) -> tuple[AccessKey, str]:
    """A key that takes this one's place, and its secret (RotateAccessKey). Needs key:write and all that a key
    gives. Both work for overlap_ms, 0 to OVERLAP_MAX_MS; then the old one stops by itself. The new one has the old one's name and owner.

    Raises CannotRotate, TooManyKeys, Gone, NotAllowed."""
    by = lock(by, "key:write")
    within_reach_of(by)
    old, now_ms = _find(by, key_id), by.actor.at_ms
    if not 0 <= overlap_ms <= OVERLAP_MAX_MS:
        raise CannotRotate(f"Both keys can work for 0 to {OVERLAP_MAX_MS // DAY_MS} days.")
    if not keys.works(old, now_ms):
        raise CannotRotate("This key does not work any more. Create a new one instead.")
    if old.ends_at_ms is not None:
        raise CannotRotate("This key is being replaced already.")
    if old.identity is not None and old.identity.access_keys.count() >= KEYS_PER_USER_MAX:
        raise TooManyKeys(f"A user has at most {KEYS_PER_USER_MAX} keys. Delete {old.identity.name}'s other one first.")
    before = state(old, now_ms)
    try:
        new, secret = keys.create(old.team, by.membership.user, old.name, now_ms, identity=old.identity)
    except keys.TooManyKeys:
        raise TooManyKeys(f"The team has {keys.KEYS_PER_TEAM_MAX} keys already. Delete one first.") from None
    old.ends_at_ms, old.replaced_by = now_ms + overlap_ms, new
    old.save(update_fields=["ends_at_ms", "replaced_by"])
    changes.write(by.actor, "RotateAccessKey", resource(old), before, state(old, now_ms))
    changes.write(by.actor, "CreateAccessKey", resource(new), None, state(new, now_ms))
    return new, secret


@transaction.atomic
def cancel_rotation(by: By, key_id: str) -> AccessKey:
    """Let the old key go on, also after it ended (CancelKeyRotation). Needs key:write and all that a key gives.
    The new one stays as it is.

    Raises NotRotating, Gone, NotAllowed."""
    by = lock(by, "key:write")
    within_reach_of(by)
    key = _find(by, key_id)
    if key.ends_at_ms is None:
        raise NotRotating("This key is not being replaced.")
    before = state(key, by.actor.at_ms)
    key.ends_at_ms, key.replaced_by = None, None
    key.save(update_fields=["ends_at_ms", "replaced_by"])
    changes.write(by.actor, "CancelKeyRotation", resource(key), before, state(key, by.actor.at_ms))
    return key


@transaction.atomic
def set_active(by: By, key_id: str, *, active: bool) -> AccessKey:
    """Disable or enable a key (UpdateAccessKey). Needs key:write, and to enable it all that a key gives. Raises Gone,
    NotAllowed."""
    by = lock(by, "key:write")
    if active:
        within_reach_of(by)
    key = _find(by, key_id)
    if key.is_active != active:
        before = state(key, by.actor.at_ms)
        key.is_active = active
        key.save(update_fields=["is_active"])
        changes.write(by.actor, "UpdateAccessKey", resource(key), before, state(key, by.actor.at_ms))
    return key


@transaction.atomic
def delete(by: By, key_id: str) -> None:
    """Delete a key that does not work any more (DeleteAccessKey). Needs key:write. Raises StillActive, Gone, NotAllowed."""
    by = lock(by, "key:write")
    key = _find(by, key_id)
    if keys.works(key, by.actor.at_ms):
        raise StillActive(f"{key_id} is active. Disable it first, and delete it when nothing fails for want of it.")
    changes.write(by.actor, "DeleteAccessKey", resource(key), state(key, by.actor.at_ms), None)
    key.delete()


def resource(key: AccessKey) -> str:
    """How the audit trail names it."""
    return f"access-key/{key.key_id}"


def state(key: AccessKey, now_ms: int) -> dict[str, Any]:
    """As the audit trail keeps it."""
    return {
        "AccessKeyId": key.key_id,
        "Name": key.name,
        "Owner": f"user/{key.identity.name}" if key.identity is not None else "team",
        "Status": "Inactive" if not key.is_active else "Ended" if keys.is_over(key, now_ms) else "Active",
        "EndsAt": key.ends_at_ms,
        "ReplacedBy": key.replaced_by.key_id if key.replaced_by is not None else None,
        "LastUsed": key.last_used_at_ms,
    }


def _find(by: By, key_id: str) -> AccessKey:
    rows = AccessKey.objects.select_related("team", "identity", "replaced_by").filter(team=by.membership.team)
    found = rows.filter(key_id=key_id).first()
    if found is None:
        raise Gone("The team has no such access key.")
    return found
