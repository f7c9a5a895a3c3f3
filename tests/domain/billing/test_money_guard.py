"""The database itself refuses to change what is billed, and lets go of a team that is deleted."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import IntegrityError, InternalError, connection, transaction

from apps.accounts.models import LeavingTeam
from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import booking, closing, ledger, money_guard
from apps.billing.ledger import Reading, Series
from apps.billing.models import (
    Bill,
    BillLine,
    CommittedHour,
    Correction,
    Credit,
    CreditUse,
    FrozenMonth,
    UsageDay,
    UsageHour,
)
from apps.billing.months import Month
from apps.teams import deleting
from tests.domain.teams.people import by
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = (IntegrityError, InternalError)
OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
NOW_MS = NOVEMBER.start_ms + 5 * DAY_MS
USAGE = (UsageHour, UsageDay, CommittedHour)
WRITTEN_ONCE = (Bill, BillLine, Correction, CreditUse, FrozenMonth)


def use(team, hour_ms, value):
    series = Series(f"shard/{team.team.pk}", "advantage-bytes-in", hour_ms, "", "log")
    ledger.record([Reading(team.team.pk, "stream/s", series, value * 2**30, NOW_MS)])


@pytest.fixture
def closed(team) -> Iterator:
    """A team with a closed October that took of a credit, a late hour of it, and an open November."""
    Credit.objects.create(team=team.team, amount_cents=10, reason="x", from_month="2026-10", created_at_ms=1)
    for hour_ms in (OCTOBER.start_ms, OCTOBER.end_ms - HOUR_MS, NOVEMBER.start_ms):
        use(team, hour_ms, 1_000)
    money_guard.install(connection)
    try:
        closing.close(team.team, "us-east-1", OCTOBER, NOW_MS)
        use(team, OCTOBER.start_ms, 1_100)
        for model in (*USAGE, *WRITTEN_ONCE):
            assert model.objects.exists(), model
        yield team
    finally:
        money_guard.remove(connection)


def refused(change):
    with pytest.raises(REFUSED, match="never changes"), transaction.atomic():
        change()


def test_usage_of_a_frozen_month_is_final(closed):
    for model, at in ((UsageHour, "hour_ms"), (UsageDay, "day_ms"), (CommittedHour, "hour_ms")):
        assert model.objects.count() == 3
        row = model.objects.earliest(at)
        refused(lambda model=model: model.objects.update(quantity=1))
        refused(row.delete)
        refused(row.save)
        open_one = model.objects.filter(**{at: NOVEMBER.start_ms})
        refused(lambda rows=open_one, at=at: rows.update(**{at: OCTOBER.start_ms + DAY_MS}))
        row.pk = None
        setattr(row, at, OCTOBER.start_ms + 7 * DAY_MS)
        refused(row.save)
        assert open_one.update(quantity=5) == 1
        assert open_one.delete()[0] == 1


def test_the_upsert_that_books_is_refused_too(closed):
    key = (closed.team.pk, "stream/s", "advantage-bytes-in", OCTOBER.start_ms, "")
    refused(lambda: booking._add_all({key: 1}))
    booking._add_all({(*key[:3], NOVEMBER.start_ms, ""): 1})


def test_another_teams_month_is_open(closed):
    use(make_team("210987654321", "other", "AKIDOTHER"), OCTOBER.start_ms, 1)


@pytest.mark.parametrize("model", WRITTEN_ONCE)
def test_what_is_written_once_stays(closed, model):
    row = model.objects.earliest("pk")
    refused(row.save)
    refused(lambda: model.objects.all()._raw_delete("default"))
    for field in model._meta.concrete_fields:
        if not field.primary_key:
            refused(lambda field=field: model.objects.update(**{field.attname: getattr(row, field.attname)}))


def test_no_bill_loses_or_changes_its_team(closed):
    other = make_team("210987654321", "other", "AKIDOTHER")
    refused(lambda: Bill.objects.update(team=None))
    LeavingTeam.objects.create(team=closed.team)
    refused(lambda: Bill.objects.update(team=other.team))
    refused(lambda: Bill.objects.update(team=None, usage_cents=0))
    assert Bill.objects.update(team=None) == 1


@pytest.mark.parametrize("model", [*USAGE, *WRITTEN_ONCE])
def test_nothing_is_emptied_or_replaced(closed, model):
    table = model._meta.db_table
    columns = ", ".join(field.column for field in model._meta.concrete_fields)
    statement = f"REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table} ORDER BY id LIMIT 1"
    if connection.vendor == "postgresql":
        statement = f"TRUNCATE {table} CASCADE"
    with connection.cursor() as cursor:
        refused(lambda: cursor.execute(statement))


def test_a_team_is_deleted_with_its_usage_and_without_its_bills(closed, runtime):
    second = make_team("210987654321", "second", "AKIDOTHER")  # the first one stays
    Credit.objects.create(team=second.team, amount_cents=10, reason="x", from_month="2026-10", created_at_ms=1)
    use(second, OCTOBER.start_ms, 1_000)
    closing.close(second.team, "us-east-1", OCTOBER, NOW_MS)
    for value in (1_100, 1_200):
        use(second, OCTOBER.start_ms, value)
    deleting.delete(by(second.team.memberships.get()), "second", runtime)
    assert {bill.month for bill in Bill.objects.filter(team=None)} == {"2026-10", "2026-11"}
    for model in (*USAGE, Correction, FrozenMonth):
        assert set(model.objects.values_list("team", flat=True)) == {closed.team.pk}, model
    assert CreditUse.objects.count() == 1
    assert not LeavingTeam.objects.exists()


def test_the_newest_migration_leaves_the_guard_in_its_place(db):
    money_guard.install(connection)
    try:
        call_command("migrate", "billing", "0007", verbosity=0)
        assert money_guard.missing(connection)
        call_command("migrate", "billing", verbosity=0)
        assert not money_guard.missing(connection)
    finally:
        money_guard.remove(connection)
    assert money_guard.missing(connection)
