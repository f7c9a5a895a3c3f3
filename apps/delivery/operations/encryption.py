"""StartDeliveryStreamEncryption and StopDeliveryStreamEncryption: which KMS key covers what is put from now on.

As with data streams (apps/streams/operations/encryption.py), the key service is asked ahead of the transaction.
"""

from __future__ import annotations

from typing import Any

from apps.accounts.bridge import in_thread
from apps.base.arn import DeliveryStreamArn
from apps.base.errors import ServiceError
from apps.base.units import DAY_MS
from apps.delivery import encryption, named
from apps.delivery.due import due_now
from apps.delivery.encryption import DISABLING, ENABLED, ENABLING, KEY, NEXT_KEY
from apps.delivery.errors import InvalidArgumentException, InvalidKMSResourceException, ResourceInUseException
from apps.delivery.models import DeliveryStream, SourceType
from apps.encryption import data_keys
from apps.encryption.data_keys import EncryptedStream, context_of
from apps.encryption.errors import as_kinesis_says
from apps.encryption.management import DEFAULT_KEY
from apps.runtime import Call
from apps.streams.quotas import QUOTAS, limit

CUSTOMER = "CUSTOMER_MANAGED_CMK"
OWNED = "AWS_OWNED_CMK"

FIRST = "(first data key)"
"""Where first_data_key() puts what it made: no member of AWS's is named so."""

Json = dict[str, Any]


def start_delivery_stream_encryption(call: Call, params: Json) -> Json:
    """Cover what is put from now on with a KMS key; on an encrypted delivery stream, with this one instead.

    Kept from AWS: Direct PUT only; ENABLING and then ENABLED while puts go on, not encrypted, or under the key that there
    was; 25 starts and stops together within 24 hours. What was put before stays as it is, and is delivered as long as its
    own key may be used. Not kept: AWS_OWNED_CMK is the account's alias/aws/kinesis; a key that may not be used is refused
    at once with InvalidKMSResourceException, so that ENABLING_FAILED is never seen.
    """
    stream = _to_change(call, params)
    keep_first(call, stream, params)
    due_now(stream, call.now_ms)
    return {}


def stop_delivery_stream_encryption(call: Call, params: Json) -> Json:
    """Store what is put from now on as it is.

    Kept from AWS: DISABLING and then DISABLED; 25 starts and stops together within 24 hours; stopping what is not
    encrypted is no error. Not kept: nothing.
    """
    stream = _to_change(call, params)
    if stream.encryption.get("Status") == ENABLED:
        stream.encryption = {**stream.encryption, "Status": DISABLING}
    _save(call, stream)
    due_now(stream, call.now_ms)
    return {}


async def first_data_key(call: Call, params: Json) -> Json:
    """Params of StartDeliveryStreamEncryption with a data key made under the KMS key: it shows that the key may be used,
    and the first put need not wait for it. Nobody's key is asked for nothing: the delivery stream is looked at before."""
    given = params.get("DeliveryStreamEncryptionConfigurationInput") or {"KeyType": OWNED}
    _check_key(given)
    stream = await in_thread(_look, call, params)
    return {**params, FIRST: await _made(call, given, str(stream.arn))}


async def first_data_key_of_new(call: Call, params: Json) -> Json:
    """The same for CreateDeliveryStream, if it is to be encrypted."""
    given = params.get("DeliveryStreamEncryptionConfigurationInput")
    if given is None or (params.get("DeliveryStreamType") or SourceType.DIRECT_PUT) != SourceType.DIRECT_PUT:
        return params
    _check_key(given)
    arn = DeliveryStreamArn(call.runtime.config.region, call.principal.account_id, params["DeliveryStreamName"])
    return {**params, FIRST: await _made(call, given, str(arn))}


async def _made(call: Call, given: Json, arn: str) -> tuple[Json, str, str, bytes]:
    """What keep_first() stores: the configuration as given, the KMS key, the delivery stream's ARN, and a data key."""
    management, account_id = call.runtime.data_keys.management, call.principal.account_id
    try:
        key = await management.describe(account_id, given.get("KeyARN") or DEFAULT_KEY)
        key.check()
        _, wrapped = await management.generate_data_key(account_id, key.arn, context_of(arn))
    except ServiceError as error:
        raise InvalidKMSResourceException.of(as_kinesis_says(error)) from error
    return given, key.arn, arn, wrapped


def keep_first(call: Call, stream: DeliveryStream, params: Json) -> None:
    """Store the data key that was made ahead, and that the delivery stream is to be encrypted with its KMS key."""
    given, key_arn, arn, wrapped = params[FIRST]
    assert arn == str(stream.arn), "a region does not change while a call runs"
    _check_covered(call, stream, given.get("KeyARN"))
    covered = EncryptedStream(encryption.data_key_owner(stream.pk), arn, call.principal.account_id, key_arn)
    data_keys.keep(covered, wrapped, call.now_ms)
    before = {KEY: stream.encryption[KEY]} if KEY in stream.encryption else {}
    stream.encryption = {**given, "Status": ENABLING, **before, NEXT_KEY: key_arn}
    _save(call, stream)


def _check_key(given: Json) -> None:
    """Raises InvalidArgumentException."""
    if given["KeyType"] == CUSTOMER and not given.get("KeyARN"):
        raise InvalidArgumentException("KeyARN is required when KeyType is CUSTOMER_MANAGED_CMK.")
    if given["KeyType"] == OWNED and given.get("KeyARN"):
        raise InvalidArgumentException("KeyARN must not be specified when KeyType is AWS_OWNED_CMK.")


def _check_covered(call: Call, stream: DeliveryStream, key_arn: str | None) -> None:
    """Raises LimitExceededException if the key covers as many delivery streams as it may."""
    if key_arn is None:
        return
    most = limit(call.principal.team_id, call.runtime.config.region, "delivery-streams-per-key")
    if named.own(call).filter(encryption__KeyARN=key_arn).exclude(pk=stream.pk).count() >= most:
        raise QUOTAS["delivery-streams-per-key"].exceeded(key=key_arn, account=call.principal.account_id, limit=most)


def _to_change(call: Call, params: Json) -> DeliveryStream:
    """The delivery stream, held. Raises as _check."""
    stream = named.find(call, params)
    named.change(stream)
    _check(call, stream)
    return stream


def _look(call: Call, params: Json) -> DeliveryStream:
    stream = named.find(call, params)
    _check(call, stream)
    return stream


def _check(call: Call, stream: DeliveryStream) -> None:
    """Raises InvalidArgumentException, ResourceInUseException, LimitExceededException."""
    if stream.source_type != SourceType.DIRECT_PUT:
        raise InvalidArgumentException(f"This operation is not permitted on {stream.source_type} delivery stream type.")
    named.require_active(stream)
    if stream.encryption.get("Status") in {ENABLING, DISABLING}:
        raise ResourceInUseException(
            f"Encryption of Firehose {stream.name} under accountId {call.principal.account_id} is {stream.encryption['Status']}"
        )
    most = limit(call.principal.team_id, call.runtime.config.region, "delivery-encryption-changes-per-day")
    if len(_recent(stream, call.now_ms)) >= most:
        raise QUOTAS["delivery-encryption-changes-per-day"].exceeded(
            stream=stream.name, account=call.principal.account_id, limit=most
        )


def _recent(stream: DeliveryStream, now_ms: int) -> list[int]:
    return [at_ms for at_ms in stream.encryption_changes_ms if at_ms > now_ms - DAY_MS]


def _save(call: Call, stream: DeliveryStream) -> None:
    stream.encryption_changes_ms = [*_recent(stream, call.now_ms), call.now_ms]
    stream.save(update_fields=["encryption", "encryption_changes_ms"])
