"""Channels to streaming tables: a registered JSON schema becomes a table, records become its rows."""

import json
import zlib
from typing import Any
from uuid import UUID

import pytest

from apps.delivery.destinations import channel_rows, iceberg_shelf
from apps.delivery.models import DeliveryStream
from apps.delivery.targets import target_for
from apps.gateway.invoke import invoke_sync
from tests.domain.delivery.channels.conftest import ROLE, Bench, bucket
from tests.support.s3 import S3Server

SCHEMA = {
    "type": "object",
    "required": ["id", "at"],
    "properties": {
        "id": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "note": {"type": ["string", "null"]},
        "place": {"type": "object", "properties": {"x": {"type": "number"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
ARN = "arn:aws:glue:us-east-1:123456789012:schema/default-registry/orders"


def glue(bench: Bench, operation: str, **params: Any) -> Any:
    return invoke_sync(bench.runtime, bench.principal, "glue", operation, params)


def register(bench: Bench, definition: Any = SCHEMA, **more: Any) -> UUID:
    answer = glue(
        bench, "CreateSchema", SchemaName="orders", DataFormat="JSON", Compatibility="NONE",
        SchemaDefinition=json.dumps(definition), **more,
    )  # fmt: skip
    return UUID(answer["SchemaVersionId"])


def request(stream: str, record: str = "JSON", arn: str = ARN, **changes: Any) -> dict[str, Any]:
    table = {
        "TableBucketARN": "arn:aws:s3tables:us-east-1:123456789012:bucket/events",
        "Namespace": "shop",
        "TableName": "orders",
        "CompressionType": "ZSTD",
        **changes,
    }
    return {
        "ChannelName": "c",
        "ServiceExecutionRoleARN": ROLE,
        "StreamConfigurationList": [
            {"StreamARN": stream, "RecordConfiguration": {"RecordFormatType": record, "GSRSchemaARN": arn}}
        ],
        "S3TablesDestinationConfiguration": {
            "DeadLetterQueueS3Configuration": bucket("letters", ErrorOutputPrefix="bad/"),
            "S3TablesConfigurationList": [table],
        },
    }


def create(bench: Bench, *args: Any, **changes: Any) -> str:
    answer = bench("CreateChannel", **request(*args, **changes))
    bench.settle()
    return answer["ChannelDescription"]["ChannelARN"]


def table(bench: Bench) -> Any:
    channel = DeliveryStream.objects.select_related("team").get()
    return iceberg_shelf.catalogue_for(bench.runtime, target_for(bench.runtime, channel)).load_table("shop.orders")


def order(number: int, **more: Any) -> bytes:
    return json.dumps({"id": number, "at": f"2026-07-13T1{number}:00:00Z", **more}).encode()


def letters(s3: S3Server) -> dict[str, str]:
    lines = [json.loads(line) for body in s3.objects("letters", "bad/").values() for line in body.splitlines()]
    return {line["errorCode"]: line["errorMessage"] for line in lines}


def test_records_become_rows_of_a_new_table(bench: Bench, s3: S3Server) -> None:
    register(bench)
    spec = {"PartitionFields": [{"Transform": "TIME_HOUR", "SourceName": "at"}]}
    arn = create(bench, bench.stream(), PartitionSpec=spec)
    said = bench.describe(arn)
    assert said["ChannelStatus"] == "ACTIVE"
    assert said["S3TablesDestinationConfiguration"]["DataFreshnessInSeconds"] == 300
    assert said["S3TablesDestinationConfiguration"]["S3TablesConfigurationList"][0]["PartitionSpec"] == spec
    assert bench("ListChannels")["ChannelSummaries"][0]["ChannelDestinationType"] == "S3_TABLES"
    made = table(bench)
    assert str(made.spec().fields[0].transform) == "hour"
    bench.put(order(1, note="n", place={"x": 1}, tags=["a"]), order(2, extra=True), order(3, at="never"), b"no json")
    bench.deliver()
    rows = sorted(table(bench).scan().to_arrow().to_pylist(), key=lambda row: row["id"])
    assert [(row["id"], row["note"], row["place"], row["tags"]) for row in rows] == [
        (1, "n", {"x": 1.0}, ["a"]),
        (2, None, None, None),
    ]
    assert set(letters(s3)) == {"ICEBERG_BAD_DATA"}
    keys = s3.keys("events", f"shop/orders/{said['ChannelId']}/data/")
    assert {key.split("/")[-2] for key in keys} == {"at_hour=2026-07-13-11", "at_hour=2026-07-13-12"}
    assert glue(bench, "GetTable", DatabaseName="shop", Name="orders")["Table"]["Parameters"]["table_type"] == "ICEBERG"


def test_the_registrys_header(bench: Bench, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_rows, "UNPACKED_BYTES_MAX", 1 << 20)
    version = register(bench)
    other = UUID(
        glue(bench, "CreateSchema", SchemaName="other", DataFormat="JSON", Compatibility="NONE",
             SchemaDefinition=json.dumps(SCHEMA))["SchemaVersionId"]
    )  # fmt: skip
    create(bench, bench.stream(), "GSR_JSON")
    bomb = zlib.compress(b"[" * (2 << 20))
    bench.put(
        b"\x03\x00" + version.bytes + order(1),
        b"\x03\x05" + version.bytes + zlib.compress(order(2)),
        b"\x03\x00" + other.bytes + order(3),
        order(4),
        b"\x03\x05" + version.bytes + bomb,
    )
    bench.deliver()
    assert sorted(table(bench).scan().to_arrow()["id"].to_pylist()) == [1, 2]
    assert set(letters(s3)) == {"ICEBERG_BAD_DATA", "Channel.SchemaMismatch"}


def test_a_table_that_is_there_already_fails_the_channel_for_ever(bench: Bench) -> None:
    register(bench)
    glue(bench, "CreateDatabase", DatabaseInput={"Name": "shop"})
    glue(bench, "CreateTable", DatabaseName="shop", TableInput={"Name": "orders"})
    said = bench.describe(create(bench, bench.stream()))
    assert (said["ChannelStatus"], said["ChannelStatusReason"]) == ("FAILED", "The table shop.orders exists already.")
    arn = said["ChannelARN"]
    update = {"S3TablesDestinationConfiguration": {"DataFreshnessInSeconds": 60}}
    assert bench.refused("UpdateChannel", ChannelARN=arn, **update)[0] == "ResourceInUseException"
    bench("DeleteChannel", ChannelARN=arn)
    bench.settle()
    assert not DeliveryStream.objects.exists()


def test_a_table_that_is_dropped_fails_the_channel(bench: Bench) -> None:
    register(bench)
    arn = create(bench, bench.stream())
    glue(bench, "DeleteTable", DatabaseName="shop", Name="orders")
    bench.put(order(1))
    bench.deliver()
    said = bench.describe(arn)
    assert (said["ChannelStatus"], said["ChannelStatusReason"]) == (
        "FAILED", "The table shop.orders of the channel is gone.",
    )  # fmt: skip


def test_a_bucket_that_cannot_be_written_to(bench: Bench, s3: S3Server) -> None:
    register(bench)
    arn = create(bench, bench.stream(), TableBucketARN="arn:aws:s3tables:us-east-1:123456789012:bucket/missing")
    assert bench.describe(arn)["ChannelStatus"] == "CREATING"
    s3.make_bucket("missing")
    bench.clock.advance(6_000)
    bench.settle()
    assert bench.describe(arn)["ChannelStatus"] == "ACTIVE"


def test_what_makes_no_table_is_refused(bench: Bench) -> None:
    register(bench)
    arn = bench.stream()
    glue(bench, "CreateSchema", SchemaName="untold", DataFormat="JSON", Compatibility="NONE",
         SchemaDefinition=json.dumps({"type": "object", "properties": {"a": {"oneOf": [{}]}}}))  # fmt: skip
    glue(bench, "CreateSchema", SchemaName="avro", DataFormat="AVRO", Compatibility="NONE",
         SchemaDefinition='{"type": "record", "name": "r", "fields": []}')  # fmt: skip
    two = request(arn)
    two["S3TablesDestinationConfiguration"]["S3TablesConfigurationList"] *= 2
    none = request(arn)
    del none["StreamConfigurationList"][0]["RecordConfiguration"]["GSRSchemaARN"]
    cases = [
        ("ValidationException", two),
        ("ValidationException", none),
        ("ValidationException", request(arn, "STRING")),
        ("ValidationException", request(arn, PartitionSpec={"PartitionFields": [{"Transform": "TIME_HOUR", "SourceName": "id"}]})),
        ("ResourceNotFoundException", request(arn, arn=ARN.replace("orders", "nobody"))),
        ("InvalidArgumentException", request(arn, arn=ARN.replace("orders", "avro"))),
        ("InvalidArgumentException", request(arn, arn=ARN.replace("orders", "untold"))),
    ]  # fmt: skip
    assert [bench.refused("CreateChannel", **one)[0] for _, one in cases] == [code for code, _ in cases]
    assert not DeliveryStream.objects.exists()


def test_one_of_each_kind_on_a_stream(bench: Bench) -> None:
    register(bench)
    arn = bench.stream()
    create(bench, arn)
    bench("CreateChannel", **bench.request("s3", arn))
    code, _ = bench.refused("CreateChannel", **{**request(arn, TableName="more"), "ChannelName": "d"})
    assert code == "LimitExceededException"


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ({"type": "string"}, "an object with properties"),
        ({"type": "object", "properties": {"a": {"type": "object"}}}, "does not say what is in it"),
        ({"type": "object", "properties": {"a": {"type": ["string", "integer"]}}}, "exactly one type"),
        ({"type": "object", "properties": {"a": True}}, "has no type"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "no one type"),
        ({"type": "object", "properties": {f"a{n}": {"type": "integer"} for n in range(1_001)}}, "more than 1000"),
    ],
)
def test_schemas_that_make_no_columns(definition: Any, why: str) -> None:
    from apps.delivery.channel_schema import schema_of

    with pytest.raises(ValueError, match=why):
        schema_of(json.dumps(definition))
