"""Elasticsearch, OpenSearch and OpenSearch Serverless destinations."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from apps.delivery.configuration.members import (
    Situation,
    buffering,
    copied,
    endpoint,
    logging,
    no_vpc,
    retries,
)
from apps.delivery.configuration.processing import processing
from apps.delivery.configuration.s3 import plain
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType

INDEX = re.compile(r"[^A-Z\\/*?\"<>| ,#:\x00-\x1f_+.\-][^A-Z\\/*?\"<>| ,#:\x00-\x1f]*")
"""What a server takes as the name of an index: lower case, none of a few signs, no underscore, plus, dot or hyphen first."""

Json = dict[str, Any]


def _search(destination_type: DestinationType, given: Json, situation: Situation) -> Json:
    no_vpc(given)
    if INDEX.fullmatch(given["IndexName"]) is None:
        raise InvalidArgumentException(f"IndexName {given['IndexName']} cannot be the name of an index.")
    return {
        **copied(given, "RoleARN"),
        **_where(destination_type, given, situation),
        "IndexName": given["IndexName"],
        **_documents(destination_type, given),
        "BufferingHints": buffering(given.get("BufferingHints")),
        "RetryOptions": retries(destination_type, given.get("RetryOptions")),
        "S3BackupMode": given.get("S3BackupMode") or "FailedDocumentsOnly",
        "S3DestinationDescription": plain(given["S3Configuration"]),
        **processing(given, destination_type),
        "CloudWatchLoggingOptions": logging(given.get("CloudWatchLoggingOptions")),
    }


def _where(destination_type: DestinationType, given: Json, situation: Situation) -> Json:
    """Where it is: an address, or (not Serverless) a domain, whose address the operator's environment or the delivery
    stream's connection tells."""
    if destination_type == DestinationType.OPENSEARCH_SERVERLESS:
        if not given.get("CollectionEndpoint"):
            raise InvalidArgumentException("CollectionEndpoint must be specified.")
        return {"CollectionEndpoint": endpoint("CollectionEndpoint", given["CollectionEndpoint"], situation)}
    where = copied(given, "DomainARN", "ClusterEndpoint")
    if len(where) != 1:
        raise InvalidArgumentException("Specify either ClusterEndpoint or DomainARN.")
    if "ClusterEndpoint" in where:
        endpoint("ClusterEndpoint", where["ClusterEndpoint"], situation)
    return where


def _documents(destination_type: DestinationType, given: Json) -> Json:
    """What Serverless does not have."""
    if destination_type == DestinationType.OPENSEARCH_SERVERLESS:
        return {}
    return {
        **copied(given, "TypeName"),
        "IndexRotationPeriod": given.get("IndexRotationPeriod") or "OneDay",
        "DocumentIdOptions": given.get("DocumentIdOptions") or {"DefaultDocumentIdFormat": "FIREHOSE_DEFAULT"},
    }


elasticsearch = partial(_search, DestinationType.ELASTICSEARCH)
opensearch = partial(_search, DestinationType.OPENSEARCH)
opensearch_serverless = partial(_search, DestinationType.OPENSEARCH_SERVERLESS)
