"""A dry run shows what each stage makes of each record, and writes nothing."""

import pytest

from apps.delivery import dry_run
from apps.recordlog.interface import Entry
from tests.support.delivery_batches import NOW_MS, records_of, target
from tests.support.delivery_rows import ROLE, s3_description
from tests.support.processors import processing, processor, query
from tests.support.runtimes import memory_runtime
from tests.support.stream_rows import create_log, make_stream

pytestmark = pytest.mark.django_db


def tried(runtime, team, records, kind="ExtendedS3", probe=False, **description):
    where = target(kind, s3_description(**description), team_id=team.team.id)
    return dry_run.run(runtime, where, records, from_stream=False, probe=probe)


def partitioned(**more):
    steps = [
        processor("RecordDeAggregation", SubRecordType="JSON"),
        query("{c: .c}"),
        processor("AppendDelimiterToRecord"),
    ]
    return {
        **processing(*steps),
        "DynamicPartitioningConfiguration": {"Enabled": True},
        "Prefix": "by/!{partitionKeyFromQuery:c}/",
        "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/",
        **more,
    }


def test_stage_by_stage(s3, s3_faults, s3_runtime, team):
    s3.make_bucket("events")
    records = records_of(
        [b'{"c":"a"}{"c":"b"}', b'{"c":"a"}', b"no json", b'{"d":1}', b'{"c":"../x"}'], arrival_ms=NOW_MS
    )
    found = tried(s3_runtime, team, records, **partitioned())
    assert [ran.data for ran in found.records][:2] == ['{"c":"a"}{"c":"b"}', '{"c":"a"}']
    first = found.records[0]
    assert first.stages[0].name == "RecordDeAggregation"
    assert first.stages[0].outputs == ['{"c":"a"}', '{"c":"b"}']
    assert first.stages[-1].outputs == ['{"c":"a"}\n', '{"c":"b"}\n']
    for bad in found.records[2:]:
        assert [stage.failed for stage in bad.stages if stage.failed], bad
    data = [one for one in found.objects if not one.error_type]
    assert sorted(one.key.rpartition("/")[0] for one in data) == ["by/a", "by/b"]
    assert next(one for one in data if one.key.startswith("by/a/")).seen.text == '{"c":"a"}\n{"c":"a"}\n'
    (failed,) = [one for one in found.objects if one.error_type]
    assert failed.key.startswith("bad/metadata-extraction-failed/orders-1-")
    assert failed.records == 3
    assert "rawData" in failed.seen.text
    assert any(ROLE in problem for problem in found.problems)
    assert s3.keys("events") == []
    assert s3_faults.requests == []


def test_the_bucket_is_looked_at_if_asked_for(s3, s3_faults, s3_runtime, team):
    records = records_of([b"x"], arrival_ms=NOW_MS)
    found = tried(s3_runtime, team, records, probe=True)
    assert any(problem.startswith("S3.NoSuchBucket") for problem in found.problems)
    s3.make_bucket("events")
    found = tried(s3_runtime, team, records, probe=True, CompressionFormat="GZIP")
    assert [problem for problem in found.problems if problem.startswith("S3.")] == []
    assert {method for method, _, _ in s3_faults.requests} == {"HEAD"}
    (one,) = found.objects
    assert (one.seen.kind, one.seen.text, one.seen.packing) == ("text", "x", "gzip")
    assert one.key.endswith(".gz")


def test_of_other_destinations_the_stages_are_shown(clock, team):
    steps = processing(processor("AppendDelimiterToRecord"))
    found = dry_run.run(
        memory_runtime(clock), target("HttpEndpoint", {**steps, "S3DestinationDescription": s3_description()}, team_id=team.team.id),
        records_of([b"x"], arrival_ms=NOW_MS), from_stream=False,
    )  # fmt: skip
    assert found.records[0].stages[0].outputs == ["x\n"]
    assert found.objects == []


def test_an_impossible_prefix_is_a_failure_to_be_seen(clock, team):
    found = tried(memory_runtime(clock), team, records_of([b"x"], arrival_ms=NOW_MS), Prefix="../")
    assert any("S3.InvalidPrefix" in problem for problem in found.problems)
    (one,) = found.objects
    assert (one.error_type, one.records) == ("processing-failed", 1)


def test_ten_records_at_most(clock, team):
    assert len(tried(memory_runtime(clock), team, records_of([b"x"] * 30)).records) == 10


def test_the_newest_real_records_of_a_data_stream(runtime, team):
    stream = make_stream(team.team, shards=1)
    key = stream.shards.get().pk
    runtime.wait_for(create_log(runtime, [key]))
    assert dry_run.newest_of_stream(runtime, stream) == []
    datas = [b"%d" % n for n in range(25)]
    flat = [part for data in datas for part in ("key", data)]
    runtime.wait_for(runtime.record_log.append([Entry(key, flat, 25, 40, 25)]))
    assert [one.data for one in dry_run.newest_of_stream(runtime, stream)] == datas[-10:]
