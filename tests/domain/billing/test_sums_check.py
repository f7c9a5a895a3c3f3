"""Sums that somebody did not keep are found and made anew, and the log says so."""

import pytest
from structlog.testing import capture_logs

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import booking, closing, sums_check
from apps.billing.models import UsageDay
from apps.billing.usage_sums import KeyDay, ResourceMonth, TeamDay
from apps.leases import hold
from apps.teams import month_end
from tests.domain.billing.test_usage_sums import NOW_MS, TABLES, added_up, kept
from tests.support import lived_months
from tests.support.operators import NOVEMBER, REGION
from tests.support.teams import make_team

SUMS = (TeamDay, KeyDay, ResourceMonth)


@pytest.fixture
def lived(team):
    lived_months.live(team.team.pk, NOW_MS, 60, step_hours=24)
    return team.team


def book_as_before(team, monkeypatch, at_ms):
    """As a worker of the version before: hours and days, and no sums."""
    with monkeypatch.context() as patched:
        patched.setattr(booking, "add_sums", lambda _days: None)
        booking.book({(team.pk, "stream/old", "bytes-in", at_ms, "AK"): 1_000}, at_ms)


def agree():
    return all(kept(model, names) == added_up(names) for model, names in TABLES)


def test_what_an_earlier_version_books_is_added_up_within_the_hour(lived, monkeypatch):
    book_as_before(lived, monkeypatch, NOW_MS - NOW_MS % HOUR_MS)
    assert not agree()
    with capture_logs() as logs:
        assert sums_check.look(lived.pk, NOW_MS)
    assert agree()
    assert [(one["event"], one["month"]) for one in logs] == [("usage_sums_made_anew", str(NOVEMBER))]


def test_what_agrees_is_left_alone(lived):
    before = [list(model.objects.order_by("pk").values()) for model in SUMS]
    with capture_logs() as logs:
        assert not sums_check.look(lived.pk, NOW_MS)
        assert not sums_check.put_right(lived.pk, NOVEMBER)
    assert [list(model.objects.order_by("pk").values()) for model in SUMS] == before
    assert logs == []


def test_only_the_month_and_the_team_that_differ_are_made_anew(lived, monkeypatch):
    other = make_team("210987654321", "other", "AKIDOTHER").team
    booking.book({(other.pk, "stream/s", "bytes-in", NOW_MS - NOW_MS % HOUR_MS, "AK"): 5}, NOW_MS)
    october = NOVEMBER.previous
    TeamDay.objects.filter(team=other).update(quantity=6)
    TeamDay.objects.filter(team=lived, day_ms__lt=october.end_ms).update(quantity=1)
    book_as_before(lived, monkeypatch, NOW_MS - NOW_MS % HOUR_MS)
    assert sums_check.look(lived.pk, NOW_MS)
    assert set(TeamDay.objects.filter(team=lived, day_ms__lt=october.end_ms).values_list("quantity", flat=True)) == {1}
    assert TeamDay.objects.get(team=other).quantity == 6


def test_a_sum_of_nothing_goes(lived):
    TeamDay.objects.create(team=lived, day_ms=NOVEMBER.start_ms, meter="advantage-time", quantity=3)
    assert sums_check.put_right(lived.pk, NOVEMBER)
    assert agree()


def test_a_month_is_compared_as_a_whole_before_its_bill_is_written(lived, monkeypatch):
    october = NOVEMBER.previous
    book_as_before(lived, monkeypatch, october.start_ms + 3 * DAY_MS)
    assert not sums_check.look(lived.pk, NOW_MS)
    bill = closing.close(lived, REGION, october, NOW_MS)
    assert bill is not None
    assert agree()


def test_who_closes_months_looks_every_hour(lived, runtime, monkeypatch):
    looked = []
    monkeypatch.setattr(sums_check, "look", lambda team_id, _now_ms: looked.append(team_id))
    month_end.ensure(runtime.clock.now_ms() - month_end.EVERY_MS)
    held = hold.take(month_end.KIND, month_end.KEY, "test", 150_000)
    month_end.look(runtime, held, runtime.clock.now_ms() + 10_000)
    assert lived.pk in looked


def test_what_is_booked_while_sums_are_made_anew_is_in_both(lived, monkeypatch):
    """Rows of days are the truth: what is booked after comes on top of what was added up."""
    at_ms = NOW_MS - NOW_MS % HOUR_MS
    book_as_before(lived, monkeypatch, at_ms)
    sums_check.look(lived.pk, NOW_MS)
    booking.book({(lived.pk, "stream/old", "bytes-in", at_ms, "AK"): 7}, NOW_MS)
    assert agree()
    assert UsageDay.objects.get(resource="stream/old").quantity == 1_007
