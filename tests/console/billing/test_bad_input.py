"""What could make money wrong is refused, or flagged where people look: a log restored from an older copy, clocks that jump and
step back, prices that overlap, budgets of nothing. Through the doors that people and workers use."""

import shutil
from dataclasses import replace

import pytest

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing.models import Bill, BillingFlag, Budget, PriceBook, UsageDay, UsageHour
from apps.leases.models import Lease
from apps.runtime import build
from apps.streams.read_meters import ReadMeters
from tests.support.runtimes import call, memory_runtime, run_due

pytestmark = pytest.mark.django_db

COST, BOOKS, BUDGETS = "/t/first/billing", "/t/first/billing/books", "/t/first/billing/budgets"


@pytest.fixture
def logs(clock, tmp_path):
    """Opens a runtime over the log in a folder; closes the one before."""
    opened = []

    def open_again():
        for runtime in opened:
            runtime.close_in_thread()
        base = memory_runtime(clock).config
        opened[:] = [build(replace(base, record_log_url=f"lmdb:{tmp_path / 'log'}", throttle=False), clock)]
        opened[0].open_in_thread()
        return opened[0]

    yield open_again
    for runtime in opened:
        runtime.close_in_thread()


def put(runtime, team, count):
    records = [{"PartitionKey": "abcd", "Data": bytes(96)} for _ in range(count)]
    assert call(runtime, team.principal, "PutRecords", StreamName="s", Records=records)["FailedRecordCount"] == 0


def get(runtime, team):
    """Read the shard from its start; how many records."""
    asked = {"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = call(runtime, team.principal, "GetShardIterator", **asked)["ShardIterator"]
    return len(call(runtime, team.principal, "GetRecords", ShardIterator=iterator)["Records"])


def read_meters(runtime):
    runtime.wait_for(runtime.part(ReadMeters).save())
    Lease.objects.filter(kind="metering").update(due_at_ms=runtime.clock.now_ms())
    run_due(runtime, "metering")


def used(meter, model=UsageHour):
    return sum(model.objects.filter(meter=meter).values_list("quantity", flat=True))


@pytest.mark.django_db(transaction=True)
def test_a_log_restored_from_an_older_copy_bills_nothing_twice_and_is_flagged(logs, clock, team, tmp_path):
    runtime = logs()
    call(runtime, team.principal, "CreateStream", StreamName="s", ShardCount=1)
    run_due(runtime, "lifecycle")
    put(runtime, team, 10)
    read_meters(runtime)
    runtime.close_in_thread()
    shutil.copytree(tmp_path / "log", tmp_path / "backup")
    runtime = logs()
    put(runtime, team, 20)
    assert get(runtime, team) == 30
    read_meters(runtime)
    assert (used("records-in"), used("bytes-out")) == (30, 3_000)
    runtime.close_in_thread()
    shutil.rmtree(tmp_path / "log")
    shutil.copytree(tmp_path / "backup", tmp_path / "log")
    clock.advance(10 * MINUTE_MS)
    runtime = logs()
    assert get(runtime, team) == 10
    for _ in range(3):
        read_meters(runtime)
        clock.advance(MINUTE_MS)
    put(runtime, team, 7)
    read_meters(runtime)
    assert (used("records-in"), used("bytes-in"), used("payload-units")) == (37, 3_700, 37)
    assert used("bytes-in", UsageDay) == 3_700
    assert used("bytes-out") == 4_000
    flag = BillingFlag.objects.get(kind="shrunk", team=team.team)
    assert flag.resource == "stream/s"
    assert "as after a restored backup" in flag.text
    assert "neither billed nor credited" in flag.text
    told = {flag.resource: flag.text for flag in BillingFlag.objects.filter(kind="shrunk", team=None)}
    assert set(told) == {"", "reads"}
    assert all(
        text.startswith("The record log is an older copy, as after a restored backup.") for text in told.values()
    )


def test_the_owner_sees_a_meter_that_shrank(client, team, served):
    BillingFlag.objects.create(
        team=team.team, kind="shrunk", resource="stream/s", text="It showed 30 and then 10.", first_at_ms=1, at_ms=1
    )
    assert "It showed 30 and then 10." in client.get(COST).content.decode()


@pytest.fixture
def stream(served, team):
    """One shard, metered for two hours."""
    call(served, team.principal, "CreateStream", StreamName="s", ShardCount=1)
    run_due(served, "lifecycle")
    for _ in range(4):
        served.clock.advance(30 * MINUTE_MS)
        read_meters(served)
    assert used("shard-time") == 2 * HOUR_MS


def test_a_clock_that_jumps_a_month_bills_no_month_and_says_so(client, served, stream, team):
    served.clock.advance(31 * DAY_MS)
    for _ in range(3):
        read_meters(served)
        run_due(served, "closing")
        served.clock.advance(MINUTE_MS)
    assert used("shard-time") <= 2 * HOUR_MS + 4 * MINUTE_MS
    assert not Bill.objects.exists()
    text = client.get(COST).content.decode()
    assert "31 days ahead, or Tidegate was off" in text
    assert "not billed yet, and no month is closed" in text
    served.clock.advance(-31 * DAY_MS)
    read_meters(served)
    served.clock.advance(30 * MINUTE_MS)
    read_meters(served)
    assert used("shard-time") == 2 * HOUR_MS + 33 * MINUTE_MS
    assert "nothing was billed for the step" in client.get(COST).content.decode()


def test_a_clock_that_steps_back_books_nothing_twice_and_says_so(client, served, stream, team):
    served.clock.advance(-90 * MINUTE_MS)
    read_meters(served)
    assert used("shard-time") == 2 * HOUR_MS
    text = client.get(COST).content.decode()
    assert "The clock went back" in text
    assert "What is booked stays booked" in text
    for _ in range(4):
        served.clock.advance(30 * MINUTE_MS)
        read_meters(served)
    assert used("shard-time") == 2 * HOUR_MS + 30 * MINUTE_MS
    assert min(UsageHour.objects.values_list("quantity", flat=True)) >= 0


def test_prices_that_overlap_are_refused_with_the_book_that_is_there(client, team, served):
    team.user.is_staff = True
    team.user.save()
    for number, (first, last) in enumerate((("2026-12-01", "2026-12-31"), ("2026-12-24", "2027-01-10"))):
        client.post(BOOKS, {"team": "first", "source": "present"})
        book = PriceBook.objects.get(published_at_ms=None)
        at = f"{BOOKS}/{book.pk}"
        client.post(at, {"valid_from": first, "valid_to": last, "percent": "-10", "note": ""})
        page = client.get(f"{at}/publish")
        answer = client.post(f"{at}/publish", {"seen": page.context["seen"]})
        assert answer.status_code == (422 if number else 302)
    assert "overlap book" in answer.content.decode()
    assert PriceBook.objects.exclude(published_at_ms=None).count() == 1


@pytest.mark.parametrize("amount", ["0", "0.00", "0.004", "-1", ""])
def test_a_budget_of_nothing_is_refused(client, served, amount):
    answer = client.post(f"{BUDGETS}/create", {"name": "b", "amount": amount, "thresholds": "50", "action": "nothing"})
    assert answer.status_code == 422
    assert not Budget.objects.exists()
