"""Every sentence of apps/leases/hold.py."""

import threading

import pytest
from django.db import connection, connections, transaction

from apps.base.clock import SystemClock
from apps.leases import hold
from apps.leases.hold import LONGEST_TTL_MS, LeaseLost
from apps.leases.models import Lease

pytestmark = pytest.mark.django_db
TTL_MS = 30_000


def now_ms() -> int:
    """The database's clock."""
    with connection.cursor() as cursor:
        expression = hold.DatabaseNow()
        sql, params = getattr(expression, f"as_{connection.vendor}")()
        cursor.execute(f"SELECT {sql}", params)
        return cursor.fetchone()[0]


def row(kind: str = "lifecycle", key: str = "1") -> Lease:
    return Lease.objects.get(kind=kind, key=key)


@pytest.fixture
def lease() -> tuple[str, str]:
    hold.ensure("lifecycle", "1", now_ms() - 1)
    return "lifecycle", "1"


def test_the_database_tells_milliseconds_of_the_epoch():
    before_ms = SystemClock().now_ms()
    told_ms = now_ms()
    assert before_ms - 1 <= told_ms <= SystemClock().now_ms() + 1


def test_ensure_makes_the_row_and_only_brings_the_due_time_forward():
    hold.ensure("lifecycle", "1", 5_000)
    hold.ensure("lifecycle", "1", 9_000)
    assert row().due_at_ms == 5_000
    hold.ensure("lifecycle", "1", 2_000)
    assert row().due_at_ms == 2_000
    assert row().checkpoint == {}
    assert row().pinned is None


def test_ensure_is_part_of_the_callers_transaction():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        hold.ensure("lifecycle", "1", 1)
        raise ZeroDivisionError
    assert not Lease.objects.exists()


def test_a_held_lease_is_refused_and_an_unknown_one_too(lease):
    assert hold.take(*lease, "a", TTL_MS).counter == 1
    assert hold.take(*lease, "b", TTL_MS) is None
    assert hold.take("lifecycle", "unknown", "b", TTL_MS) is None


def test_a_lease_that_ran_out_is_taken_by_another_and_the_first_holder_is_refused_everything(lease):
    first = hold.take(*lease, "a", TTL_MS)
    Lease.objects.update(expires_at_ms=now_ms() - 1)
    second = hold.take(*lease, "b", TTL_MS)
    assert second.counter == first.counter + 1
    for verb in (
        lambda: hold.renew(first, TTL_MS),
        lambda: hold.pin(first, {"from": 1}),
        lambda: hold.save_checkpoint(first, {"at": 1}),
    ):
        with pytest.raises(LeaseLost):
            verb()
    hold.release(first, now_ms())
    kept = row()
    assert (kept.owner, kept.due_at_ms, kept.checkpoint, kept.pinned) == ("b", None, {}, None)


def test_renew_prolongs_and_never_shortens(lease):
    held = hold.take(*lease, "a", TTL_MS)
    before = row().expires_at_ms
    hold.renew(held, 1)
    assert row().expires_at_ms == before
    hold.renew(held, 2 * TTL_MS)
    assert row().expires_at_ms > before + TTL_MS // 2


def test_a_renewal_that_comes_after_the_release_holds_nothing(lease):
    held = hold.take(*lease, "a", TTL_MS)
    hold.release(held, None)
    with pytest.raises(LeaseLost):
        hold.renew(held, TTL_MS)
    assert hold.take(*lease, "b", TTL_MS) is not None


def test_the_next_holder_finds_pin_and_checkpoint(lease):
    held = hold.take(*lease, "a", TTL_MS)
    hold.save_checkpoint(held, {"at": 7})
    hold.pin(held, {"from": 7, "to": 9})
    hold.release(held, None)
    again = hold.take(*lease, "b", TTL_MS)
    assert (again.checkpoint, again.pinned) == ({"at": 7}, {"from": 7, "to": 9})
    hold.save_checkpoint(again, {"at": 9})
    assert (row().checkpoint, row().pinned) == ({"at": 9}, None)


def test_release_sets_the_due_time(lease):
    held = hold.take(*lease, "a", TTL_MS)
    assert row().due_at_ms is None
    hold.release(held, 123)
    assert (row().due_at_ms, row().owner, row().expires_at_ms) == (123, "", 0)


@pytest.mark.parametrize("given", [None, 10_000_000_000_000])
def test_release_does_not_wipe_what_ensure_set_meanwhile(lease, given):
    held = hold.take(*lease, "a", TTL_MS)
    hold.ensure(*lease, 5_000)
    hold.release(held, given)
    assert row().due_at_ms == 5_000


def test_release_brings_a_later_ensured_time_forward(lease):
    held = hold.take(*lease, "a", TTL_MS)
    hold.ensure(*lease, 9_000)
    hold.release(held, 4_000)
    assert row().due_at_ms == 4_000


def test_due_are_free_leases_whose_time_has_come(lease):
    hold.ensure("lifecycle", "later", now_ms() + 60_000)
    hold.ensure("lifecycle", "earlier", now_ms() - 60_000)
    hold.ensure("retention", "other kind", now_ms() - 60_000)
    assert hold.due("lifecycle", 10) == ["earlier", "1"]
    assert hold.due("lifecycle", 1) == ["earlier"]
    hold.take("lifecycle", "earlier", "a", TTL_MS)
    assert hold.due("lifecycle", 10) == ["1"]


def test_a_dead_holders_lease_is_due_once_it_ran_out(lease):
    hold.take(*lease, "a", TTL_MS)
    assert hold.due("lifecycle", 10) == []
    Lease.objects.update(expires_at_ms=now_ms() - 1)
    assert hold.due("lifecycle", 10) == ["1"]


def test_a_lease_done_for_good_is_not_due(lease):
    hold.release(hold.take(*lease, "a", TTL_MS), None)
    assert hold.due("lifecycle", 10) == []


def test_times_too_far_ahead_count_as_past(lease):
    hold.take(*lease, "a", TTL_MS)
    Lease.objects.update(expires_at_ms=now_ms() + 2 * LONGEST_TTL_MS - 5_000)
    assert hold.take(*lease, "b", TTL_MS) is None
    Lease.objects.update(expires_at_ms=now_ms() + 2 * LONGEST_TTL_MS + 5_000)
    assert hold.due("lifecycle", 10) == ["1"]
    assert hold.take(*lease, "b", TTL_MS) is not None


@pytest.mark.parametrize(
    ("kind", "days", "is_due"), [("lifecycle", 3, True), ("retention", 365, False), ("retention", 800, True)]
)
def test_due_times_too_far_ahead_count_as_past(kind, days, is_due):
    hold.ensure(kind, "1", now_ms() + days * 86_400_000)
    assert (hold.due(kind, 10) == ["1"]) is is_due


def test_remove_takes_the_lease_from_its_holder(lease):
    held = hold.take(*lease, "a", TTL_MS)
    hold.remove(*lease)
    with pytest.raises(LeaseLost):
        hold.save_checkpoint(held, {})


@pytest.mark.django_db(transaction=True)
def test_of_many_takers_at_once_exactly_one_gets_it():
    hold.ensure("lifecycle", "1", 1)
    taken, barrier = [], threading.Barrier(8)

    def try_to_take(name: str) -> None:
        barrier.wait()
        taken.append(hold.take("lifecycle", "1", name, TTL_MS))
        connections.close_all()

    threads = [threading.Thread(target=try_to_take, args=(f"owner-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([held for held in taken if held]) == 1
    assert row().counter == 1
