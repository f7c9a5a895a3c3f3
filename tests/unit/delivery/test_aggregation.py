"""KPL aggregates taken apart; what only looks like one stays whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.delivery import aggregation
from apps.delivery.aggregation import deaggregate, user_records
from apps.delivery.record import Record
from tests.support.kpl import MAGIC, aggregate, sealed

# Made by aws-kinesis-agg's RecordAggregator: two keys, one explicit hash key.
FROM_AWS = bytes.fromhex(
    "f3899ac20a06757365722d310a06757365722d3212273334303238323336363932303933383436333436333337343630373433313736"
    "383231313435351a0b08001a077b226e223a317d1a08080110001a0200ff1a0c08001a08736e6f7720e29883bb13d03449bd1b2b0fd2"
    "f624238fbdf9"
)


def record(data: bytes, ordinal: int = 7) -> Record:
    return Record(data, 1_000, ordinal, partition_key="outer", sequence_number="49", shard_id="shardId-000000000000")


def test_an_aggregate_of_awss_own_library():
    assert user_records(FROM_AWS) == [
        ("user-1", b'{"n":1}'),
        ("user-2", b"\x00\xff"),
        ("user-1", "snow ☃".encode()),
    ]


def test_user_records_share_all_but_key_sub_and_data():
    first, second, third, last = deaggregate([record(FROM_AWS), record(b"plain", 8)])
    assert [one.sub for one in (first, second, third)] == [0, 1, 2]
    assert [one.partition_key for one in (first, second, third)] == ["user-1", "user-2", "user-1"]
    assert {(one.ordinal, one.sequence_number, one.shard_id, one.arrival_ms) for one in (first, second, third)} == {
        (7, "49", "shardId-000000000000", 1_000)
    }
    assert len({one.record_id for one in (first, second, third, last)}) == 4
    assert last == record(b"plain", 8)


def test_nothing_is_copied_without_aggregates():
    plain = [record(b"a"), record(b"b", 8)]
    assert deaggregate(plain) is plain


@given(st.lists(st.tuples(st.text(min_size=1, max_size=9), st.binary(max_size=300)), min_size=1, max_size=200))
def test_what_was_aggregated_comes_out(users):
    assert user_records(aggregate(users)) == users


@given(st.binary(max_size=60))
def test_any_message_is_parsed_or_plain(message):
    for data in (sealed(message), MAGIC + message, FROM_AWS[: len(message)]):
        answer = deaggregate([record(data)])
        assert answer == [record(data)] or all(one.data in message for one in answer)


@pytest.mark.parametrize(
    "data",
    [
        MAGIC,
        MAGIC + b"x" * 15,
        FROM_AWS[:-1] + b"\x00",  # digest
        sealed(b""),  # no records: nothing would be left of it
        sealed(b"\x0a\x01k"),
        sealed(b"\x0a\x01k\x1a\x04\x08\x01\x1a\x00"),  # second key of one
        sealed(b"\x0a\x01k\x1a\x02\x08\x00"),  # no data
        sealed(b"\x0a\x01k\x1a\x02\x1a\x00"),  # no key
        sealed(b"\x0a\x01\xff\x1a\x04\x08\x00\x1a\x00"),  # key is not UTF-8
        sealed(b"\x08\x01"),  # table of numbers
        sealed(b"\x0a\xff\xff\xff\xff\x0f"),  # longer than all there is
        sealed(b"\x0a" + b"\xff" * 20),  # number without an end
        sealed(b"\x0b\x0c"),  # groups
        sealed(b"\x02\x00"),  # field 0
    ],
)
def test_what_is_no_aggregate_stays_whole(data):
    assert deaggregate([record(data)]) == [record(data)]


def test_unknown_fields_are_passed_over():
    extra = b"\x20\x05" + b"\x29" + bytes(8) + b"\x35" + bytes(4) + b"\x3a\x02hi"
    assert user_records(aggregate([("k", b"d")], extra=extra)) == [("k", b"d")]


def test_so_many_and_no_more(monkeypatch):
    monkeypatch.setattr(aggregation, "USER_RECORDS_MAX", 3)
    assert len(user_records(aggregate([("k", b"")] * 3))) == 3
    assert user_records(aggregate([("k", b"")] * 4)) == []
