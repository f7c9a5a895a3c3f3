"""Help pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpResponse
from django.shortcuts import render

from console.pages.shell import TeamRequest, team_page


@dataclass(frozen=True, slots=True)
class Tested:
    """A destination or a client: with what it is tested every day, against which real parts `make interop` runs, and what
    nobody has tried."""

    name: str
    every_day: str
    interop: str
    untried: str


TESTED: Final = (
    Tested("S3", "moto, and a proxy that fails", "versitygw and MinIO", "AWS's own S3"),
    Tested(
        "HTTP endpoint",
        "A strict receiver of the protocol",
        "None",
        "OpenTelemetry's awsfirehose receiver",
    ),
    Tested("Splunk", "A strict HEC receiver with acks", "None", "Splunk itself"),
    Tested("OpenSearch", "A receiver of the bulk API", "An OpenSearch node, over TLS", "AWS's domains, Serverless"),
    Tested("Elasticsearch", "The same receiver", "None", "Elasticsearch itself"),
    Tested("Redshift", "PostgreSQL behind a COPY stand-in", "None", "Redshift itself"),
    Tested("Iceberg", "Read back by pyiceberg and DuckDB", "None", "AWS Glue, S3 Tables"),
    Tested("Parquet and ORC", "Read back by pyarrow and DuckDB", "None", "Athena, Hive"),
    Tested("Transforms", "A strict Lambda-compatible server", "None", "AWS Lambda"),
    Tested("Clients of Firehose", "boto3", "The AWS CLI, every kind of destination", "The Kinesis Agent itself"),
)


@team_page("delivery:read")
def tested(request: TeamRequest) -> HttpResponse:
    """What deliveries were tested with, and what not."""
    return render(request, "docs/tested.html", {"tested": TESTED})
