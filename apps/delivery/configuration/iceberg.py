"""Apache Iceberg destinations."""

from __future__ import annotations

from typing import Any

from apps.delivery.configuration.members import Situation, buffering, check, copied, logging, retries
from apps.delivery.configuration.processing import processing
from apps.delivery.configuration.s3 import plain
from apps.delivery.destinations import iceberg as engine
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType

Json = dict[str, Any]


def iceberg(given: Json, situation: Situation) -> Json:
    """An Iceberg configuration."""
    catalog_arn = given["CatalogConfiguration"].get("CatalogARN")
    if not catalog_arn:
        raise InvalidArgumentException("CatalogConfiguration.CatalogARN must be specified.")
    if catalog_arn.split(":")[4] != situation.account_id:
        raise InvalidArgumentException("CatalogConfiguration.CatalogARN must be the account's own catalog.")
    if given.get("S3BackupMode") == "AllData":
        raise InvalidArgumentException("S3BackupMode AllData is not supported for Iceberg destinations.")
    check(engine.check, given)
    return {
        **copied(
            given, "DestinationTableConfigurationList", "SchemaEvolutionConfiguration", "TableCreationConfiguration"
        ),
        "BufferingHints": buffering(given.get("BufferingHints"), both=True),
        "CloudWatchLoggingOptions": logging(given.get("CloudWatchLoggingOptions")),
        **processing(given, DestinationType.ICEBERG),
        "S3BackupMode": "FailedDataOnly",
        "RetryOptions": retries(DestinationType.ICEBERG, given.get("RetryOptions")),
        **copied(given, "RoleARN", "CatalogConfiguration"),
        "AppendOnly": bool(given.get("AppendOnly")),
        "S3DestinationDescription": plain(given["S3Configuration"]),
    }
