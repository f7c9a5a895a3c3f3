"""What is written of a delivery stream: its destination in AWS's members or, for S3, in plain ones; its connections.

The operation itself checks what it is given. Secrets go in here and come out nowhere.
"""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Model
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from apps.delivery import connections
from apps.delivery.connections import ConnectionRefused, Given
from apps.delivery.models import DestinationType
from console import calls
from console.api.aws_members import checked, shape_of
from console.api.fields import TagsField
from console.api.request import ApiRequest
from console.pages.delivery import configured
from console.pages.delivery.create import put_connection
from console.pages.delivery.described import KEYS

NAME: Final = r"^[a-zA-Z0-9_.-]+\Z"
NAME_MAX: Final = 64
EXAMPLE: Final = {
    "name": "orders-to-s3",
    "stream": "orders",
    "s3": {"bucket": "my-bucket", "prefix": "orders/", "compression": "GZIP", "size_mb": 5, "interval_s": 60},
}

COMPRESSIONS: Final = ("UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY")

Json = dict[str, Any]


class S3Serializer(serializers.Serializer[Any]):
    """S3 in plain members, as the console's wizard has it. What is not said is as AWS has it by default."""

    bucket = serializers.CharField(max_length=255, help_text="Its name or its ARN.")
    role_arn = serializers.CharField(max_length=512, required=False, help_text="By default the team's role `firehose`.")
    prefix = serializers.CharField(max_length=1_024, required=False, allow_blank=True, trim_whitespace=False)
    error_prefix = serializers.CharField(max_length=1_024, required=False, allow_blank=True, trim_whitespace=False)
    compression = serializers.ChoiceField(COMPRESSIONS, required=False)
    size_mb = serializers.IntegerField(min_value=1, max_value=128, required=False, help_text="Of a buffer.")
    interval_s = serializers.IntegerField(min_value=0, max_value=900, required=False, help_text="Of a buffer.")
    time_zone = serializers.CharField(max_length=50, required=False, allow_blank=True)
    extension = serializers.CharField(max_length=128, required=False, allow_blank=True)


class ChangedS3Serializer(S3Serializer):
    """What is to change of S3."""

    bucket = serializers.CharField(max_length=255, required=False, help_text="Its name or its ARN.")


class DestinationSerializer(serializers.Serializer[Any]):
    """Any destination, in AWS's members."""

    kind = serializers.ChoiceField(list(KEYS))
    configuration = serializers.DictField(
        help_text="The members of AWS's `<kind>DestinationConfiguration` of CreateDeliveryStream."
    )


class ConnectionSerializer(serializers.Serializer[Any]):
    """Where a part really is, and with which key, if not where the operator's environment says."""

    endpoint_url = serializers.CharField(max_length=1_024, required=False, default="", allow_blank=True)
    region = serializers.CharField(
        max_length=connections.REGION_CHARACTERS_MAX, required=False, default="", allow_blank=True
    )
    access_key_id = serializers.CharField(
        max_length=connections.KEY_CHARACTERS_MAX, required=False, default="", allow_blank=True
    )
    secret = serializers.CharField(
        max_length=connections.SECRET_CHARACTERS_MAX, required=False, write_only=True, help_text="Never told again."
    )


Connections: type[serializers.Serializer[Any]] = type(
    "ConnectionsSerializer",
    (serializers.Serializer,),
    {part: ConnectionSerializer(required=False) for part in connections.PARTS},
)
"""By part: s3 (destination, staging and failed records), backup, lambda (the transform), destination (all else)."""


class DeliveryEncryptionSerializer(serializers.Serializer[Any]):
    """Of what waits in a Direct PUT delivery stream."""

    key_type = serializers.ChoiceField(["AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK"])
    key_arn = serializers.CharField(max_length=512, required=False)


class NewDeliveryStreamSerializer(serializers.Serializer[Any]):
    """A delivery stream to be made. Either s3 or destination is needed."""

    name = serializers.RegexField(NAME, max_length=NAME_MAX)
    stream = serializers.CharField(
        max_length=128,
        required=False,
        help_text="The data stream that is its source. Without it records are put (Direct PUT).",
    )
    source_role_arn = serializers.CharField(max_length=512, required=False)
    encryption = DeliveryEncryptionSerializer(required=False)
    s3 = S3Serializer(required=False)
    destination = DestinationSerializer(required=False)
    connections = Connections(required=False)
    tags = TagsField(required=False)

    def validate(self, attrs: Json) -> Json:
        """Exactly one destination."""
        if ("s3" in attrs) == ("destination" in attrs):
            raise ValidationError("Exactly one of s3 and destination is needed.")
        return attrs


def creation(request: ApiRequest, given: Json, source: Model | None) -> Json:
    """CreateDeliveryStream's parameters. source: the data stream."""
    role = f"arn:aws:iam::{request.team.account_id}:role/firehose"
    kind, configuration = destination_of(given, role)
    params: Json = {
        "DeliveryStreamName": given["name"],
        "DeliveryStreamType": "DirectPut" if source is None else "KinesisStreamAsSource",
        f"{DestinationType(KEYS[kind]).value}DestinationConfiguration": configuration,
    }
    if source is not None:
        params["KinesisStreamSourceConfiguration"] = {
            "KinesisStreamARN": str(source.arn),  # type: ignore[attr-defined]
            "RoleARN": given.get("source_role_arn", role),
        }
    if "encryption" in given:
        params["DeliveryStreamEncryptionConfigurationInput"] = encryption_of(given["encryption"])
    if given.get("tags"):
        params["Tags"] = tags_of(given["tags"])
    return params


def destination_of(given: Json, role: str) -> tuple[str, Json]:
    """Kind and configuration in AWS's members. Raises ValidationError."""
    if "s3" in given:
        return "s3", {"RoleARN": role, **s3_members(given["s3"])}
    kind = given["destination"]["kind"]
    member = f"{DestinationType(KEYS[kind]).value}DestinationConfiguration"
    shape = shape_of("firehose", "CreateDeliveryStream", member)
    return kind, checked(given["destination"]["configuration"], shape, "destination.configuration")


def s3_members(given: Json) -> Json:
    """AWS's members of the plain ones; only those that are there."""
    names = {
        "role_arn": "RoleARN",
        "prefix": "Prefix",
        "error_prefix": "ErrorOutputPrefix",
        "compression": "CompressionFormat",
        "time_zone": "CustomTimeZone",
        "extension": "FileExtension",
    }
    said: Json = {member: given[name] for name, member in names.items() if name in given}
    if "bucket" in given:
        said["BucketARN"] = configured.bucket_arn(given["bucket"])
    return said | configured.hints({"kind": "s3", **given})


def encryption_of(given: Json) -> Json:
    """As AWS takes it."""
    arn = {"KeyARN": given["key_arn"]} if "key_arn" in given else {}
    return {"KeyType": given["key_type"], **arn}


def tags_of(given: dict[str, str]) -> list[Json]:
    """As AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in given.items()]


def connections_of(given: Json) -> dict[str, Given]:
    """By part. Raises ValidationError for one that could not be used."""
    found = {}
    for part, said in given.get("connections", {}).items():
        found[part] = Given(said["endpoint_url"], said["region"], said["access_key_id"], said.get("secret"))
        check_connection(part, found[part], f"connections.{part}.")
    return found


def check_connection(part: str, given: Given, path: str = "") -> None:
    """Raises ValidationError."""
    try:
        connections.check(part, given, allow_private=calls.runtime().config.destinations_may_be_private)
    except ConnectionRefused as error:
        raise ValidationError({f"{path}{error.member}": error.text}) from error


def keep_connection(request: ApiRequest, row: Any, part: str, given: Given) -> None:
    """Set or clear one. Raises ValidationError."""
    try:
        put_connection(request, row, part, given)
    except ConnectionRefused as error:
        raise ValidationError({error.member: error.text}) from error
