"""The palette: recent things, suggestions, alarms, dashboards and members by name; keys that lead to sections."""

import re

import pytest

from apps.cloudwatch.models import Alarm, Dashboard
from tests.console.conftest import other_team, signed_in, text_of
from tests.support.delivery_rows import make_delivery


@pytest.fixture
def things(team, stream):
    make_delivery(team)
    Dashboard.objects.create(team=team.team, name="web-shop", body='{"widgets":[]}', modified_at_ms=1)
    return Alarm.objects.create(
        team=team.team, name="shop / late?", settings={}, reason="", configured_at_ms=1, evaluated_at_ms=1,
        changed_at_ms=1, due_at_ms=1,
    )  # fmt: skip


def groups(response):
    return {
        heading: re.findall(r'role="option"[^>]*?(?:href="([^"]*)"[^>]*)?>.*?</svg>([^<]+)<', part)
        for heading, part in re.findall(
            r'class="pal-h"[^>]*>([^<]+)</div>(.*?)(?=<div role="group"|\Z)', text_of(response), re.DOTALL
        )
    }


def labels(found):
    return [label for _, label in found]


def test_things_are_found_by_name(client, team, things):
    found = groups(client.get("/t/first/palette?q=shop"))
    assert labels(found["Alarms"]) == ["shop / late?"]
    assert labels(found["Dashboards"]) == ["web-shop"]
    assert client.get(found["Dashboards"][0][0]).status_code == 200
    assert "Edit the alarm" in labels(found["Actions on shop / late?"])
    assert labels(groups(client.get("/t/first/palette?q=alarm"))["Go to"]) == ["Metrics and alarms", "Create alarm"]


def test_what_was_looked_at_lately_comes_first_as_far_as_it_is_there(client, things):
    recent = [
        "/t/first/alarms/of/shop%2520%252F%2520late%253F", "/t/first/streams/gone", "/t/first/streams/orders",
        "/t/first/delivery/ticker", "/elsewhere",
    ]  # fmt: skip
    found = groups(client.get("/t/first/palette", {"recent": recent, "at": "/t/first/streams/orders/shards"}))
    assert labels(found["Recent"]) == ["shop / late?", "ticker"]
    assert "Split shard" in labels(found["Actions on orders"])
    assert len(found["Suggestions"]) == 5


def test_another_teams_things_are_not_there(client, things):
    stranger = signed_in(other_team())
    assert "Recent" not in groups(stranger.get("/t/second/palette", {"recent": ["/t/first/streams/orders"]}))
    assert "shop" not in text_of(stranger.get("/t/second/palette?q=late"))


def test_what_one_may_not_is_told_by_its_exact_name(served):
    viewer = signed_in(other_team(role="viewer"))
    assert "Create alarm" not in text_of(viewer.get("/t/second/palette?q=create"))
    assert "needs alarm:write" in text_of(viewer.get("/t/second/palette?q=create+alarm"))


def test_each_section_has_a_key_and_the_sheet_names_it(client):
    page = text_of(client.get("/t/first"))
    keys = re.findall(r'<a href="[^"]*" data-go="(.)"', page)
    assert len(keys) == len(set(keys)) >= 6
    assert "Go to metrics and alarms" in page
    assert '<div class="offline" id="offline" role="status" hidden>' in page
