"""The wizard: what it creates, what it refuses and where it says so, and the code beside it."""

import json
import re

import pytest

from apps.access.models import AuditEntry
from apps.catalogue.models import Table
from apps.delivery.models import Connection, DeliveryStream
from tests.console.conftest import make_stream, text_of
from tests.console.delivery.conftest import settle

pytestmark = pytest.mark.usefixtures("served")

BASE = {
    "name": "ticker", "source": "direct", "kind": "s3", "bucket": "events", "interval_s": "60",
    "role_arn": "arn:aws:iam::123456789012:role/firehose", "compression": "UNCOMPRESSED",
}  # fmt: skip
JDBC = "jdbc:redshift://cluster.abc.us-east-1.redshift.amazonaws.com:5439/dev"
KINDS = {
    "s3": {},
    "http": {"http_url": "https://collector.example/in", "http_key": "very-secret", "http_attributes": "env=prod"},
    "splunk": {"splunk_url": "https://splunk.example:8088", "splunk_token": "very-secret", "interval_s": ""},
    "opensearch": {"search_url": "https://search.example:9200", "search_index": "events"},
    "serverless": {"search_url": "https://search.example:9200", "search_index": "events"},
    "elasticsearch": {"search_url": "https://search.example:9200", "search_index": "events"},
    "redshift": {
        "redshift_url": JDBC, "redshift_table": "events", "redshift_user": "me",
        "redshift_password": "very-secret", "redshift_options": "json 'auto'",
    },
    "iceberg": {"iceberg_database": "lake", "iceberg_table": "events"},
}  # fmt: skip
PARTITIONED = {
    "partition": "on", "jq": "{s: .TICKER_SYMBOL}", "prefix": "!{partitionKeyFromQuery:s}/", "error_prefix": "failed/",
}  # fmt: skip


def create(client, **given):
    return client.post("/t/first/create-delivery", {**BASE, **given})


def plain(response):
    return re.sub(r"<[^>]+>", "", text_of(response)).replace("&quot;", '"').replace("&#x27;", "'")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_destination_is_created_through_the_operation(client, served, kind):
    answer = create(client, kind=kind, **KINDS[kind])
    assert answer.status_code == 302, plain(answer)
    assert answer["Location"] == "/t/first/delivery/ticker"
    row = DeliveryStream.objects.get()
    assert row.status == "CREATING"
    settle(served)
    for tab in ("", "/errors", "/lanes", "/configuration", "/objects", "/delete", "/demo"):
        page = client.get(f"/t/first/delivery/ticker{tab}")
        assert page.status_code == 200, tab
        assert "very-secret" not in text_of(page)
    assert "very-secret" not in json.dumps(row.destination)
    assert AuditEntry.objects.get(operation="CreateDeliveryStream").outcome == ""


def test_a_data_stream_as_source(client, team, served):
    make_stream(served, team, "orders")
    assert create(client, source="stream", stream="orders").status_code == 302
    row = DeliveryStream.objects.get()
    assert row.source_stream.name == "orders"
    assert row.source["KinesisStreamARN"].endswith(":stream/orders")
    page = text_of(client.get("/t/first/create-delivery?stream=orders"))
    assert '<option value="orders" selected>' in page


def test_everything_at_once(client, served):
    create(
        client, prefix="d/!{partitionKeyFromQuery:symbol}/", error_prefix="failed/!{firehose:error-output-type}/",
        jq="{symbol: .TICKER_SYMBOL}", partition="on", delimiter="on", deaggregate="DELIMITED", deaggregate_by="\\n",
        transform="lambda", transform_arn="arn:aws:lambda:us-east-1:123456789012:function:clean", transform_mb="0.5",
        size_mb="64", backup="on", backup_bucket="copies", tags="team=core\npci",
        s3_endpoint="http://localhost:9000", s3_key="AKID", s3_secret="very-secret",
    )  # fmt: skip
    row = DeliveryStream.objects.get()
    processors = row.destination["ProcessingConfiguration"]["Processors"]
    assert [one["Type"] for one in processors] == [
        "RecordDeAggregation", "Lambda", "MetadataExtraction", "AppendDelimiterToRecord",
    ]  # fmt: skip
    assert {"ParameterName": "Delimiter", "ParameterValue": "Cg=="} in processors[0]["Parameters"]
    assert row.destination["DynamicPartitioningConfiguration"]["Enabled"]
    assert row.destination["S3BackupDescription"]["BucketARN"] == "arn:aws:s3:::copies"
    assert {tag.key: tag.value for tag in row.tags.all()} == {"team": "core", "pci": ""}
    connection = Connection.objects.get()
    assert (connection.part, connection.endpoint_url) == ("s3", "http://localhost:9000")
    assert "very-secret" not in connection.sealed_secret


def test_columns_become_a_table_of_the_catalogue(client):
    answer = create(client, convert="parquet", columns="ticker_symbol string\nprice: double,\n", size_mb="64")
    assert answer.status_code == 302, plain(answer)
    table = Table.objects.get()
    assert (table.database.name, table.name) == ("delivery", "ticker")
    schema = DeliveryStream.objects.get().destination["DataFormatConversionConfiguration"]["SchemaConfiguration"]
    assert (schema["DatabaseName"], schema["TableName"]) == ("delivery", "ticker")
    columns = table.definition["StorageDescriptor"]["Columns"]
    assert [(one["Name"], one["Type"]) for one in columns] == [("ticker_symbol", "string"), ("price", "double")]


@pytest.mark.parametrize(
    ("kind", "mode"), [("http", "AllData"), ("splunk", "AllEvents"), ("opensearch", "AllDocuments")]
)
def test_a_copy_of_every_record_beside_other_destinations(client, kind, mode):
    create(client, kind=kind, **KINDS[kind], backup="on")
    assert DeliveryStream.objects.get().destination["S3BackupMode"] == mode


def test_a_plain_transform_is_a_connection(client):
    create(client, transform="http", transform_url="https://transform.example/clean")
    assert Connection.objects.get(part="lambda").endpoint_url == "https://transform.example/clean"


@pytest.mark.parametrize(
    ("given", "field", "text"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "with space"}, "name", "regular expression"),
        ({"bucket": ""}, "bucket", "required"),
        ({"bucket": "Not A Bucket"}, "bucket", ""),
        ({"source": "stream"}, "stream", "Choose a data stream"),
        ({"prefix": "a/../b/"}, "prefix", "Prefix"),
        ({"prefix": "!{timestamp:bbb}/", "error_prefix": "x/"}, "prefix", ""),
        ({"prefix": "!{nonsense:x}/"}, "prefix", ""),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "Mars"),
        ({"size_mb": "500"}, "size_mb", "128"),
        ({"kind": "http"}, "http_url", "needs it"),
        ({"kind": "http", "http_url": "ftp://x"}, "http_url", "http"),
        ({"kind": "splunk", "splunk_url": "https://splunk.example"}, "splunk_token", "needs it"),
        ({"kind": "opensearch", **KINDS["opensearch"], "search_index": "UPPER"}, "search_index", "UPPER"),
        ({"kind": "redshift", **KINDS["redshift"], "redshift_url": "http://x"}, "redshift_url", ""),
        ({"convert": "parquet"}, "columns", "write the columns"),
        ({"convert": "orc", "columns": "price"}, "columns", "no type"),
        ({"convert": "orc", "columns": "price dubble"}, "columns", "dubble"),
        ({"convert": "parquet", "columns": "a string", "size_mb": "5"}, "size_mb", "64"),
        ({"transform": "lambda"}, "transform_arn", "Which function"),
        ({"transform": "lambda", "transform_arn": "nonsense"}, "transform_arn", ""),
        ({"transform": "http", "transform_url": "https://transform.example"}, "transform_url", "path"),
        ({"deaggregate": "DELIMITED"}, "deaggregate_by", "separates"),
        ({"partition": "on"}, "prefix", "partition key"),
        ({**PARTITIONED, "interval_s": "5"}, "interval_s", "60 seconds"),
        ({**PARTITIONED, "size_mb": "5"}, "size_mb", "64"),
        ({"jq": "{a: .", "partition": "on"}, "jq", ""),
        ({"backup": "on"}, "backup_bucket", "Which bucket"),
        ({"s3_endpoint": "http://localhost:9000"}, "s3_key", "keys of your own"),
        ({"s3_endpoint": "gopher://x", "s3_key": "a", "s3_secret": "b"}, "s3_endpoint", "https"),
        ({"tags": "=value"}, "tags", "no key"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_at_its_field_and_nothing_is_made(client, given, field, text):
    answer = create(client, **given)
    assert answer.status_code == 422
    page = text_of(answer).replace("&#x27;", "'").replace("&quot;", '"')
    assert DeliveryStream.objects.count() == Connection.objects.count() == Table.objects.count() == 0
    found = re.search(rf'id="id_{field}_err">.*?</div>', page, re.DOTALL)
    assert found, re.findall(r'<p class="err">.*?</p>|<li>.*?</li>', page)[:6]
    assert text in found[0]


def test_what_was_typed_is_kept_but_for_secrets(client):
    page = text_of(create(client, kind="http", bucket="kept-bucket", http_url="ftp://x", http_key="very-secret"))
    assert 'value="kept-bucket"' in page
    assert "very-secret" not in page


def test_a_taken_name_stands_at_the_name(client):
    create(client)
    page = text_of(create(client))
    assert (
        page.index('id="id_name"')
        < page.index("already exists")
        < page.index('id="id_stream"' if 'id="id_stream"' in page else 'id="id_tags"')
    )


def test_a_table_that_is_there_already_undoes_everything(client, team):
    create(client, convert="parquet", columns="a string")
    DeliveryStream.objects.update(name="other")
    answer = create(client, convert="parquet", columns="b string", s3_key="AKID", s3_secret="s")
    assert "Table already exists" in text_of(answer)
    assert DeliveryStream.objects.count() == 1
    assert not Connection.objects.exists()


def test_examples_and_code_follow_the_form(client):
    page = plain(
        client.post(
            "/t/first/create-delivery/beside",
            {
                **BASE,
                "prefix": "year=!{timestamp:yyyy}/",
                "error_prefix": "f/!{firehose:error-output-type}/",
                "compression": "GZIP",
            },
        )
    )
    assert re.search(r"s3://events/year=20\d\d/ticker-1-20\S+\.gz", page)
    assert "s3://events/f/processing-failed/ticker-1-" in page
    for text in (
        "aws firehose create-delivery-stream",
        "firehose.create_delivery_stream",
        '"BucketARN": "arn:aws:s3:::events"',
    ):
        assert text in page
    broken = plain(client.post("/t/first/create-delivery/beside", {**BASE, "prefix": "!{timestamp:bbb}"}))
    assert "bbb" in broken or "letter" in broken
    assert client.post("/t/first/create-delivery/beside", {}).status_code == 200


@pytest.mark.parametrize("kind", ["http", "splunk", "redshift", "opensearch", "serverless", "elasticsearch"])
def test_a_destination_that_is_not_typed_yet_is_said_to_be_so(client, kind):
    asked = {"name": "ticker", "source": "direct", "kind": kind}
    page = text_of(client.post("/t/first/create-delivery/beside", asked))
    assert '<dd class="wrap-any">not named yet</dd>' in page
    assert '<dd class="wrap-any">,' not in page


def test_code_holds_no_secret(client):
    page = plain(client.post("/t/first/create-delivery/beside", {**BASE, "kind": "splunk", **KINDS["splunk"]}))
    assert "very-secret" not in page
    assert '"HECToken": "…"' in page
    page = plain(client.post("/t/first/create-delivery/beside", {**BASE, "encrypt": "on"}))
    assert '"KeyType": "AWS_OWNED_CMK"' in page


def test_dry_run_shows_records_and_the_object_and_makes_nothing(client):
    page = plain(create(client, dry_run="1", delimiter="on"))
    assert "10 records" in page
    assert "TICKER_SYMBOL" in page
    assert "s3://events/" in page
    assert not DeliveryStream.objects.exists()


def test_dry_run_converts_to_columns_that_are_no_table_yet(client):
    page = plain(create(client, dry_run="1", convert="parquet", columns="ticker_symbol string\nprice double"))
    assert ".parquet" in page
    assert "converted" in page
    assert not Table.objects.exists()


def test_dry_run_says_what_is_missing(client):
    part = client.post(
        "/t/first/create-delivery", {**BASE, "bucket": "", "dry_run": "1"}, headers={"HX-Request": "true"}
    )
    assert "<html" not in text_of(part)
    assert "Not yet" in text_of(part)
