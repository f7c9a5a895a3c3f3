"""Decompression, message extraction, taking records apart, and the delimiter: no network, no query."""

import base64
import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.delivery.processing import chain_for, deaggregation, decompression
from apps.delivery.processing.deaggregation import json_objects
from apps.delivery.processing.work import Failure, Item, Work
from apps.delivery.record import Record
from tests.support.delivery_batches import NOW_MS, records_of, target
from tests.support.processors import processing, processor

EXTRACT = [
    processor("Decompression"),
    processor("CloudWatchLogProcessing", DataMessageExtraction="true"),
]
BY_JSON = processor("RecordDeAggregation", SubRecordType="JSON")


# A message of a subscription as CloudWatch Logs' documentation shows it.
FROM_CLOUDWATCH = (
    "H4sIAAAAAAAAAHWPwQqCQBCGX0Xm7EFtK+smZBEUgXoLCdMhFtKV3akI8d0bLYmibvPPN3wz00CJxmQnTO41whwWQRIctmEcB6sQbFC3CjW3XW8kxpOpP+OC"
    "22d1Wml1qZkQGtoMsScxaczKN3plG8zlaHIta5KqWsozoTYw3/djzwhpLwivWFGHGpAFe7DL68JlBUk+l7KSN7tCOEJ4M3/qOI49vMHj+zCKdlFqLaU2ZHV2"
    "a4Ct/an0/ivdX8oYc1UVX860fQDQiMdxRQEAAA=="
)


def run(records, *processors):
    chain = chain_for(None, target("ExtendedS3", processing(*processors)), "direct")
    return chain.run(records, NOW_MS)


def log_message(*messages, kind="DATA_MESSAGE"):
    events = [{"id": str(n), "timestamp": n, "message": message} for n, message in enumerate(messages)]
    return json.dumps(
        {"messageType": kind, "owner": "123456789012", "logGroup": "g", "logStream": "s",
         "subscriptionFilters": ["f"], "logEvents": events}
    ).encode()  # fmt: skip


def test_decompressed_json_stays_as_it_is():
    data = log_message("one")
    done = run(records_of([gzip.compress(data), gzip.compress(b"[1, 2]")]), processor("Decompression"))
    assert [one.data for one in done.records] == [data, b"[1, 2]"]
    assert done.decompressed_bytes == len(data) + 6
    assert not done.failed


def test_messages_are_extracted_each_with_a_newline_and_stay_one_record():
    done = run(records_of([gzip.compress(log_message("one", "", "snow ☃\nand more"))]), *EXTRACT)
    assert [one.data.decode() for one in done.records] == ["one\n\nsnow ☃\nand more\n"]


def test_a_message_of_cloudwatchs_own():
    (record,) = run(records_of([base64.b64decode(FROM_CLOUDWATCH)]), *EXTRACT).records
    assert record.data == b"[ERROR] First test message\n[ERROR] Second test message\n"


def test_the_order_of_configuration_means_nothing():
    data = gzip.compress(log_message('{"a":1}', '{"a":2}'))
    done = run(records_of([data]), processor("AppendDelimiterToRecord", Delimiter=";"), BY_JSON, *reversed(EXTRACT))
    assert [one.data for one in done.records] == [b'{"a":1};', b'{"a":2};']


def test_control_messages_are_dropped():
    control = gzip.compress(log_message("CWL CONTROL MESSAGE: Checking health", kind="CONTROL_MESSAGE"))
    done = run(records_of([control]), *EXTRACT)
    assert (done.records, done.failed, done.dropped) == ([], [], 1)


def test_several_gzip_members_and_padding_are_one_text():
    data = gzip.compress(b'{"a":') + gzip.compress(b"1}") + bytes(8)
    assert [one.data for one in run(records_of([data]), processor("Decompression")).records] == [b'{"a":1}']


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no gzip",
        gzip.compress(log_message("x"))[:-1],
        gzip.compress(log_message("x"))[:-9] + bytes(9),  # checksum and length
        gzip.compress(log_message("x")) + b"more",
        gzip.compress(b"no json"),
        gzip.compress(log_message("x") * 2),
        gzip.compress(b"{}"),
        gzip.compress(b'{"messageType":"DATA_MESSAGE","logEvents":{}}'),
        gzip.compress(b'{"messageType":"DATA_MESSAGE","logEvents":[{"message":7}]}'),
        gzip.compress(log_message("x", kind="OTHER")),
        gzip.compress(b"[" * 100_000),
        gzip.compress(b'{"messageType":"DATA_MESSAGE","logEvents":[{"message":"\xff"}]}'),
    ],
    ids=lambda data: f"{len(data)} bytes",  # gzip writes the time into its head: another in each process
)
def test_what_cannot_be_read_fails_as_it_came(data):
    good = gzip.compress(log_message("good"))
    done = run(records_of([data, good]), *EXTRACT)
    assert [one.data for one in done.records] == [b"good\n"]
    (failed,) = done.failed
    line = json.loads(failed.line())
    assert failed.error_type == "decompression-failed"
    assert (line["errorCode"], line["attemptsMade"]) == ("Decompression failed.", 1)
    assert line["attemptEndingTimestamp"] == NOW_MS
    assert failed.raw in (None, data)
    assert failed.record.data == data


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(decompression, "DECOMPRESSED_BYTES_MAX", 1_000_000)
    most = b'"' + b"x" * 999_998 + b'"'
    bomb = gzip.compress(b"x" * 500_000) * 4
    done = run(records_of([gzip.compress(most), gzip.compress(most + b" "), bomb]), processor("Decompression"))
    assert [one.data for one in done.records] == [most]
    assert ["more than 1000000 bytes" in one.message for one in done.failed] == [True, True]


def test_many_bombs_are_not_unpacked_together(monkeypatch):
    monkeypatch.setattr(decompression, "RUN_BYTES_MAX", 2_500)
    records = records_of([gzip.compress(b'"' + b"x" * 998 + b'"')] * 4)
    done = run(records, processor("Decompression"))
    assert [one.ordinal for one in done.records] == [1, 2]
    assert [one.record.ordinal for one in done.failed] == [3, 4]


def test_what_would_become_too_many_stays_whole(monkeypatch):
    monkeypatch.setattr(deaggregation, "RUN_RECORDS_MAX", 3)
    done = run(records_of([b"{}{}", b"{}{}", b"{}{}"]), BY_JSON)
    assert [one.data for one in done.records] == [b"{}", b"{}", b"{}", b"{}", b"{}{}"]


@pytest.mark.parametrize(
    ("data", "objects"),
    [
        (b'{"a":1}{"a":2}', [b'{"a":1}', b'{"a":2}']),
        (b' {"a": 1}\r\n{"b":"}{"}\t', [b'{"a": 1}', b'{"b":"}{"}']),
        ('{"a":"☃"}{}'.encode(), ['{"a":"☃"}'.encode(), b"{}"]),
        (b"", []),
        (b'[{"a":1},{"a":2}]', []),
        (b'{"a":1},{"a":2}', []),
        (b'{"a":1}{"a"', []),
        (b"1 2 3", []),
        (b'{"a":"\xff"}', []),
        (b'{"a":' * 100_000, []),
        (b"{}" * 500, [b"{}"] * 500),
        (b"{}" * 501, []),
    ],
)
def test_json_objects(data, objects):
    assert json_objects(data) == objects
    done = run(records_of([data]), BY_JSON)
    assert [one.data for one in done.records] == (objects or [data])
    assert not done.failed


@settings(max_examples=25)
@given(st.lists(st.dictionaries(st.text(), st.text() | st.none(), max_size=3), min_size=1, max_size=9))
def test_whatever_is_put_together_comes_apart(objects):
    data = "\n".join(json.dumps(one, ensure_ascii=False) for one in objects).encode()
    assert [json.loads(one) for one in json_objects(data)] == objects


@pytest.mark.parametrize(
    ("data", "pieces"),
    [
        (b"a####b####", [b"a", b"b"]),
        (b"####a########b", [b"a", b"b"]),
        (b"alone", [b"alone"]),
        (b"########", [b"########"]),
        (b"", [b""]),
        (b"x####" * 500, [b"x"] * 500),
        (b"x####" * 501, [b"x####" * 501]),
    ],
)
def test_pieces_between_delimiters(data, pieces):
    by_delimiter = processor("RecordDeAggregation", SubRecordType="DELIMITED", Delimiter="IyMjIw==")
    assert [one.data for one in run(records_of([data]), by_delimiter).records] == pieces


def test_delimiters_alone_cost_nothing(monkeypatch):
    monkeypatch.setattr(deaggregation, "DELIMITERS_MAX", 10)
    by_delimiter = processor("RecordDeAggregation", SubRecordType="DELIMITED", Delimiter="Iw==")
    assert [one.data for one in run(records_of([b"a" + b"#" * 11]), by_delimiter).records] == [b"a" + b"#" * 11]


def test_each_piece_has_a_name_of_its_own_also_of_a_kpl_aggregate():
    shared = {"partition_key": "k", "sequence_number": "49", "shard_id": "shardId-000000000000"}
    records = [
        Record(b'{"n":0}{"n":1}', 5, 7, 0, **shared),
        Record(b'{"n":2}', 5, 7, 1, **shared),
        Record(b'{"n":3}{"n":4}', 6, 8, 0, **shared),
    ]
    done = run(records, BY_JSON)
    assert [(one.ordinal, one.sub, one.arrival_ms) for one in done.records] == [
        (7, 0, 5), (7, 1, 5), (7, 2, 5), (8, 0, 6), (8, 1, 6),
    ]  # fmt: skip
    assert {one.sequence_number for one in done.records} == {"49"}
    assert [one.sub for one in records] == [0, 1, 0]


def test_a_delimiter_behind_each_record():
    records = records_of([b"a", b"", b"c\n"])
    done = run(records, processor("AppendDelimiterToRecord"))
    assert [one.data for one in done.records] == [b"a\n", b"\n", b"c\n\n"]
    assert records[0].data == b"a"


def kept_of_pieces(data, changed=False):
    """What is kept of each piece of a compressed message if it fails; changed: after a transform."""
    work = Work([Item(records_of([data])[0])], NOW_MS)
    decompression.Decompression(extract=True).run(work)
    deaggregation.Deaggregation(None).run(work)
    for item in work.items:
        work.fail(item.with_data(b"else") if changed else item, Failure("processing-failed", "code", "message"))
    return [one.raw for one in work.done.failed]


@pytest.mark.parametrize("changed", [False, True])
def test_what_is_kept_of_a_piece_is_the_piece_and_not_all_it_came_with(changed):
    """A message of 300 events fails event by event: the error prefix has about the message's size, not 300 times as much;
    and each comes back alone when it is put in once more."""
    events = [json.dumps({"n": n, "text": random.Random(n).randbytes(300).hex()}) for n in range(300)]
    message = gzip.compress(log_message(*events))
    kept = kept_of_pieces(message, changed)
    assert len(kept) == 300
    assert sum(map(len, kept)) < 3 * len(message)
    again = run(records_of([kept[7]]), *EXTRACT, BY_JSON)
    assert [one.data.strip() for one in again.records] == [events[7].encode()]


@pytest.mark.parametrize("changed", [False, True])
def test_what_is_kept_of_one_piece_is_the_record_as_it_came(changed):
    message = gzip.compress(log_message('{"a":1}'))
    assert kept_of_pieces(message, changed) == [message]
