"""Keys: made, described, listed, disabled, deleted, tagged."""

from __future__ import annotations

import json
from typing import Any

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.encryption.errors import (
    KMSInvalidStateException,
    NotFoundException,
    TagException,
    UnsupportedOperationException,
)
from apps.encryption.models import Key, KeyState
from apps.encryption.operations.asked import customer_key, held, key, page, store
from apps.runtime import Call

WAITING_DAYS_MIN = 7
WAITING_DAYS_MAX = 30
TAGS_MAX = 50

Json = dict[str, Any]

ONLY = {
    "KeyUsage": "ENCRYPT_DECRYPT",
    "KeySpec": "SYMMETRIC_DEFAULT",
    "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
    "Origin": "AWS_KMS",
    "MultiRegion": False,
}
"""The kind of key that is built."""

NOT_TAKEN = ("Policy", "CustomKeyStoreId", "XksKeyId")


def create_key(call: Call, params: Json) -> Json:
    """A new symmetric key, enabled.

    Kept from AWS: description and tags. Not kept: asymmetric, HMAC, multi-Region and imported keys, key stores and key
    policies are refused; the quota is 10,000 keys.
    """
    for name, only in ONLY.items():
        if params.get(name) not in (None, only):
            raise UnsupportedOperationException(f"{name} {params[name]} is not part of this version of Tidegate.")
    for name in NOT_TAKEN:
        if params.get(name) is not None:
            raise UnsupportedOperationException(f"{name} is not part of this version of Tidegate.")
    tags = _tags(params.get("Tags") or [], {})
    team = Team.objects.get(pk=call.principal.team_id)
    made = store(call).create(team, call.now_ms, description=params.get("Description") or "")
    if tags:
        made.tags = tags
        made.save(update_fields=["tags"])
    return {"KeyMetadata": metadata(made)}


def describe_key(call: Call, params: Json) -> Json:
    """A key by its id, ARN, alias or alias ARN.

    Kept from AWS: all members of a symmetric key's metadata. Not kept: grant tokens are not looked at, as there are no
    grants.
    """
    return {"KeyMetadata": metadata(key(call, params["KeyId"]))}


def list_keys(call: Call, params: Json) -> Json:
    """The team's keys, by id.

    Kept from AWS: pages by Limit and Marker; keys that wait for deletion are among them. Not kept: ResourceOwners other
    than one's own is refused.
    """
    if params.get("ResourceOwners"):
        raise UnsupportedOperationException("ResourceOwners is not part of this version of Tidegate.")
    store(call).destroy_due(call.principal.account_id, call.now_ms)
    rows = Key.objects.select_related("team").filter(
        team_id=call.principal.team_id, region=call.runtime.config.region
    )  # fmt: skip
    keys = sorted(({"KeyId": str(row.key_id), "KeyArn": row.arn} for row in rows), key=lambda item: item["KeyId"])
    found = page(keys, params, "KeyId")
    return {"Keys": found.pop("items"), **found}


def enable_key(call: Call, params: Json) -> None:
    """A disabled key may be used again, at once here, and within seconds by streams it covers.

    Kept from AWS: an enabled key is no error; a key that waits for deletion is. Not kept: nothing.
    """
    _set_state(call, params["KeyId"], KeyState.ENABLED)


def disable_key(call: Call, params: Json) -> None:
    """A key may not be used, until it is enabled again. Streams it covers can be neither written nor read, in seconds.

    Kept from AWS: a disabled key is no error; a key that waits for deletion is. Not kept: nothing.
    """
    _set_state(call, params["KeyId"], KeyState.DISABLED)


def schedule_key_deletion(call: Call, params: Json) -> Json:
    """A key goes for ever after 7 to 30 days, and what it covers with it. Until then it may not be used.

    Kept from AWS: 30 days if not said; refused for a key that waits already. Not kept: nothing.
    """
    days = params.get("PendingWindowInDays") or WAITING_DAYS_MAX
    if not WAITING_DAYS_MIN <= days <= WAITING_DAYS_MAX:
        raise UnsupportedOperationException(
            f"PendingWindowInDays must be between {WAITING_DAYS_MIN} and {WAITING_DAYS_MAX}."
        )
    row = held(customer_key(call, params["KeyId"]))
    if row.state == KeyState.PENDING_DELETION:
        raise KMSInvalidStateException.pending_deletion(row.arn)
    row.state, row.deletion_at_ms = KeyState.PENDING_DELETION, call.now_ms + days * DAY_MS
    row.save(update_fields=["state", "deletion_at_ms"])
    return {
        "KeyId": row.arn,
        "DeletionDate": row.deletion_at_ms,
        "KeyState": row.state,
        "PendingWindowInDays": days,
    }


def cancel_key_deletion(call: Call, params: Json) -> Json:
    """A key stays, and is disabled.

    Kept from AWS: refused for a key that does not wait. Not kept: nothing.
    """
    row = held(customer_key(call, params["KeyId"]))
    if row.state != KeyState.PENDING_DELETION:
        raise KMSInvalidStateException(f"{row.arn} is not pending deletion.")
    row.state, row.deletion_at_ms = KeyState.DISABLED, None
    row.save(update_fields=["state", "deletion_at_ms"])
    return {"KeyId": row.arn}


def update_key_description(call: Call, params: Json) -> None:
    """Another description.

    Kept from AWS: refused for a key that waits for deletion. Not kept: nothing.
    """
    row = _not_going(held(customer_key(call, params["KeyId"])))
    row.description = params["Description"]
    row.save(update_fields=["description"])


def get_key_policy(call: Call, params: Json) -> Json:
    """The one policy that every key has here: its account decides, by identity policies.

    Kept from AWS: AWS's own default policy, named default. Not kept: there is no other one.
    """
    if params.get("PolicyName") not in (None, "default"):
        raise NotFoundException("No such policy exists")
    row = key(call, params["KeyId"])
    policy = {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{row.team.account_id}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    return {"Policy": json.dumps(policy, indent=2), "PolicyName": "default"}


def tag_resource(call: Call, params: Json) -> None:
    """Set tags of a key.

    Kept from AWS: 50 a key, no name beginning with aws:. Not kept: nothing.
    """
    row = _not_going(held(customer_key(call, params["KeyId"])))
    row.tags = _tags(params["Tags"], row.tags)
    row.save(update_fields=["tags"])


def untag_resource(call: Call, params: Json) -> None:
    """Remove tags of a key.

    Kept from AWS: names that are not there are no error. Not kept: nothing.
    """
    row = _not_going(held(customer_key(call, params["KeyId"])))
    row.tags = {name: value for name, value in row.tags.items() if name not in params["TagKeys"]}
    row.save(update_fields=["tags"])


def list_resource_tags(call: Call, params: Json) -> Json:
    """A key's tags, by name.

    Kept from AWS: pages by Limit and Marker. Not kept: nothing.
    """
    row = key(call, params["KeyId"])
    tags = [{"TagKey": name, "TagValue": row.tags[name]} for name in sorted(row.tags)]
    found = page(tags, params, "TagKey")
    return {"Tags": found.pop("items"), **found}


def metadata(row: Key) -> Json:
    """KeyMetadata."""
    known: Json = {
        "AWSAccountId": row.team.account_id,
        "KeyId": str(row.key_id),
        "Arn": row.arn,
        "CreationDate": row.created_at_ms,
        "Enabled": row.state == KeyState.ENABLED,
        "Description": row.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": row.state,
        "Origin": "AWS_KMS",
        "KeyManager": row.manager,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }
    if row.deletion_at_ms is not None:
        known["DeletionDate"] = row.deletion_at_ms
    return known


def _set_state(call: Call, key_id: str, state: str) -> None:
    row = _not_going(held(customer_key(call, key_id)))
    row.state = state
    row.save(update_fields=["state"])


def _not_going(row: Key) -> Key:
    if row.state == KeyState.PENDING_DELETION:
        raise KMSInvalidStateException.pending_deletion(row.arn)
    return row


def _tags(given: list[Json], before: dict[str, str]) -> dict[str, str]:
    names = [tag["TagKey"] for tag in given]
    if len(set(names)) != len(names):
        raise TagException("Duplicate tag keys")
    if any(name.lower().startswith("aws:") for name in names):
        raise TagException("Tags beginning with aws: are reserved.")
    after = {**before, **{tag["TagKey"]: tag["TagValue"] for tag in given}}
    if len(after) > TAGS_MAX:
        raise TagException("Too many tags")
    return after
