"""Aliases: names of keys that can be pointed elsewhere."""

from __future__ import annotations

from typing import Any

from apps.accounts.models import Team
from apps.base.errors import ValidationException
from apps.encryption.errors import (
    AlreadyExistsException,
    InvalidAliasNameException,
    KMSInvalidStateException,
    LimitExceededException,
    NotFoundException,
)
from apps.encryption.keystore import ALIASES_MAX_PER_KEY, RESERVED
from apps.encryption.models import Alias, Key, KeyState
from apps.encryption.operations.asked import customer_key, key, page, store
from apps.runtime import Call

Json = dict[str, Any]


def create_alias(call: Call, params: Json) -> None:
    """A name for a key.

    Kept from AWS: begins with alias/, not with alias/aws/; 50 a key; refused for a key that waits for deletion.
    Not kept: nothing.
    """
    name = _name(params["AliasName"])
    Team.objects.select_for_update(no_key=True).get(pk=call.principal.team_id)
    target = _target(call, params["TargetKeyId"])
    if found := _aliases(call).filter(name=name).first():
        raise AlreadyExistsException(f"An alias with the name {found.arn} already exists")
    if target.aliases.count() >= ALIASES_MAX_PER_KEY:
        raise LimitExceededException(f"{target.arn} has {ALIASES_MAX_PER_KEY} aliases already.")
    Alias.objects.create(
        team_id=call.principal.team_id, region=target.region, name=name, key=target,
        created_at_ms=call.now_ms, updated_at_ms=call.now_ms,
    )  # fmt: skip


def update_alias(call: Call, params: Json) -> None:
    """Point a name to another key.

    Kept from AWS: refused for a key that waits for deletion. Not kept: streams that were encrypted by this alias stay
    with the key it stood for then.
    """
    name = _name(params["AliasName"])
    target = _target(call, params["TargetKeyId"])
    if not _aliases(call).filter(name=name).update(key=target, updated_at_ms=call.now_ms):
        raise NotFoundException.alias(_arn(call, name))


def delete_alias(call: Call, params: Json) -> None:
    """Remove a name; the key stays.

    Kept from AWS: an unknown one is an error. Not kept: nothing.
    """
    name = _name(params["AliasName"])
    if not _aliases(call).filter(name=name).delete()[0]:
        raise NotFoundException.alias(_arn(call, name))


def list_aliases(call: Call, params: Json) -> Json:
    """The team's aliases, or those of one key, by name.

    Kept from AWS: pages by Limit and Marker. Not kept: alias/aws/ names of services that were not used yet are not
    listed.
    """
    rows = _aliases(call)
    if params.get("KeyId"):
        rows = rows.filter(key=key(call, params["KeyId"]))
    aliases = [
        {
            "AliasName": row.name,
            "AliasArn": row.arn,
            "TargetKeyId": str(row.key.key_id),
            "CreationDate": row.created_at_ms,
            "LastUpdatedDate": row.updated_at_ms,
        }
        for row in sorted(rows, key=lambda row: row.name)
    ]
    found = page(aliases, params, "AliasName")
    return {"Aliases": found.pop("items"), **found}


def _aliases(call: Call) -> Any:
    store(call).destroy_due(call.principal.account_id, call.now_ms)
    rows = Alias.objects.select_related("team", "key")
    return rows.filter(team_id=call.principal.team_id, region=call.runtime.config.region)


def _name(text: str) -> str:
    if not text.startswith("alias/") or text == "alias/":
        raise ValidationException("Invalid identifier: an alias must begin with 'alias/' followed by a name.")
    if text.startswith(RESERVED):
        raise InvalidAliasNameException(f"{text} is reserved: names that begin with {RESERVED} belong to AWS services.")
    if ":" in text:
        raise InvalidAliasNameException(f"{text} contains invalid characters for an alias")
    return text


def _target(call: Call, key_id: str) -> Key:
    if key_id.startswith("alias/") or ":alias/" in key_id:
        raise ValidationException("Aliases must refer to keys. Not aliases")
    target = customer_key(call, key_id)
    if target.state == KeyState.PENDING_DELETION:
        raise KMSInvalidStateException.pending_deletion(target.arn)
    return target


def _arn(call: Call, name: str) -> str:
    return f"arn:aws:kms:{call.runtime.config.region}:{call.principal.account_id}:{name}"
