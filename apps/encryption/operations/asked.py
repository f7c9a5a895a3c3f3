"""What the KMS operations share: the store of the caller's keys, the key that a request names, pages of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.base.errors import AccessDeniedException
from apps.encryption.errors import InvalidMarkerException, UnsupportedOperationException
from apps.encryption.keystore import KeyStore
from apps.encryption.models import Key, KeyManager
from apps.runtime import Call

PAGE = 100
"""Items of a list when the request does not say."""

Json = dict[str, Any]


def store(call: Call) -> KeyStore:
    """Raises UnsupportedOperationException where the keys are kept elsewhere: what is made here would cover nothing."""
    config = call.runtime.config
    if config.kms_endpoint:
        raise UnsupportedOperationException(
            f"The keys of this Tidegate are kept by the key service at {config.kms_endpoint}; ask there."
        )
    return KeyStore(config.master_key_path, config.region)


def key(call: Call, key_id: str) -> Key:
    """The caller's key by its id, ARN, alias or alias ARN. Raises NotFoundException, InvalidArnException."""
    return store(call).find(call.principal.account_id, key_id, call.now_ms)


def customer_key(call: Call, key_id: str) -> Key:
    """The same, if it is the caller's to change. Raises AccessDeniedException for one that AWS manages."""
    found = key(call, key_id)
    if found.manager != KeyManager.CUSTOMER:
        raise AccessDeniedException(f"{found.arn} is managed by Tidegate and cannot be changed.")
    return found


def held(found: Key) -> Key:
    """The same row, locked until the transaction ends, as it is now."""
    return Key.objects.select_for_update().select_related("team").get(pk=found.pk)


def page(items: Sequence[Json], params: Json, name: str) -> Json:
    """A page of a list that is sorted by a text member; Marker is that member of the page's last item."""
    marker = params.get("Marker")
    if marker is not None:
        if not marker.isprintable():
            raise InvalidMarkerException(f"Could not deserialize marker '{marker}'")
        items = [item for item in items if item[name] > marker]
    limit = params.get("Limit") or PAGE
    if len(items) <= limit:
        return {"items": list(items), "Truncated": False}
    return {"items": list(items[:limit]), "Truncated": True, "NextMarker": items[limit - 1][name]}
