"""KMS keys as the audit trail keeps them before and after a change. Material is never read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apps.encryption.models import Alias, Key


def key(account_id: str, key_id: str) -> dict[str, Any] | None:
    """A key with its aliases; None: there is none."""
    try:
        wanted = UUID(key_id)
    except ValueError:
        return None
    row = Key.objects.filter(team__account_id=account_id, key_id=wanted).first()
    if row is None:
        return None
    return {
        "KeyState": row.state,
        "Description": row.description,
        "DeletionDate": row.deletion_at_ms,
        "RotationPeriodInDays": row.rotation_days,
        "Materials": row.materials.count(),
        "Aliases": list(row.aliases.order_by("name").values_list("name", flat=True)),
        "Tags": row.tags,
    }


def alias(account_id: str, name: str) -> dict[str, Any] | None:
    """What an alias is of. name: without `alias/`."""
    rows = Alias.objects.filter(team__account_id=account_id, name=f"alias/{name}").order_by("region")
    target = rows.values_list("key__key_id", flat=True).first()
    return {"TargetKeyId": str(target)} if target is not None else None
