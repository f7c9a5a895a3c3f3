"""Access keys of users, and of the team for those who call with its rights."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from apps.access import names
from apps.access.errors import LimitExceededException, NoSuchEntityException
from apps.access.models import Identity
from apps.access.paging import page
from apps.accounts import keys
from apps.accounts.models import AccessKey
from apps.runtime import Call

KEYS_PER_USER_MAX = 2

ACTIVE, INACTIVE = "Active", "Inactive"

Json = dict[str, Any]


def create_access_key(call: Call, params: Json) -> Json:
    """A key and its secret, which is not told again.

    Kept from AWS: two keys a user; without a name for the caller. Ours: the team itself, AWS's root user, may have 100.
    Not kept: nothing.
    """
    team = names.hold_team(call)
    user = names.own_user(call, params)
    if user is not None and user.access_keys.count() >= KEYS_PER_USER_MAX:
        raise LimitExceededException.quota("AccessKeysPerUser", KEYS_PER_USER_MAX)
    try:
        key, secret = keys.create(team, None, user.name if user is not None else "", call.now_ms, identity=user)
    except keys.TooManyKeys:
        raise LimitExceededException.quota("AccessKeysPerAccount", keys.KEYS_PER_TEAM_MAX) from None
    return {"AccessKey": {**_shown(key, user), "SecretAccessKey": secret}}


def list_access_keys(call: Call, params: Json) -> Json:
    """Keys without their secrets.

    Kept from AWS: pages; without a name the caller's. Not kept: nothing.
    """
    user = names.own_user(call, params)
    return page("AccessKeyMetadata", _of(call, user), params, lambda key: key.key_id, lambda key: _shown(key, user))


def update_access_key(call: Call, params: Json) -> None:
    """Enable or disable a key; it works everywhere within a second.

    Kept from AWS: its errors. Not kept: nothing.
    """
    user = names.own_user(call, params)
    active = params["Status"] == ACTIVE
    if not _of(call, user).filter(key_id=params["AccessKeyId"]).update(is_active=active):
        raise _no_key(params)


def delete_access_key(call: Call, params: Json) -> None:
    """Delete a key, enabled or not; it stops within a second.

    Kept from AWS: its errors. Not kept: nothing.
    """
    user = names.own_user(call, params)
    gone, _ = _of(call, user).filter(key_id=params["AccessKeyId"]).delete()
    if not gone:
        raise _no_key(params)


def get_access_key_last_used(call: Call, params: Json) -> Json:
    """When a key was used last.

    Kept from AWS: N/A for one that never was. Not kept: which region; it says ours.
    """
    rows = AccessKey.objects.select_related("identity").filter(team_id=call.principal.team_id)
    key = rows.filter(key_id=params["AccessKeyId"]).first()
    if key is None:
        raise _no_key(params)
    used: Json = {"ServiceName": "N/A", "Region": "N/A"}
    if key.last_used_at_ms is not None:
        used = {
            "LastUsedDate": key.last_used_at_ms, "ServiceName": key.last_used_service or "kinesis",
            "Region": call.runtime.config.region,
        }  # fmt: skip
    return {"UserName": key.identity.name if key.identity is not None else "root", "AccessKeyLastUsed": used}


def _of(call: Call, user: Identity | None) -> QuerySet[AccessKey]:
    return AccessKey.objects.filter(team_id=call.principal.team_id, identity=user)


def _no_key(params: Json) -> NoSuchEntityException:
    return NoSuchEntityException(f"The Access Key with id {params['AccessKeyId']} cannot be found.")


def _shown(key: AccessKey, user: Identity | None) -> Json:
    return {
        "UserName": user.name if user is not None else "root",
        "AccessKeyId": key.key_id,
        "Status": ACTIVE if key.is_active else INACTIVE,
        "CreateDate": key.created_at_ms,
    }
