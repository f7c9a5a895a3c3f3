"""Which KMS key covers the logs of a delivery stream: DeliveryStreamEncryptionConfiguration, and what the record log needs.

A delivery stream's data keys are rows beside those of data streams (apps/encryption/data_keys.py), under its own number
raised by LOG_KEYS_FROM, so that the two never meet.
"""

from __future__ import annotations

from typing import Any

from apps.delivery.models import LOG_KEYS_FROM, DeliveryStream
from apps.encryption.data_keys import EncryptedStream

Json = dict[str, Any]

ENABLED, ENABLING, DISABLED, DISABLING = "ENABLED", "ENABLING", "DISABLED", "DISABLING"

KEY = "(KMS key)"
"""The member of the stored configuration that names the key that covers what is written; not shown. Present while
ENABLING too, where it is the key that covered before, if one did."""

NEXT_KEY = "(next KMS key)"
"""While ENABLING: the key that covers once ENABLED."""


def data_key_owner(stream_key: int) -> int:
    """What a delivery stream's data keys are kept under."""
    return LOG_KEYS_FROM + stream_key


def covering(stream: DeliveryStream) -> EncryptedStream | None:
    """What the delivery stream's logs are encrypted with from now on; None: they are written as they are."""
    key_arn = stream.encryption.get(KEY)
    if not key_arn:
        return None
    return EncryptedStream(data_key_owner(stream.pk), str(stream.arn), stream.team.account_id, key_arn)


def advance(stream: DeliveryStream) -> bool:
    """ENABLING becomes ENABLED, DISABLING DISABLED; for the worker that looks after delivery streams. The caller holds
    the row (named.change) in a transaction. True if something has changed."""
    match stream.encryption.get("Status"):
        case "ENABLING":
            kept = {name: value for name, value in stream.encryption.items() if name != NEXT_KEY}
            stream.encryption = {**kept, "Status": ENABLED, KEY: stream.encryption[NEXT_KEY]}
        case "DISABLING":
            stream.encryption = {"Status": DISABLED}
        case _:
            return False
    stream.save(update_fields=["encryption"])
    return True


def shown(stream: DeliveryStream) -> Json:
    """AWS's DeliveryStreamEncryptionConfiguration."""
    said = {name: value for name, value in stream.encryption.items() if name not in {KEY, NEXT_KEY}}
    return said or {"Status": DISABLED}
