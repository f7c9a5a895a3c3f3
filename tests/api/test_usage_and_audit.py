"""Usage and the audit log over REST: sums, groups, filters, cursors."""

from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.billing import booking
from tests.api.conforming import conforming
from tests.api.test_envelope import problem
from tests.console.conftest import make_stream
from tests.support.teams import make_team

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOON_MS = 1_795_132_800_000
"""Of a day."""
MIDNIGHT_MS = NOON_MS - NOON_MS % DAY_MS


@pytest.fixture
def api(team, served):
    return conforming(team.user, team.team)


def used(team, hour, quantity, resource="stream/orders", meter="records-in", key="AKID"):
    booking.book({(team.team.pk, resource, meter, NOON_MS + hour * HOUR_MS, key): quantity}, NOON_MS)


@pytest.fixture
def usage(team, db):
    used(team, 0, 5)
    used(team, 1, 7)
    used(team, 1, 2, key="tok_1")
    used(team, 1, 2**60, resource="stream/clicks", meter="bytes-in")
    used(team, -30, 100)
    used(make_team("210987654321", "other", "AKIDOTHER"), 0, 1_000)


SPAN = f"from_ms={NOON_MS}&to_ms={NOON_MS + 2 * HOUR_MS}"


def rows(answer, *names):
    return [tuple(one[name] for name in names) for one in answer.json()["items"]]


def test_usage_by_hour_and_by_day(api, usage):
    by_hour = api.get(f"/usage?{SPAN}&step=hour")
    assert rows(by_hour, "at_ms", "meter", "quantity", "resource", "key") == [
        (NOON_MS, "records-in", "5", None, None),
        (NOON_MS + HOUR_MS, "bytes-in", str(2**60), None, None),
        (NOON_MS + HOUR_MS, "records-in", "9", None, None),
    ]
    day_ms = NOON_MS - NOON_MS % DAY_MS
    by_day = api.get(f"/usage?{SPAN}")
    assert rows(by_day, "at_ms", "meter", "quantity") == [
        (day_ms, "bytes-in", str(2**60)),
        (day_ms, "records-in", "14"),
    ]


WHOLE = f"from_ms={MIDNIGHT_MS - 2 * DAY_MS}&to_ms={MIDNIGHT_MS + DAY_MS}"
DAYS = f"from_ms={MIDNIGHT_MS - 2 * DAY_MS + HOUR_MS}&to_ms={MIDNIGHT_MS + DAY_MS}"


@pytest.mark.parametrize("group", [[], ["key"], ["resource"], ["resource", "key"]])
@pytest.mark.parametrize("where", ["", "&key=AKID", "&resource=stream/orders", "&meter=records-in&key=tok_1"])
def test_whole_days_are_read_from_what_they_add_up_to_and_are_their_hours(api, usage, group, where):
    asked = DAYS + where + "".join(f"&group={name}" for name in group)
    with CaptureQueriesContext(connection) as asking:
        told = api.get(f"/usage?{asked}")
    assert "billing_usagehour" not in str(asking.captured_queries)
    from_hours = Counter()
    for one in api.get(f"/usage?{asked.replace(DAYS, WHOLE)}&step=hour&limit=500").json()["items"]:
        day_ms = one["at_ms"] - one["at_ms"] % DAY_MS
        from_hours[day_ms, one["meter"], one["resource"] or "", one["key"] or ""] += int(one["quantity"])
    found = [
        (one["at_ms"], one["meter"], one["resource"] or "", one["key"] or "", int(one["quantity"]))
        for one in told.json()["items"]
    ]
    assert found
    assert sorted(found) == sorted((*key, quantity) for key, quantity in from_hours.items())


def test_of_a_day_that_is_cut_the_hours_before_the_end_count(api, usage):
    assert rows(api.get(f"/usage?from_ms={NOON_MS}&to_ms={NOON_MS + 1}&key=AKID"), "quantity") == [("5",)]


def test_usage_apart_and_filtered(api, usage):
    apart = api.get(f"/usage?{SPAN}&group=resource&group=key&meter=records-in")
    assert rows(apart, "resource", "key", "quantity") == [
        ("stream/orders", "AKID", "12"),
        ("stream/orders", "tok_1", "2"),
    ]
    assert rows(api.get(f"/usage?{SPAN}&key=tok_1"), "quantity") == [("2",)]
    assert rows(api.get(f"/usage?{SPAN}&resource=stream/clicks"), "meter", "unit") == [("bytes-in", "byte")]


def test_usage_goes_on_by_cursor(api, usage):
    seen, cursor = [], ""
    while cursor is not None:
        told = api.get(f"/usage?{SPAN}&step=hour&group=key&limit=1&cursor={cursor}").json()
        assert len(told["items"]) == 1
        seen += [(one["meter"], one["key"], one["quantity"]) for one in told["items"]]
        cursor = told["next_cursor"]
    assert len(seen) == len(set(seen)) == 4
    problem(api.get("/usage?cursor=nonsense"), 400)


def test_wrong_questions_about_usage(api):
    problem(api.get(f"/usage?from_ms={NOON_MS}&to_ms={NOON_MS}"), 400)
    problem(api.get(f"/usage?from_ms=0&to_ms={NOON_MS}"), 400)
    problem(api.get("/usage?group=colour"), 400)
    problem(api.get("/usage?meter=colour"), 400)
    assert api.get("/meters").json()["items"][0]["unit"]


def test_the_audit_log_tells_who_changed_what(api, team, served):
    ticker = {"name": "ticker", "s3": {"bucket": "events"}}
    api.post("/delivery-streams", ticker)
    problem(api.post("/delivery-streams", ticker), 409)
    made = api.post("/access-keys", {"name": "k"})
    items = api.get("/audit").json()["items"]
    assert [one["operation"] for one in items][:3] == [
        "CreateAccessKey",
        "CreateDeliveryStream",
        "CreateDeliveryStream",
    ]
    assert items[1]["outcome"] == "ResourceInUseException"
    assert items[0]["person"] == team.user.email
    assert items[0]["key"].startswith("tok_")
    whole = api.get(f"/audit/{items[0]['id']}").json()
    assert whole["before"] is None
    assert whole["after"]["AccessKeyId"] == made.json()["access_key_id"]
    assert made.json()["secret_access_key"] not in api.get(f"/audit/{items[0]['id']}").content.decode()
    problem(api.get("/audit/999999"), 404)


def test_the_audit_log_is_filtered_and_goes_on(api, team, served):
    for name in "abc":
        make_stream(served, team, name)
    api.post("/access-keys", {"name": "k"})
    arn = f"arn:aws:kinesis:us-east-1:{team.team.account_id}:stream/b"
    for query, number in (
        ("operation=CreateStream", 3),
        ("service=console", 1),
        ("kind=changes", 4),
        ("kind=data", 0),
        ("outcome=failed", 0),
        (f"resource={arn}", 1),
        (f"who={team.user.email}", 1),
        ("q=stream/c", 1),
        ("from_ms=9000000000000", 0),
        ("to_ms=1", 0),
    ):
        assert len(api.get(f"/audit?{query}").json()["items"]) == number, query
    seen, cursor = [], ""
    while cursor is not None:
        told = api.get(f"/audit?limit=2&cursor={cursor}").json()
        seen += [one["id"] for one in told["items"]]
        cursor = told["next_cursor"]
    assert len(seen) == len(set(seen)) == 4
    problem(api.get("/audit?kind=colour"), 400)
    problem(api.get("/audit?cursor=1-2"), 400)
