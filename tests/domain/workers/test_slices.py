"""workers/slices.py: lease, deadline, errors, and what is woken."""

import threading

import pytest
from celery import Celery
from django.db import InterfaceError

from apps.base.clock import SystemClock
from apps.leases import hold, wake
from apps.leases.models import Lease
from apps.leases.progress import Progress
from tests.support.valkey import Valkey
from workers import backlog, keeping, slices
from workers.app import app, broker_url, use

pytestmark = pytest.mark.django_db
KIND = "test-kind"


@pytest.fixture
def woken(monkeypatch, django_capture_on_commit_callbacks):
    """Hints sent, as (task, key)."""
    sent = []
    monkeypatch.setattr(app, "send_task", lambda name, args, **_: sent.append((name, *args)))
    monkeypatch.setattr(wake, "current_app", app)
    return sent


@pytest.fixture
def work(runtime):
    """`work(function)` makes a function the work of KIND, and of the key "1"."""
    use(runtime)
    hold.ensure(KIND, "1", 1)

    def enter(advance):
        slices.slice(KIND, ttl_ms=30_000, deadline_ms=10_000)(advance)
        return lambda: slices.run(runtime, KIND, "1")

    yield enter
    use(None)
    slices.SLICES.pop(KIND, None)
    app.tasks.pop(f"tidegate.{KIND}", None)


def row() -> Lease:
    return Lease.objects.get(kind=KIND, key="1")


def test_a_slice_gets_the_runtime_its_lease_and_a_deadline(work, runtime):
    seen = []
    run = work(lambda *given: seen.append(given) or Progress.DONE)
    assert run() is Progress.DONE
    [(given, held, until_ms)] = seen
    assert given is runtime
    assert (held.kind, held.key, held.counter) == (KIND, "1", 1)
    assert until_ms == runtime.clock.now_ms() + 10_000


def test_done_is_not_due_again(work):
    work(lambda *_: Progress.DONE)()
    assert (row().owner, row().due_at_ms) == ("", None)


def test_a_time_is_when_it_is_due_again(work):
    work(lambda *_: 12_345)()
    assert row().due_at_ms == 12_345


def test_more_is_due_at_once_and_woken(work, woken, runtime, django_capture_on_commit_callbacks):
    run = work(lambda *_: Progress.MORE)
    with django_capture_on_commit_callbacks(execute=True):
        assert run() is Progress.MORE
    assert row().due_at_ms == runtime.clock.now_ms()
    assert woken == [(f"tidegate.{KIND}", "1")]


def test_the_lease_is_held_while_it_works(work, runtime):
    outcomes = []

    def advance(*_):
        outcomes.append(slices.run(runtime, KIND, "1"))
        return Progress.DONE

    work(advance)()
    assert outcomes == [None]


def test_an_error_makes_it_due_in_a_while_and_keeps_the_checkpoint(work, runtime):
    def advance(_runtime, held, _until_ms):
        hold.save_checkpoint(held, {"at": 3})
        raise ZeroDivisionError

    assert work(advance)() is None
    assert row().due_at_ms == runtime.clock.now_ms() + slices.RETRY_AFTER_ERROR_MS
    assert row().checkpoint == {"at": 3}
    assert row().owner == ""


def test_a_lost_lease_ends_the_slice_and_touches_nothing(work):
    def advance(_runtime, held, _until_ms):
        Lease.objects.filter(kind=KIND).update(owner="another", counter=9)
        hold.save_checkpoint(held, {"at": 3})

    assert work(advance)() is None
    assert (row().owner, row().checkpoint) == ("another", {})


def test_a_key_made_due_while_it_worked_stays_due(work):
    def advance(*_):
        hold.ensure(KIND, "1", 7)
        return Progress.DONE

    work(advance)()
    assert row().due_at_ms == 7


def test_the_tick_wakes_what_is_due(work, woken, django_capture_on_commit_callbacks):
    work(lambda *_: Progress.DONE)
    hold.ensure(KIND, "2", 1)
    hold.ensure(KIND, "later", SystemClock().now_ms() + 3_600_000)
    with django_capture_on_commit_callbacks(execute=True):
        slices.tick(KIND)
    assert woken == [(f"tidegate.{KIND}", "1"), (f"tidegate.{KIND}", "2")]


def test_a_hint_is_sent_on_commit_only(woken, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        wake.wake(KIND, "1")
        assert woken == []
    assert woken == [(f"tidegate.{KIND}", "1")]


def test_a_broker_that_does_not_answer_costs_nothing(django_capture_on_commit_callbacks):
    """Settings of tests name a Redis that is not there."""
    with django_capture_on_commit_callbacks(execute=True):
        wake.wake("lifecycle", "1")


def test_every_kind_that_ticks_has_its_slice_and_its_queue():
    from workers.app import MODULES, QUEUES
    from workers.schedule import TICKS_S

    app.loader.import_default_modules()
    assert set(TICKS_S) <= set(slices.SLICES), MODULES
    assert set(TICKS_S) <= {kind for kinds in QUEUES.values() for kind in kinds}


def test_deliveries_get_as_many_hints_as_their_queue_has_room_for(
    work, woken, monkeypatch, django_capture_on_commit_callbacks
):
    for key in range(5):
        hold.ensure("delivery", str(key), 1)
        hold.ensure("lifecycle", str(key), 1)
    monkeypatch.setattr(slices.backlog, "room", lambda _url, queue: {"delivery": 2}[queue])
    with django_capture_on_commit_callbacks(execute=True):
        slices.tick("delivery")
    assert len(woken) == 2
    with django_capture_on_commit_callbacks(execute=True):
        slices.tick("lifecycle")
    assert len(woken) == 7


def test_a_lease_is_renewed_on_after_whatever_went_wrong(monkeypatch):
    """A thread that dies of an error would let go of every lease of its process."""
    keeper, renewed = keeping._Keeper(), threading.Event()
    calls = []

    def renew(_held, _ttl_ms):
        calls.append(1)
        if len(calls) == 1:
            raise InterfaceError("connection already closed")
        renewed.set()

    monkeypatch.setattr(keeping.hold, "renew", renew)
    keeper.add(hold.Held("k", "1", "me", 1, {}, None), 40)
    assert renewed.wait(30)
    keeper.remove(next(iter(keeper._kept.values()))[0])


def test_room_is_what_the_queue_does_not_hold(monkeypatch):
    monkeypatch.setattr(backlog, "HINTS_MAX", 3)
    valkey = Valkey().start()
    try:
        with Celery(broker=broker_url(valkey.url), set_as_current=False) as sender:
            assert backlog.room(valkey.url, "delivery") == 3
            for _ in range(5):
                sender.send_task("tidegate.delivery", args=("1",), queue="delivery", ignore_result=True)
                left = backlog.room(valkey.url, "delivery")
            assert left == 0
    finally:
        valkey.close()
    assert backlog.room(valkey.url, "delivery") == 0, "nobody takes hints there"
