"""StartStreamEncryption and StopStreamEncryption: which KMS key covers what is written to a stream from now on.

The key service may be far away, and no transaction, let alone SQLite's one writer, waits for it. So starting has two
parts: first_data_key() asks it, ahead of the transaction, and start_stream_encryption() looks at the rows again.
"""

from __future__ import annotations

from typing import Any

from apps.accounts.bridge import in_thread
from apps.base.errors import ServiceError
from apps.base.units import DAY_MS
from apps.encryption import data_keys
from apps.encryption.data_keys import EncryptedStream
from apps.encryption.errors import as_kinesis_says
from apps.runtime import Call
from apps.streams import named
from apps.streams.errors import InvalidArgumentException, LimitExceededException, ResourceNotFoundException
from apps.streams.models import Stream, StreamStatus
from apps.streams.operations.stream import due_now

CHANGES_PER_DAY = 25
"""Successful starts, and successful stops, of one stream in a rolling 24 hours; AWS's quota."""

FIRST = "(first data key)"
"""Where first_data_key() puts what it made: no member of AWS's is named so."""

Json = dict[str, Any]


def start_stream_encryption(call: Call, params: Json) -> None:
    """Cover what is written from now on with a KMS key; on an encrypted stream, with this one instead.

    Kept from AWS: KeyId as an id, an ARN, an alias or an alias's ARN, alias/aws/kinesis without making it; UPDATING and
    then ACTIVE, reads and writes go on; 25 within 24 hours; the key service's errors by Kinesis' names. What was
    written before stays as it is, and readable while its own key may be used.
    Not kept: an alias is followed when encryption starts, not when it is pointed elsewhere later; StreamId is reserved
    in the model and means nothing.
    """
    covered, wrapped = params[FIRST]
    stream = named.find(call, params)
    named.change(stream)
    _check(call, stream, starting=True)
    if stream.pk != covered.stream_key:  # deleted and made again since
        raise ResourceNotFoundException.stream(stream.name, call.principal.account_id)
    data_keys.keep(covered, wrapped, call.now_ms)
    _set(call, stream, covered.key_arn, params["KeyId"], starting=True)


def stop_stream_encryption(call: Call, params: Json) -> None:
    """Store what is written from now on as it is.

    Kept from AWS: type and KeyId must be those that are set (here the key's ARN or id will do too); UPDATING and then
    ACTIVE; 25 within 24 hours; what was written before stays encrypted, and readable while its key may be used.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    _check_type(params)
    stream = named.find(call, params)
    named.change(stream)
    _check(call, stream, starting=False)
    if not stream.encryption_key_arn:
        raise InvalidArgumentException(
            f"Stream {stream.name} under account {call.principal.account_id} is not encrypted."
        )
    arn = stream.encryption_key_arn
    if params["KeyId"] not in {stream.encryption_key_id, arn, arn.rpartition("/")[2]}:
        raise InvalidArgumentException(
            f"Stream {stream.name} under account {call.principal.account_id} is not encrypted with key "
            f"{params['KeyId']}, but with {stream.encryption_key_id}."
        )
    _set(call, stream, "", "", starting=False)


def _check_type(params: Json) -> None:
    if params["EncryptionType"] != "KMS":
        raise InvalidArgumentException(f"EncryptionType {params['EncryptionType']} is not valid here; it must be KMS.")


async def first_data_key(call: Call, params: Json) -> Json:
    """Params of start_stream_encryption with a data key made under the KMS key: it shows that the key may be used, and
    the first put need not wait for it. Nobody's key is asked for nothing: the stream is looked at before."""
    _check_type(params)
    stream = await in_thread(_look, call, params)
    management, account_id = call.runtime.data_keys.management, call.principal.account_id
    try:
        key = await management.describe(account_id, params["KeyId"])
        key.check()
        covered = EncryptedStream(stream.pk, str(stream.arn), account_id, key.arn)
        _, wrapped = await management.generate_data_key(account_id, key.arn, covered.context)
    except ServiceError as error:
        raise as_kinesis_says(error) from error
    return {**params, FIRST: (covered, wrapped)}


def _look(call: Call, params: Json) -> Stream:
    stream = named.find(call, params)
    _check(call, stream, starting=True)
    return stream


def _check(call: Call, stream: Stream, *, starting: bool) -> None:
    """Raises ResourceInUseException, LimitExceededException."""
    named.require_active(stream)
    recent = [at_ms for was_start, at_ms in _recent(stream, call.now_ms) if was_start == starting]
    if len(recent) >= CHANGES_PER_DAY:
        what = "StartStreamEncryption" if starting else "StopStreamEncryption"
        raise LimitExceededException(
            f"{what} was called {len(recent)} times within 24 hours for stream {stream.name} under account "
            f"{call.principal.account_id}. Limit: {CHANGES_PER_DAY}."
        )


def _recent(stream: Stream, now_ms: int) -> list[list[Any]]:
    return [change for change in stream.encryption_changes_ms if change[1] > now_ms - DAY_MS]


def _set(call: Call, stream: Stream, arn: str, key_id: str, *, starting: bool) -> None:
    """The new cover, from the next look of the data plane on; a worker turns the stream ACTIVE again."""
    Stream.objects.filter(pk=stream.pk).update(
        encryption_key_arn=arn,
        encryption_key_id=key_id,
        encryption_changes_ms=[*_recent(stream, call.now_ms), [starting, call.now_ms]],
        status=StreamStatus.UPDATING,
    )
    due_now(call, stream)
