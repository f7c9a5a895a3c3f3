"""How a delivery stream is written for people: where from, where to, how it fares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from apps.delivery.models import DeliveryStream, DeliveryStreamStatus, DestinationType, SourceType

Json = dict[str, Any]

DESTINATIONS: Final[dict[str, str]] = {
    DestinationType.S3: "S3",
    DestinationType.HTTP: "HTTP endpoint",
    DestinationType.SPLUNK: "Splunk",
    DestinationType.OPENSEARCH: "OpenSearch",
    DestinationType.OPENSEARCH_SERVERLESS: "OpenSearch Serverless",
    DestinationType.ELASTICSEARCH: "Elasticsearch",
    DestinationType.REDSHIFT: "Redshift",
    DestinationType.ICEBERG: "Iceberg",
}

KEYS: Final[dict[str, str]] = {
    "s3": DestinationType.S3,
    "http": DestinationType.HTTP,
    "splunk": DestinationType.SPLUNK,
    "opensearch": DestinationType.OPENSEARCH,
    "serverless": DestinationType.OPENSEARCH_SERVERLESS,
    "elasticsearch": DestinationType.ELASTICSEARCH,
    "redshift": DestinationType.REDSHIFT,
    "iceberg": DestinationType.ICEBERG,
}
"""Short words for addresses, filters and forms."""

STATUSES: Final[dict[str, tuple[str, str]]] = {
    DeliveryStreamStatus.CREATING: ("busy", "Creating"),
    DeliveryStreamStatus.CREATING_FAILED: ("bad", "Creation failed"),
    DeliveryStreamStatus.UPDATING: ("busy", "Updating"),
    DeliveryStreamStatus.DELETING: ("busy", "Deleting"),
    DeliveryStreamStatus.DELETING_FAILED: ("bad", "Deletion failed"),
}


def state(row: DeliveryStream, failing_since_ms: int | None) -> tuple[str, str]:
    """(ok | warn | bad | busy | off, words): AWS's status in plain words, and what AWS does not tell."""
    if row.status in STATUSES:
        return STATUSES[row.status]
    if row.paused_at_ms is not None:
        return "off", "Paused"
    return ("warn", "Failing") if failing_since_ms is not None else ("ok", "Active")


def source(row: DeliveryStream) -> str:
    """`Direct PUT`, or the data stream's name (also of one that is gone)."""
    if row.source_type == SourceType.DIRECT_PUT:
        return "Direct PUT"
    if row.source_stream is not None:
        return str(row.source_stream.name)
    return f"{str(row.source.get('KinesisStreamARN', '')).rpartition('/')[2] or 'a data stream'}, deleted"


def bucket_of(arn: str) -> str:
    """The bucket's name in its ARN."""
    return arn.rpartition(":::")[2] or arn


def s3_address(description: Json | None) -> str:
    """`s3://bucket/prefix` of an S3 description, expressions as they stand in it."""
    if not description or not description.get("BucketARN"):
        return ""
    return f"s3://{bucket_of(description['BucketARN'])}/{description.get('Prefix') or ''}"


def address(destination_type: str, description: Json) -> str:
    """Where records go, in one line."""
    match destination_type:
        case DestinationType.S3:
            return s3_address(description)
        case DestinationType.HTTP:
            return str((description.get("EndpointConfiguration") or {}).get("Url", ""))
        case DestinationType.SPLUNK:
            return str(description.get("HECEndpoint", ""))
        case DestinationType.REDSHIFT:
            table = (description.get("CopyCommand") or {}).get("DataTableName", "")
            return _joined(_jdbc(str(description.get("ClusterJDBCURL") or "")), table)
        case DestinationType.ICEBERG:
            tables = description.get("DestinationTableConfigurationList") or []
            names = [f"{one.get('DestinationDatabaseName')}.{one.get('DestinationTableName')}" for one in tables]
            return ", ".join(names) or "tables named by each record"
        case _:
            place = description.get("ClusterEndpoint") or description.get("CollectionEndpoint")
            place = place or str(description.get("DomainARN", "")).rpartition("/")[2]
            return _joined(urlsplit(str(place)).netloc or str(place), description.get("IndexName", ""))


def _joined(*parts: str) -> str:
    """With commas; what is not typed yet is left out."""
    return ", ".join(part for part in parts if part)


def _jdbc(url: str) -> str:
    """`host:port/database` of jdbc:redshift://host:port/database."""
    return url.partition("://")[2] or url


@dataclass(frozen=True, slots=True)
class Described:
    """A delivery stream (with figures.with_figures) in the words of lists."""

    stream: Any

    @property
    def state(self) -> tuple[str, str]:
        """Form of the mark, and the words."""
        return state(self.stream, self.stream.failing_ms)

    @property
    def source(self) -> str:
        """Where from."""
        return source(self.stream)

    @property
    def kind(self) -> str:
        """What kind of destination."""
        return DESTINATIONS[self.stream.destination_type]

    @property
    def address(self) -> str:
        """Where to."""
        return address(self.stream.destination_type, self.stream.destination)


def error_type_of(key: str) -> str:
    """The error-output-type in an object's key, as far as the default prefixes show it."""
    return next((part for part in key.split("/") if part.endswith(("-failed", "_failed"))), "failed records")
