"""Delivery streams as they look in everyday use: one that delivers, one that fails, one that partitions, one that reads a
data stream. All of it is real: objects lie in an S3 server, errors come from a destination that nobody listens at."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from tests.browser import demo_data
from tests.support.processes import Up, eventually
from tests.support.s3 import KEY, SECRET, S3Server

BUCKET = "market-data"
ROLE = "arn:aws:iam::123456789012:role/firehose"
SOON = {"SizeInMBs": 1, "IntervalInSeconds": 1}
SYMBOLS = ("QXZ", "TGT", "DFG", "NGC")
NOBODY_LISTENS = "https://127.0.0.1:9/firehose"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """With the bucket that everything is delivered to."""
    server = S3Server()
    try:
        server.make_bucket(BUCKET)
        yield server
    finally:
        server.stop()


def settings_for(server: S3Server) -> dict[str, str]:
    """What makes it the operator's S3."""
    return {"AWS_ENDPOINT_URL_S3": server.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def firehose_of(running: Up) -> Any:
    return boto3.client(
        "firehose",
        endpoint_url=running.endpoint,
        region_name="us-east-1",
        aws_access_key_id=demo_data.SETTINGS["TIDEGATE_ACCESS_KEY_ID"],
        aws_secret_access_key=demo_data.SETTINGS["TIDEGATE_SECRET_ACCESS_KEY"],
    )


def bucket(prefix: str, **more: Any) -> dict[str, Any]:
    return {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{BUCKET}", "Prefix": prefix, **more}


def seed(running: Up) -> None:
    """All of them, and what they deliver; returns when the first objects and the first error are there."""
    firehose = firehose_of(running)
    _create(firehose, "stock-ticker", bucket("ticker/", BufferingHints=SOON, CompressionFormat="GZIP"), ["market"])
    query = [
        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{symbol: .TICKER_SYMBOL}"},
        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
    ]
    _create(
        firehose, "ticker-by-symbol",
        bucket(
            "by-symbol/!{partitionKeyFromQuery:symbol}/",
            ErrorOutputPrefix="failed/!{firehose:error-output-type}/",
            DynamicPartitioningConfiguration={"Enabled": True},
            ProcessingConfiguration={"Enabled": True, "Processors": [{"Type": "MetadataExtraction", "Parameters": query}]},
        ),
        ["market", "lake"],
    )  # fmt: skip
    http = {
        "EndpointConfiguration": {"Url": NOBODY_LISTENS, "Name": "Collector"}, "RoleARN": ROLE, "BufferingHints": SOON,
        "RetryOptions": {"DurationInSeconds": 7_200}, "S3Configuration": bucket("collector/"),
    }  # fmt: skip
    firehose.create_delivery_stream(DeliveryStreamName="alerts-collector", HttpEndpointDestinationConfiguration=http)
    source = {"KinesisStreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/orders-events", "RoleARN": ROLE}
    _create(firehose, "orders-archive", bucket("orders/"), ["core"], KinesisStreamSourceConfiguration=source,
            DeliveryStreamType="KinesisStreamAsSource")  # fmt: skip
    for name in ("stock-ticker", "ticker-by-symbol", "alerts-collector", "orders-archive"):
        eventually(lambda name=name: _status(firehose, name) == "ACTIVE", what=f"{name} is active")
    for name in ("stock-ticker", "ticker-by-symbol", "alerts-collector"):
        records = [{"Data": json.dumps(_quote(n)).encode() + b"\n"} for n in range(200)]
        firehose.put_record_batch(DeliveryStreamName=name, Records=records)
    firehose.close()


def object_of(running: Up, name: str) -> int:
    """The row id of the newest object of a delivery stream."""
    code = (
        "from apps.delivery.models import DeliveredObject as o\n"
        f"print(o.objects.filter(delivery_stream__name={name!r}).order_by('-pk').values_list('pk', flat=True).first() or 0)"
    )
    return int(demo_data.shell(running, code).split()[-1])


def _create(firehose: Any, name: str, configuration: dict[str, Any], tags: list[str], **more: Any) -> None:
    firehose.create_delivery_stream(
        DeliveryStreamName=name, ExtendedS3DestinationConfiguration=configuration,
        Tags=[{"Key": tag, "Value": ""} for tag in tags], **more,
    )  # fmt: skip


def _status(firehose: Any, name: str) -> str:
    found = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    return found["DeliveryStreamStatus"]


def _quote(n: int) -> dict[str, Any]:
    return {"TICKER_SYMBOL": SYMBOLS[n % 4], "SECTOR": "ENERGY", "CHANGE": n % 7 - 3, "PRICE": 30 + n % 11}
