"""HTTP endpoint destinations."""

from __future__ import annotations

from typing import Any

from apps.delivery.configuration.members import (
    Situation,
    buffering,
    copied,
    endpoint,
    logging,
    no_secrets_manager,
    retries,
)
from apps.delivery.configuration.processing import processing
from apps.delivery.configuration.s3 import plain
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType

Json = dict[str, Any]


def http_endpoint(given: Json, situation: Situation) -> Json:
    """An HTTP endpoint configuration; the access key is still in it."""
    configured = given["EndpointConfiguration"]
    endpoint("EndpointConfiguration.Url", configured["Url"], situation)
    return {
        "EndpointConfiguration": copied(configured, "Url", "Name", "AccessKey"),
        **copied(given, "RoleARN"),
        "BufferingHints": buffering(given.get("BufferingHints"), both=True),
        "CloudWatchLoggingOptions": logging(given.get("CloudWatchLoggingOptions")),
        "RequestConfiguration": _request(given.get("RequestConfiguration") or {}),
        **processing(given, DestinationType.HTTP),
        "RetryOptions": retries(DestinationType.HTTP, given.get("RetryOptions")),
        "S3BackupMode": given.get("S3BackupMode") or "FailedDataOnly",
        "S3DestinationDescription": plain(given["S3Configuration"]),
        **no_secrets_manager(given),
    }


def _request(given: Json) -> Json:
    attributes = given.get("CommonAttributes") or []
    names = [one["AttributeName"] for one in attributes]
    if len(set(names)) != len(names):
        raise InvalidArgumentException(
            "RequestConfiguration.CommonAttributes: an AttributeName is given more than once."
        )
    return {"ContentEncoding": given.get("ContentEncoding") or "NONE", "CommonAttributes": attributes}
