"""workers/schedule.py: what is sent when."""

from datetime import UTC, datetime, timedelta

import pytest

from workers import schedule
from workers.app import app

TICKS = {f"tick-{kind}" for kind in schedule.TICKS_S}
EACH_SECOND = ["tick-delivery-streams", "tick-lifecycle", "tick-queues"]
EACH_TWO_SECONDS = ["heartbeat", "tick-delivery", "tick-delivery-jobs", "tick-ingestion"]


@pytest.fixture
def sent(monkeypatch):
    """Names sent by a scheduler whose clock is ours: `turn(seconds)` moves it and runs what is due."""
    names = []
    clock = {"now": datetime(2026, 11, 20, 12, tzinfo=UTC)}
    monkeypatch.setattr(type(app), "now", lambda self: clock["now"])
    scheduler = schedule.Scheduler(app, lazy=True)
    scheduler.setup_schedule()
    monkeypatch.setattr(scheduler, "apply_async", lambda entry, **_: names.append(entry.name))
    monkeypatch.setattr(schedule.Scheduler, "producer", None)

    def turn(seconds: float) -> list[str]:
        names.clear()
        clock["now"] += timedelta(seconds=seconds)
        while scheduler.tick() == 0:
            pass
        return names

    turn(0)
    return turn


def test_each_tick_has_its_interval(sent):
    assert sorted(sent(1.0)) == EACH_SECOND
    assert sorted(sent(1.0)) == sorted([*EACH_TWO_SECONDS, *EACH_SECOND])
    assert set(sent(60.0)) >= TICKS


def test_it_sleeps_until_the_next_and_not_less(sent, monkeypatch):
    scheduler = schedule.Scheduler(app, lazy=True)
    assert scheduler.adjust(0.5) == 0.5


def test_a_clock_set_back_does_not_stop_the_ticks(sent):
    sent(1.0)
    assert sent(-3600.0) == []
    assert sorted(sent(1.0)) == EACH_SECOND


def test_a_tick_expires_before_the_next():
    for entry in schedule.beat_schedule().values():
        assert entry["options"]["expires"] == entry["schedule"]
