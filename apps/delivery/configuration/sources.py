"""Sources of delivery streams: what is put directly, and a data stream."""

from __future__ import annotations

from typing import Any

from apps.base.arn import parse_stream_arn
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DeliveryStream, SourceType
from apps.runtime import Call
from apps.streams.models import Stream, StreamStatus

Json = dict[str, Any]

NOT_BUILT = {
    "MSKSourceConfiguration": ("MSKAsSource", "Kafka topics are not supported as a source."),
    "DatabaseSourceConfiguration": ("DatabaseAsSource", "Databases are not supported as a source."),
}
"""Sources of the model that Tidegate refuses, by member: their DeliveryStreamType, and what is said."""


def given_source(call: Call, params: Json) -> tuple[SourceType, Json, Stream | None]:
    """The source of a CreateDeliveryStream request: its type, what is stored of it, and the data stream's row. Raises
    InvalidArgumentException, ResourceNotFoundException."""
    asked = params.get("DeliveryStreamType") or SourceType.DIRECT_PUT
    for member, (source_type, text) in NOT_BUILT.items():
        if params.get(member) is not None or asked == source_type:
            raise InvalidArgumentException(text)
    kinesis, direct = params.get("KinesisStreamSourceConfiguration"), params.get("DirectPutSourceConfiguration")
    if asked == SourceType.DIRECT_PUT:
        if kinesis is not None:
            raise InvalidArgumentException(
                "KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type"
            )
        return SourceType.DIRECT_PUT, direct or {}, None
    if kinesis is None:
        raise InvalidArgumentException(
            "KinesisStreamSourceConfiguration is required for KinesisStreamAsSource stream type"
        )
    if direct is not None:
        raise InvalidArgumentException("DirectPutSourceConfiguration is only applicable for DirectPut stream type")
    if params.get("DeliveryStreamEncryptionConfigurationInput") is not None:
        raise InvalidArgumentException(
            "DeliveryStreamEncryptionConfigurationInput is only applicable for DirectPut stream type: records of a data "
            "stream are encrypted there"
        )
    return SourceType.KINESIS_STREAM, dict(kinesis), _stream(call, kinesis["KinesisStreamARN"])


def _stream(call: Call, arn: str) -> Stream:
    """The team's own stream of that ARN."""
    parsed = parse_stream_arn(arn)
    rows = Stream.objects.select_related("team").filter(team_id=call.principal.team_id)
    found = rows.filter(name=parsed.name).first() if parsed is not None else None
    if found is None or str(found.arn) != arn or found.status == StreamStatus.DELETING:
        raise InvalidArgumentException(
            f"Kinesis stream {arn} was not found under account {call.principal.account_id}. A delivery stream reads data "
            "streams of its own account."
        )
    return found


def described(stream: DeliveryStream) -> Json:
    """AWS's SourceDescription."""
    if stream.source_type == SourceType.DIRECT_PUT:
        return {"DirectPutSourceDescription": stream.source}
    shown = ("KinesisStreamARN", "RoleARN", "DeliveryStartTimestamp")
    return {"KinesisStreamSourceDescription": {name: stream.source[name] for name in shown if name in stream.source}}
