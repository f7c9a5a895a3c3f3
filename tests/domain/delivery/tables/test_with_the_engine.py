"""Delivery streams to tables, from CreateDeliveryStream on: the engine, a real S3 server, PostgreSQL."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from apps.base.clock import FakeClock
from apps.delivery.destinations import iceberg_shelf
from apps.delivery.destinations.iceberg_files import S3Files
from apps.delivery.destinations.iceberg_objects import S3Objects
from apps.delivery.models import Connection, DeliveryError, DeliveryStream, Lane
from apps.delivery.targets import target_for
from apps.gateway.invoke import invoke_sync
from apps.leases import hold
from apps.leases.models import Lease
from apps.runtime import Runtime
from tests.support.redshift import PASSWORD, USER, Redshift
from tests.support.runtimes import memory_runtime, run_due
from tests.support.s3 import S3Server, settings_for
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

ROLE = "arn:aws:iam::123456789012:role/firehose"
BUCKET = {
    "RoleARN": ROLE,
    "BucketARN": "arn:aws:s3:::staging",
    "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
}
JDBC = "jdbc:redshift://examplecluster.abc123.us-west-2.redshift.amazonaws.com:5439/dev"


class Bench:
    def __init__(self, runtime: Runtime, clock: FakeClock, s3: S3Server) -> None:
        self.runtime, self.clock, self.s3 = runtime, clock, s3
        self.team = make_team()

    def __call__(self, operation: str, **params: Any) -> Any:
        return invoke_sync(self.runtime, self.team.principal, "firehose", operation, params)

    def create(self, **configuration: Any) -> DeliveryStream:
        self("CreateDeliveryStream", DeliveryStreamName="d", **configuration)
        run_due(self.runtime, "delivery-streams", "delivery")
        return DeliveryStream.objects.select_related("team").get()

    def put(self, *datas: Any) -> None:
        records = [{"Data": data if isinstance(data, bytes) else json.dumps(data).encode()} for data in datas]
        assert self("PutRecordBatch", DeliveryStreamName="d", Records=records)["FailedPutCount"] == 0

    def later(self, seconds: int) -> None:
        self.clock.advance(seconds * 1_000)
        for lane in Lane.objects.values_list("pk", flat=True):
            hold.ensure("delivery", str(lane), self.clock.now_ms())  # as the lookout does for lanes with something new
        run_due(self.runtime, "delivery")


@pytest.fixture
def bench(clock: FakeClock, s3: S3Server) -> Iterator[Bench]:
    built = memory_runtime(clock, throttle=False, **settings_for(s3.endpoint))
    built.open_in_thread()
    yield Bench(built, clock, s3)
    built.close_in_thread()


def test_iceberg_rows_are_in_the_table_and_the_rest_under_the_error_prefix(bench: Bench) -> None:
    stream = bench.create(
        IcebergDestinationConfiguration={
            "RoleARN": ROLE,
            "CatalogConfiguration": {"CatalogARN": "arn:aws:glue:us-east-1:123456789012:catalog"},
            "S3Configuration": {**BUCKET, "ErrorOutputPrefix": "errors/"},
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
            "DestinationTableConfigurationList": [
                {"DestinationDatabaseName": "shop", "DestinationTableName": "orders"}
            ],
        }
    )
    bench.put({"id": 1, "name": "a"}, {"id": 7}, {"id": 2, "name": None})
    bench.later(61)
    assert DeliveryError.objects.get().code == "Iceberg.NoSuchTable"
    target = target_for(bench.runtime, stream)
    catalogue = iceberg_shelf.catalogue_for(bench.runtime, target)
    schema = Schema(NestedField(1, "id", LongType(), required=True), NestedField(2, "name", StringType()))
    catalogue.create("shop", "orders", schema, "s3://staging/lake/orders")
    bench.later(5)
    rows = catalogue.load_table("shop.orders").scan().to_arrow().to_pylist()
    assert rows == [{"id": 1, "name": "a"}, {"id": 2, "name": None}]
    [(key, body)] = bench.s3.objects("staging", "errors/").items()
    assert key.startswith("errors/iceberg-failed/")
    assert json.loads(body)["errorCode"] == "Iceberg.MissingColumnWithinRecord"
    assert Lane.objects.get().delivered_records == 2
    assert isinstance(catalogue.load_table("shop.orders").io, S3Files)
    assert S3Objects(bench.runtime, target).size("staging", key) == len(body)


@pytest.mark.postgres
def test_redshift_loads_and_what_is_given_up_leaves_a_manifest(bench: Bench, redshift: Redshift) -> None:
    stream = bench.create(
        RedshiftDestinationConfiguration={
            "RoleARN": ROLE,
            "ClusterJDBCURL": JDBC,
            "CopyCommand": {"DataTableName": "events", "CopyOptions": "json 'auto'"},
            "Username": USER,
            "Password": PASSWORD,
            "S3Configuration": BUCKET,
            "RetryOptions": {"DurationInSeconds": 60},
        }
    )
    Connection.objects.create(delivery_stream=stream, part="destination", endpoint_url=redshift.endpoint)
    bench.put({"id": 1, "name": "a"}, {"id": 2, "name": "b"})
    bench.later(61)
    assert redshift.run("SELECT id, name FROM events ORDER BY id") == [(1, "a"), (2, "b")]
    assert Lane.objects.get().delivered_records == 2
    redshift.run("ALTER TABLE events RENAME TO gone")
    bench.put({"id": 3, "name": "c"})
    for _ in range(12):
        bench.later(31)
    assert {error.code for error in DeliveryError.objects.all()} == {"Redshift.TableNotFound"}
    [key] = bench.s3.keys("staging", "errors/")
    assert key.startswith("errors/manifests/")
    listed = json.loads(bench.s3.body("staging", key))["entries"][0]["url"]
    assert json.loads(bench.s3.body("staging", listed.removeprefix("s3://staging/"))) == {"id": 3, "name": "c"}
    redshift.run("ALTER TABLE gone RENAME TO events")
    bench.put({"id": 4, "name": "d"})
    bench.later(61)
    assert redshift.run("SELECT id FROM events ORDER BY id") == [(1,), (2,), (4,)]
    assert not Lease.objects.filter(kind="redshift-copies").exclude(owner="").exists()
    bench("DeleteDeliveryStream", DeliveryStreamName="d")
    run_due(bench.runtime, "delivery-streams", "delivery")
    assert not DeliveryStream.objects.exists()
    assert not Lease.objects.filter(kind="redshift-copies").exists()
