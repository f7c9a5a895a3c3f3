"""Splunk destinations."""

from __future__ import annotations

from typing import Any

from apps.delivery.configuration.members import Situation, buffering, endpoint, logging, no_secrets_manager, retries
from apps.delivery.configuration.processing import processing
from apps.delivery.configuration.s3 import plain
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType

ACKNOWLEDGED_WITHIN_S = 180
INTERVAL_S = 60
"""AWS's defaults."""

Json = dict[str, Any]


def splunk(given: Json, situation: Situation) -> Json:
    """A Splunk configuration; the token is still in it."""
    if not given.get("HECToken"):
        raise InvalidArgumentException("HECToken must be specified.")
    return {
        "HECEndpoint": endpoint("HECEndpoint", given["HECEndpoint"], situation),
        "HECEndpointType": given["HECEndpointType"],
        "HECToken": given["HECToken"],
        "HECAcknowledgmentTimeoutInSeconds": given.get("HECAcknowledgmentTimeoutInSeconds") or ACKNOWLEDGED_WITHIN_S,
        "RetryOptions": retries(DestinationType.SPLUNK, given.get("RetryOptions")),
        "S3BackupMode": given.get("S3BackupMode") or "FailedEventsOnly",
        "S3DestinationDescription": plain(given["S3Configuration"]),
        **processing(given, DestinationType.SPLUNK),
        "CloudWatchLoggingOptions": logging(given.get("CloudWatchLoggingOptions")),
        "BufferingHints": buffering(given.get("BufferingHints"), interval_s=INTERVAL_S),
        **no_secrets_manager(given),
    }
