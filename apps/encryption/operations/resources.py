"""What each KMS operation is about, for policies: the ARN of a key, whichever way the request names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.base.errors import ServiceError
from apps.encryption import wrapping
from apps.encryption.keystore import ALIAS_ARN, KEY_ARN, UUID_FORM
from apps.encryption.models import Alias
from apps.encryption.operations.kms import OPERATIONS
from apps.runtime import Call

Json = dict[str, Any]
Locate = Callable[[Call, Any], str]
Also = Callable[[Call, Any], list[tuple[str, str]]]

ANYTHING = "*"
ABOUT_ALL = ("CreateKey", "ListKeys", "ListAliases")
ABOUT_ALIAS = ("DeleteAlias",)
NAMED_BY = {"CreateAlias": "TargetKeyId", "UpdateAlias": "TargetKeyId", "ReEncrypt": "DestinationKeyId"}
"""The member that names the key, where it is not KeyId."""


def _own(call: Call, what: str) -> str:
    return f"arn:aws:kms:{call.runtime.config.region}:{call.principal.account_id}:{what}"


def key_arn(call: Call, key_id: str) -> str:
    """The ARN of the key meant, in the one form that policies name it by, whichever a caller chose; that of the alias, if
    nothing is behind it."""
    if found := ALIAS_ARN.fullmatch(key_id):
        if found[2] != call.principal.account_id:
            return key_id
        key_id = found[3]
    if found := KEY_ARN.fullmatch(key_id):
        region, account_id, bare = found.groups()
        return f"arn:aws:kms:{region}:{account_id}:key/{bare.lower()}"
    if key_id.startswith("arn:"):
        return key_id
    if UUID_FORM.fullmatch(key_id):
        return _own(call, f"key/{key_id.lower()}")
    row = Alias.objects.select_related("key__team").filter(
        team_id=call.principal.team_id, region=call.runtime.config.region, name=key_id
    ).first()  # fmt: skip
    return row.key.arn if row is not None else _own(call, key_id)


def _covered_by(call: Call, key_id: str | None, ciphertext: bytes | None) -> str:
    """The key that is named, or else the one that a ciphertext says it is under."""
    if key_id:
        return key_arn(call, key_id)
    try:
        return _own(call, f"key/{wrapping.parse(ciphertext or b'').key_id}")
    except ServiceError:
        return ANYTHING


def _about(operation: str) -> Locate:
    name = NAMED_BY.get(operation, "KeyId")

    def locate(call: Call, params: Json) -> str:
        if operation == "Decrypt":
            return _covered_by(call, params.get("KeyId"), params.get("CiphertextBlob"))
        return key_arn(call, params[name])

    return locate


def _re_encrypted(call: Call, params: Json) -> list[tuple[str, str]]:
    """Whoever gives a ciphertext another key could read it by that: the first key must allow it, too."""
    return [("kms:ReEncryptFrom", _covered_by(call, params.get("SourceKeyId"), params.get("CiphertextBlob")))]


def _tagged_key(_call: Call, params: Json) -> list[tuple[str, str]]:
    return [("kms:TagResource", ANYTHING)] if params.get("Tags") else []


KMS_ALSO: dict[str, Also] = {"ReEncrypt": _re_encrypted, "CreateKey": _tagged_key}
"""What must be allowed beside, as (action, resource)."""

KMS_ACTIONS = {"ReEncrypt": "ReEncryptTo"}
"""How policies call an operation, where it is not by its name."""


def _alias(call: Call, params: Json) -> str:
    return _own(call, params["AliasName"])


def _all(_call: Call, _params: Json) -> str:
    return ANYTHING


KMS_RESOURCES: dict[str, Locate] = {
    operation: _all if operation in ABOUT_ALL else _alias if operation in ABOUT_ALIAS else _about(operation)
    for operation in OPERATIONS
}
