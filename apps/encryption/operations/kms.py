"""Tidegate's own KMS, operation by operation: the keys that streams are encrypted under, and the API that manages them.

Enough for SDKs, the AWS CLI and Terraform to make, watch, rotate, disable and delete symmetric keys and their aliases,
and to use them for data of one's own. A Tidegate can so be the key service of another (TIDEGATE_KMS_ENDPOINT).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.encryption.operations import aliases, ciphers, keys, rotation

OPERATIONS: dict[str, Callable[..., Any]] = {
    "CreateKey": keys.create_key,
    "DescribeKey": keys.describe_key,
    "ListKeys": keys.list_keys,
    "EnableKey": keys.enable_key,
    "DisableKey": keys.disable_key,
    "ScheduleKeyDeletion": keys.schedule_key_deletion,
    "CancelKeyDeletion": keys.cancel_key_deletion,
    "UpdateKeyDescription": keys.update_key_description,
    "GetKeyPolicy": keys.get_key_policy,
    "TagResource": keys.tag_resource,
    "UntagResource": keys.untag_resource,
    "ListResourceTags": keys.list_resource_tags,
    "CreateAlias": aliases.create_alias,
    "UpdateAlias": aliases.update_alias,
    "DeleteAlias": aliases.delete_alias,
    "ListAliases": aliases.list_aliases,
    "EnableKeyRotation": rotation.enable_key_rotation,
    "DisableKeyRotation": rotation.disable_key_rotation,
    "GetKeyRotationStatus": rotation.get_key_rotation_status,
    "RotateKeyOnDemand": rotation.rotate_key_on_demand,
    "Encrypt": ciphers.encrypt,
    "Decrypt": ciphers.decrypt,
    "ReEncrypt": ciphers.re_encrypt,
    "GenerateDataKey": ciphers.generate_data_key,
    "GenerateDataKeyWithoutPlaintext": ciphers.generate_data_key_without_plaintext,
}

_POLICIES = "Key policies are not part of this version of Tidegate; who may use a key is said by identity policies."
_GRANTS = "Grants are not part of this version of Tidegate; who may use a key is said by identity policies."

NOT_IMPLEMENTED: dict[str, str] = {
    "PutKeyPolicy": _POLICIES,
    "CreateGrant": _GRANTS,
    "ListGrants": _GRANTS,
    "ListRetirableGrants": _GRANTS,
    "RetireGrant": _GRANTS,
    "RevokeGrant": _GRANTS,
}

OTHERWISE = "Tidegate's KMS has symmetric keys for encryption alone."
"""Why not, for every other operation of AWS's model."""
