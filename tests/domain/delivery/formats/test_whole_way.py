"""From PutRecordBatch into a Parquet or ORC object, with what does not fit under the error prefix, and with a table that comes late."""

import base64
import io
import json

import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from apps.delivery.grants import grant
from apps.delivery.models import DeliveryError, Lane
from apps.gateway.invoke import invoke_sync
from tests.support.firehose import CONVERTED, TO_ORC
from tests.support.runtimes import memory_runtime, run_due
from tests.support.s3 import settings_for
from workers import slices

pytestmark = pytest.mark.django_db(transaction=True)

NOW_MS = 1_790_000_000_000
COLUMNS = [
    {"Name": "id", "Type": "int"},
    {"Name": "ts", "Type": "timestamp"},
    {"Name": "tags", "Type": "array<string>"},
]
ERRORS = {"ErrorOutputPrefix": "errors/!{firehose:error-output-type}/", "Prefix": "rows/"}


@pytest.fixture
def runtime(clock, s3):
    built = memory_runtime(clock, **settings_for(s3.endpoint))
    built.open_in_thread()
    yield built
    built.close_in_thread()


def settle(runtime, clock, rounds=3):
    """What wakes would bring about, which nobody hears here: each lane has a look."""
    run_due(runtime, "delivery-streams", "delivery")
    for _ in range(rounds):
        for lane in Lane.objects.order_by("pk"):
            slices.run(runtime, "delivery", str(lane.pk))
        clock.advance(310_000)


def read_orc(body):
    return orc.ORCFile(io.BytesIO(body)).read()


def read_parquet(body):
    return pq.ParquetFile(io.BytesIO(body)).read()


@pytest.mark.parametrize(
    ("configuration", "suffix", "read", "when"),
    [
        (CONVERTED, ".parquet", read_parquet, '"timestamp":"2024-01-02T03:04:05Z"'),
        (TO_ORC, ".orc", read_orc, '"ts":1704164645000'),
    ],
    ids=["parquet", "orc"],
)
def test_rows_arrive_and_what_does_not_fit_is_kept(runtime, clock, team, s3, configuration, suffix, read, when):
    bucket = s3.make_bucket("bucket")
    grant(team.team, bucket, NOW_MS)

    def call(service, operation, **params):
        return invoke_sync(runtime, team.principal, service, operation, params)

    call(
        "firehose",
        "CreateDeliveryStream",
        DeliveryStreamName="d",
        ExtendedS3DestinationConfiguration={**configuration, **ERRORS},
    )
    settle(runtime, clock)
    datas = [
        f'{{"id":1,{when},"tags":["a","b"],"other":1}}'.encode(), b'{"id":"x"}', b"not json",
        f'{{"ID":2}}\n{{"ID":3,{when}}}'.encode(),
    ]  # fmt: skip
    put = call("firehose", "PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": data} for data in datas])
    assert put["FailedPutCount"] == 0
    settle(runtime, clock)
    assert s3.objects(bucket) == {}
    assert {row.code for row in DeliveryError.objects.all()} == {"DataFormatConversion.EntityNotFound"}

    call("glue", "CreateDatabase", DatabaseInput={"Name": "db"})
    call("glue", "CreateTable", DatabaseName="db", TableInput={"Name": "t", "StorageDescriptor": {"Columns": COLUMNS}})
    settle(runtime, clock)
    found = s3.objects(bucket)
    (name,) = [key for key in found if key.startswith("rows/")]
    assert name.endswith(suffix)
    rows = read(found[name]).to_pylist()
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert [row["tags"] for row in rows] == [["a", "b"], None, None]
    assert [row["ts"] and row["ts"].isoformat()[:19] for row in rows] == [
        "2024-01-02T03:04:05",
        None,
        "2024-01-02T03:04:05",
    ]
    (errors,) = [key for key in found if key.startswith("errors/format-conversion-failed/")]
    lines = [json.loads(line) for line in found[errors].splitlines()]
    assert [(line["errorCode"], base64.b64decode(line["rawData"])) for line in lines] == [
        ("DataFormatConversion.MalformedData", datas[1]),
        ("DataFormatConversion.ParseError", datas[2]),
    ]
    assert {line["dataCatalogTable"]["tableName"] for line in lines} == {"t"}
    assert len(found) == 2
