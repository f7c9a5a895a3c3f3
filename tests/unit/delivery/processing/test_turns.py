"""A worker's threads are never all held by transforms, nor most of them by one team's."""

from contextlib import ExitStack

from apps.delivery.processing import turns
from apps.delivery.processing.turns import turn
from tests.support.delivery_batches import target
from tests.support.processors import function, partitioned, processing, processor, query
from tests.support.runtimes import memory_runtime


def test_a_team_has_a_few_turns_and_all_together_not_all_threads():
    taken = turns.Turns()
    assert [taken.take(1) for _ in range(6)] == [True] * 5 + [False]
    assert [taken.take(2) for _ in range(6)] == [True] * 5 + [False]
    assert [taken.take(3) for _ in range(2)] == [True, False]
    taken.give(1)
    assert taken.take(3)
    assert not taken.take(1)


def test_a_turn_is_given_back_and_only_needed_by_what_waits(monkeypatch):
    monkeypatch.setattr(turns, "OF_A_TEAM", 1)
    runtime = memory_runtime()
    waits = target("ExtendedS3", processing(function()))
    asks = target("ExtendedS3", partitioned("", query("{}")))
    plain = target("ExtendedS3", processing(processor("AppendDelimiterToRecord")))
    with turn(runtime, waits) as first, turn(runtime, asks) as second, turn(runtime, plain) as third:
        assert (first, second, third) == (True, False, True)
    with turn(runtime, asks) as again:
        assert again


def test_what_unpacks_much_in_memory_has_few_threads():
    runtime = memory_runtime()
    apart = processing(processor("RecordDeAggregation", SubRecordType="JSON"))
    gzip = processing(processor("Decompression"))
    with ExitStack() as stack:

        def enter(description, team_id):
            return stack.enter_context(turn(runtime, target("ExtendedS3", description, team_id=team_id)))

        assert [enter(one, 1) for one in (gzip, apart, gzip)] == [True, True, False]
        assert [enter(gzip, 2), enter(gzip, 3)] == [True, False]
        assert enter(processing(processor("Decompression"), function()), 3)  # it would hold one for minutes
    with turn(runtime, target("ExtendedS3", gzip)) as again:
        assert again
