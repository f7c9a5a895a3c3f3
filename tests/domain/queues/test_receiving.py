"""What is received, when it comes back, and what becomes of it."""

from typing import Any

import pytest

from tests.domain.queues.conftest import Bench

pytestmark = pytest.mark.django_db(transaction=True)


def data(records) -> list[bytes]:
    return sorted(record["Data"] for record in records)


def test_a_record_is_received_once_while_it_is_in_flight(bench: Bench):
    arn = bench.queue()
    bench.put(*(b"%02d" % i for i in range(25)))
    got = bench.all(arn)
    assert data(got) == [b"%02d" % i for i in range(25)]
    assert {record["ReceiveCount"] for record in got} == {1}
    assert {record["PartitionKey"] for record in got} == {record["Data"].decode() for record in got}
    assert {record["ApproximateArrivalTimestamp"] for record in got} == {bench.clock.now_ms()}
    assert len({record["RecordId"] for record in got}) == 25
    assert bench.receive(arn) == []


def test_a_record_not_acknowledged_comes_back_with_a_new_handle(bench: Bench):
    arn = bench.queue(VisibilityTimeoutSeconds=40)
    bench.put(b"a", b"b")
    first = bench.all(arn)
    assert bench.acknowledge(arn, first[0]) == [None]
    bench.clock.advance(39_999)
    assert bench.receive(arn) == []
    bench.clock.advance(1)
    [again] = bench.receive(arn)
    assert again["RecordId"] == first[1]["RecordId"]
    assert again["Data"] == first[1]["Data"]
    assert again["ReceiptHandle"] != first[1]["ReceiptHandle"]
    assert again["ReceiveCount"] == 2
    assert again["FirstReceiveTimestamp"] == first[1]["FirstReceiveTimestamp"]
    assert bench.acknowledge(arn, first[1], again) == ["InvalidArgumentException", None]


def test_a_handle_is_good_until_the_record_is_received_again(bench: Bench):
    arn = bench.queue()
    bench.put(b"a")
    [got] = bench.receive(arn)
    bench.clock.advance(60_000)
    assert bench.acknowledge(arn, got) == [None]
    assert bench.receive(arn) == []
    assert bench.acknowledge(arn, got) == ["ResourceNotFoundException"]


def test_limit_and_visibility_of_one_receive(bench: Bench):
    arn = bench.queue()
    bench.put(*(b"%02d" % i for i in range(5)))
    assert len(bench.receive(arn, 3, VisibilityTimeoutSeconds=0)) == 3
    assert len(bench.receive(arn, 10, VisibilityTimeoutSeconds=5)) == 5
    assert bench.receive(arn) == []
    bench.clock.advance(5_000)
    assert len(bench.receive(arn)) == 5


def test_visibility_of_what_is_in_flight(bench: Bench):
    arn = bench.queue()
    bench.put(b"a", b"b")
    longer, now = bench.all(arn)
    assert bench.visible_in(arn, 43_200, longer) == [None]
    assert bench.visible_in(arn, 0, now, "bm9uZQ==") == [None, "InvalidArgumentException"]
    assert [record["RecordId"] for record in bench.receive(arn)] == [now["RecordId"]]
    bench.clock.advance(43_199_000)
    assert longer["RecordId"] not in {record["RecordId"] for record in bench.receive(arn)}
    bench.clock.advance(1_000)
    assert longer["RecordId"] in {record["RecordId"] for record in bench.receive(arn)}


def test_what_is_received_too_often_becomes_a_dead_letter(bench: Bench):
    arn = bench.queue(DeadLetterConfiguration={"TargetType": "BUILT_IN", "MaxReceiveCount": 2})
    bench.put(b"a")
    for count in (1, 2):
        [got] = bench.receive(arn)
        assert got["ReceiveCount"] == count
        assert bench.receive(arn, dead=True) == []
        bench.clock.advance(30_000)
    assert bench.receive(arn) == []
    [dead] = bench.receive(arn, dead=True)
    assert (dead["RecordId"], dead["Data"], dead["PartitionKey"]) == (got["RecordId"], b"a", "a")
    assert bench.acknowledge(arn, dead) == ["InvalidArgumentException"]
    assert bench.receive(arn, dead=True) == []
    bench.clock.advance(30_000)
    [again] = bench.receive(arn, dead=True)
    assert bench.acknowledge(arn, dead, again, dead=True) == ["InvalidArgumentException", None]
    bench.clock.advance(90_000)
    assert bench.receive(arn, dead=True) == bench.receive(arn) == []


def test_a_restored_record_begins_anew(bench: Bench):
    arn = bench.queue(DeadLetterConfiguration={"TargetType": "BUILT_IN", "MaxReceiveCount": 1})
    bench.put(b"a")
    [first] = bench.receive(arn)
    assert bench.entries("RestoreDeadLetterQueueRecords", arn, first) == ["InvalidArgumentException"]
    bench.clock.advance(30_000)
    [dead] = bench.receive(arn, dead=True)
    assert bench.entries("RestoreDeadLetterQueueRecords", arn, dead) == [None]
    assert bench.entries("RestoreDeadLetterQueueRecords", arn, dead) == ["InvalidArgumentException"]
    assert bench.receive(arn, dead=True) == []
    [restored] = bench.receive(arn)
    assert restored["ReceiveCount"] == 1
    assert bench.acknowledge(arn, dead, restored) == ["InvalidArgumentException", None]


def test_the_last_handle_of_a_dead_letter_is_good_for_it(bench: Bench):
    arn = bench.queue(DeadLetterConfiguration={"TargetType": "BUILT_IN", "MaxReceiveCount": 1})
    bench.put(b"a", b"b")
    one, other = bench.all(arn)
    bench.clock.advance(30_000)
    assert bench.acknowledge(arn, one) == ["InvalidArgumentException"]
    assert bench.acknowledge(arn, one, dead=True) == [None]
    assert bench.entries("RestoreDeadLetterQueueRecords", arn, other) == [None]
    assert data(bench.receive(arn)) == [other["Data"]]


def test_without_dead_letters_a_record_comes_again_and_again(bench: Bench):
    arn = bench.queue(DeadLetterConfiguration={"TargetType": "NONE"})
    bench.put(b"a")
    for count in range(1, 30):
        assert [record["ReceiveCount"] for record in bench.receive(arn)] == [count]
        bench.clock.advance(30_000)
    assert bench.receive(arn, dead=True) == []


def test_new_records_come_beside_those_that_come_back(bench: Bench):
    arn = bench.queue(DeadLetterConfiguration={"TargetType": "NONE"})
    bench.put(*(b"%02d" % i for i in range(10)))
    seen = {record["Data"] for _ in range(10) for record in bench.receive(arn, 1, VisibilityTimeoutSeconds=0)}
    bench.put(*(b"n%02d" % i for i in range(10)))
    for _ in range(40):
        seen |= {record["Data"] for record in bench.receive(arn, 2, VisibilityTimeoutSeconds=0)}
    assert len(seen) == 20


def test_nothing_past_the_retention(bench: Bench):
    arn = bench.queue(DeadLetterConfiguration={"TargetType": "BUILT_IN", "MaxReceiveCount": 1})
    bench.put(b"a", b"b", b"c")
    got = bench.receive(arn, 1)
    late = bench.receive(arn, 1, VisibilityTimeoutSeconds=43_200)
    bench.clock.advance(24 * 3_600_000 - 1)
    bench.put(b"new")
    assert data(bench.receive(arn, dead=True)) == data(got + late)
    bench.clock.advance(60_000)
    assert data(bench.all(arn)) == [b"new"]
    assert bench.receive(arn, dead=True) == []
    bench.work()
    assert bench.acknowledge(arn, got[0], dead=True) == ["ResourceNotFoundException"]


def test_starting_positions(bench: Bench):
    bench.stream()
    begun_ms = bench.clock.now_ms()
    bench.put(b"1")
    bench.clock.advance(1_000)
    bench.put(b"2")
    bench.clock.advance(1_000)
    bench.put(b"3")
    expected: list[tuple[Any, list[bytes]]] = [
        ("TRIM_HORIZON", [b"1", b"2", b"3", b"4"]),
        ({"Type": "AT_TIMESTAMP", "Timestamp": begun_ms + 1_000}, [b"2", b"3", b"4"]),
        ({"Type": "AT_TIMESTAMP", "Timestamp": begun_ms + 1_001}, [b"3", b"4"]),
        ("LATEST", [b"4"]),
    ]
    arns = [bench.queue(f"q{number}", start=start) for number, (start, _) in enumerate(expected)]
    bench.clock.advance(1)
    bench.put(b"4")
    assert [data(bench.all(arn)) for arn in arns] == [records for _, records in expected]


def test_two_queues_of_a_stream_know_nothing_of_each_other(bench: Bench):
    one, other = bench.queue("one"), bench.queue("other")
    bench.put(b"a")
    [first] = bench.receive(one)
    assert bench.acknowledge(one, first) == [None]
    [second] = bench.receive(other)
    assert second["RecordId"] == first["RecordId"]
    assert bench.acknowledge(one, second) == ["InvalidArgumentException"]
    assert bench.acknowledge(other, first, second) == ["InvalidArgumentException", None]


def test_no_more_in_flight_than_may_be(bench: Bench, monkeypatch):
    import apps.queues.changing as changing

    monkeypatch.setattr(changing, "IN_FLIGHT_MAX", 5)
    arn = bench.queue(DeadLetterConfiguration={"TargetType": "BUILT_IN", "MaxReceiveCount": 1})
    bench.put(*(b"%02d" % i for i in range(20)))
    got = bench.receive(arn, 4) + bench.receive(arn, 4)
    assert len(got) == 5
    code, text = bench.refused("ReceiveQueueRecords", QueueARN=arn)
    assert code == "ThrottlingException"
    assert arn in text
    assert bench.acknowledge(arn, got[0]) == [None]
    assert len(bench.receive(arn)) == 1
    bench.clock.advance(30_000)
    assert len(bench.receive(arn, dead=True)) == 5
    code, _ = bench.refused("ReceiveQueueRecords", QueueARN=arn)
    assert code == "ThrottlingException"


def test_large_records_come_in_several_answers(bench: Bench):
    bench.stream()
    arn = bench.queue()
    stream = bench.row(arn).stream
    stream.max_record_size_kib, stream.version = 10_240, stream.version + 1
    stream.save()
    for number in range(4):
        bench("PutRecord", StreamName="s", PartitionKey="k", Data=bytes([number]) * 4_000_000)
        bench.clock.advance(60_000)
    rounds = []
    while got := bench.receive(arn):
        rounds.append(len(got))
        assert {record["ReceiveCount"] for record in got} == {1}
    assert sum(rounds) == 4
    assert max(rounds) <= 3
