"""Redshift destinations: a staging bucket, and the COPY that loads from it."""

from __future__ import annotations

from typing import Any

from apps.delivery.configuration.members import (
    Situation,
    check,
    copied,
    logging,
    no_secrets_manager,
    retries,
)
from apps.delivery.configuration.processing import processing
from apps.delivery.configuration.s3 import backup, plain
from apps.delivery.destinations import redshift_copy
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType

LOADABLE = ("UNCOMPRESSED", "GZIP")
"""What COPY reads of CompressionFormat."""

Json = dict[str, Any]


def redshift(given: Json, _situation: Situation) -> Json:
    """A Redshift configuration; the password is still in it."""
    if not (given.get("Username") and given.get("Password")):
        raise InvalidArgumentException("Username and Password must be specified.")
    staging = plain(given["S3Configuration"], expressions_allowed=False)
    if staging["CompressionFormat"] not in LOADABLE:
        raise InvalidArgumentException(
            f"CompressionFormat {staging['CompressionFormat']} is not supported for Amazon Redshift destinations: its COPY "
            "reads UNCOMPRESSED and GZIP only."
        )
    check(redshift_copy.address, given["ClusterJDBCURL"])
    check(redshift_copy.statement, given, "s3://bucket/manifest", compressed=staging["CompressionFormat"] == "GZIP")
    return {
        **copied(given, "RoleARN", "ClusterJDBCURL", "CopyCommand", "Username", "Password"),
        "RetryOptions": retries(DestinationType.REDSHIFT, given.get("RetryOptions")),
        "S3DestinationDescription": staging,
        **processing(given, DestinationType.REDSHIFT),
        **backup(given),
        "CloudWatchLoggingOptions": logging(given.get("CloudWatchLoggingOptions")),
        **no_secrets_manager(given),
    }
