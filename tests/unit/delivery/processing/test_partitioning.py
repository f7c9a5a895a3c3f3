"""Dynamic partitioning: keys from a query and from a transform, and routes to Iceberg tables."""

import json

import pytest

from apps.delivery.processing import chain_for
from apps.delivery.processing.chain import steps_of
from apps.delivery.processing.partitioning import Partitioning
from apps.delivery.processing.work import Item, Work
from tests.support.delivery_batches import NOW_MS, records_of, target
from tests.support.processors import partitioned, processing, processor, query
from tests.support.runtimes import memory_runtime

PREFIX = "customer=!{partitionKeyFromQuery:customer_id}/!{timestamp:yyyy}/"


@pytest.fixture(scope="module")
def runtime():
    from apps.delivery.processing.jq_queries import Queries

    made = memory_runtime()
    yield made
    made.part(Queries).close()


def run(runtime, datas, description, destination_type="ExtendedS3"):
    return chain_for(runtime, target(destination_type, description), "direct").run(records_of(datas), NOW_MS)


def test_each_record_gets_the_keys_that_the_prefix_names(runtime):
    description = partitioned(
        PREFIX, processor("AppendDelimiterToRecord"), query('{customer_id:.c,unused:.u,other:"x"}')
    )  # fmt: skip
    done = run(runtime, [b'{"c":"a","u":1}', b'{"c":7}'], description)
    assert [(one.data, one.partition_keys) for one in done.records] == [
        (b'{"c":"a","u":1}\n', {"customer_id": "a"}),
        (b'{"c":7}\n', {"customer_id": "7"}),
    ]
    assert [name for name, _ in done.metrics] == ["JQProcessing.Duration"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no json", "Non JSON record provided"),
        (b"", "Non JSON record provided"),
        (b'{"c":"a"}{"c":"b"}', "Non JSON record provided"),
        (b'{"c":"\xff"}', "Non JSON record provided"),
        (b'[{"c":"a"}]', 'Cannot index array with string ("c")'),
        (b'{"c":null}', "Partition key's value should not be null or empty: customer_id"),
        (b'{"c":""}', "Partition key's value should not be null or empty: customer_id"),
        (b"{}", "Partition key's value should not be null or empty: customer_id"),
        (b'{"c":{}}', "The value of 'customer_id' is no string, number or boolean"),
        (b'{"c":"a\\u0000b"}', "Prefix has a control character."),
        (b'{"c":"a/../b"}', "Prefix has a part that is . or ..."),
        (b'{"c":"' + b"x" * 600 + b'"}', "Prefix has more than 512 characters when it is evaluated."),
    ],
)  # fmt: skip
def test_a_record_without_a_partition_fails_alone(runtime, data, reason):
    done = run(runtime, [data, b'{"c":"ok"}'], partitioned(PREFIX, query("{customer_id:.c}")))
    assert [one.partition_keys for one in done.records] == [{"customer_id": "ok"}]
    (failed,) = done.failed
    line = json.loads(failed.line())
    assert failed.error_type == "metadata-extraction-failed"
    assert line["errorCode"] == "DynamicPartitioning.MetadataExtractionFailed"
    assert reason in line["errorMessage"]
    assert failed.record.data == data


def test_objects_are_taken_apart_before_they_are_asked(runtime):
    description = partitioned(PREFIX, query("{customer_id:.c}"), processor("RecordDeAggregation", SubRecordType="JSON"))
    done = run(runtime, [b'{"c":"a"}{"c":"b"}{}', b'{"c":"x"}' * 501], description)
    assert [(one.sub, one.partition_keys) for one in done.records] == [
        (0, {"customer_id": "a"}),
        (1, {"customer_id": "b"}),
    ]
    assert [one.message for one in done.failed] == [
        "Non JSON record provided",
        "Partition key's value should not be null or empty: customer_id",
    ]


def test_keys_of_a_transform_are_its_own():
    description = partitioned("!{partitionKeyFromLambda:a}/!{partitionKeyFromQuery:b}/")
    (kept, *others) = (Item(record) for record in records_of([b"1", b"2", b"3"]))
    kept.answered, kept.queried = {"a": "x", "b": "not this"}, {"a": "not this", "b": "y"}
    others[0].answered = {"a": "x"}
    others[1].queried = {"a": "x", "b": "y"}
    work = Work([kept, *others], NOW_MS)
    Partitioning(description).run(work)
    assert [one.record.partition_keys for one in work.items] == [{"b": "y", "a": "x"}]
    assert [one.message.rpartition(": ")[2] for one in work.done.failed] == ["b", "a"]


def test_a_query_routes_to_iceberg_tables(runtime):
    found = query('{destinationDatabaseName:"db",destinationTableName:.t,operation:.op}')
    done = run(runtime, [b'{"t":"a","op":"insert"}', b'{"t":"b"}', b"x"], processing(found), "Iceberg")
    assert [one.routing for one in done.records] == [
        {"destinationDatabaseName": "db", "destinationTableName": "a", "operation": "insert"},
        {"destinationDatabaseName": "db", "destinationTableName": "b"},
    ]
    assert [one.partition_keys for one in done.records] == [None, None]
    assert [one.message for one in done.failed] == ["Non JSON record provided"]


def test_without_processors_there_is_nothing_to_do(runtime):
    assert steps_of(runtime, target("ExtendedS3", {}), "direct") == []
    records = records_of([b"a"])
    assert run(runtime, [b"a"], {}).records == records
