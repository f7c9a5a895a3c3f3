"""The Lambda processor against a strict server: AWS's contract, and everything that can be wrong with an answer."""

import base64
import gzip
import json

import pytest

from apps.base.clock import FakeClock
from apps.base.units import MIB
from apps.delivery.processing import invocation, transforming
from apps.delivery.processing.chain import Steps, steps_of
from apps.delivery.reading import Source, pieces
from apps.delivery.record import Record
from apps.recordlog.interface import Entry
from apps.streams.sequence import fixed_part
from tests.support.delivery_batches import NOW_MS, records_of, target
from tests.support.kpl import aggregate
from tests.support.lambda_server import Answer, echo, upper
from tests.support.processors import FUNCTION_ARN, function, processing, processor
from tests.support.runtimes import memory_runtime


def encoded(data):
    return base64.b64encode(data).decode()


def codes(done):
    return [one.code for one in done.failed]


def test_records_come_back_changed_in_their_order(transform, server):
    server.respond = lambda request: {
        "records": [{"recordId": one["recordId"], **upper(one)} for one in reversed(request["records"])]
    }
    done = transform(records_of([b"a", b"b", b""]))
    assert [(one.data, one.ordinal) for one in done.records] == [(b"A", 1), (b"B", 2), (b"", 3)]
    (asked,) = server.invocations
    assert (asked.name, asked.qualifier) == ("shape", "")
    assert asked.headers["x-amz-invocation-type"] == "RequestResponse"
    assert asked.request["deliveryStreamArn"] == "arn:aws:firehose:us-east-1:123456789012:deliverystream/orders"
    assert asked.request["region"] == "us-east-1"
    assert asked.request["records"][0] == {
        "recordId": records_of([b"a"])[0].record_id, "approximateArrivalTimestamp": NOW_MS - 60_000, "data": "YQ==",
    }  # fmt: skip
    assert dict(done.metrics)["SucceedProcessing.Records"] == 3
    assert dict(done.metrics)["SucceedProcessing.Bytes"] == 2
    assert dict(done.metrics)["ExecuteProcessing.Success"] == 1
    assert dict(done.metrics)["ExecuteProcessing.Duration"] > 0


def test_records_of_a_stream_bring_where_they_are_from(transform, server):
    record = Record(b"x", 5, 7, 3, partition_key='k"☃', sequence_number="49", shard_id="shardId-000000000002")
    transform([record], kind="stream", LambdaArn=FUNCTION_ARN + ":$LATEST")
    (asked,) = server.invocations
    assert asked.qualifier == "$LATEST"
    assert asked.request["sourceKinesisStreamArn"] == "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"
    assert asked.request["records"][0]["kinesisRecordMetadata"] == {
        "sequenceNumber": "49", "subsequenceNumber": 3, "partitionKey": 'k"☃', "shardId": "shardId-000000000002",
        "approximateArrivalTimestamp": 5,
    }  # fmt: skip


def test_a_kpl_aggregate_reaches_the_function_as_its_user_records(runtime, transform, server):
    key = 5
    runtime.wait_for(runtime.record_log.create(key))
    aggregated = aggregate([("alice", b"1"), ("bob", b"2")])
    flat = ["outer", aggregated, "carol", b"3"]
    runtime.wait_for(runtime.record_log.append([Entry(key, flat, 2, len(aggregated) + 1, 2)]))
    source = Source(key, "shardId-000000000000", fixed_part(1_795_163_467, 0), aggregates=True)
    ((*records,),) = pieces(runtime, source, 1, 3)
    done = transform(records, kind="stream")
    assert [one.data for one in done.records] == [b"1", b"2", b"3"]
    origins = [one["kinesisRecordMetadata"] for one in server.invocations[0].request["records"]]
    assert [(one["partitionKey"], one["subsequenceNumber"]) for one in origins] == [
        ("alice", 0),
        ("bob", 1),
        ("carol", 0),
    ]
    first, second, third = (one["sequenceNumber"] for one in origins)
    assert first == second < third


def test_dropped_and_failed(transform, server):
    results = iter(
        [{"result": "Dropped"}, {"result": "ProcessingFailed", "data": "eA=="}, {"result": "Ok", "data": "eQ=="}]
    )
    server.function = lambda _record: next(results)
    done = transform(records_of([b"a", b"b", b"c"]))
    assert [one.data for one in done.records] == [b"y"]
    assert done.dropped == 1
    (failed,) = done.failed
    assert failed.error_type == "processing-failed"
    assert json.loads(failed.line()) == {
        "rawData": encoded(b"b"), "errorCode": "Lambda.ProcessingFailedStatus",
        "errorMessage": "ProcessingFailed status set for record", "attemptsMade": 1,
        "arrivalTimestamp": NOW_MS - 60_000, "attemptEndingTimestamp": NOW_MS, "lambdaARN": FUNCTION_ARN,
    }  # fmt: skip
    assert dict(done.metrics)["SucceedProcessing.Records"] == 1


def test_ids_that_do_not_come_back_come_twice_or_are_unknown(transform, server):
    def respond(request):
        first, second, third = (one["recordId"] for one in request["records"])
        assert second
        ok = {"result": "Ok", "data": "eA=="}
        return {"records": [{"recordId": one, **ok} for one in (third, first, third, "unknown")]}

    server.respond = respond
    done = transform(records_of([b"a", b"b", b"c"]))
    assert [(one.ordinal, one.data) for one in done.records] == [(1, b"x")]
    assert [(one.record.data, one.code) for one in done.failed] == [
        (b"b", "Lambda.MissingRecordId"),
        (b"c", "Lambda.DuplicatedRecordId"),
    ]
    assert len(server.invocations) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "Lambda.JsonProcessingException"),
        (b"<html>", "Lambda.JsonProcessingException"),
        (b'{"records":[', "Lambda.JsonProcessingException"),
        (b'{"records":[]}{}', "Lambda.JsonProcessingException"),
        (b'{"records":' + b"[" * 100_000, "Lambda.FunctionError"),
        (b'{"other":' + b"[" * 100_000, "Lambda.JsonProcessingException"),
        (b'{"records":[{"recordId":"\xff"}]}', "Lambda.JsonProcessingException"),
        (b"null", "Lambda.FunctionError"),
        (b"[]", "Lambda.FunctionError"),
        (b"{}", "Lambda.FunctionError"),
        (b'{"records":{}}', "Lambda.FunctionError"),
        (b'{"records":[7]}', "Lambda.FunctionError"),
        (b'{"records":[{"result":"Ok","data":""}]}', "Lambda.FunctionError"),
        (b'{"records":[{"recordId":7,"result":"Ok","data":""}]}', "Lambda.FunctionError"),
        (b'{"records":[{"recordId":"x","result":"ok","data":""}]}', "Lambda.FunctionError"),
        (b'{"records":[{"recordId":"x","result":"Ok","data":"no base64"}]}', "Lambda.FunctionError"),
        (b'{"records":[{"recordId":"x","result":"Ok"}]}', "Lambda.FunctionError"),
        (b'{"records":[]}', "Lambda.MissingRecordId"),
        (b'{"records":[],"records":[]}', "Lambda.MissingRecordId"),
    ],
)
def test_answers_that_are_none_fail_the_batch_at_once(transform, server, answer, code):
    server.answers.append(Answer(body=answer))
    done = transform(records_of([b"a", b"b"]))
    assert codes(done) == [code, code]
    assert [one.attempts for one in done.failed] == [1, 1]
    assert len(server.invocations) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(500), "Lambda.InvocationFailed"),
        (Answer(503, b"x" * 100_000), "Lambda.InvocationFailed"),
        (Answer(429), "Lambda.InvokeLimitExceeded"),
        (Answer(429, {"Type": "User"}, {"x-amzn-ErrorType": "TooManyRequestsException"}), "Lambda.InvokeLimitExceeded"),
        (Answer(reset=True), "Lambda.ConnectionFailed"),
        (Answer(200, {"errorMessage": "boom"}, {"X-Amz-Function-Error": "Unhandled"}), "Lambda.FunctionError"),
        (Answer(200, b"garbage", {"X-Amz-Function-Error": "Handled"}), "Lambda.FunctionError"),
        (
            Answer(200, {"errorMessage": "x Task timed out after 3.00 seconds"}, {"X-Amz-Function-Error": "Unhandled"}),
            "Lambda.FunctionTimedOut",
        ),
    ],
)
def test_invocations_that_fail_are_tried_again(transform, server, answer, code):
    server.answers += [answer] * 3
    done = transform(records_of([b"a"]))
    assert ([one.data for one in done.records], done.failed) == ([b"a"], [])
    assert len(server.invocations) == 4
    assert [one[0] for one in done.errors] == [code] * 3
    assert [value for name, value in done.metrics if name == "ExecuteProcessing.Success"] == [0, 0, 0, 1]
    ids = [one.request["invocationId"] for one in server.invocations]
    assert len(set(ids)) == 4
    assert len({json.dumps(one.request["records"]) for one in server.invocations}) == 1

    server.answers += [answer] * 2
    done = transform(records_of([b"a", b"b"]), NumberOfRetries="1")
    assert codes(done) == [code, code]
    assert [one.attempts for one in done.failed] == [2, 2]
    assert len(server.invocations) == 6


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(403, {"Message": "no"}), "Lambda.InvokeAccessDenied"),
        (Answer(400, {"__type": "com.amazon#AccessDeniedException"}), "Lambda.InvokeAccessDenied"),
        (Answer(404, b"", {"x-amzn-errortype": "ResourceNotFoundException:http://x"}), "Lambda.ResourceNotFound"),
        (Answer(404), "Lambda.ResourceNotFound"),
        (Answer(400, {"__type": "InvalidRequestContentException", "message": "what"}), "Lambda.InvocationFailed"),
        (Answer(302, b"", {"Location": "http://169.254.169.254/"}), "Lambda.InvocationFailed"),
        (Answer(202), "Lambda.InvocationFailed"),
    ],
)
def test_what_another_attempt_cannot_help_is_not_tried_again(transform, server, answer, code):
    server.answers.append(answer)
    assert codes(transform(records_of([b"a"]))) == [code]
    assert len(server.invocations) == 1


def test_a_function_that_does_not_answer_in_time(transform, server, monkeypatch):
    monkeypatch.setattr(invocation, "INVOCATION_S", 0.2)
    server.answers += [Answer(hang=True)] * 2
    done = transform(records_of([b"a"]), NumberOfRetries="1")
    assert [(one.code, one.message, one.attempts) for one in done.failed] == [
        ("Lambda.FunctionTimedOut", invocation.TIMED_OUT, 2)
    ]


def test_a_dry_run_asks_once_and_not_for_long(server, monkeypatch):
    monkeypatch.setattr(invocation, "TRIAL_S", 0.2)
    server.answers += [Answer(hang=True)]
    runtime = memory_runtime(FakeClock(NOW_MS), private_destinations="allow")
    made = target("ExtendedS3", processing(function()), connections={"lambda": {"endpoint_url": server.url}})
    done = Steps(steps_of(runtime, made, "direct", trial=True)).run(records_of([b"a"]), NOW_MS)
    assert [(one.code, one.attempts) for one in done.failed] == [("Lambda.FunctionTimedOut", 1)]


def test_attempts_end_after_a_while_whatever_the_number_of_retries(transform, server, monkeypatch):
    monkeypatch.setattr(transforming, "ATTEMPTS_S_MAX", 0.0)
    server.answers += [Answer(500)] * 5
    assert [one.attempts for one in transform(records_of([b"a"]), NumberOfRetries="300").failed] == [1]


def test_an_answer_without_end_is_not_read(transform, server, monkeypatch):
    monkeypatch.setattr(invocation, "PAYLOAD_BYTES_MAX", 100_000)
    server.answers.append(Answer(body=b"[" + b" " * 5_000_000))
    done = transform(records_of([b"a"]))
    assert codes(done) == ["Lambda.FunctionError"]
    assert len(server.invocations) == 1


def test_nobody_there(transform, server):
    server.__exit__()
    done = transform(records_of([b"a"]), NumberOfRetries="0")
    assert codes(done) == ["Lambda.ConnectionFailed"]


def test_batches_have_the_size_of_the_buffer(transform, server):
    records = records_of([b"x" * 100_000] * 7 + [b"y" * 600_000])
    done = transform(records, BufferSizeInMBs="0.3")
    assert done.records == records
    assert [len(one.request["records"]) for one in server.invocations] == [3, 3, 1, 1]


def test_no_payload_is_larger_than_lambda_takes(transform, server):
    small = [Record(b"x", NOW_MS, n, partition_key="\x01" * 256) for n in range(6_000)]
    done = transform(small, kind="stream", BufferSizeInMBs="3")
    assert len(done.records) == 6_000
    assert len(server.invocations) > 1
    large = records_of([b"z" * (4 * MIB), b"z" * (5 * MIB), b"a"])
    done = transform(large)
    assert [one.ordinal for one in done.records] == [1, 3]
    assert [(one.code, one.record.ordinal, one.attempts) for one in done.failed] == [("Lambda.RequestTooLarge", 2, 0)]


def test_one_batch_failing_leaves_the_others(transform, server):
    server.answers += [Answer(404)]
    done = transform(records_of([b"x" * 150_000, b"y" * 150_000, b"z"]), BufferSizeInMBs="0.2")
    assert [one.record.ordinal for one in done.failed] == [1]
    assert [one.ordinal for one in done.records] == [2, 3]


def test_what_failed_is_kept_as_it_came_not_as_it_was_sent(transform, server):
    server.function = lambda record: {"result": "ProcessingFailed", "data": record["data"]}
    data = gzip.compress(b'{"a":1}')
    done = transform(records_of([data]), processor("Decompression"))
    assert server.invocations[0].request["records"][0]["data"] == encoded(b'{"a":1}')
    assert json.loads(done.failed[0].line())["rawData"] == encoded(data)


def test_a_plain_http_endpoint_gets_the_same(transform, server):
    server.function = upper
    done = transform(records_of([b"a"]), path="/my/transform?x=1")
    assert [one.data for one in done.records] == [b"A"]
    assert (server.invocations[0].path, server.invocations[0].name) == ("/my/transform?x=1", "")


def test_what_an_answer_says_of_tables(transform, server):
    said = {"destinationDatabaseName": "db", "destinationTableName": "t", "operation": "insert", "odd": [1]}
    server.function = lambda record: {**echo(record), "metadata": {"otfMetadata": said, "partitionKeys": "no"}}
    del said["odd"]
    (record,) = transform(records_of([b"a"])).records
    assert record.routing == said
    server.function = lambda record: {**echo(record), "metadata": ["no"]}
    (record,) = transform(records_of([b"a"])).records
    assert (record.routing, record.partition_keys) == (None, None)
