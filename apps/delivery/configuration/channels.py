"""Configurations of channels: what AWS's members say, checked, with defaults filled in, and as the engine needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.delivery import channel_keys
from apps.delivery.configuration import channel_tables
from apps.delivery.configuration.members import NO_ENCRYPTION
from apps.delivery.models import DeliveryStream, DestinationType
from apps.runtime import Call
from apps.streams.errors import InvalidArgumentException, ValidationException

S3, TABLES = DestinationType.S3.value, DestinationType.ICEBERG.value

MEMBERS = {S3: "S3DestinationConfiguration", TABLES: "S3TablesDestinationConfiguration"}
"""The member that configures each kind of destination."""

NAME_OF = {S3: "S3", TABLES: "S3_TABLES"}
"""AWS's ChannelDestinationType."""

QUOTA_OF = {S3: "channels-to-s3", TABLES: "channels-to-tables"}

FORMATS = {S3: ("JSON", "STRING", "BYTE_ARRAY"), TABLES: ("GSR_JSON", "JSON")}
"""RecordFormatTypes of each."""

FRESHNESS_S = 300
FRESHNESS_MAX_S = 3_600
"""DataFreshnessInSeconds: AWS's default, and our bound (AWS's model has none)."""

SIZE_MB = 128
"""An object or a commit has no more data; AWS names no number."""

SERVICE_KEY = "alias/aws/kinesis"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What is stored of a channel: for the engine, and (extra) for whoever asks what was configured."""

    destination_type: str
    description: Json
    extra: Json


def build(call: Call, params: Json, record: Json, name: str, channel_id: str) -> Made:
    """A channel of a CreateChannel request. Raises ValidationException, InvalidArgumentException."""
    kind = _kind(params)
    given = params[MEMBERS[kind]]
    if record["RecordFormatType"] not in FORMATS[kind]:
        raise ValidationException(
            f"RecordFormatType {record['RecordFormatType']} is not supported for destinations of type {NAME_OF[kind]}. "
            f"Supported: {', '.join(FORMATS[kind])}."
        )
    freshness_s = _freshness(given)
    encryption = _encryption(params.get("EncryptionConfiguration"))
    common = {
        "RoleARN": params["ServiceExecutionRoleARN"],
        "BufferingHints": {"SizeInMBs": SIZE_MB, "IntervalInSeconds": freshness_s},
        "EncryptionConfiguration": encryption,
        "CloudWatchLoggingOptions": {"Enabled": False},
        "S3BackupMode": "Disabled",
    }
    if kind == TABLES:
        described, own = channel_tables.build(call, given, record, channel_id)
        own["DeadLetterS3Description"] = _dead_letters(given["DeadLetterQueueS3Configuration"], common)
    else:
        _no_schema(record)
        described, own = _s3(given, common, name, channel_id)
    described["DataFreshnessInSeconds"] = freshness_s
    extra: Json = {
        "RecordConfiguration": record,
        MEMBERS[kind]: described,
        "LoggingConfiguration": _logging(params.get("LoggingConfiguration"), name, channel_id),
    }
    if params.get("EncryptionConfiguration"):
        extra["EncryptionConfiguration"] = params["EncryptionConfiguration"]
    channel = {"Name": name, "Id": channel_id, "RecordFormatType": record["RecordFormatType"]}
    return Made(kind, {**common, **own, "Channel": {**channel, **own.get("Channel", {})}}, extra)


def change(channel: DeliveryStream, params: Json) -> None:
    """Put what an UpdateChannel request says into the row. Raises ValidationException."""
    mine = MEMBERS[channel.destination_type]
    given = {member: params[member] for member in MEMBERS.values() if params.get(member) is not None}
    logging = params.get("LoggingConfiguration")
    if not given and logging is None:
        raise ValidationException(
            "The request changes nothing: DataFreshnessInSeconds or LoggingConfiguration is needed."
        )
    if any(member != mine for member in given):
        raise ValidationException(
            f"The channel's destination is of type {NAME_OF[channel.destination_type]}; only {mine} can be updated."
        )
    if mine in given:
        freshness_s = _freshness(given[mine])
        hints = {**channel.destination["BufferingHints"], "IntervalInSeconds": freshness_s}
        channel.destination = {**channel.destination, "BufferingHints": hints}
        described = {**channel.extra[mine], "DataFreshnessInSeconds": freshness_s}
        channel.extra = {**channel.extra, mine: described}
    if logging is not None:
        before = channel.extra["LoggingConfiguration"]["CloudWatchLogs"]
        channel.extra = {
            **channel.extra,
            "LoggingConfiguration": {"CloudWatchLogs": {**before, **logging["CloudWatchLogs"]}},
        }


def _dead_letters(given: Json, common: Json) -> Json:
    """The S3 description of a dead-letter bucket."""
    return {
        "RoleARN": common["RoleARN"],
        "BucketARN": given["BucketARN"],
        "ExpectedBucketOwner": given["ExpectedBucketOwner"],
        **({"ErrorOutputPrefix": given["ErrorOutputPrefix"]} if given.get("ErrorOutputPrefix") else {}),
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": common["EncryptionConfiguration"],
        "BufferingHints": common["BufferingHints"],
    }


def _kind(params: Json) -> str:
    given = [kind for kind, member in MEMBERS.items() if params.get(member) is not None]
    if len(given) != 1:
        raise ValidationException(
            "Exactly one of S3DestinationConfiguration and S3TablesDestinationConfiguration must be specified."
        )
    return given[0]


def _freshness(given: Json) -> int:
    seconds = given.get("DataFreshnessInSeconds")
    if seconds is None:
        return FRESHNESS_S
    if not 0 < seconds <= FRESHNESS_MAX_S:
        raise ValidationException(f"DataFreshnessInSeconds {seconds} must be between 1 and {FRESHNESS_MAX_S}.")
    return int(seconds)


def _s3(given: Json, common: Json, name: str, channel_id: str) -> tuple[Json, Json]:
    """What is described of an S3 destination, and what the engine needs."""
    storage = given["StorageConfiguration"]
    template = storage.get("OutputKeyTemplate") or channel_keys.DEFAULT_TEMPLATE
    try:
        channel_keys.check_template(template, compressed=storage["CompressionType"] != "NONE")
    except ValueError as error:
        raise ValidationException(str(error)) from error
    letters = given.get("DeadLetterQueueS3Configuration") or {
        "BucketARN": storage["BucketARN"],
        "ExpectedBucketOwner": storage["ExpectedBucketOwner"],
        "ErrorOutputPrefix": f"errors/{name}/{channel_id}/",
    }
    whole = {**storage, "OutputKeyTemplate": template, "StorageClass": storage.get("StorageClass") or "STANDARD"}
    described = {"DeadLetterQueueS3Configuration": letters, "StorageConfiguration": whole}
    return described, {
        "BucketARN": storage["BucketARN"],
        "ExpectedBucketOwner": storage["ExpectedBucketOwner"],
        "StorageClass": whole["StorageClass"],
        "CompressionFormat": storage["CompressionType"],
        "DeadLetterS3Description": _dead_letters(letters, common),
        "Channel": {"OutputKeyTemplate": template},
    }


def _no_schema(record: Json) -> None:
    if record.get("GSRSchemaARN"):
        raise ValidationException("GSRSchemaARN can only be specified for destinations of type S3_TABLES.")


def _encryption(given: Json | None) -> Json:
    if not given:
        return NO_ENCRYPTION
    if given["KeyId"] == SERVICE_KEY or given["KeyId"].endswith(f":{SERVICE_KEY}"):
        raise InvalidArgumentException("KeyId must be a customer managed key; aws/kinesis cannot be used.")
    return {"KMSEncryptionConfig": {"AWSKMSKeyARN": given["KeyId"]}}


def _logging(given: Json | None, name: str, channel_id: str) -> Json:
    logs = (given or {}).get("CloudWatchLogs") or {"Enabled": False}
    return {
        "CloudWatchLogs": {
            "LogGroupName": f"/aws/kinesis/{name}/{channel_id}",
            "LogStreamName": "DestinationDelivery",
            **logs,
        }
    }
