"""Metering goes on while a month is closed, each on a database connection of its own."""

import threading

import pytest
from django.db import close_old_connections, connections

from apps.base.units import HOUR_MS
from apps.billing import checking, closing, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.models import Bill, Correction, CreditUse, UsageDay
from apps.billing.months import Month
from tests.support.teams import REGION, make_team

pytestmark = pytest.mark.django_db(transaction=True)

OCTOBER = Month(2026, 10)
NOW_MS = OCTOBER.end_ms + closing.GRACE_MS
WITHIN_S = 120
READINGS = 25


def at_once(*works):
    """Run all at the same moment; the errors end the test."""
    gate, errors = threading.Barrier(len(works)), []

    def run(work):
        close_old_connections()
        gate.wait(WITHIN_S)
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert not errors, errors


def test_every_difference_is_on_the_bill_or_a_correction_and_there_is_one_bill():
    team = make_team().team

    def meter(shard):
        for n in range(1, READINGS + 1):
            one = Series(f"stream/{shard}", "shard-time", OCTOBER.start_ms, "", "rows")
            ledger.record([Reading(team.pk, f"stream/{shard}", one, n * HOUR_MS, NOW_MS + n)])

    def close():
        for _ in range(3):
            if closing.open_months(team, OCTOBER):
                closing.close(team, REGION, OCTOBER, NOW_MS)

    meter(0)
    at_once(lambda: meter(1), lambda: meter(2), close, close)
    bill = Bill.objects.get()
    booked = sum(UsageDay.objects.values_list("quantity", flat=True))
    late = sum(Correction.objects.values_list("quantity", flat=True))
    assert booked + late == 3 * READINGS * HOUR_MS
    line = bill.lines.get()
    assert int(line.metered) == booked
    assert not CreditUse.objects.exists()
    assert checking.check(bill, REGION).agrees
