"""Flags and corrections, for people who run the installation."""

import pytest

from apps.base.units import HOUR_MS
from apps.billing import flags
from apps.billing.models import BillingFlag, Correction, UsageHour
from apps.billing.months import Month

PAGE = "/t/first/billing/corrections"
HOUR = Month(2026, 10).start_ms + 5 * HOUR_MS


@pytest.fixture
def operator(client, team):
    team.user.is_staff = True
    team.user.save()
    return client


@pytest.fixture
def used(team):
    from apps.billing import ledger
    from apps.billing.ledger import Reading, Series

    series = Series("shard/1", "bytes-in", HOUR, "AK", "log")
    ledger.record([Reading(team.team.pk, "stream/s", series, 5_000, HOUR)])


def given(team, **values):
    return {
        "team": team.team.pk,
        "resource": "stream/s",
        "meter": "bytes-in",
        "hour": "2026-10-01 05:00",
        "meter_key": "AK",
        "quantity": "-1,500",
        "note": "counted twice",
    } | values


def test_it_is_not_there_for_members(client):
    assert client.get(PAGE).status_code == 404


def test_usage_is_corrected(operator, team, used):
    answer = operator.post(PAGE, given(team), follow=True)
    assert answer.status_code == 200
    assert (Correction.objects.get().quantity, UsageHour.objects.get().quantity) == (-1_500, 5_000)
    text = answer.content.decode()
    assert "Usage of" in text
    assert "counted twice" in text
    assert "Nov 2026" in text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hour", "yesterday", "Write the hour as 2026-11-05 14:00, UTC."),
        ("hour", "2026-10-01 05:30", "Give a full hour of UTC that has begun."),
        ("quantity", "-9000", "it cannot become less than nothing"),
        ("quantity", "lots", "Write a whole number"),
        ("resource", "stream/typo", "has never used a resource of this name"),
        ("note", "", "required"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(operator, team, used, field, value, message):
    answer = operator.post(PAGE, given(team, **{field: value}))
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert field in answer.context["form"].errors
    assert answer.context["form"]["meter_key"].value() == "AK"
    assert not Correction.objects.exists()


def test_flags_are_shown_and_acknowledged(operator, team):
    flags.raise_flag(team.team.pk, "late", "stream/s", "It came late.", HOUR)
    page = operator.get(PAGE)
    assert "It came late." in page.content.decode()
    flag = BillingFlag.objects.get()
    operator.post(PAGE, {"flag": flag.pk})
    flag.refresh_from_db()
    assert flag.acknowledged_by == team.user.email
    answer = operator.post(PAGE, {"flag": "99"}, follow=True)
    assert "There is no such flag any more." in answer.content.decode()


def test_it_asks_few_questions(operator, team, used, django_assert_max_num_queries):
    for n in range(5):
        operator.post(PAGE, given(team, quantity="1"))
        flags.raise_flag(team.team.pk, "late", f"stream/{n}", "It came late.", HOUR)
    with django_assert_max_num_queries(12):
        operator.get(PAGE)
